using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Offload;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Offload;

/// <summary>What a kernel VTEP on the same machine leaves undone: an inner checksum of the pseudo-header alone, and TCP super-frames.</summary>
public sealed class UnfinishedOffloadTests
{
    private const ulong A = 0x0200_0000_000A;
    private const ulong B = 0x0200_0000_000B;
    private const int Mtu = 1450;
    private static readonly byte[] Source4 = Craft.U32(0x0A000001);
    private static readonly byte[] Destination4 = Craft.U32(0x0A000002);
    private static readonly byte[] Source6 = Craft.Address6("2001:db8::1");
    private static readonly byte[] Destination6 = Craft.Address6("2001:db8::2");

    private static OffloadFacts Recognise(byte[] frame, int mtu = Mtu)
    {
        Assert.True(InnerHeaders.TryParse(frame, out var headers));
        return UnfinishedOffload.Recognise(frame, headers, mtu);
    }

    private static byte[] Packet(bool isIPv6, byte protocol, byte[] transport) => isIPv6
        ? Craft.IPv6(Source6, Destination6, protocol, transport)
        : Craft.IPv4(0x0A000001, 0x0A000002, protocol, transport);

    private static byte[] Wrap(bool isIPv6, bool isTagged, byte[] packet) => isTagged
        ? Craft.Tagged(A, B, [(0x8100, 5)], isIPv6 ? 0x86DD : 0x0800, packet)
        : Craft.Ethernet(A, B, isIPv6 ? 0x86DD : 0x0800, packet);

    private static ushort Unfinished(bool isIPv6, byte protocol, int length) =>
        isIPv6 ? Craft.UnfinishedChecksum(Source6, Destination6, protocol, length) : Craft.UnfinishedChecksum(Source4, Destination4, protocol, length);

    private static byte[] UnfinishedTcp(bool isIPv6, bool isTagged, int payload, byte[]? options = null)
    {
        var length = 20 + (options?.Length ?? 0) + payload;
        return Wrap(isIPv6, isTagged, Packet(isIPv6, 6, Craft.Tcp(1, 2, Craft.Fill(payload), Unfinished(isIPv6, 6, length), options)));
    }

    private static byte[] UnfinishedUdp(bool isIPv6, bool isTagged, int payload) =>
        Wrap(isIPv6, isTagged, Packet(isIPv6, 17, Craft.Udp(1, 2, Craft.Fill(payload), Unfinished(isIPv6, 17, 8 + payload))));

    public static TheoryData<bool, bool> Families => new() { { false, false }, { false, true }, { true, false }, { true, true } };

    private static int TransportOffset(bool isIPv6, bool isTagged) => 14 + (isTagged ? 4 : 0) + (isIPv6 ? 40 : 20);

    [Theory]
    [MemberData(nameof(Families))]
    public void Recognises_an_unfinished_TCP_checksum(bool isIPv6, bool isTagged)
    {
        var expected = new OffloadFacts(true, (ushort)TransportOffset(isIPv6, isTagged), 16);
        Assert.Equal(expected, Recognise(UnfinishedTcp(isIPv6, isTagged, 0)));
        Assert.Equal(expected, Recognise(UnfinishedTcp(isIPv6, isTagged, 777, new byte[12])));
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Recognises_an_unfinished_UDP_checksum(bool isIPv6, bool isTagged)
    {
        var expected = new OffloadFacts(true, (ushort)TransportOffset(isIPv6, isTagged), 6);
        Assert.Equal(expected, Recognise(UnfinishedUdp(isIPv6, isTagged, 0)));
        Assert.Equal(expected, Recognise(UnfinishedUdp(isIPv6, isTagged, 301)));
        // Datagrams are not cut, however long: the sender's kernel has done that.
        Assert.Equal(expected, Recognise(UnfinishedUdp(isIPv6, isTagged, 9000)));
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void A_genuine_checksum_is_left_alone(bool isIPv6, bool isTagged)
    {
        foreach (var payload in new[] { 0, 1, 100, 60_000 })
        {
            var (source, destination) = isIPv6 ? (Source6, Destination6) : (Source4, Destination4);
            var tcp = Craft.Tcp(1, 2, Craft.Fill(payload));
            Craft.U16(Craft.TransportChecksum(source, destination, 6, tcp)).CopyTo(tcp, 16);
            Assert.Equal(default, Recognise(Wrap(isIPv6, isTagged, Packet(isIPv6, 6, tcp))));
            var udp = Craft.Udp(1, 2, Craft.Fill(payload));
            Craft.U16(Craft.TransportChecksum(source, destination, 17, udp)).CopyTo(udp, 6);
            Assert.Equal(default, Recognise(Wrap(isIPv6, isTagged, Packet(isIPv6, 17, udp))));
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void A_TCP_segment_over_the_MTU_is_a_super_frame_and_one_that_just_fits_is_not(bool isIPv6, bool isTagged)
    {
        var ip = isIPv6 ? 40 : 20;
        var transport = (ushort)TransportOffset(isIPv6, isTagged);
        var options = new byte[12];
        var room = Mtu - ip - 32;
        Assert.Equal(new OffloadFacts(true, transport, 16), Recognise(UnfinishedTcp(isIPv6, isTagged, room, options)));
        var kind = isIPv6 ? SegmentKind.TcpIPv6 : SegmentKind.TcpIPv4;
        var expected = new OffloadFacts(true, transport, 16, kind, (ushort)room, (ushort)(transport + 32));
        Assert.Equal(expected, Recognise(UnfinishedTcp(isIPv6, isTagged, room + 1, options)));
        Assert.Equal(expected, Recognise(UnfinishedTcp(isIPv6, isTagged, 65_000 - 20, options)));
        Assert.True(expected.IsSuperFrame);
    }

    [Fact]
    public void The_segment_size_follows_the_MTU()
    {
        var frame = UnfinishedTcp(false, false, 30_000);
        Assert.Equal(9000 - 40, Recognise(frame, 9000).SegmentSize);
        Assert.Equal(1, Recognise(frame, 41).SegmentSize);
        // Nothing fits in an MTU of the headers alone: only the checksum is left to do.
        Assert.Equal(new OffloadFacts(true, 34, 16), Recognise(frame, 40));
        Assert.False(Recognise(frame, 65535).IsSuperFrame);
    }

    [Fact]
    public void Extension_headers_count_as_headers()
    {
        byte[] options = [6, 0, 1, 4, 0, 0, 0, 0];
        var tcp = Craft.Tcp(1, 2, Craft.Fill(5000), Unfinished(true, 6, 5020));
        var facts = Recognise(Wrap(true, false, Craft.IPv6(Source6, Destination6, 60, Craft.Concat(options, tcp))));
        Assert.Equal(new OffloadFacts(true, 62, 16, SegmentKind.TcpIPv6, Mtu - 68, 82), facts);
    }

    [Fact]
    public void A_UDP_checksum_of_0_means_that_there_is_none()
    {
        // Addresses and length whose pseudo-header sum is 0xFFFF, the one's complement zero, do not make it unfinished either.
        Assert.Equal(default, Recognise(Wrap(false, false, Packet(false, 17, Craft.Udp(1, 2, Craft.Fill(20))))));
    }

    [Theory]
    [InlineData(0x2000)]
    [InlineData(0x0010)]
    public void Fragments_are_left_alone(int fragment)
    {
        var transport = Craft.Udp(1, 2, Craft.Fill(24), Unfinished(false, 17, 32));
        Assert.Equal(default, Recognise(Craft.Ethernet(A, B, 0x0800, Craft.IPv4(0x0A000001, 0x0A000002, 17, transport, fragment))));
        var tcp = Craft.Tcp(1, 2, Craft.Fill(4), Unfinished(false, 6, 24));
        Assert.Equal(default, Recognise(Craft.Ethernet(A, B, 0x0800, Craft.IPv4(0x0A000001, 0x0A000002, 6, tcp, fragment))));
    }

    [Theory]
    [InlineData(0x40)] // 16 bytes of header
    [InlineData(0x00)]
    [InlineData(0xF0)] // 60 bytes of header in a segment of 24
    public void A_TCP_header_of_impossible_size_is_left_alone(byte dataOffset)
    {
        var tcp = Craft.Tcp(1, 2, Craft.Fill(4), Unfinished(false, 6, 24));
        tcp[12] = dataOffset;
        Assert.Equal(default, Recognise(Wrap(false, false, Packet(false, 6, tcp))));
    }

    [Fact]
    public void A_transport_header_cut_short_is_left_alone()
    {
        for (var length = 0; length < 20; length++)
            Assert.Equal(default, Recognise(Wrap(false, false, Packet(false, 6, Craft.Tcp(1, 2, [], Unfinished(false, 6, length))[..length]))));
        for (var length = 0; length < 8; length++)
            Assert.Equal(default, Recognise(Wrap(false, false, Packet(false, 17, Craft.Udp(1, 2, [], Unfinished(false, 17, length))[..length]))));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(58)]
    [InlineData(132)]
    public void Other_protocols_are_left_alone(byte protocol) =>
        Assert.Equal(default, Recognise(Wrap(false, false, Packet(false, protocol, Craft.Udp(1, 2, Craft.Fill(24), Unfinished(false, protocol, 32))))));

    [Fact]
    public void Padding_behind_the_packet_changes_nothing()
    {
        var frame = Craft.Concat(UnfinishedTcp(false, false, 1), new byte[5]);
        Assert.Equal(new OffloadFacts(true, 34, 16), Recognise(frame));
    }

    [Fact]
    public void Finishing_what_was_recognised_gives_the_genuine_checksum()
    {
        // As the kernel does with NEEDS_CSUM: sum from the start, the field included, and complement.
        var random = new Random(12);
        for (var i = 0; i < 500; i++)
        {
            var payload = Craft.Fill(random.Next(1400), random.Next(256));
            var isIPv6 = i % 2 == 0;
            var tcp = Craft.Tcp(random.Next(65536), 2, payload, Unfinished(isIPv6, 6, 20 + payload.Length));
            var frame = Wrap(isIPv6, i % 3 == 0, Packet(isIPv6, 6, tcp));
            var facts = Recognise(frame);
            var finished = Craft.NaiveChecksum(frame.AsSpan(facts.ChecksumStart));
            tcp[16] = tcp[17] = 0;
            Assert.Equal(Craft.TransportChecksum(isIPv6 ? Source6 : Source4, isIPv6 ? Destination6 : Destination4, 6, tcp), finished);
        }
    }
}
