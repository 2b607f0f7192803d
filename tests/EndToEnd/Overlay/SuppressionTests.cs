using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Overlay;

/// <summary>
/// Two stations behind bridges, as in <see cref="BridgedPair"/>; the device under test has complete tables and asks nothing on the underlay, the kernel's VTEP is as ever.
/// Whatever the stations' own stacks say, frames to a group do not leave, but those of applications.
/// </summary>
public sealed class SuppressionTests(ITestOutputHelper output) : LabTest(output)
{
    private static readonly string[] Complete = ["--flood", "known", "--neigh-suppress"];

    [SkippableFact]
    public void With_complete_tables_idle_and_pinging_stations_cause_no_broadcast_and_no_multicast_on_the_underlay()
    {
        var pair = BridgedPair.Make(NewLab(), SleeveProgram.DeviceUnderTest, with: static options => options with { More = Complete, Learning = false });
        Skip.If(pair.One.Kind != VtepKind.Sleeve, "about what the kernel's device does not do");
        var (vtep, station, other) = ((SleeveVtep)pair.One, pair.StationOne, pair.StationOther);
        var theirs = MacAddress.TryParse(other.MacOf(BridgedPair.StationDevice), out var mac) ? mac : throw new FormatException();
        vtep.TryFdb("replace", $"{theirs} dev {vtep.Device} dst {pair.Other.Host.Address} static").Ok();
        foreach (var address in new[] { BridgedPair.Other4, BridgedPair.Other6 }) vtep.NeighbourAdd(address, theirs);
        // The peer is not under test: its station knows whom it talks to.
        foreach (var address in new[] { BridgedPair.One4, BridgedPair.One6 })
            other.Run($"ip neigh replace {address} lladdr {station.MacOf(BridgedPair.StationDevice)} dev {BridgedPair.StationDevice} nud permanent");

        using var capture = new Capture(vtep.Host, Host.UnderlayDevice);
        // All that a host says when an interface comes up: duplicate address detection, listener reports, router solicitations.
        station.InNamespace(static () =>
        {
            foreach (var (key, value) in new[] { ("addr_gen_mode", "0"), ("accept_ra", "1"), ("dad_transmits", "1"), ("accept_dad", "1"), ("router_solicitation_delay", "0"), ("keep_addr_on_down", "1") })
                File.WriteAllText($"/proc/sys/net/ipv6/conf/{BridgedPair.StationDevice}/{key}", value);
        });
        station.Run($"ip link set {BridgedPair.StationDevice} down");
        station.Run($"ip link set {BridgedPair.StationDevice} up");
        Wait.Until(() => !station.Run($"ip -6 addr show dev {BridgedPair.StationDevice}").Contains("tentative", StringComparison.Ordinal), "addresses without a duplicate");
        Traffic.WaitForPing(station, BridgedPair.Other4);
        Traffic.WaitForPing(station, BridgedPair.Other6);
        Assert.Equal(3, Traffic.Ping(other, BridgedPair.One4));
        Assert.Equal(3, Traffic.Ping(other, BridgedPair.One6));
        // Somebody who is not there, by address and by MAC.
        station.Try("ping -n -c 1 -W 1 192.168.100.99");
        station.Try("ping -n -c 1 -W 1 fd01::99");
        station.Run($"ip neigh replace 192.168.100.98 lladdr 02:00:00:00:0b:98 dev {BridgedPair.StationDevice} nud permanent");
        station.Try("ping -n -c 1 -W 1 192.168.100.98");

        var sent = capture.Vxlan().Where(packet => packet.Source.Equals(vtep.Host.Address)).ToArray();
        Assert.True(sent.Length >= 8, $"{sent.Length} datagrams");
        Assert.All(sent, packet => Assert.Equal(theirs, MacAddress.Read(packet.Inner)));
        Assert.All(sent, static packet => Assert.NotEqual(Frames.Arp, (packet.Inner[12] << 8) | packet.Inner[13]));
        var stats = vtep.Stats();
        Output.WriteLine(stats.Summary);
        Assert.True(stats.Drops("resolutionsuppressed") >= 4, stats.Summary);
        Assert.True(stats.Drops("unknownunicast") >= 1, stats.Summary);
        Assert.Equal(0, stats.Counter("flooded"));

        // What an application means all to hear they all hear.
        station.Try("ping -n -b -c 2 -i 0.2 -W 1 192.168.100.255");
        Assert.NotEmpty(capture.WaitFor(1, packet => packet.Source.Equals(vtep.Host.Address) && MacAddress.Read(packet.Inner).IsBroadcast));
        Assert.True(vtep.Stats().Counter("flooded") >= 1);
    }

    [SkippableFact]
    public void Explain_tells_what_is_not_flooded_and_why()
    {
        var pair = Pair.Make(NewLab(), VtepKind.Kernel, with: static options => options with { More = Complete, Learning = false });
        Skip.If(pair.One.Kind != VtepKind.Sleeve, "about sleeve explain");
        var unknown = SleeveProgram.Run(pair.One.Host, $"explain {pair.One.Device} 02:00:00:00:00:99").Output;
        Assert.Contains("unknown_unicast", unknown, StringComparison.Ordinal);
        Assert.Contains("sleeve fdb audit", unknown, StringComparison.Ordinal);
    }
}
