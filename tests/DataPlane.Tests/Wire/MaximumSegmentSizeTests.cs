using System.Buffers.Binary;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Wire;

public sealed class MaximumSegmentSizeTests
{
    private const byte SynFlag = 0x02;
    private const byte Ack = 0x10;

    // A segment with right checksums, of these flags and options.
    private static byte[] Frame(bool isIPv6, byte flags, byte[] options)
    {
        byte[] source = isIPv6 ? Craft.Address6("fd00::1") : Craft.U32(0x0A000001), destination = isIPv6 ? Craft.Address6("fd00::2") : Craft.U32(0x0A000002);
        var segment = Craft.Tcp(40000, 80, [], options: options);
        segment[13] = flags;
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(16), Craft.TransportChecksum(source, destination, 6, segment));
        return isIPv6 ? Craft.Ethernet(2, 1, 0x86DD, Craft.IPv6(source, destination, 6, segment)) : Craft.Ethernet(2, 1, 0x0800, Craft.IPv4(0x0A000001, 0x0A000002, 6, segment));
    }

    private static bool IsChecksumRight(byte[] frame, in InnerHeaders headers)
    {
        var addresses = headers.Addresses(frame).ToArray();
        var segment = frame[headers.TransportOffset..];
        return Craft.TransportChecksum(addresses[..(addresses.Length / 2)], addresses[(addresses.Length / 2)..], 6, segment) == 0;
    }

    [Theory]
    [InlineData(false, new byte[] { 2, 4, 0x05, 0xB4 }, 1360, 22)]
    [InlineData(true, new byte[] { 2, 4, 0x05, 0xA0 }, 1360, 22)]
    [InlineData(false, new byte[] { 2, 4, 0xFF, 0xFF }, 536, 22)]
    [InlineData(false, new byte[] { 1, 2, 4, 0x05, 0xB4, 1, 1, 1 }, 1360, 23)]
    [InlineData(false, new byte[] { 3, 3, 7, 2, 4, 0x05, 0xB4, 0 }, 64, 25)]
    [InlineData(true, new byte[] { 4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 2, 4, 0x05, 0xA0 }, 1200, 34)]
    public void Is_lowered_wherever_it_stands_and_the_checksum_stays_right(bool isIPv6, byte[] options, ushort limit, int at)
    {
        foreach (var flags in new byte[] { SynFlag, SynFlag | Ack })
        {
            var frame = Frame(isIPv6, flags, options);
            Assert.True(InnerHeaders.TryParse(frame, out var headers));
            Assert.True(IsChecksumRight(frame, headers));
            Assert.True(MaximumSegmentSize.IsOpening(frame, headers));
            Assert.True(MaximumSegmentSize.TryLower(frame, headers, limit, isChecksumUnfinished: false));
            Assert.Equal(limit, BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(headers.TransportOffset + at)));
            Assert.True(IsChecksumRight(frame, headers));
        }
    }

    [Fact]
    public void Every_limit_leaves_a_right_checksum()
    {
        for (var limit = 64; limit < 1460; limit++)
        {
            var frame = Frame(false, SynFlag, [1, 2, 4, 0x05, 0xB4, 1, 1, 1]);
            Assert.True(InnerHeaders.TryParse(frame, out var headers));
            Assert.True(MaximumSegmentSize.TryLower(frame, headers, (ushort)limit, isChecksumUnfinished: false));
            Assert.True(IsChecksumRight(frame, headers));
        }
    }

    [Theory]
    [InlineData(new byte[] { 2, 4, 0x05, 0x50 }, 1360)]
    [InlineData(new byte[] { 2, 4, 0x05, 0x4F }, 1360)]
    [InlineData(new byte[] { }, 64)]
    [InlineData(new byte[] { 0, 2, 4, 0x05, 0xB4, 0, 0, 0 }, 1360)]
    [InlineData(new byte[] { 2, 3, 0x05, 0xB4 }, 1360)]
    [InlineData(new byte[] { 9, 0, 2, 4, 0x05, 0xB4, 0, 0 }, 1360)]
    [InlineData(new byte[] { 9, 9, 2, 4, 0x05, 0xB4, 0, 0 }, 1360)]
    [InlineData(new byte[] { 1, 1, 1, 2 }, 64)]
    public void Is_never_raised_and_bad_options_are_left_alone(byte[] options, ushort limit)
    {
        var frame = Frame(false, SynFlag, options);
        var before = frame.ToArray();
        Assert.True(InnerHeaders.TryParse(frame, out var headers));
        Assert.False(MaximumSegmentSize.TryLower(frame, headers, limit, isChecksumUnfinished: false));
        Assert.Equal(before, frame);
    }

    [Fact]
    public void An_unfinished_checksum_is_left_to_whoever_finishes_it()
    {
        var frame = Frame(false, SynFlag, [2, 4, 0x05, 0xB4]);
        Assert.True(InnerHeaders.TryParse(frame, out var headers));
        var checksum = frame[(headers.TransportOffset + 16)..(headers.TransportOffset + 18)];
        Assert.True(MaximumSegmentSize.TryLower(frame, headers, 1000, isChecksumUnfinished: true));
        Assert.Equal(checksum, frame[(headers.TransportOffset + 16)..(headers.TransportOffset + 18)]);
    }

    [Fact]
    public void Only_SYN_segments_open_a_connection()
    {
        foreach (var flags in new byte[] { 0x10, 0x18, 0x04, 0x11, 0 })
        {
            var frame = Frame(false, flags, [2, 4, 0x05, 0xB4]);
            Assert.True(InnerHeaders.TryParse(frame, out var headers));
            Assert.False(MaximumSegmentSize.IsOpening(frame, headers));
        }

        var udp = Craft.Ethernet(2, 1, 0x0800, Craft.IPv4(1, 2, 17, Craft.Fill(60)));
        Assert.True(InnerHeaders.TryParse(udp, out var others));
        Assert.False(MaximumSegmentSize.IsOpening(udp, others));
        var fragment = Craft.Ethernet(2, 1, 0x0800, Craft.IPv4(1, 2, 6, Craft.Tcp(1, 2, []), 0x2000));
        Assert.True(InnerHeaders.TryParse(fragment, out others));
        Assert.False(MaximumSegmentSize.IsOpening(fragment, others));
    }
}
