using System.Net.Sockets;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// EC01 and EC02: congestion marks through the tunnel (RFC 6040).
/// <code>
///     A ══ outer Not-ECT, ECT(1), ECT(0), CE  ×  inner the same ══▶ D ──▶ RawPort      what is delivered, and with which mark
///     A ◀══ outer? ══ D ◀── inner ── RawPort
/// </code>
/// </summary>
public sealed class CongestionTests(ITestOutputHelper output) : ConformanceTest(output)
{
    private const int Dropped = -1;

    // RFC 6040, figure 4. Row: inner Not-ECT, ECT(1), ECT(0), CE; column: outer the same.
    private static readonly int[][] Delivered = [[0, 0, 0, Dropped], [1, 1, 1, 3], [2, 1, 2, 3], [3, 3, 3, 3]];

    public static TheoryData<AddressFamily, bool, int> Shapes() => new()
    {
        { AddressFamily.InterNetwork, false, 0 }, { AddressFamily.InterNetwork, true, 0 },
        { AddressFamily.InterNetworkV6, false, 0 }, { AddressFamily.InterNetworkV6, true, 0 },
        { AddressFamily.InterNetwork, false, 1 }, { AddressFamily.InterNetwork, true, 2 },
    };

    [SkippableTheory]
    [MemberData(nameof(Shapes))]
    [Trait("Case", "EC01")]
    public void The_mark_of_the_outer_header_goes_into_the_frame_or_the_frame_is_lost(AddressFamily family, bool isIpv6, int tags)
    {
        // The kernel takes a VLAN tag for the IP header here.
        if (tags > 0) DiffersFromKernel();
        var stage = Given(family: family);
        List<byte[]> expected = [];
        for (byte inner = 0; inner < 4; inner++)
        {
            for (byte outer = 0; outer < 4; outer++)
            {
                var frame = Frames.IpFrame(Local, Remote, isIpv6, (byte)(0xB8 | inner), tags: tags);
                stage.A.SetTypeOfService((byte)(0x20 | outer));
                stage.SendFrom(stage.A, frame);
                if (Delivered[inner][outer] is not Dropped and var mark) expected.Add(Marked(frame, isIpv6, 14 + (4 * tags), 0xB8 | mark));
            }
        }

        stage.A.SetTypeOfService(0);
        // Each is a flow of its own, which have no order among each other with several workers.
        List<byte[]> came = stage.WhatCame();
        if (came.Count < expected.Count) came.AddRange(stage.Port.ReceiveFor(TimeSpan.FromMilliseconds(500)));
        Assert.Equal(expected.Select(Convert.ToHexString).Order(), came.Select(Convert.ToHexString).Order());
        stage.AssertDropped("EcnContradiction", 1);
    }

    [SkippableFact]
    [Trait("Case", "EC01")]
    public void What_is_not_IP_passes_whatever_the_outer_mark_and_what_is_lost_teaches_nothing()
    {
        var stage = Given();
        stage.A.SetTypeOfService(3);
        var frame = Frames.Unique(Local, Remote);
        Assert.Equal([frame], stage.WhatComesOf(Frames.Vxlan(100, frame)));
        if (stage.Stats is null) return;
        // The kernel has learned by then.
        var stranger = Frames.Mac(0x5555);
        stage.SendFrom(stage.A, Frames.IpFrame(Local, stranger, isIpv6: false));
        Assert.Empty(stage.WhatCame());
        Assert.Empty(stage.Dut.FdbOf(stranger));
    }

    [SkippableTheory]
    [MemberData(nameof(Shapes))]
    [Trait("Case", "EC02")]
    public void The_mark_of_the_frame_goes_into_the_outer_header_and_nothing_else(AddressFamily family, bool isIpv6, int tags)
    {
        if (tags > 0) DiffersFromKernel();
        var stage = Given(family: family);
        using var capture = new Capture(stage.D, Host.UnderlayDevice);
        byte[][] frames = [.. Enumerable.Range(0, 4).Select(mark => Frames.IpFrame(Unknown, Local, isIpv6, (byte)(0xB8 | mark), tags: tags)), Frames.Unique(Unknown, Local)];
        foreach (var frame in frames) stage.Port.Send(frame);
        var sent = OuterPacket.InOrderOf(frames, capture.WaitFor(5, p => p.Source.Equals(stage.D.Address)));
        // The kernel makes ECT(0) of CE (RFC 3168); RFC 6040's normal mode copies it.
        var experienced = SleeveProgram.DeviceUnderTest == VtepKind.Kernel ? 2 : 3;
        Assert.Equal([0, 1, 2, experienced, 0], sent.Select(p => (int)p.TypeOfService));
    }

    // The same frame with another TOS, its header checksum summed anew.
    private static byte[] Marked(byte[] frame, bool isIpv6, int network, int typeOfService)
    {
        var marked = frame.ToArray();
        if (isIpv6)
        {
            marked[network] = (byte)(0x60 | (typeOfService >> 4));
            marked[network + 1] = (byte)((typeOfService << 4) | (marked[network + 1] & 0x0F));
            return marked;
        }

        marked[network + 1] = (byte)typeOfService;
        marked[network + 10] = marked[network + 11] = 0;
        var checksum = Checksums.Finish(Checksums.Add(0, marked.AsSpan(network, 20)));
        (marked[network + 10], marked[network + 11]) = ((byte)(checksum >> 8), (byte)checksum);
        return marked;
    }
}
