using System.Net.Sockets;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Overlay;

/// <summary>
/// Wireshark's dissector reads what the device under test sends, all checksums validated.
/// <code>
///     a: device under test ═══ veth pair, checksum offload off ═══ b: kernel's vxlan
///                                                               └─ capture ─▶ tshark -r
/// </code>
/// </summary>
public sealed class DissectionTests(ITestOutputHelper output) : LabTest(output)
{
    // RFC 862: content that is anything at all; on another port a dissector might take it for its own, and complain.
    private const int Echo = 7;

    private readonly string _file = Path.Combine(Path.GetTempPath(), $"sleeve-e2e-{Environment.ProcessId}.pcap");

    [SkippableTheory]
    [InlineData(AddressFamily.InterNetwork)]
    [InlineData(AddressFamily.InterNetworkV6)]
    public void Tshark_reads_what_is_sent_as_VXLAN_without_complaint(AddressFamily family)
    {
        Requirements.Programs("tshark");
        var pair = Pair.Make(NewLab(family), VtepKind.Kernel, offloads: false);
        var (a, b) = (pair.One.Host, pair.Other.Host);
        using (var capture = new Capture(b, Host.UnderlayDevice))
        {
            Assert.Equal(3, Traffic.Ping(a, Pair.Overlay2));
            Assert.Equal(3, Traffic.Ping(a, Pair.Overlay2V6, size: 4000));
            Traffic.EchoUdp(a, b, Pair.Overlay2, [1, 100, 1400, 3000], Echo);
            Traffic.EchoUdp(a, b, Pair.Overlay2V6, [1, 100, 1400, 3000], Echo);
            Traffic.TransferByTcp(a, b, Pair.Overlay2, 200_000, port: Echo);
            Traffic.TransferByTcp(a, b, Pair.Overlay2V6, 200_000, port: Echo);
            capture.WritePcap(_file);
        }

        var mine = $"{(family == AddressFamily.InterNetwork ? "ip" : "ipv6")}.src == {a.Address} && udp.dstport == 4789";
        var sent = Count(mine);
        Assert.True(sent > 150, $"{sent} datagrams captured");
        Assert.Equal(sent, Count($"{mine} && vxlan.vni == 100 && vxlan[0:4] == 08:00:00:00 && vxlan[7:1] == 00"));
        Assert.Equal(sent, Count($"{mine} && udp.checksum.status == \"Good\""));
        Assert.Equal("", Tshark($"{mine} && (_ws.malformed || _ws.expert.severity >= 8388608)"));
        foreach (var protocol in new[] { "ip", "udp", "tcp", "icmp", "icmpv6" })
            Assert.Equal("", Tshark($"{mine} && {protocol}.checksum.status == \"Bad\""));
        foreach (var protocol in new[] { "arp", "icmp", "icmpv6", "tcp", "ip.frag_offset > 0", "ipv6.fragment" })
            Assert.True(Count($"{mine} && {protocol}") > 0, $"no {protocol} in the capture");
    }

    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        File.Delete(_file);
    }

    private int Count(string filter) => Tshark(filter).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length;

    private string Tshark(string filter)
    {
        string[] checks = ["ip", "udp", "tcp"];
        var result = Command.Run(
            ["tshark", "-n", "-r", _file, .. checks.SelectMany(c => new[] { "-o", $"{c}.check_checksum:TRUE" }), "-Y", filter],
            timeout: TimeSpan.FromSeconds(60));
        return result.Ok();
    }
}
