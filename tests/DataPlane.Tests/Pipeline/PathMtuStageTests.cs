using System.Buffers.Binary;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Tests.Forwarding;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Pipeline;

public sealed class PathMtuStageTests
{
    private const ulong Here = 0x0200_0000_0001;
    private const ulong There = 0x0200_0000_0002;
    private static readonly (int, int)[] OneTag = [(0x8100, 7)];

    private static byte[] Packet(int length, int fragment = 0x4000) => Craft.IPv4(0x0A010001, 0x0A010002, 17, Craft.Fill(length - 20), fragment);

    private static byte[] Frame(int length, int fragment = 0x4000) => Craft.Ethernet(There, Here, 0x0800, Packet(length, fragment));

    private static Host MakeHost(bool isBridgePort, int pathMtu = 1500, params int[] vteps)
    {
        var host = new Host();
        host.FloodTo(vteps.Length == 0 ? [2] : vteps);
        host.Segment.IsBridgePort = isBridgePort;
        foreach (var remote in host.Segment.Remotes.All) remote.PathMtu = new PathMtu(pathMtu, PathMtuOrigin.Link);
        return host;
    }

    [Fact]
    public void From_a_bridge_port_what_fits_is_sent_and_what_does_not_is_answered()
    {
        using var host = MakeHost(isBridgePort: true);
        Assert.Single(host.Send(Frame(1450)));
        Assert.Empty(host.Tap.Take());
        Assert.Empty(host.Send(Frame(1451)));
        var answer = Assert.Single(host.Tap.Take());
        Assert.Equal(Craft.Concat(Craft.Mac(Here), Craft.Mac(There)), answer[..12]);
        Assert.Equal(1450, BinaryPrimitives.ReadUInt16BigEndian(answer.AsSpan(40)));
        Assert.Equal((1L, 1L), (host.Counters[Counter.PmtuReplies], host.Counters.DropsOut(DropReason.ExceedsPathMtu)));
        Assert.Equal(0, host.Counters[Counter.TapSent]);
    }

    [Fact]
    public void Else_it_is_answered_and_sent()
    {
        using var host = MakeHost(isBridgePort: false);
        Assert.Single(host.Send(Frame(1451)));
        Assert.Single(host.Tap.Take());
        Assert.Equal(0, Balance.DropsOut(host.Counters));
    }

    [Fact]
    public void What_may_be_fragmented_or_goes_to_many_or_whose_path_nobody_knows_is_sent()
    {
        using var host = MakeHost(isBridgePort: true);
        Assert.Single(host.Send(Frame(1500, fragment: 0)));
        using var many = MakeHost(isBridgePort: true, 1500, 2, 3);
        Assert.Equal(2, many.Send(Frame(1500)).Length);
        using var unknown = MakeHost(isBridgePort: true, pathMtu: 0);
        Assert.Single(unknown.Send(Frame(9000)));
        Assert.All(new[] { host, many, unknown }, each => Assert.Empty(each.Tap.Take()));
    }

    [Fact]
    public void A_known_station_among_many_VTEPs_is_judged_by_its_own_path()
    {
        using var host = MakeHost(isBridgePort: true, 1500, 2, 3);
        host.Segment.Fdb.Learn(MacAddress.FromValue(There), Segments.Address(3), 0);
        foreach (var remote in host.Segment.Remotes.All.Where(remote => remote.Address.Address == Segments.Address(3))) remote.PathMtu = new PathMtu(1300, PathMtuOrigin.Route);
        Assert.Empty(host.Send(Frame(1251)));
        Assert.Equal(1250, BinaryPrimitives.ReadUInt16BigEndian(Assert.Single(host.Tap.Take()).AsSpan(40)));
    }

    [Fact]
    public void A_tag_is_not_counted_and_is_kept()
    {
        using var host = MakeHost(isBridgePort: true);
        Assert.Single(host.Send(Craft.Tagged(There, Here, OneTag, 0x0800, Packet(1450))));
        Assert.Empty(host.Send(Craft.Tagged(There, Here, OneTag, 0x0800, Packet(1451))));
        Assert.Equal(Craft.Concat(Craft.Mac(Here), Craft.Mac(There), Craft.U16(0x8100), Craft.U16(7), Craft.U16(0x0800)), Assert.Single(host.Tap.Take())[..18]);
    }

    [Fact]
    public void What_is_flooded_with_DF_is_sent_to_all_and_its_sender_told_of_the_first_narrow_path()
    {
        using var host = new Host(options => options with { Outer = new OuterOptions { DontFragment = DontFragmentRule.Set } });
        host.FloodTo(2, 3, 4);
        host.Segment.IsBridgePort = true;
        foreach (var remote in host.Segment.Remotes.All) remote.PathMtu = new PathMtu(remote.Address.Address == Segments.Address(2) ? 9000 : 1300, PathMtuOrigin.Learned);
        Assert.Equal(3, host.Send(Frame(1400)).Length);
        Assert.Equal(1250, BinaryPrimitives.ReadUInt16BigEndian(Assert.Single(host.Tap.Take()).AsSpan(40)));
    }

    [Fact]
    public void What_does_not_fit_and_cannot_be_refused_leaves_without_DF()
    {
        using var host = new Host(options => options with { Outer = new OuterOptions { DontFragment = DontFragmentRule.Set } });
        host.FloodTo(2);
        host.Segment.IsBridgePort = true;
        foreach (var remote in host.Segment.Remotes.All) remote.PathMtu = new PathMtu(1300, PathMtuOrigin.Learned);
        Assert.True(Assert.Single(host.Send(Frame(1250, fragment: 0))).Outer.DontFragment);
        Assert.False(Assert.Single(host.Send(Frame(1251, fragment: 0))).Outer.DontFragment);
        var six = Craft.Ethernet(There, Here, 0x86DD, Craft.IPv6(Craft.Address6("fd00::1"), Craft.Address6("fd00::2"), 17, Craft.Fill(1240)));
        Assert.False(Assert.Single(host.Send(six)).Outer.DontFragment);
        Assert.Empty(host.Tap.Take());
    }

    [Fact]
    public void A_tag_is_counted_where_nobody_may_fragment()
    {
        using var host = new Host(options => options with { Outer = new OuterOptions { DontFragment = DontFragmentRule.Set } });
        host.FloodTo(2);
        host.Segment.IsBridgePort = true;
        foreach (var remote in host.Segment.Remotes.All) remote.PathMtu = new PathMtu(1500, PathMtuOrigin.Link);
        Assert.Single(host.Send(Frame(1450)));
        Assert.Single(host.Send(Craft.Tagged(There, Here, OneTag, 0x0800, Packet(1446))));
        Assert.Empty(host.Send(Craft.Tagged(There, Here, OneTag, 0x0800, Packet(1447))));
        Assert.Equal(1446, BinaryPrimitives.ReadUInt16BigEndian(Assert.Single(host.Tap.Take()).AsSpan(44)));
    }

    [Theory]
    [InlineData(1410, false)]
    [InlineData(1411, true)]
    public void Of_a_super_frame_the_segments_count(int segmentSize, bool isRefused)
    {
        using var host = MakeHost(isBridgePort: true);
        var frame = Craft.Ethernet(There, Here, 0x0800, Craft.IPv4(0x0A010001, 0x0A010002, 6, Craft.Tcp(1, 2, Craft.Fill(10 * segmentSize)), 0x4000));
        host.Tap.Feed(frame, new OffloadFacts(true, 34, 16, SegmentKind.TcpIPv4, (ushort)segmentSize, 54));
        var sent = host.Send();
        Assert.Equal(isRefused ? 0 : 10, sent.Length);
        Assert.Equal(isRefused ? 10 : 0, host.Counters.DropsOut(DropReason.ExceedsPathMtu));
        Assert.Equal(isRefused ? 1 : 0, host.Tap.Take().Length);
    }

    [Fact]
    public void Answers_are_limited_and_the_limit_is_over_with_time()
    {
        using var host = MakeHost(isBridgePort: true);
        host.Send([.. Enumerable.Repeat(Frame(1500), 250)]);
        Assert.Equal(100, host.Counters[Counter.PmtuReplies]);
        Assert.Equal(250, host.Counters.DropsOut(DropReason.ExceedsPathMtu));
        foreach (var now in new[] { 10, 10, 20 })
        {
            for (var i = 0; i < 50; i++) host.Tap.Feed(Frame(1500));
            host.Encapsulation.Run(host.Port, now);
        }

        Assert.Equal(120, host.Counters[Counter.PmtuReplies]);
    }

    [Fact]
    public void Neither_an_answer_nor_a_clamp_allocates_anything()
    {
        using var host = new Host(options => options with { MssClamp = SegmentOptions.MssClampAuto });
        host.FloodTo(2);
        host.Segment.IsBridgePort = true;
        foreach (var remote in host.Segment.Remotes.All) remote.PathMtu = new PathMtu(1400, PathMtuOrigin.Link);
        host.Tap.IsRecording = host.Underlay.IsRecording = false;
        var (frame, syn) = (Frame(1500), Syn(1460));
        var now = 0L;
        var least = long.MaxValue;
        for (var round = 0; round < 8 && least > 0; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 32; i++)
            {
                host.Tap.Feed(frame);
                host.Tap.Feed(syn);
            }

            host.Encapsulation.Run(host.Port, now += 100);
            if (round >= 3) least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, least);
        Assert.True(host.Counters[Counter.PmtuReplies] > 100);
    }

    private static byte[] Syn(int size)
    {
        var segment = Craft.Tcp(1, 2, [], options: Craft.Concat([2, 4], Craft.U16(size)));
        segment[13] = 2;
        Craft.U16(Craft.TransportChecksum(Craft.U32(0x0A010001), Craft.U32(0x0A010002), 6, segment)).CopyTo(segment, 16);
        return Craft.Ethernet(There, Here, 0x0800, Craft.IPv4(0x0A010001, 0x0A010002, 6, segment));
    }

    [Theory]
    [InlineData(0, 1460)]
    [InlineData(1200, 1200)]
    [InlineData(9000, 1460)]
    [InlineData(SegmentOptions.MssClampAuto, 1310)]
    public void The_segment_size_of_a_connection_is_lowered_both_ways(int clamp, int expected)
    {
        using var host = new Host(options => options with { MssClamp = clamp });
        host.FloodTo(2);
        host.Segment.Mtu = 1500;
        foreach (var remote in host.Segment.Remotes.All) remote.PathMtu = new PathMtu(1400, PathMtuOrigin.Learned);
        var outward = Assert.Single(host.Send(Syn(1460))).Frame;
        var inward = Assert.Single(host.Receive(2, Craft.Vxlan(100, Syn(1460))));
        foreach (var frame in new[] { outward, inward })
        {
            Assert.Equal(expected, BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(14 + 20 + 22)));
            Assert.Equal(0, Craft.TransportChecksum(Craft.U32(0x0A010001), Craft.U32(0x0A010002), 6, frame[34..]));
        }

        Assert.Equal(expected == 1460 ? 0 : 2, host.Counters[Counter.MssClamped]);
    }

    [Fact]
    public void A_segment_whose_checksum_the_host_left_undone_is_finished_over_what_was_changed()
    {
        using var host = new Host(options => options with { MssClamp = 1000 });
        host.FloodTo(2);
        var syn = Syn(1460);
        Craft.U16(Craft.UnfinishedChecksum(Craft.U32(0x0A010001), Craft.U32(0x0A010002), 6, 24)).CopyTo(syn, 34 + 16);
        host.Tap.Feed(syn, new OffloadFacts(true, 34, 16));
        var frame = Assert.Single(host.Send()).Frame;
        Assert.Equal(1000, BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(56)));
        Assert.Equal(0, Craft.TransportChecksum(Craft.U32(0x0A010001), Craft.U32(0x0A010002), 6, frame[34..]));
    }
}
