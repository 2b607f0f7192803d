using System.Net.Sockets;
using Sleeve.EndToEnd.Overlay;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// MT06: the narrow place is in the middle, and only ICMP from there tells of it.
/// <code>
///     s ── br0 ── a 10.0.1.1 ══ MTU 1500 ══ router ══ MTU 1300 ══ b 10.0.2.2 ── br0 ── t
/// </code>
/// </summary>
public sealed class LearnedPathMtuTests(ITestOutputHelper output) : LabTest(output)
{
    private const int Narrow = 1300;
    private const int Bytes = 20_000_000;

    [SkippableTheory]
    [InlineData(AddressFamily.InterNetwork, "udp-gso")]
    [InlineData(AddressFamily.InterNetwork, "tunnel-gso")]
    [InlineData(AddressFamily.InterNetworkV6, "udp-gso")]
    [Trait("Case", "MT06")]
    public void What_the_kernel_learned_of_the_path_holds_for_stations(AddressFamily underlay, string path)
    {
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "asks Sleeve for what it knows");
        var pair = BridgedPair.Make(NewLab(underlay), VtepKind.Sleeve, join: (a, b) => JoinByRouter(a, b), with: options => options with { Offload = path });
        Traffic.WaitForPing(pair.StationOne, BridgedPair.Other4);
        var (a, b) = (pair.One.Host, pair.Other.Host);
        Assert.Equal((1500, "link"), PathMtuTests.PathMtuOf(pair.One, b.Address));

        // Somebody else on the host finds out.
        a.Try($"ping -n -c 2 -i 0.2 -W 1 -M do -s 1400 {b.Address}");
        PathMtuTests.AwaitPathMtu(pair.One, b.Address, Narrow, "learned");
        var overhead = underlay == AddressFamily.InterNetwork ? 50 : 70;
        Assert.Contains(
            $"(mtu = {Narrow - overhead})", pair.StationOne.Try($"ping -n -c 1 -W 1 -M do -s 1400 {BridgedPair.Other4}").Output, StringComparison.Ordinal);
        Traffic.TransferByTcp(pair.StationOne, pair.StationOther, BridgedPair.Other4, Bytes);

        a.Run("ip route flush cache");
        a.Run("ip -6 route flush cache");
        Assert.Equal((Narrow, "learned"), PathMtuTests.PathMtuOf(pair.One, b.Address));
    }

    [SkippableTheory]
    [InlineData("set", "udp-gso", AddressFamily.InterNetwork)]
    [InlineData("set", "tunnel-gso", AddressFamily.InterNetwork)]
    [InlineData("set", "none", AddressFamily.InterNetwork)]
    [InlineData("inherit", "udp-gso", AddressFamily.InterNetwork)]
    [InlineData("unset", "udp-gso", AddressFamily.InterNetworkV6)]
    [Trait("Case", "MT06")]
    public void TCP_adapts_to_a_path_that_its_datagrams_found_narrow(string df, string path, AddressFamily underlay)
    {
        // Over IPv6 routers never fragment, whatever df says.
        var pair = BridgedPair.Make(
            NewLab(underlay), SleeveProgram.DeviceUnderTest, join: (a, b) => JoinByRouter(a, b), with: options => options with { Outer = $"df {df}", Offload = path });
        Traffic.WaitForPing(pair.StationOne, BridgedPair.Other4);
        using var capture = new Capture(pair.Other.Host, Host.UnderlayDevice);
        Traffic.TransferByTcp(pair.StationOne, pair.StationOther, BridgedPair.Other4, Bytes / 4);
        if (pair.One is SleeveVtep) PathMtuTests.AwaitPathMtu(pair.One, pair.Other.Host.Address, Narrow, "learned");
        // Until the router has spoken, the kernel fragments what it sends over IPv6 itself.
        if (underlay == AddressFamily.InterNetwork) Assert.DoesNotContain(capture.Packets, packet => PathMtuTests.IsOuterFragment(packet.Bytes));
        Traffic.TransferByTcp(pair.StationOther, pair.StationOne, BridgedPair.One4, Bytes / 4);
        // Nobody can be told of less than 1280 bytes: where not even those fit, they are sent in fragments, without DF. The kernel's device loses them.
        if (underlay != AddressFamily.InterNetwork || pair.One is not SleeveVtep) return;
        Traffic.TransferByTcp(pair.StationOne, pair.StationOther, BridgedPair.Other6, Bytes / 4);
    }

    [SkippableFact]
    [Trait("Case", "MT06")]
    public void A_learned_path_MTU_is_forgotten_after_its_time()
    {
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "asks Sleeve for what it knows");
        var pair = BridgedPair.Make(NewLab(), VtepKind.Sleeve, join: (a, b) => JoinByRouter(a, b), with: options => options with { More = ["--pmtu-ttl", "2"] });
        var (a, b) = (pair.One.Host, pair.Other.Host);
        a.Try($"ping -n -c 2 -i 0.2 -W 1 -M do -s 1400 {b.Address}");
        PathMtuTests.AwaitPathMtu(pair.One, b.Address, Narrow, "learned");
        Thread.Sleep(3000);
        // As long as the kernel keeps it, so do we: it would not send more.
        Assert.Equal((Narrow, "learned"), PathMtuTests.PathMtuOf(pair.One, b.Address));
        a.Run("ip route flush cache");
        PathMtuTests.AwaitPathMtu(pair.One, b.Address, 1500, "link");
    }

    /// <summary>
    /// A probe asks by itself. Where the router's ICMP is filtered its larger packets vanish (a black hole), and only that the far end answers echo requests shows
    /// it; where that is filtered too, nothing can be said.
    /// </summary>
    [SkippableTheory]
    [InlineData(AddressFamily.InterNetwork, "", Narrow, "learned", Narrow, "confirmed")]
    [InlineData(AddressFamily.InterNetworkV6, "", Narrow, "learned", Narrow, "confirmed")]
    [InlineData(AddressFamily.InterNetwork, "icmp type destination-unreachable drop", Narrow, "probe", Narrow, "black-hole")]
    [InlineData(AddressFamily.InterNetworkV6, "icmpv6 type packet-too-big drop", Narrow, "probe", Narrow, "black-hole")]
    [InlineData(AddressFamily.InterNetwork, "icmp type { destination-unreachable, echo-request } drop", 1500, "link", 1500, "unconfirmed")]
    [Trait("Case", "MT06")]
    public void A_probe_measures_the_path(AddressFamily underlay, string filter, int mtu, string origin, int probed, string verdict)
    {
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "the kernel's device has no such option");
        Requirements.Programs("nft");
        var pair = BridgedPair.Make(
            NewLab(underlay), VtepKind.Sleeve, join: (a, b) => Filter(JoinByRouter(a, b), filter), with: options => options with { More = ["--pmtu-probe", "5"] });
        Traffic.WaitForPing(pair.StationOne, BridgedPair.Other4);
        var b = pair.Other.Host.Address;
        (int, string)? seen = null;
        Wait.Until(() => (seen = PathMtuTests.ProbeOf(pair.One, b)) is not null, $"a probe of {b}", TimeSpan.FromSeconds(40), pollMilliseconds: 100);
        Assert.Equal((probed, verdict), seen);
        PathMtuTests.AwaitPathMtu(pair.One, b, mtu, origin);
        Assert.Contains($"probed {probed} {verdict}", SleeveProgram.Run(pair.One.Host, $"stats dev {pair.One.Device}").Ok(), StringComparison.Ordinal);
        // The frames that a probe is made of are no business of the far end's.
        Assert.Equal(1, Traffic.Ping(pair.StationOther, BridgedPair.One4, 1));
    }

    private static void Filter(Host router, string rule)
    {
        if (rule.Length == 0) return;
        router.Run("nft add table inet filter");
        foreach (var hook in new[] { "output", "forward" })
        {
            router.Run($"nft add chain inet filter {hook} {{ type filter hook {hook} priority 0 ; }}");
            router.Run($"nft add rule inet filter {hook} {rule}");
        }
    }

    /// <summary>Addresses of the hosts stay, on loopback; routes lead to them by a router with one narrow link.</summary>
    private static Host JoinByRouter(Host a, Host b)
    {
        var router = a.Lab.AddHost("router");
        router.InNamespace(() =>
        {
            File.WriteAllText("/proc/sys/net/ipv4/ip_forward", "1");
            File.WriteAllText("/proc/sys/net/ipv6/conf/all/forwarding", "1");
        });
        foreach (var (host, mtu) in new[] { (a, 1500), (b, Narrow) })
        {
            var (net4, net6) = ($"10.1.{host.Number}", $"fd10:{host.Number}:");
            host.Run($"ip link add {Host.UnderlayDevice} type veth peer name p{host.Number} netns {router.Namespace}");
            router.Run($"ip link set p{host.Number} mtu {mtu} up");
            router.Run($"ip addr add {net4}.254/24 dev p{host.Number}");
            router.Run($"ip addr add {net6}:fe/64 dev p{host.Number} nodad");
            // Neighbours of what is forwarded are asked for from a link-local address.
            router.Run($"ip addr add fe80::fe/64 dev p{host.Number} nodad");
            // The narrow link: nobody sends more there, but all take what comes.
            host.Run($"ip link set {Host.UnderlayDevice} mtu {mtu} up");
            host.Run($"ip addr add {net4}.1/24 dev {Host.UnderlayDevice}");
            host.Run($"ip addr add {net6}:1/64 dev {Host.UnderlayDevice} nodad");
            host.Run($"ip addr add fe80::1/64 dev {Host.UnderlayDevice} nodad");
            host.Run($"ip addr add {host.Address4}/32 dev lo");
            host.Run($"ip addr add {host.Address6}/128 dev lo");
            host.Run($"ip route add default via {net4}.254");
            host.Run($"ip -6 route add default via {net6}:fe");
            router.Run($"ip route add {host.Address4}/32 via {net4}.1");
            router.Run($"ip -6 route add {host.Address6}/128 via {net6}:1");
        }

        return router;
    }
}
