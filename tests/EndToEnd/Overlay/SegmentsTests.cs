using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Overlay;

/// <summary>
/// IS01 to IS03: several segments of one VTEP never see each other's frames, even when they use the same MACs.
/// <code>
///     a: device under test, one UDP port             b: kernel's or Sleeve
///     vx100-a ─┐                                   ┌─ vx100-b
///     vx200-a ─┴─ u0 10.0.0.1 ═══ switch ═══ u0 10.0.0.2 ─┴─ vx200-b
///                                    ║
///                              c 10.0.0.3
/// </code>
/// </summary>
public sealed class SegmentsTests(ITestOutputHelper output) : LabTest(output)
{
    [SkippableTheory]
    [InlineData(VtepKind.Kernel)]
    [InlineData(VtepKind.Sleeve)]
    [Trait("Case", "IS01")]
    public void The_same_MAC_in_two_segments_is_two_stations(VtepKind peer)
    {
        var lab = NewLab();
        Host[] hosts = [lab.AddHost("a"), lab.AddHost("b"), lab.AddHost("c")];
        lab.JoinBySwitch(hosts);
        var options = hosts.ToDictionary(h => h, h => new VtepOptions { Remotes = [.. hosts.Where(o => o != h).Select(o => o.Address)] });
        var a = Vtep.StartSegments(SleeveProgram.DeviceUnderTest, hosts[0], [100, 200], options[hosts[0]]);
        var b = Vtep.StartSegments(peer, hosts[1], [100, 200], options[hosts[1]]);
        var c = Vtep.StartSegments(peer, hosts[2], [100, 200], options[hosts[2]]);
        RawPort[] atA = [.. a.Select(v => v.OpenPort())], atB = [.. b.Select(v => v.OpenPort())], atC = [.. c.Select(v => v.OpenPort())];
        var (station, asker) = (Frames.Mac(0x51), Frames.Mac(0x52));

        // In segment 100 the station is behind b, in 200 behind c.
        var (hello100, hello200) = (Frames.Unique(MacAddress.Broadcast, station), Frames.Unique(MacAddress.Broadcast, station));
        atB[0].Send(hello100);
        atC[1].Send(hello200);
        Assert.Empty(atA[0].ReceiveUntil(hello100));
        Assert.Empty(atA[1].ReceiveUntil(hello200));
        a[0].WaitUntilLearned(station, hosts[1].Address);
        a[1].WaitUntilLearned(station, hosts[2].Address);

        var (to100, to200, all100) = (Frames.Unique(station, asker), Frames.Unique(station, asker), Frames.Unique(MacAddress.Broadcast, asker));
        atA[0].Send(to100);
        atA[1].Send(to200);
        atA[0].Send(all100);
        Assert.Equal([to100], atB[0].ReceiveUntil(all100));
        Assert.Equal([hello100], atC[0].ReceiveUntil(all100));
        Assert.Equal([hello200], atB[1].ReceiveFor(TimeSpan.FromMilliseconds(100)));
        Assert.Equal([to200], atC[1].ReceiveFor(TimeSpan.FromMilliseconds(100)));
    }

    [SkippableTheory]
    [InlineData(VtepKind.Kernel)]
    [InlineData(VtepKind.Sleeve)]
    [Trait("Case", "IS02")]
    public void Eight_segments_share_one_port(VtepKind peer)
    {
        int[] segments = [0, 1, 2, 100, 101, 4096, (1 << 24) - 2, (1 << 24) - 1];
        var lab = NewLab();
        var (hostA, hostB) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(hostA, hostB);
        var a = Vtep.StartSegments(SleeveProgram.DeviceUnderTest, hostA, segments, new VtepOptions { Remotes = [hostB.Address] });
        var b = Vtep.StartSegments(peer, hostB, segments, new VtepOptions { Remotes = [hostA.Address] });
        RawPort[] atA = [.. a.Select(v => v.OpenPort())], atB = [.. b.Select(v => v.OpenPort())];
        byte[][] frames = [.. segments.Select(_ => Frames.Unique(MacAddress.Broadcast, Frames.Mac(1)))];
        byte[][] back = [.. segments.Select(_ => Frames.Unique(MacAddress.Broadcast, Frames.Mac(2)))];
        for (var i = 0; i < segments.Length; i++) atA[i].Send(frames[i]);
        for (var i = 0; i < segments.Length; i++) Assert.Empty(atB[i].ReceiveUntil(frames[i]));
        for (var i = 0; i < segments.Length; i++) atB[i].Send(back[i]);
        for (var i = 0; i < segments.Length; i++) Assert.Empty(atA[i].ReceiveUntil(back[i]));
        Assert.All([.. atA, .. atB], port => Assert.Empty(port.ReceiveFor(TimeSpan.FromMilliseconds(20))));
    }

    /// <summary>
    /// <code>
    ///     b  192.168.100.2 ── VNI 100 ── 192.168.100.1  a  192.168.200.1 ── VNI 200 ── 192.168.200.3  c
    /// </code>
    /// </summary>
    [SkippableTheory]
    [InlineData(VtepKind.Kernel)]
    [InlineData(VtepKind.Sleeve)]
    [Trait("Case", "IS03")]
    public void A_host_routes_between_its_segments(VtepKind peer)
    {
        var lab = NewLab();
        Host[] hosts = [lab.AddHost("a"), lab.AddHost("b"), lab.AddHost("c")];
        lab.JoinBySwitch(hosts);
        var a = Vtep.StartSegments(
            SleeveProgram.DeviceUnderTest, hosts[0], [100, 200], new VtepOptions { Remotes = [hosts[1].Address, hosts[2].Address] });
        hosts[0].Run($"ip addr add 192.168.100.1/24 dev {a[0].Device}");
        hosts[0].Run($"ip addr add 192.168.200.1/24 dev {a[1].Device}");
        hosts[0].InNamespace(() => File.WriteAllText("/proc/sys/net/ipv4/ip_forward", "1"));
        Vtep.Start(peer, hosts[1], new VtepOptions { Vni = 100, Remotes = [hosts[0].Address], Addresses = ["192.168.100.2/24"] });
        Vtep.Start(peer, hosts[2], new VtepOptions { Vni = 200, Remotes = [hosts[0].Address], Addresses = ["192.168.200.3/24"] });
        hosts[1].Run("ip route add 192.168.200.0/24 via 192.168.100.1");
        hosts[2].Run("ip route add 192.168.100.0/24 via 192.168.200.1");

        var (b, c) = (System.Net.IPAddress.Parse("192.168.100.2"), System.Net.IPAddress.Parse("192.168.200.3"));
        Assert.Equal(3, Traffic.Ping(hosts[1], c));
        Traffic.TransferByTcp(hosts[1], hosts[2], c, 20_000_000);
        Traffic.TransferByTcp(hosts[2], hosts[1], b, 20_000_000);
    }
}
