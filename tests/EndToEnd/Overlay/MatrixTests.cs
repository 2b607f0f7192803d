using System.Net.Sockets;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Overlay;

/// <summary>
/// OF01, OF02, MT07 and V601: the traffic of ordinary hosts, over each family of underlay, to each kind of peer, with the underlay's offloads on (so
/// that unfinished checksums and whole super-frames arrive) and off, by each transmit and receive path of ours.
/// <code>
///     a: device under test                         b: kernel's vxlan, or Sleeve
///     vx100-a 192.168.100.1, fd01::1               vx100-b 192.168.100.2, fd01::2
///        │                                            │
///     u0 10.0.0.1, fd00::1 ═══════ veth pair ═══════ u0 10.0.0.2, fd00::2
/// </code>
/// </summary>
public sealed class MatrixTests(ITestOutputHelper output) : LabTest(output)
{
    // One byte, around the MTUs of overlay and underlay and their multiples, and what needs many fragments.
    private static readonly int[] Sizes =
        [1, 2, 17, 64, 1000, 1381, 1402, 1403, 1422, 1423, 1450, 1472, 1473, 2000, 2844, 2845, 4096, 9000, 16_000, 32_768, 60_000];

    [SkippableTheory]
    [InlineData(VtepKind.Kernel, AddressFamily.InterNetwork, true, "udp-gso")]
    [InlineData(VtepKind.Kernel, AddressFamily.InterNetwork, false, "udp-gso")]
    [InlineData(VtepKind.Kernel, AddressFamily.InterNetworkV6, true, "udp-gso")]
    [InlineData(VtepKind.Kernel, AddressFamily.InterNetworkV6, false, "udp-gso")]
    [InlineData(VtepKind.Sleeve, AddressFamily.InterNetwork, true, "udp-gso")]
    [InlineData(VtepKind.Sleeve, AddressFamily.InterNetwork, false, "udp-gso")]
    [InlineData(VtepKind.Sleeve, AddressFamily.InterNetworkV6, true, "udp-gso")]
    [InlineData(VtepKind.Sleeve, AddressFamily.InterNetworkV6, false, "udp-gso")]
    [InlineData(VtepKind.Kernel, AddressFamily.InterNetwork, true, "tunnel-gso")]
    [InlineData(VtepKind.Kernel, AddressFamily.InterNetwork, false, "tunnel-gso")]
    [InlineData(VtepKind.Kernel, AddressFamily.InterNetworkV6, true, "tunnel-gso")]
    [InlineData(VtepKind.Kernel, AddressFamily.InterNetworkV6, false, "tunnel-gso")]
    [InlineData(VtepKind.Sleeve, AddressFamily.InterNetwork, true, "tunnel-gso")]
    [InlineData(VtepKind.Sleeve, AddressFamily.InterNetwork, false, "tunnel-gso")]
    [InlineData(VtepKind.Sleeve, AddressFamily.InterNetworkV6, true, "tunnel-gso")]
    [InlineData(VtepKind.Sleeve, AddressFamily.InterNetworkV6, false, "tunnel-gso")]
    [InlineData(VtepKind.Kernel, AddressFamily.InterNetwork, true, "none")]
    [InlineData(VtepKind.Kernel, AddressFamily.InterNetworkV6, true, "none")]
    [InlineData(VtepKind.Sleeve, AddressFamily.InterNetwork, true, "none")]
    [InlineData(VtepKind.Sleeve, AddressFamily.InterNetworkV6, true, "none")]
    [Trait("Case", "OF01")]
    [Trait("Case", "OF02")]
    [Trait("Case", "MT07")]
    [Trait("Case", "V601")]
    public void Ping_UDP_and_TCP_arrive_whole(VtepKind peer, AddressFamily underlay, bool offloads, string path)
    {
        var pair = Pair.Make(NewLab(underlay), peer, offloads, options => options with { Offload = path });
        var (a, b) = (pair.One.Host, pair.Other.Host);

        Assert.Equal(3, Traffic.Ping(a, Pair.Overlay2));
        Assert.Equal(3, Traffic.Ping(b, Pair.Overlay1V6));
        Assert.Equal(3, Traffic.Ping(a, Pair.Overlay2V6, size: 8000));
        Assert.Equal(
            [b.Address.ToString()],
            pair.One.Fdb().Where(e => e.Mac != Vtep.Default).Select(e => e.Destination).Distinct());

        Traffic.EchoUdp(a, b, Pair.Overlay2, Sizes);
        Traffic.EchoUdp(b, a, Pair.Overlay1V6, Sizes);

        Traffic.TransferByTcp(a, b, Pair.Overlay2);
        Traffic.TransferByTcp(b, a, Pair.Overlay1);
        Traffic.TransferByTcp(a, b, Pair.Overlay2V6);
        Traffic.TransferByTcp(b, a, Pair.Overlay1V6);
    }

    [SkippableTheory]
    [InlineData(VtepKind.Kernel, "tunnel-gso")]
    [InlineData(VtepKind.Sleeve, "tunnel-gso")]
    [InlineData(VtepKind.Kernel, "udp-gso")]
    [InlineData(VtepKind.Kernel, "none")]
    [InlineData(VtepKind.Sleeve, "udp-gso")]
    public void Four_streams_each_way_and_small_datagrams_beside_them_arrive_whole(VtepKind peer, string path)
    {
        var pair = Pair.Make(NewLab(), peer, with: options => options with { Offload = path });
        var (a, b) = (pair.One.Host, pair.Other.Host);
        Assert.Equal(3, Traffic.Ping(a, Pair.Overlay2));
        List<Task> transfers = [];
        for (var i = 0; i < 4; i++)
        {
            transfers.Add(Task.Factory.StartNew(() => Traffic.TransferByTcp(a, b, Pair.Overlay2, Traffic.TransferBytes / 4), TaskCreationOptions.LongRunning));
            transfers.Add(Task.Factory.StartNew(() => Traffic.TransferByTcp(b, a, Pair.Overlay1, Traffic.TransferBytes / 4), TaskCreationOptions.LongRunning));
        }

        var all = Task.WhenAll(transfers);
        // A datagram may be lost beside eight streams at full rate, but ping is patient, and none may be changed.
        while (!all.IsCompleted) Traffic.Ping(b, Pair.Overlay1V6, size: 16);
        all.GetAwaiter().GetResult();
    }
}
