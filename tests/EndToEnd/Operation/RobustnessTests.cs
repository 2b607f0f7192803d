using Sleeve.EndToEnd.Overlay;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// RB01, RB03 and RB04: what goes on after a kill, a lost link, a peer that starts anew, a burst.
/// <code>
///     a: device under test ═══ veth pair ═══ b: kernel's vxlan
/// </code>
/// </summary>
public sealed class RobustnessTests(ITestOutputHelper output) : LabTest(output)
{
    [SkippableTheory]
    [InlineData("tunnel-gso")]
    [InlineData("udp-gso")]
    [Trait("Case", "RB01")]
    public void A_TCP_connection_survives_a_kill_and_a_start(string offload)
    {
        const string device = "vx100-a";
        Requirements.Tap();
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "the kernel's device cannot be killed");
        var lab = NewLab();
        var (a, b) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(a, b);
        Vtep.Start(VtepKind.Kernel, b, new VtepOptions { Remotes = [a.Address], Addresses = ["192.168.100.2/24"] });

        // The TAP is the host's own, so that its addresses and connections outlive the process.
        a.Run($"ip tuntap add {device} mode tap multi_queue vnet_hdr");
        a.Run($"ip addr add 192.168.100.1/24 dev {device}");
        string[] words = [device, "--vni", "100", "--local", $"{a.Address}", "--remote", $"{b.Address}", "--tx-offload", offload];
        var process = SleeveProgram.Up(a, words);
        Traffic.WaitForPing(a, Pair.Overlay2);
        // Far more than is through when the last kill has happened.
        var transfer = Task.Run(() => Traffic.TransferByTcp(a, b, Pair.Overlay2, timeoutSeconds: 90));
        for (var round = 0; round < 2; round++)
        {
            Thread.Sleep(100);
            Assert.False(transfer.IsCompleted && round == 0, "over before the kill");
            process.Signal(LibC.SIGKILL);
            Assert.True(process.WaitForExit(Wait.Soon));
            process = SleeveProgram.Up(a, words);
        }

        transfer.GetAwaiter().GetResult();
    }

    [SkippableFact]
    [Trait("Case", "RB03")]
    public void Recovers_unaided_when_the_underlay_link_comes_back_and_when_the_peer_starts_anew()
    {
        var pair = Pair.Make(NewLab(), VtepKind.Kernel);
        var (a, b) = (pair.One.Host, pair.Other.Host);
        Traffic.WaitForPing(a, Pair.Overlay2);
        foreach (var flapping in new[] { a, b })
        {
            flapping.Run($"ip link set {Host.UnderlayDevice} down");
            Assert.Equal(0, Traffic.Ping(a, Pair.Overlay2, count: 1));
            flapping.Run($"ip link set {Host.UnderlayDevice} up");
            Traffic.WaitForPing(a, Pair.Overlay2);
        }

        // With the MAC it had, as one that an operator configured: else it is the hosts' neighbour tables that take a minute, with any VTEP.
        var options = pair.Other.Options with { Mac = b.MacOf(pair.Other.Device) };
        pair.Other.Terminate();
        Assert.Equal(0, Traffic.Ping(a, Pair.Overlay2, count: 1));
        Vtep.Start(VtepKind.Kernel, b, options);
        Traffic.WaitForPing(a, Pair.Overlay2);
    }

    [SkippableFact]
    [Trait("Case", "RB04")]
    public void A_burst_of_ARP_requests_each_way_is_not_amplified()
    {
        const int requests = 5000;
        var pair = Pair.Make(NewLab(), VtepKind.Kernel);
        var (a, b) = (pair.One.Host, pair.Other.Host);
        Traffic.WaitForPing(a, Pair.Overlay2);
        using var capture = new Capture(b, Host.UnderlayDevice);
        var ports = new[] { pair.One.OpenPort(), pair.Other.OpenPort() };
        // Nobody has the address, so that nothing answers and every datagram seen is one of the requests.
        var nobody = System.Net.IPAddress.Parse("192.168.100.99");
        Task.WaitAll([.. ports.Select((port, side) => Task.Run(() =>
        {
            for (var i = 0; i < requests; i++) port.SendAtOnce(Frames.ArpRequest(Frames.Mac(0x500 + side), Pair.OverlayOf(side == 0 ? a : b, ipv6: false), nobody));
        }))]);
        Traffic.WaitForPing(a, Pair.Overlay2);
        var seen = capture.Vxlan().Count(p => p.Source.Equals(a.Address) && IsArpFor(p, nobody));
        Assert.InRange(seen, 1, requests);
    }

    private static bool IsArpFor(OuterPacket packet, System.Net.IPAddress target) =>
        packet.Inner.Length >= 42 && packet.Inner[12] == 8 && packet.Inner[13] == 6 && packet.Inner[38..42].SequenceEqual(target.GetAddressBytes());
}
