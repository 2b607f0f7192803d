using System.Net.Sockets;
using Sleeve.EndToEnd.Overlay;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// --mss-clamp: TCP between stations whose MTU is too large, where somebody filters ICMP, so that only the segment size can tell them. Underlay and
/// stations as in <see cref="BridgedPair"/>.
/// </summary>
public sealed class SegmentSizeTests(ITestOutputHelper output) : LabTest(output)
{
    private const int Bytes = 20_000_000;

    [SkippableTheory]
    [InlineData("auto", VtepKind.Kernel, 1410, 1390)]
    [InlineData("1000", VtepKind.Kernel, 1000, 1000)]
    [InlineData("auto", VtepKind.Sleeve, 1410, 1390)]
    public void TCP_gets_through_where_ICMP_does_not(string clamp, VtepKind peer, int four, int six)
    {
        Requirements.Programs("nft");
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "the kernel's device has no such option");
        var pair = BridgedPair.Make(NewLab(), VtepKind.Sleeve, peer, with: options => options with { More = ["--mss-clamp", clamp] });
        foreach (var station in new[] { pair.StationOne, pair.StationOther })
        {
            station.Run("nft add table inet deaf");
            station.Run("nft add chain inet deaf input { type filter hook input priority 0 ; }");
            station.Run("nft add rule inet deaf input icmp type destination-unreachable drop");
            station.Run("nft add rule inet deaf input icmpv6 type packet-too-big drop");
        }

        Traffic.WaitForPing(pair.StationOne, BridgedPair.Other4);
        Traffic.WaitForPing(pair.StationOne, BridgedPair.Other6);
        using var capture = new Capture(pair.StationOther, BridgedPair.StationDevice);
        foreach (var family in new[] { AddressFamily.InterNetwork, AddressFamily.InterNetworkV6 })
        {
            Traffic.TransferByTcp(pair.StationOne, pair.StationOther, BridgedPair.OtherOf(family), Bytes);
            Traffic.TransferByTcp(pair.StationOther, pair.StationOne, BridgedPair.OneOf(family), Bytes);
        }

        var sizes = capture.Packets.Where(packet => !packet.Outgoing).Select(packet => SegmentSize(packet.Bytes)).OfType<(bool, int)>().Distinct().Order();
        Assert.Equal([(false, four), (true, six)], sizes);
        Assert.True(PathMtuTests.Stat(pair.One, "mss_clamped") >= 8);
        Assert.Equal(0, PathMtuTests.Stat(pair.One, "pmtu_replies"));
    }

    // Linux puts the option first into its SYN segments.
    private static (bool IsIPv6, int Size)? SegmentSize(byte[] frame)
    {
        var isIPv6 = frame[12] == 0x86;
        var tcp = isIPv6 ? 54 : 34;
        if (frame.Length < tcp + 24 || frame[isIPv6 ? 20 : 23] != 6 || (frame[tcp + 13] & 2) == 0 || frame[tcp + 20] != 2) return null;
        return (isIPv6, (frame[tcp + 22] << 8) | frame[tcp + 23]);
    }
}
