using System.Net.Sockets;
using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Overlay;

/// <summary>
/// FL06, LN02 and learning as a whole: three VTEPs, each with the two others in its replication list, and what that costs on the underlay.
/// <code>
///     a: device under test      b: kernel's or Sleeve      c: kernel's or Sleeve
///        10.0.0.1                  10.0.0.2                   10.0.0.3
///           └─────────────────────────┼──────────────────────────┘
///                                  switch                              every datagram passes one port into it and is counted there
/// </code>
/// </summary>
public sealed class ThreeVtepsTests(ITestOutputHelper output) : LabTest(output)
{
    private static readonly MacAddress Station = Frames.Mac(0x51);
    private static readonly MacAddress Other = Frames.Mac(0x52);

    [SkippableTheory]
    [InlineData(VtepKind.Kernel, AddressFamily.InterNetwork)]
    [InlineData(VtepKind.Kernel, AddressFamily.InterNetworkV6)]
    [InlineData(VtepKind.Sleeve, AddressFamily.InterNetwork)]
    [InlineData(VtepKind.Sleeve, AddressFamily.InterNetworkV6)]
    [Trait("Case", "FL06")]
    public void One_broadcast_is_exactly_two_datagrams(VtepKind peers, AddressFamily family)
    {
        var mesh = Mesh.Make(NewLab(family), peers);
        foreach (var sender in mesh.Vteps)
        {
            var before = mesh.DatagramsSent();
            var frame = Frames.Unique(MacAddress.Broadcast, Frames.Mac(0x60 + sender.Host.Number));
            mesh.PortOf(sender).Send(frame);
            foreach (var receiver in mesh.Vteps.Where(v => v != sender)) mesh.PortOf(receiver).ReceiveUntil(frame);
            foreach (var receiver in mesh.Vteps) Assert.Empty(mesh.PortOf(receiver).ReceiveFor(TimeSpan.FromMilliseconds(100)));
            Assert.Equal(2, mesh.DatagramsSent() - before);
        }
    }

    [SkippableTheory]
    [InlineData(VtepKind.Kernel)]
    [InlineData(VtepKind.Sleeve)]
    [Trait("Case", "LN01")]
    public void Learning_stops_the_flood(VtepKind peers)
    {
        var mesh = Mesh.Make(NewLab(), peers);
        var (a, b, c) = (mesh.Vteps[0], mesh.Vteps[1], mesh.Vteps[2]);

        var unknown = Frames.Unique(Station, Other);
        var before = mesh.DatagramsSent();
        mesh.PortOf(a).Send(unknown);
        mesh.PortOf(b).ReceiveUntil(unknown);
        mesh.PortOf(c).ReceiveUntil(unknown);
        Assert.Equal(2, mesh.DatagramsSent() - before);

        var hello = Frames.Unique(MacAddress.Broadcast, Station);
        mesh.PortOf(b).Send(hello);
        mesh.PortOf(a).ReceiveUntil(hello);
        mesh.PortOf(c).ReceiveUntil(hello);
        a.WaitUntilLearned(Station, b.Host.Address);
        c.WaitUntilLearned(Station, b.Host.Address);

        before = mesh.DatagramsSent();
        foreach (var sender in new[] { a, c })
        {
            var known = Frames.Unique(Station, Other);
            mesh.PortOf(sender).Send(known);
            mesh.PortOf(b).ReceiveUntil(known);
        }

        Assert.Equal(2, mesh.DatagramsSent() - before);
        Assert.Empty(mesh.PortOf(c).ReceiveFor(TimeSpan.FromMilliseconds(100)));
    }

    [SkippableTheory]
    [InlineData(VtepKind.Kernel)]
    [InlineData(VtepKind.Sleeve)]
    [Trait("Case", "LN02")]
    public void A_station_that_moves_is_followed_by_all(VtepKind peers)
    {
        var mesh = Mesh.Make(NewLab(), peers);
        var (a, b, c) = (mesh.Vteps[0], mesh.Vteps[1], mesh.Vteps[2]);
        foreach (var home in new[] { b, c, b, a })
        {
            var hello = Frames.Unique(MacAddress.Broadcast, Station);
            mesh.PortOf(home).Send(hello);
            foreach (var elsewhere in mesh.Vteps.Where(v => v != home))
            {
                mesh.PortOf(elsewhere).ReceiveUntil(hello);
                elsewhere.WaitUntilLearned(Station, home.Host.Address);
                var frame = Frames.Unique(Station, Other);
                mesh.PortOf(elsewhere).Send(frame);
                mesh.PortOf(home).ReceiveUntil(frame);
            }
        }
    }

    private sealed record Mesh(Host Switch, IReadOnlyList<Vtep> Vteps, IReadOnlyList<RawPort> Ports, IReadOnlyList<Capture> Captures)
    {
        public static Mesh Make(Lab lab, VtepKind peers)
        {
            Host[] hosts = [lab.AddHost("a"), lab.AddHost("b"), lab.AddHost("c")];
            var middle = lab.JoinBySwitch(hosts);
            Vtep[] vteps =
            [
                .. hosts.Select(host => Vtep.Start(
                    host == hosts[0] ? SleeveProgram.DeviceUnderTest : peers,
                    host,
                    new VtepOptions { Remotes = [.. hosts.Where(h => h != host).Select(h => h.Address)] })),
            ];
            return new Mesh(
                middle, vteps, [.. vteps.Select(v => v.OpenPort())], [.. hosts.Select(h => lab.Own(new Capture(middle, $"p{h.Number}")))]);
        }

        public RawPort PortOf(Vtep vtep) => Ports[vtep.Host.Number - 1];

        /// <summary>VXLAN datagrams that entered the switch so far, whoever sent them.</summary>
        public int DatagramsSent() => Vteps.Zip(Captures, (vtep, capture) => capture.Vxlan().Count(d => d.Source.Equals(vtep.Host.Address))).Sum();
    }
}
