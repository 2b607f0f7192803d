using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Wire;

/// <summary>RFC 791, section 3.1; RFC 8200, sections 3 and 4.</summary>
public sealed class InnerHeadersTests
{
    private const ulong A = 0x0200_0000_000A;
    private const ulong B = 0x0200_0000_000B;
    private static readonly byte[] Source6 = Craft.Address6("2001:db8::1");
    private static readonly byte[] Destination6 = Craft.Address6("2001:db8::2");

    private static InnerHeaders Parse(byte[] frame)
    {
        Assert.True(InnerHeaders.TryParse(frame, out var headers));
        return headers;
    }

    private static InnerHeaders Parse4(byte[] packet) => Parse(Craft.Ethernet(A, B, 0x0800, packet));

    private static InnerHeaders Parse6(byte[] packet) => Parse(Craft.Ethernet(A, B, 0x86DD, packet));

    // RFC 8200, section 4.3 and 4.6: next header, length in 8 bytes beyond the first.
    private static byte[] Extension(byte next, int extraUnits = 0) => Craft.Concat([next, (byte)extraUnits], new byte[6 + (extraUnits * 8)]);

    [Fact]
    public void Finds_UDP_in_IPv4_from_literal_bytes()
    {
        // 192.0.2.1:1024 → 192.0.2.2:53, RFC 791 and RFC 768.
        var frame = Craft.Hex("""
            020000000001 020000000002 0800
            45 00 001c 0001 0000 40 11 f6cd c0000201 c0000202
            0400 0035 0008 0000
            """);
        var headers = Parse(frame);
        Assert.True(headers is { IsIPv4: true, IsIPv6: false, IsFragment: false, IsTruncatedIp: false, IsTagged: false });
        Assert.Equal(EtherType.IPv4, headers.EtherType);
        Assert.Equal(14, headers.NetworkOffset);
        Assert.Equal(34, headers.TransportOffset);
        Assert.Equal(28, headers.IpLength);
        Assert.Equal(8, headers.TransportLength);
        Assert.Equal(IpProtocol.Udp, headers.Protocol);
        Assert.Equal(Craft.Hex("c0000201 c0000202"), headers.Addresses(frame).ToArray());
    }

    [Fact]
    public void Walks_past_IPv4_options()
    {
        var headers = Parse4(Craft.IPv4(1, 2, 6, new byte[20], options: new byte[40]));
        Assert.Equal(14 + 60, headers.TransportOffset);
        Assert.Equal(20, headers.TransportLength);
    }

    [Fact]
    public void Padding_behind_the_packet_is_not_transport()
    {
        var headers = Parse4(Craft.Concat(Craft.IPv4(1, 2, 17, Craft.Udp(1, 2, [])), new byte[18]));
        Assert.Equal(28, headers.IpLength);
        Assert.Equal(8, headers.TransportLength);
        headers = Parse6(Craft.Concat(Craft.IPv6(Source6, Destination6, 17, Craft.Udp(1, 2, [])), new byte[18]));
        Assert.Equal(48, headers.IpLength);
        Assert.Equal(8, headers.TransportLength);
    }

    [Theory]
    [InlineData(0x2000)] // the first: more fragments, offset 0
    [InlineData(0x2010)]
    [InlineData(0x0010)] // the last
    [InlineData(0x1FFF)]
    [InlineData(0x8001)]
    public void Every_IPv4_fragment_has_no_transport_the_first_included(int fragment)
    {
        var headers = Parse4(Craft.IPv4(1, 2, 17, Craft.Udp(1, 2, new byte[8]), fragment));
        Assert.True(headers is { IsIPv4: true, IsFragment: true, TransportOffset: 0, TransportLength: 0 });
    }

    [Theory]
    [InlineData(0x4000)] // do not fragment
    [InlineData(0x8000)] // reserved
    public void Flags_alone_make_no_fragment(int fragment) => Assert.False(Parse4(Craft.IPv4(1, 2, 17, Craft.Udp(1, 2, []), fragment)).IsFragment);

    [Fact]
    public void An_IP_frame_shorter_than_its_fixed_header_is_truncated()
    {
        var v4 = Craft.Ethernet(A, B, 0x0800, Craft.IPv4(1, 2, 17, []));
        var v6 = Craft.Ethernet(A, B, 0x86DD, Craft.IPv6(Source6, Destination6, 59, []));
        for (var length = 14; length < v4.Length; length++) Assert.True(Parse(v4[..length]) is { IsTruncatedIp: true, IsIPv4: false });
        for (var length = 14; length < v6.Length; length++) Assert.True(Parse(v6[..length]) is { IsTruncatedIp: true, IsIPv6: false });
        Assert.True(Parse(v4) is { IsTruncatedIp: false, IsIPv4: true, TransportLength: 0 });
        Assert.True(Parse(v6) is { IsTruncatedIp: false, IsIPv6: true, TransportLength: 0 });
    }

    [Theory]
    [InlineData(0, 0x55)] // version 5
    [InlineData(0, 0x44)] // 16 bytes of header
    [InlineData(0, 0x4F)] // 60 bytes of header in a packet of 28
    [InlineData(3, 19)]   // total length below the header's
    [InlineData(3, 29)]   // total length beyond the frame
    public void An_IPv4_header_that_contradicts_itself_is_carried_unread(int offset, byte value)
    {
        var packet = Craft.IPv4(1, 2, 17, Craft.Udp(1, 2, []));
        packet[offset] = value;
        Assert.True(Parse4(packet) is { IsIPv4: false, IsTruncatedIp: false, TransportOffset: 0, IpLength: 0 });
    }

    [Fact]
    public void An_IPv6_header_that_contradicts_itself_is_carried_unread()
    {
        var packet = Craft.IPv6(Source6, Destination6, 17, Craft.Udp(1, 2, []));
        packet[0] = 0x40;
        Assert.True(Parse6(packet) is { IsIPv6: false, TransportOffset: 0 });
        packet[0] = 0x60;
        packet[5] = 9;
        Assert.True(Parse6(packet) is { IsIPv6: false, TransportOffset: 0 });
    }

    [Fact]
    public void Walks_IPv6_extension_headers_to_the_transport()
    {
        // Hop-by-hop 8, routing 24, destination options 16 bytes.
        var frame = Craft.Ethernet(A, B, 0x86DD, Craft.IPv6(
            Source6, Destination6, 0, Craft.Concat(Extension(43), Extension(60, 2), Extension(6, 1), Craft.Tcp(1, 2, new byte[5]))));
        var headers = Parse(frame);
        Assert.True(headers.IsIPv6);
        Assert.Equal(IpProtocol.Tcp, headers.Protocol);
        Assert.Equal(14 + 40 + 48, headers.TransportOffset);
        Assert.Equal(25, headers.TransportLength);
        Assert.Equal(Craft.Concat(Source6, Destination6), headers.Addresses(frame).ToArray());
    }

    [Theory]
    [InlineData(InnerHeaders.MaxExtensionHeaders, true)]
    [InlineData(InnerHeaders.MaxExtensionHeaders + 1, false)]
    public void Looks_past_eight_extension_headers_and_not_past_nine(int count, bool found)
    {
        var chain = Craft.Concat([.. Enumerable.Range(1, count).Select(i => Extension(i == count ? (byte)17 : (byte)60))]);
        var headers = Parse6(Craft.IPv6(Source6, Destination6, 60, Craft.Concat(chain, Craft.Udp(1, 2, []))));
        Assert.True(headers.IsIPv6);
        Assert.Equal(found ? 14 + 40 + (8 * count) : 0, headers.TransportOffset);
        if (found) Assert.Equal(IpProtocol.Udp, headers.Protocol);
    }

    [Fact]
    public void Every_IPv6_fragment_has_no_transport_and_the_protocol_of_the_datagram()
    {
        // RFC 8200, section 4.5: next header, reserved, offset and M, identification.
        foreach (var offset in new[] { 0x0001, 0x0009, 0x0008 })
        {
            var fragment = Craft.Concat([17, 0], Craft.U16(offset), Craft.U32(7), Craft.Udp(1, 2, new byte[8]));
            Assert.True(Parse6(Craft.IPv6(Source6, Destination6, 44, fragment)) is { IsFragment: true, TransportOffset: 0, Protocol: 17 });
            Assert.True(Parse6(Craft.IPv6(Source6, Destination6, 0, Craft.Concat(Extension(44), fragment))) is { IsFragment: true, Protocol: 17 });
        }
    }

    [Fact]
    public void An_extension_header_beyond_the_packet_ends_the_walk()
    {
        var whole = Craft.Concat(Extension(17, 1), Craft.Udp(1, 2, []));
        for (var length = 0; length < 16; length++)
            Assert.True(Parse6(Craft.IPv6(Source6, Destination6, 0, whole[..length])) is { IsIPv6: true, TransportOffset: 0, TransportLength: 0 });
        Assert.True(Parse6(Craft.IPv6(Source6, Destination6, 0, whole[..16])) is { TransportOffset: 70, TransportLength: 0 });
        whole[1] = 255;
        Assert.True(Parse6(Craft.IPv6(Source6, Destination6, 0, whole)) is { IsIPv6: true, TransportOffset: 0 });
    }

    [Fact]
    public void Finds_IP_behind_tags()
    {
        var headers = Parse(Craft.Tagged(A, B, [(0x88A8, 7), (0x8100, 8)], 0x0800, Craft.IPv4(1, 2, 17, Craft.Udp(1, 2, []))));
        Assert.True(headers is { IsTagged: true, IsIPv4: true, NetworkOffset: 22, TransportOffset: 42, TransportLength: 8 });
    }

    [Fact]
    public void The_longest_packets_of_both_families_are_measured_right()
    {
        var v4 = Parse4(Craft.IPv4(1, 2, 6, new byte[65535 - 20]));
        Assert.Equal(65535, v4.IpLength);
        Assert.Equal(65535 - 20, v4.TransportLength);
        var v6 = Parse6(Craft.IPv6(Source6, Destination6, 6, new byte[65535 - 40]));
        Assert.Equal(65535, v6.IpLength);
        Assert.Equal(65535 - 40, v6.TransportLength);
        // One byte more does not fit the length field of what a UDP datagram can carry.
        Assert.False(Parse6(Craft.IPv6(Source6, Destination6, 6, new byte[65535 - 39])).IsIPv6);
    }

    [Fact]
    public void No_bytes_at_all_make_it_throw()
    {
        var random = new Random(826);
        var seeds = new[]
        {
            Craft.Ethernet(A, B, 0x0800, Craft.IPv4(1, 2, 17, Craft.Udp(1, 2, new byte[9]), options: new byte[8])),
            Craft.Ethernet(A, B, 0x86DD, Craft.IPv6(Source6, Destination6, 0, Craft.Concat(Extension(43, 1), Extension(44), new byte[30]))),
            Craft.Tagged(A, B, [(0x8100, 1), (0x8100, 2)], 0x86DD, Craft.IPv6(Source6, Destination6, 60, Extension(6))),
        };
        for (var i = 0; i < 50_000; i++)
        {
            var frame = (byte[])seeds[i % seeds.Length].Clone();
            for (var flips = random.Next(1, 5); flips > 0; flips--) frame[random.Next(12, frame.Length)] = (byte)random.Next(256);
            frame = frame[..random.Next(frame.Length + 1)];
            if (!InnerHeaders.TryParse(frame, out var headers)) continue;
            // What was proved must hold: slices inside the frame.
            Assert.True(headers.TransportLength >= 0);
            Assert.True(headers.TransportOffset + headers.TransportLength <= frame.Length);
            Assert.True(headers.NetworkOffset + headers.IpLength <= frame.Length);
            _ = headers.Addresses(frame).Length;
            FlowHash.Compute(frame, headers, 1);
        }
    }
}
