using System.Buffers.Binary;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Pipeline;

/// <summary>
/// Super-frames cut on the way out and merged on the way in, against frames that are built byte by byte here. In the tests a flow is TCP or UDP,
/// IPv4 or IPv6, with or without a VLAN tag.
/// </summary>
public sealed class SuperFrameTests
{
    private const int SegmentSize = 1000;
    private const ulong Local = 0x0200_0000_0001;
    private const ulong Other = 0x0200_0000_0002;
    private static readonly byte[] Source4 = [10, 1, 1, 1];
    private static readonly byte[] Destination4 = [10, 1, 1, 2];
    private static readonly byte[] Source6 = Craft.Address6("fd00::1");
    private static readonly byte[] Destination6 = Craft.Address6("fd00::2");
    private static readonly byte[] TcpOptions = [1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9];

    public static TheoryData<bool, bool, bool> Flows() => new()
    {
        { true, false, false }, { true, true, false }, { false, false, false }, { false, true, false },
        { true, false, true }, { true, true, true }, { false, false, true }, { false, true, true },
    };

    [Theory]
    [MemberData(nameof(Flows))]
    public void A_super_frame_leaves_as_the_frames_it_stands_for(bool isTcp, bool isIPv6, bool isTagged)
    {
        using var host = new Host();
        host.FloodTo(2, 3);
        var payload = Craft.Fill((4 * SegmentSize) + 123);
        var whole = Whole(isTcp, isIPv6, isTagged, payload);
        host.Tap.Feed(whole.Frame, whole.Facts);
        var sent = host.Send();

        var expected = Parts(isTcp, isIPv6, isTagged, payload);
        Assert.Equal(2 * expected.Length, sent.Length);
        foreach (var (copies, to) in new[] { (sent[..5], 2), (sent[5..], 3) })
        {
            for (var i = 0; i < expected.Length; i++)
            {
                Assert.Equal(Forwarding.Segments.Vtep(to), copies[i].To);
                Assert.Equal(Craft.Vxlan(100, expected[i]), copies[i].Bytes);
            }
        }

        Assert.Equal(5, host.Counters[Counter.TapReceived]);
        Assert.Equal(10, host.Counters[Counter.DatagramsSent]);
    }

    [Theory]
    [MemberData(nameof(Flows))]
    public void The_frames_of_a_flow_arrive_as_one_super_frame(bool isTcp, bool isIPv6, bool isTagged)
    {
        using var host = new Host();
        host.Tap.TakesSuperFrames = host.Tap.TakesUdpSuperFrames = true;
        var payload = Craft.Fill((4 * SegmentSize) + 123);
        var whole = Whole(isTcp, isIPv6, isTagged, payload);
        byte[][] datagrams = [.. Parts(isTcp, isIPv6, isTagged, payload).Select(part => Craft.Vxlan(100, part))];

        foreach (var datagram in datagrams) host.Underlay.Feed(datagram, Forwarding.Segments.Address(2));
        host.Decapsulation.Run(0);
        AssertWhole();
        // The same as UDP_GRO hands them over: one behind the other.
        host.Underlay.Feed(Craft.Concat(datagrams), Forwarding.Segments.Address(2), datagrams[0].Length);
        host.Decapsulation.Run(0);
        AssertWhole();
        Assert.Equal(2 * datagrams.Length, host.Counters[Counter.TapSent]);
        Assert.Equal(2, host.Counters[Counter.SuperFramesMerged]);

        void AssertWhole()
        {
            var delivered = Assert.Single(host.Tap.Delivered);
            Assert.Equal(whole.Frame, delivered.Bytes);
            Assert.Equal(whole.Facts with { HeaderLength = (ushort)(whole.Frame.Length - payload.Length) }, delivered.Offload);
            host.Tap.Delivered.Clear();
        }
    }

    [Fact]
    public void Nothing_is_merged_for_a_tap_that_takes_no_super_frames()
    {
        using var host = new Host();
        var parts = Parts(true, false, false, Craft.Fill(3 * SegmentSize));
        Assert.Equal(parts, host.Receive(2, [.. parts.Select(part => Craft.Vxlan(100, part))]));
        host.Tap.TakesSuperFrames = true;
        parts = Parts(false, false, false, Craft.Fill(3 * SegmentSize));
        Assert.Equal(parts, host.Receive(2, [.. parts.Select(part => Craft.Vxlan(100, part))]));
    }

    // Offsets are in the frame: Ethernet 14, IPv4 20, TCP 20 + 12 of options. With "fix" the checksums are made right again after the change.
    [Theory]
    [InlineData(5, false)] // destination MAC
    [InlineData(11, false)] // source MAC
    [InlineData(15, true)] // TOS, and with it ECN
    [InlineData(19, true)] // identification
    [InlineData(20, true)] // don't fragment
    [InlineData(22, true)] // TTL
    [InlineData(26, true)] // source address
    [InlineData(33, true)] // destination address
    [InlineData(35, true)] // source port
    [InlineData(37, true)] // destination port
    [InlineData(41, true)] // sequence number
    [InlineData(45, true)] // acknowledgement
    [InlineData(47, true)] // flags: FIN
    [InlineData(49, true)] // window
    [InlineData(53, true)] // urgent pointer
    [InlineData(60, true)] // timestamp
    [InlineData(51, false)] // TCP checksum wrong
    [InlineData(25, false)] // IPv4 header checksum wrong
    [InlineData(70, false)] // payload that the checksum does not bear out
    public void What_differs_is_not_merged_and_not_changed(int offset, bool fix)
    {
        using var host = new Host();
        host.Tap.TakesSuperFrames = host.Tap.TakesUdpSuperFrames = true;
        var parts = Parts(true, false, false, Craft.Fill(2 * SegmentSize), push: false);
        parts[1][offset] ^= offset == 20 ? (byte)0x40 : (byte)0x01;
        if (fix) FixChecksums(parts[1]);
        Assert.Equal(parts, host.Receive(2, [.. parts.Select(part => Craft.Vxlan(100, part))]));
    }

    [Theory]
    [InlineData(0x02)] // SYN
    [InlineData(0x04)] // RST
    [InlineData(0x20)] // URG
    [InlineData(0x01)] // FIN
    public void Flags_that_mean_something_by_themselves_are_never_merged(byte flag)
    {
        using var host = new Host();
        host.Tap.TakesSuperFrames = true;
        var parts = Parts(true, false, false, Craft.Fill(3 * SegmentSize), push: false);
        foreach (var part in parts)
        {
            part[47] |= flag;
            FixChecksums(part);
        }

        Assert.Equal(parts, host.Receive(2, [.. parts.Select(part => Craft.Vxlan(100, part))]));
    }

    // RFC 3168, section 6.1.2; the kernel's GRO begins a run at CWR, and its segmentation leaves it to the first.
    [Fact]
    public void A_reduced_window_begins_a_run_and_is_told_to_the_tap()
    {
        using var host = new Host();
        host.Tap.TakesSuperFrames = true;
        var parts = Parts(true, false, false, Craft.Fill(5 * SegmentSize), push: false);
        parts[2][47] |= 0x80;
        FixChecksums(parts[2]);
        foreach (var part in parts) host.Underlay.Feed(Craft.Vxlan(100, part), Forwarding.Segments.Address(2));
        host.Decapsulation.Run(0);
        Assert.Equal([(2 * SegmentSize, false), (3 * SegmentSize, true)], host.Tap.Delivered.Select(frame => (frame.Bytes.Length - 66, frame.Offload.HasWindowReduced)));
        Assert.Equal([0x10, 0x90], host.Tap.Delivered.Select(frame => frame.Bytes[47]));
    }

    [Fact]
    public void Only_the_first_segment_of_a_super_frame_says_that_the_window_was_reduced()
    {
        using var host = new Host();
        host.FloodTo(2);
        var whole = Whole(true, false, false, Craft.Fill(3 * SegmentSize));
        whole.Frame[47] |= 0x80;
        host.Tap.Feed(whole.Frame, whole.Facts with { HasWindowReduced = true });
        Assert.Equal([0x90, 0x10, 0x18], host.Send().Select(datagram => datagram.Frame[47]));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public void An_unfinished_UDP_super_frame_in_one_datagram_reaches_the_tap_whole(bool isIPv6, bool isTagged)
    {
        using var host = new Host();
        var payload = Craft.Fill((3 * SegmentSize) + 77);
        var whole = Whole(false, isIPv6, isTagged, payload);
        // UDP_GRO tells the size of the inner parts, as if they were datagrams of ours.
        host.Underlay.Feed(Craft.Vxlan(100, whole.Frame), Forwarding.Segments.Address(2), SegmentSize);
        host.Decapsulation.Run(0);
        var delivered = Assert.Single(host.Tap.Delivered);
        Assert.Equal(whole.Frame, delivered.Bytes);
        Assert.Equal(whole.Facts with { HeaderLength = (ushort)(whole.Frame.Length - payload.Length) }, delivered.Offload);
    }

    [Fact]
    public void A_push_and_a_shorter_frame_end_a_run()
    {
        using var host = new Host();
        host.Tap.TakesSuperFrames = true;
        var parts = Parts(true, false, false, Craft.Fill(6 * SegmentSize), push: false);
        parts[2][47] |= 0x08;
        FixChecksums(parts[2]);
        Assert.Equal(2, host.Receive(2, [.. parts.Select(part => Craft.Vxlan(100, part))]).Length);
    }

    [Fact]
    public void A_datagram_of_another_vtep_or_vni_ends_a_run()
    {
        using var host = new Host();
        host.Tap.TakesSuperFrames = true;
        byte[][] datagrams = [.. Parts(true, false, false, Craft.Fill(2 * SegmentSize), push: false).Select(part => Craft.Vxlan(100, part))];
        host.Underlay.Feed(datagrams[0], Forwarding.Segments.Address(2));
        host.Underlay.Feed(datagrams[1], Forwarding.Segments.Address(3));
        host.Underlay.Feed(datagrams[0], Forwarding.Segments.Address(2));
        host.Underlay.Feed([.. datagrams[1][..6], 101, .. datagrams[1][7..]], Forwarding.Segments.Address(2));
        host.Decapsulation.Run(0);
        Assert.Equal(3, host.Tap.Take().Length);
        Assert.Equal(1, host.Decapsulation.Unassigned.DropsIn(DropReason.UnknownVni));
    }

    [Theory]
    [InlineData(4789)]
    [InlineData(6081)]
    [InlineData(8472)]
    public void Inner_tunnels_are_not_merged(int port)
    {
        using var host = new Host();
        host.Tap.TakesSuperFrames = host.Tap.TakesUdpSuperFrames = true;
        var parts = Parts(false, false, false, Craft.Fill(3 * SegmentSize), port: port);
        Assert.Equal(parts, host.Receive(2, [.. parts.Select(part => Craft.Vxlan(100, part))]));
    }

    [Fact]
    public void A_run_that_the_tap_refuses_is_counted_frame_by_frame()
    {
        using var host = new Host();
        host.Tap.TakesSuperFrames = true;
        host.Tap.Status = TapStatus.Rejected;
        host.Receive(2, [.. Parts(true, false, false, Craft.Fill(5 * SegmentSize)).Select(part => Craft.Vxlan(100, part))]);
        Assert.Equal(5, host.Counters.DropsIn(DropReason.TapRejected));
    }

    [Fact]
    public void An_unfinished_checksum_is_finished_on_the_way_out()
    {
        using var host = new Host();
        host.FloodTo(2);
        var frame = Parts(true, false, false, Craft.Fill(700))[0];
        var expected = frame.ToArray();
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(50), Craft.UnfinishedChecksum(Source4, Destination4, 6, frame.Length - 34));
        host.Tap.Feed(frame, new OffloadFacts(true, 34, 16));
        Assert.Equal(expected, Assert.Single(host.Send()).Frame);
    }

    [Theory]
    [InlineData(60, 16, 0)] // the field would stand behind the end
    [InlineData(0, 0, 0)] // or in the Ethernet header
    [InlineData(34, 16, 1000)] // a super-frame that is no TCP
    public void Offload_facts_that_the_headers_do_not_bear_out_are_a_counted_drop(ushort start, ushort offset, ushort segmentSize)
    {
        using var host = new Host();
        host.FloodTo(2);
        var frame = Craft.Ethernet(Other, Local, 0x88B5, Craft.Fill(50));
        host.Tap.Feed(frame, new OffloadFacts(true, start, offset, segmentSize == 0 ? SegmentKind.None : SegmentKind.TcpIPv4, segmentSize, 54));
        Assert.Empty(host.Send());
        Assert.Equal(1, host.Counters.DropsOut(DropReason.BadOffload));
    }

    [Fact]
    public void Copies_of_super_frames_for_many_remotes_with_their_own_vni_fit_any_batch()
    {
        using var host = new Host();
        for (var i = 2; i < 60; i++)
            host.Segment.Fdb.Append(MacAddress.Zero, Forwarding.Segments.Vtep(i), new Vni((uint)(100 + (i % 3))), Permanent, 0);
        var whole = Whole(true, false, false, Craft.Fill(60 * 900), segmentSize: 900);
        for (var i = 0; i < 3; i++) host.Tap.Feed(whole.Frame, whole.Facts);
        Assert.Equal(3 * 58 * 60, host.Send().Length);
    }

    private const DataPlane.Forwarding.EntryKind Permanent = DataPlane.Forwarding.EntryKind.Permanent;

    internal static (byte[] Frame, OffloadFacts Facts) Whole(bool isTcp, bool isIPv6, bool isTagged, byte[] payload, int segmentSize = SegmentSize)
    {
        var frame = Build(isTcp, isIPv6, isTagged, payload, identification: 0x1234, sequence: 1, push: true, finished: false);
        var start = (ushort)((isTagged ? 18 : 14) + (isIPv6 ? 40 : 20));
        var kind = !isTcp ? SegmentKind.Udp : isIPv6 ? SegmentKind.TcpIPv6 : SegmentKind.TcpIPv4;
        // The kernel's header length is a hint that must not be trusted, so it is wrong here.
        return (frame, new OffloadFacts(true, start, (ushort)(isTcp ? 16 : 6), kind, (ushort)segmentSize, 3));
    }

    private static byte[][] Parts(bool isTcp, bool isIPv6, bool isTagged, byte[] payload, bool push = true, int port = 80)
    {
        var chunks = payload.Chunk(SegmentSize).ToArray();
        return
        [
            .. chunks.Select((chunk, i) => Build(
                isTcp, isIPv6, isTagged, chunk, (ushort)(0x1234 + i), (uint)(1 + (i * SegmentSize)), push && i == chunks.Length - 1, finished: true, port)),
        ];
    }

    private static byte[] Build(
        bool isTcp, bool isIPv6, bool isTagged, byte[] payload, ushort identification, uint sequence, bool push, bool finished, int port = 80)
    {
        var (source, destination) = isIPv6 ? (Source6, Destination6) : (Source4, Destination4);
        var protocol = (byte)(isTcp ? 6 : 17);
        var transport = isTcp ? Craft.Tcp(5000, port, payload, options: TcpOptions) : Craft.Udp(5000, port, payload);
        if (isTcp)
        {
            BinaryPrimitives.WriteUInt32BigEndian(transport.AsSpan(4), sequence);
            transport[13] = (byte)(push ? 0x18 : 0x10);
        }

        var checksum = finished
            ? Craft.TransportChecksum(source, destination, protocol, transport)
            : Craft.UnfinishedChecksum(source, destination, protocol, transport.Length);
        BinaryPrimitives.WriteUInt16BigEndian(transport.AsSpan(isTcp ? 16 : 6), checksum);
        byte[] packet;
        if (isIPv6)
        {
            packet = Craft.IPv6(source, destination, protocol, transport);
        }
        else
        {
            packet = Craft.IPv4(BinaryPrimitives.ReadUInt32BigEndian(source), BinaryPrimitives.ReadUInt32BigEndian(destination), protocol, transport);
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), identification);
            FixIPv4(packet);
        }

        var type = isIPv6 ? 0x86DD : 0x0800;
        return isTagged ? Craft.Tagged(Other, Local, [(0x8100, 0x0123)], type, packet) : Craft.Ethernet(Other, Local, type, packet);
    }

    private static void FixChecksums(byte[] frame)
    {
        FixIPv4(frame.AsSpan(14));
        var transport = frame[34..];
        BinaryPrimitives.WriteUInt16BigEndian(transport.AsSpan(16), 0);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(50), Craft.TransportChecksum(frame[26..30], frame[30..34], 6, transport));
    }

    private static void FixIPv4(Span<byte> packet)
    {
        BinaryPrimitives.WriteUInt16BigEndian(packet[10..], 0);
        BinaryPrimitives.WriteUInt16BigEndian(packet[10..], Craft.NaiveChecksum(packet[..20]));
    }
}
