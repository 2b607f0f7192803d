using Sleeve.Control.Host;
using Sleeve.Control.Up;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Daemon;

/// <summary>Brings what a segment was asked to begin with into its tables, and later only what differs.</summary>
internal static class SegmentTables
{
    /// <summary>Fills the tables of a new segment.</summary>
    /// <exception cref="HostException">A table refuses something, or an interface is not there.</exception>
    public static void Fill(Segment segment, UpSegment asked, RouteNetlink host)
    {
        foreach (var remote in asked.Remotes) AddRemote(segment, remote);
        foreach (var entry in asked.Fdb) AddEntry(segment, entry, host);
        foreach (var neighbour in asked.Neighbours) AddNeighbour(segment, neighbour);
    }

    /// <summary>Removes what is no longer asked for and adds what is new; what was changed by commands meanwhile stays.</summary>
    /// <returns>What was changed, one phrase each.</returns>
    /// <exception cref="HostException">As of <see cref="Fill"/>.</exception>
    public static IReadOnlyList<string> Change(Segment segment, UpSegment before, UpSegment wanted, RouteNetlink host)
    {
        var changes = new List<string>();
        foreach (var remote in wanted.Remotes.Except(before.Remotes))
        {
            AddRemote(segment, remote);
            changes.Add($"remote {remote} added");
        }

        foreach (var remote in before.Remotes.Except(wanted.Remotes))
        {
            segment.Fdb.Delete(MacAddress.Zero, new VtepAddress(remote, segment.Self.Port), segment.Options.Vni, Vtep.NowMilliseconds);
            changes.Add($"remote {remote} removed");
        }

        // Removed first: a station may have another VTEP now.
        foreach (var entry in before.Fdb.Except(wanted.Fdb))
        {
            var destination = new VtepAddress(entry.Destination, entry.Port ?? segment.Self.Port);
            segment.Fdb.Delete(entry.Mac, destination, entry.Vni ?? segment.Options.Vni, Vtep.NowMilliseconds, IndexOf(entry, host) ?? 0);
            changes.Add($"fdb {entry.Mac} dst {entry.Destination} removed");
        }

        foreach (var entry in wanted.Fdb.Except(before.Fdb))
        {
            AddEntry(segment, entry, host);
            changes.Add($"fdb {entry.Mac} dst {entry.Destination} added");
        }

        foreach (var neighbour in before.Neighbours.Where(old => wanted.Neighbours.All(now => now.Address != old.Address)))
        {
            segment.Neighbours.Delete(neighbour.Address);
            changes.Add($"neigh {neighbour.Address} removed");
        }

        foreach (var neighbour in wanted.Neighbours.Except(before.Neighbours))
        {
            AddNeighbour(segment, neighbour);
            changes.Add($"neigh {neighbour.Address} lladdr {neighbour.Mac} set");
        }

        return changes;
    }

    /// <summary>Brings what commands changed in a segment, while another was made to take its place, into that one.</summary>
    public static void CatchUp(Segment from, Segment to)
    {
        to.Published.TakeOver(from.Published);
        var now = Vtep.NowMilliseconds;
        var configured = new HashSet<MacAddress>();
        foreach (var entry in from.Fdb.Snapshot(now).Where(static entry => entry.Kind != EntryKind.Dynamic))
        {
            configured.Add(entry.Mac);
            // One that is the same already is not touched.
            to.Fdb.Set(entry.Mac, [.. entry.Destinations.Remotes.Select(static remote => new EntryDestination(remote.Address, remote.Vni, remote.InterfaceIndex))], entry.Kind, now);
        }

        foreach (var entry in to.Fdb.Snapshot(now).Where(entry => entry.Kind != EntryKind.Dynamic && !configured.Contains(entry.Mac))) to.Fdb.Delete(entry.Mac, null, default, now);
        var neighbours = from.Neighbours.Snapshot();
        foreach (var neighbour in neighbours.Except(to.Neighbours.Snapshot())) to.Neighbours.Replace(neighbour);
        foreach (var gone in to.Neighbours.Snapshot().ExceptBy(neighbours.Select(static each => each.Address), static each => each.Address)) to.Neighbours.Delete(gone.Address);
    }

    private static void AddRemote(Segment segment, InternetAddress remote) =>
        segment.Fdb.Append(MacAddress.Zero, new VtepAddress(remote, segment.Self.Port), segment.Options.Vni, EntryKind.Permanent, Vtep.NowMilliseconds);

    private static void AddEntry(Segment segment, in StaticEntry entry, RouteNetlink host)
    {
        var name = segment.Options.Name;
        var via = IndexOf(entry, host) ?? throw new HostException($"{name}: --fdb {entry.Mac} dst {entry.Destination} via {entry.Via}: there is no such interface (ip link show)");
        var destination = new VtepAddress(entry.Destination, entry.Port ?? segment.Self.Port);
        var vni = entry.Vni ?? segment.Options.Vni;
        // A station that was learned meanwhile is where the entry says from now on.
        var isStation = entry.Mac is { IsGroup: false, IsZero: false };
        var result = isStation
            ? segment.Fdb.Replace(entry.Mac, destination, vni, entry.Kind, Vtep.NowMilliseconds, via)
            : segment.Fdb.Append(entry.Mac, destination, vni, entry.Kind, Vtep.NowMilliseconds, via);
        if (result != TableResult.Done) throw new HostException($"{name}: --fdb {entry.Mac} dst {entry.Destination}: the table refuses it ({result})");
    }

    private static void AddNeighbour(Segment segment, in Neighbour neighbour)
    {
        if (segment.Neighbours.Replace(neighbour) is var result and not TableResult.Done)
            throw new HostException($"{segment.Options.Name}: --neigh {neighbour.Address}: the table refuses it ({result})");
    }

    // Null if it names an interface that is not there.
    private static int? IndexOf(in StaticEntry entry, RouteNetlink host) => entry.Via is null ? 0 : host.FindLink(entry.Via)?.Index;
}
