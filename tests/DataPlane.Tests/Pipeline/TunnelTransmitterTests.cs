using System.Buffers.Binary;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Offload;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Pipeline;

/// <summary>Super-frames through an underlay TAP in memory: every byte of the headers, and what is done when the host eats them.</summary>
public sealed class TunnelTransmitterTests
{
    private const ushort SourcePort = 50000;
    private const int SegmentSize = 1000;

    [Theory]
    [InlineData(true, false, false)]
    [InlineData(true, true, false)]
    [InlineData(true, false, true)]
    [InlineData(true, true, true)]
    [InlineData(false, false, false)]
    [InlineData(false, true, true)]
    public void A_super_frame_is_written_once_behind_its_outer_headers(bool isTcp, bool isIPv6, bool isTagged)
    {
        using var rig = new Rig();
        var (frame, facts) = rig.Feed(isTcp, isIPv6, isTagged);
        Assert.Empty(rig.Host.Send());

        var written = Assert.Single(rig.Port.Written);
        var inner = 24 + 14 + 20 + 8 + 8;
        var network = isTagged ? 18 : 14;
        var transport = network + (isIPv6 ? 40 : 20);
        // struct virtio_net_hdr_v1_hash_tunnel in the order of the host.
        var kind = !isTcp ? 5 : isIPv6 ? 4 : 1;
        byte[] virtio =
        [
            1 | 8, (byte)(kind | 0x20), .. Native(inner - 24 + transport + (isTcp ? 32 : 8)), .. Native(SegmentSize), .. Native(inner - 24 + transport),
            .. Native(isTcp ? 16 : 6), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 34, 0, (byte)(50 + network), 0,
        ];
        Assert.Equal(virtio, written[..24]);
        var udpLength = 16 + frame.Length;
        var udp = Craft.Concat(Craft.U16(SourcePort), Craft.U16(4789), Craft.U16(udpLength), [0, 0]);
        BinaryPrimitives.WriteUInt16BigEndian(udp.AsSpan(6), Craft.UnfinishedChecksum([10, 0, 0, 1], [10, 0, 0, 2], 17, udpLength));
        var packet = Craft.IPv4(0x0A000001, 0x0A000002, 17, Craft.Concat(udp, Craft.Vxlan(100, frame)));
        packet[8] = 65;
        written.AsSpan(24 + 14 + 4, 2).CopyTo(packet.AsSpan(4));
        packet.AsSpan(10, 2).Clear();
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(10), Craft.NaiveChecksum(packet.AsSpan(0, 20)));
        Assert.Equal(Craft.Ethernet(0x0200_0000_00AB, 0x0200_0000_0001, 0x0800, packet), written[24..]);
        Assert.Equal(SegmentSize, facts.SegmentSize);
        Assert.Equal((1, 0, 0), rig.Transmitter.Messages);
    }

    [Fact]
    public void Over_IPv6_the_headers_are_those_of_RFC_8200()
    {
        var (frame, facts) = SuperFrameTests.Whole(true, false, false, Craft.Fill(4 * SegmentSize));
        Assert.True(InnerHeaders.TryParse(frame, out var headers));
        Assert.True(SegmentPlan.TryMake(frame, headers, facts, out var plan));
        byte[] written = [.. Enumerable.Repeat((byte)0xAA, TunnelFrame.HeaderSize(isIPv4: false)), .. frame];
        var remote = new VtepAddress(Forwarding.Segments.Address("fd00::2"), 4789);
        var outer = new TunnelOuter(MacAddress.FromValue(0x0200_0000_00AB), Forwarding.Segments.Address("fd00::1"), SourcePort, remote, new VxlanHeader(new Vni(100)), 7, HasChecksum: true);
        TunnelFrame.WriteHeaders(written, outer, frame.Length, plan, facts);
        var udpLength = 16 + frame.Length;
        var (from, to) = (Craft.Address6("fd00::1"), Craft.Address6("fd00::2"));
        var udp = Craft.Concat(Craft.U16(SourcePort), Craft.U16(4789), Craft.U16(udpLength), Craft.U16(Craft.UnfinishedChecksum(from, to, 17, udpLength)));
        Assert.Equal(1 | 0x40, written[1]);
        Assert.Equal(54, written[20]);
        Assert.Equal(Craft.IPv6(from, to, 17, Craft.Concat(udp, Craft.Vxlan(100, frame)), hopLimit: 65), written[38..]);
    }

    [Fact]
    public void The_outer_class_of_the_frame_is_written_and_a_TTL_that_forwarding_cannot_leave_goes_another_way()
    {
        using var rig = new Rig(segment: options => options with { Outer = new OuterOptions { TypeOfService = 0x20, TimeToLive = 254, DontFragment = DontFragmentRule.Set } });
        rig.Feed();
        Assert.Empty(rig.Host.Send());
        var network = Assert.Single(rig.Port.Written).AsSpan(38, 20);
        Assert.Equal([0x20, 0x40, 255], new[] { network[1], network[6], network[8] });
        Assert.Equal(0, Craft.NaiveChecksum(network));

        using var far = new Rig(segment: options => options with { Outer = new OuterOptions { TimeToLive = 255 } });
        far.Feed();
        Assert.Equal(5, far.Host.Send().Length);
        Assert.Empty(far.Port.Written);
    }

    [Fact]
    public void Over_IPv6_the_class_is_in_the_first_word()
    {
        var (frame, facts) = SuperFrameTests.Whole(true, false, false, Craft.Fill(4 * SegmentSize));
        Assert.True(InnerHeaders.TryParse(frame, out var headers));
        Assert.True(SegmentPlan.TryMake(frame, headers, facts, out var plan));
        byte[] written = [.. Enumerable.Repeat((byte)0xAA, TunnelFrame.HeaderSize(isIPv4: false)), .. frame];
        var remote = new VtepAddress(Forwarding.Segments.Address("fd00::2"), 4789);
        var outer = new TunnelOuter(
            MacAddress.FromValue(0x0200_0000_00AB), Forwarding.Segments.Address("fd00::1"), SourcePort, remote, new VxlanHeader(new Vni(100)), 7, HasChecksum: true, new OuterClass(0xBA, 33, flowLabel: 0x54321));
        TunnelFrame.WriteHeaders(written, outer, frame.Length, plan, facts);
        Assert.Equal([0x6B, 0xA5, 0x43, 0x21], written[38..42]);
        Assert.Equal(34, written[45]);
    }

    [Fact]
    public void Without_outer_checksums_none_is_asked_for()
    {
        using var rig = new Rig(options => options with { UdpChecksum = false });
        rig.Feed();
        Assert.Empty(rig.Host.Send());
        var written = Assert.Single(rig.Port.Written);
        Assert.Equal(1, written[0]);
        Assert.Equal([0, 0], written[64..66]);
    }

    [Fact]
    public void A_reduced_window_is_told_to_the_kernel()
    {
        using var rig = new Rig();
        rig.Feed(windowReduced: true);
        Assert.Empty(rig.Host.Send());
        Assert.Equal(1 | 0x20 | 0x80, Assert.Single(rig.Port.Written)[1]);
    }

    [Fact]
    public void A_way_is_watched_once_a_second()
    {
        using var rig = new Rig();
        for (rig.Now = 0; rig.Now < 3000; rig.Now += 100)
        {
            rig.Feed();
            Assert.Empty(rig.Host.Send());
        }

        Assert.Equal(3, rig.Port.Watches);
        Assert.Equal((30, 0, 0), rig.Transmitter.Messages);
        Assert.Null(rig.Transmitter.Trouble);
    }

    [Fact]
    public void What_the_host_eats_is_sent_again_cut_and_the_way_left_alone_for_a_while()
    {
        using var rig = new Rig();
        rig.Port.Eats = true;
        for (var i = 0; i < 5; i++)
        {
            rig.Now += 10;
            rig.Feed();
            Assert.Equal(5, rig.Host.Send().Length);
        }

        Assert.Equal((2, 0, 2), rig.Transmitter.Messages);
        Assert.Contains("10.0.0.2", rig.Transmitter.Trouble, StringComparison.Ordinal);

        // The firewall is gone: the next try finds out.
        rig.Port.Eats = false;
        rig.Now += TunnelPath.BlockedMilliseconds;
        rig.Feed();
        Assert.Empty(rig.Host.Send());
        Assert.Null(rig.Transmitter.Trouble);
    }

    [Fact]
    public void What_the_kernel_refuses_is_sent_cut_and_counted()
    {
        using var rig = new Rig();
        rig.Port.Refusal = -22;
        rig.Feed();
        Assert.Equal(5, rig.Host.Send().Length);
        Assert.Equal((0, 1, 0), rig.Transmitter.Messages);
        Assert.Null(rig.Transmitter.Trouble);
    }

    [Fact]
    public void Copies_for_several_remotes_each_have_their_own_headers()
    {
        using var rig = new Rig();
        rig.Host.FloodTo(3, 4);
        rig.Feed();
        // Checks are 2 ms apart: who is not proven yet gets it cut.
        Assert.Equal(10, rig.Host.Send().Length);
        rig.Now += 5;
        rig.Feed();
        Assert.Equal(5, rig.Host.Send().Length);
        rig.Now += 5;
        rig.Port.Written.Clear();
        rig.Feed();
        Assert.Empty(rig.Host.Send());
        Assert.Equal([2, 3, 4], rig.Port.Written.Select(written => written[24 + 14 + 19]));
    }

    [Fact]
    public void A_frame_that_takes_the_place_of_a_super_frame_in_the_batch_is_sent_itself()
    {
        using var rig = new Rig();
        rig.Feed();
        Assert.Empty(rig.Host.Send());
        var (super, _) = rig.Feed();
        var small = super[..200];
        rig.Host.Tap.Feed(small);
        var datagram = Assert.Single(rig.Host.Send());
        Assert.Equal(Craft.Vxlan(100, small), datagram.Bytes);
        rig.Host.Tap.Feed(small);
        Assert.Equal(Craft.Vxlan(100, small), Assert.Single(rig.Host.Send()).Bytes);
        Assert.Equal(2, rig.Port.Written.Count);
    }

    private static byte[] Native(int value) => BitConverter.GetBytes((ushort)value);

    private sealed class Rig : IDisposable
    {
        internal Rig(Func<VtepOptions, VtepOptions>? change = null, Func<SegmentOptions, SegmentOptions>? segment = null)
        {
            Host = new Host(segment);
            var options = new VtepOptions { Local = Forwarding.Segments.Address(1) };
            Transmitter = new TunnelTransmitter(Port, change is null ? options : change(options));
            Host.Underlay.TakesWhole = (batch, index) => Transmitter.TrySend(batch, batch[index], SourcePort, Now);
            Host.FloodTo(2);
        }

        internal Host Host { get; }

        internal MemoryTunnel Port { get; } = new();

        internal TunnelTransmitter Transmitter { get; }

        internal long Now { get; set; }

        internal (byte[] Frame, OffloadFacts Facts) Feed(bool isTcp = true, bool isIPv6 = false, bool isTagged = false, bool windowReduced = false)
        {
            var (frame, facts) = SuperFrameTests.Whole(isTcp, isIPv6, isTagged, Craft.Fill((4 * SegmentSize) + 123));
            Host.Tap.Feed(frame, facts with { HasWindowReduced = windowReduced });
            return (frame, facts);
        }

        public void Dispose() => Host.Dispose();
    }

    private sealed class MemoryTunnel : ITunnelPort, IDepartures
    {
        private readonly Queue<byte[]> _leaving = new();

        internal List<byte[]> Written { get; } = [];

        internal bool Eats { get; set; }

        internal int Refusal { get; set; }

        internal int Watches { get; private set; }

        public MacAddress DeviceMac => MacAddress.FromValue(0x0200_0000_00AB);

        public bool TakesUdp => true;

        public int Write(ReadOnlySpan<byte> frame)
        {
            if (Refusal != 0) return Refusal;
            Written.Add(frame.ToArray());
            if (!Eats) _leaving.Enqueue(frame[38..].ToArray());
            return 0;
        }

        public bool TryFindSource(VtepAddress remote, out InternetAddress source) => throw new InvalidOperationException("the local address is given");

        public IDepartures? Watch(VtepAddress remote)
        {
            Watches++;
            _leaving.Clear();
            return this;
        }

        public int Take(Span<byte> packet, int waitMilliseconds)
        {
            if (!_leaving.TryDequeue(out var bytes)) return 0;
            bytes.AsSpan(0, Math.Min(bytes.Length, packet.Length)).CopyTo(packet);
            return bytes.Length;
        }

        public void Dispose()
        {
        }
    }
}
