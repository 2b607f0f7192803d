using System.Net.Sockets;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Overlay;

/// <summary>
/// The outer headers of real TCP, on every way that runs and super-frames take: each packet of a flow has what the options and the flow ask for.
/// <code>
///     a: sleeve up … tos, ttl, df ═══ u0, looked at, and marked CE ═══ b: kernel's vxlan
/// </code>
/// </summary>
public sealed class OuterHeaderTrafficTests(ITestOutputHelper output) : LabTest(output)
{
    private const int Bytes = 20_000_000;
    private const byte Ect0 = 2;

    public static TheoryData<AddressFamily, string> Ways() => new()
    {
        { AddressFamily.InterNetwork, "tunnel-gso" }, { AddressFamily.InterNetwork, "udp-gso" }, { AddressFamily.InterNetwork, "none" },
        { AddressFamily.InterNetworkV6, "tunnel-gso" }, { AddressFamily.InterNetworkV6, "udp-gso" }, { AddressFamily.InterNetworkV6, "none" },
    };

    [SkippableTheory]
    [MemberData(nameof(Ways))]
    [Trait("Case", "EC02")]
    [Trait("Case", "TT01")]
    [Trait("Case", "TT02")]
    [Trait("Case", "DF01")]
    public void Every_packet_of_a_flow_has_the_outer_header_that_was_asked_for(AddressFamily family, string way)
    {
        var label = family == AddressFamily.InterNetworkV6 ? " flowlabel 0x12345" : "";
        var pair = Given(family, way, $"tos 0x20 ttl 100 df inherit{label}");
        var (a, b) = (pair.One.Host, pair.Other.Host);
        using var capture = new Capture(a, Host.UnderlayDevice);
        Traffic.TransferByTcp(a, b, Pair.Overlay2, Bytes);
        // Data only: acknowledgements and the handshake have no ECN.
        var sent = capture.Vxlan().Where(p => p.Source.Equals(a.Address) && p.Payload.Length > 500).ToArray();
        Assert.True(sent.Length > 100, $"{sent.Length} packets");
        // What TCP sends again has no ECN (RFC 3168, section 6.1.5).
        Assert.All(sent, p => Assert.Equal((0x20, 100), (p.TypeOfService & ~Ect0, p.TimeToLive)));
        Assert.True(sent.Count(p => p.TypeOfService == (0x20 | Ect0)) > sent.Length * 9 / 10);
        Assert.All(sent, p => Assert.Equal((family == AddressFamily.InterNetwork, label.Length > 0 ? 0x12345 : 0), (p.DontFragment, p.FlowLabel)));
        if (way == "tunnel-gso") Assert.True(TunnelMessages(pair) > 20, SleeveProgram.Run(a, "stats").Ok());
    }

    [SkippableTheory]
    [MemberData(nameof(Ways))]
    [Trait("Case", "EC01")]
    public void Marks_of_the_underlay_reach_TCP_through_merged_runs_and_nothing_is_lost(AddressFamily family, string way)
    {
        Requirements.Programs("nft");
        var pair = Given(family, way, "");
        var (a, b) = (pair.One.Host, pair.Other.Host);
        // Two of three: runs begin, go on and end with marked packets.
        var ip = family == AddressFamily.InterNetwork ? "ip" : "ip6";
        a.Try(["nft", $"add table inet t; add chain inet t i {{ type filter hook prerouting priority -150; }}; add rule inet t i iif u0 udp dport 4789 {ip} ecn ect0 numgen inc mod 3 < 2 {ip} ecn set ce"]).Ok();
        Traffic.TransferByTcp(b, a, Pair.Overlay1, Bytes);
        Traffic.TransferByTcp(b, a, Pair.Overlay1V6, Bytes);
        Assert.Equal(0, ((SleeveVtep)pair.One).Stats().Drops("EcnContradiction"));
        // Each stack counts what it received by its mark.
        Assert.True(CountOf(a, "InCEPkts") > 100, a.Run("nstat -az IpExtInCEPkts Ip6InCEPkts"));
    }

    private static long CountOf(Host host, string name) => host.Run($"nstat -asz IpExt{name} Ip6{name}").Split('\n')
        .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(words => words.Length >= 2 && words[0].EndsWith(name, StringComparison.Ordinal))
        .Sum(words => long.Parse(words[1], System.Globalization.CultureInfo.InvariantCulture));

    private static long TunnelMessages(Pair pair)
    {
        using var document = System.Text.Json.JsonDocument.Parse(ControlSocket.Get(pair.One.Device, "stats"));
        return document.RootElement.GetProperty("tx_tunnel_messages").GetInt64();
    }

    private Pair Given(AddressFamily family, string way, string outer)
    {
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "about Sleeve's ways of sending");
        var pair = Pair.Make(NewLab(family), VtepKind.Kernel, offloads: true, options => options with { Offload = way, Outer = outer });
        foreach (var host in new[] { pair.One.Host, pair.Other.Host })
            host.InNamespace(() => File.WriteAllText("/proc/sys/net/ipv4/tcp_ecn", "1"));
        return pair;
    }
}
