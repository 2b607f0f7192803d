using Sleeve.Control.Daemon;
using Sleeve.Control.Host;
using Sleeve.Control.Up;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;
using static Sleeve.Control.Tests.Store.Values;

namespace Sleeve.Control.Tests.Daemon;

/// <summary>Only what differs between two wishes is changed in the tables; what commands changed meanwhile stays.</summary>
public sealed class SegmentTablesTests : IDisposable
{
    private static readonly SegmentOptions Options = new() { Vni = new Vni(100), Name = "vx1" };
    private readonly RouteNetlink _host = RouteNetlink.Open();
    private readonly Segment _segment = new(Options, new VtepAddress(Ip("192.0.2.1"), 4789));

    public void Dispose() => _host.Dispose();

    private static UpSegment Asked(string[] remotes, StaticEntry[]? fdb = null, Neighbour[]? neighbours = null) =>
        new() { Segment = Options, Remotes = [.. remotes.Select(Ip)], Fdb = fdb ?? [], Neighbours = neighbours ?? [] };

    private static StaticEntry Entry(int mac, string destination, string? via = null) => new(Mac(mac), Ip(destination), null, null, EntryKind.Permanent, via);

    private string Show() => string.Join("; ", _segment.Fdb.Snapshot(Vtep.NowMilliseconds).OrderBy(static entry => entry.Mac.ToString(), StringComparer.Ordinal)
        .Select(static entry => $"{entry.Mac.ToString()[^2..]} {entry.Kind} {string.Join(' ', entry.Destinations.Remotes.Select(static remote => remote.Address.Address))}"))
        + " | " + string.Join("; ", _segment.Neighbours.Snapshot().OrderBy(static each => each.Address.ToString(), StringComparer.Ordinal).Select(static each => $"{each.Address} {each.Mac.ToString()[^2..]}"));

    [Fact]
    public void What_differs_is_changed_and_told()
    {
        var before = Asked(["192.0.2.2", "192.0.2.3"], [Entry(1, "192.0.2.2"), Entry(2, "192.0.2.2")], [new Neighbour(Ip("10.1.1.1"), Mac(1)), new Neighbour(Ip("10.1.1.2"), Mac(2))]);
        SegmentTables.Fill(_segment, before, _host);
        // By commands.
        _segment.Fdb.Append(MacAddress.Zero, new VtepAddress(Ip("192.0.2.8"), 4789), Options.Vni, EntryKind.Permanent, Vtep.NowMilliseconds);
        _segment.Fdb.Add(Mac(8), new VtepAddress(Ip("192.0.2.8"), 4789), Options.Vni, EntryKind.Static, Vtep.NowMilliseconds);
        _segment.Neighbours.Add(new Neighbour(Ip("10.1.1.8"), Mac(8)));

        var wanted = Asked(["192.0.2.3", "192.0.2.4"], [Entry(1, "192.0.2.4"), Entry(3, "192.0.2.3")], [new Neighbour(Ip("10.1.1.1"), Mac(9)), new Neighbour(Ip("10.1.1.3"), Mac(3))]);
        var changes = SegmentTables.Change(_segment, before, wanted, _host);
        Assert.Equal("00 Permanent 192.0.2.3 192.0.2.8 192.0.2.4; 01 Permanent 192.0.2.4; 03 Permanent 192.0.2.3; 08 Static 192.0.2.8 | 10.1.1.1 09; 10.1.1.3 03; 10.1.1.8 08", Show());
        Assert.Equal(
            [
                "remote 192.0.2.4 added", "remote 192.0.2.2 removed",
                $"fdb {Mac(1)} dst 192.0.2.2 removed", $"fdb {Mac(2)} dst 192.0.2.2 removed", $"fdb {Mac(1)} dst 192.0.2.4 added", $"fdb {Mac(3)} dst 192.0.2.3 added",
                "neigh 10.1.1.2 removed", $"neigh 10.1.1.1 lladdr {Mac(9)} set", $"neigh 10.1.1.3 lladdr {Mac(3)} set",
            ],
            changes);
        Assert.Empty(SegmentTables.Change(_segment, wanted, wanted, _host));
    }

    /// <summary>A run that was killed in the middle is followed by one that does the same again.</summary>
    [Fact]
    public void Done_twice_it_is_as_done_once()
    {
        var before = Asked(["192.0.2.2"], [Entry(1, "192.0.2.2")], [new Neighbour(Ip("10.1.1.1"), Mac(1))]);
        var wanted = Asked(["192.0.2.3"], [Entry(1, "192.0.2.3"), new StaticEntry(Mac("01:00:5e:00:00:01"), Ip("192.0.2.3"), null, null, EntryKind.Permanent)], [new Neighbour(Ip("10.1.1.2"), Mac(1))]);
        SegmentTables.Fill(_segment, before, _host);
        SegmentTables.Change(_segment, before, wanted, _host);
        var once = Show();
        SegmentTables.Change(_segment, before, wanted, _host);
        Assert.Equal(once, Show());
        SegmentTables.Fill(_segment, wanted, _host);
        Assert.Equal(once, Show());
    }

    [Fact]
    public void A_station_that_was_learned_is_where_the_entry_says()
    {
        _segment.Fdb.Learn(Mac(1), Ip("192.0.2.9"), Vtep.NowMilliseconds);
        SegmentTables.Change(_segment, Asked([]), Asked([], [Entry(1, "192.0.2.2")]), _host);
        Assert.Equal("01 Permanent 192.0.2.2 | ", Show());
    }

    [Fact]
    public void An_interface_that_is_not_there_is_named()
    {
        var refusal = Assert.Throws<HostException>(() => SegmentTables.Fill(_segment, Asked([], [Entry(1, "192.0.2.2", "nosuch0")]), _host));
        Assert.Contains("via nosuch0: there is no such interface", refusal.Message, StringComparison.Ordinal);
    }
}
