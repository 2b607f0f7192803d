using System.Buffers.Binary;

namespace Sleeve.DataPlane.Wire;

/// <summary>
/// The maximum segment size that the ends of a TCP connection tell each other in their SYN segments (RFC 9293, section 3.7.1):
/// <code>
/// | TCP header 20: ports 4, …, offset and flags 2 at 12, …, checksum 2 at 16 | options: kind 1 = 2, length 1 = 4, MSS 2, … |
/// </code>
/// </summary>
public static class MaximumSegmentSize
{
    private const int HeaderSize = 20;
    private const int FlagsOffset = 13;
    private const int ChecksumOffset = 16;
    private const byte Syn = 0x02;
    private const byte EndOfOptions = 0;
    private const byte NoOperation = 1;
    private const byte Kind = 2;
    private const int Size = 4;

    /// <summary>Bytes of the IP and TCP headers that a segment has without options.</summary>
    public static int Headers(bool isIPv4) => (isIPv4 ? 20 : 40) + HeaderSize;

    /// <summary>True for a TCP segment that opens a connection, either way.</summary>
    public static bool IsOpening(ReadOnlySpan<byte> frame, in InnerHeaders headers) =>
        headers.Protocol == IpProtocol.Tcp && headers.TransportOffset != 0 && headers.TransportLength >= HeaderSize
        && (frame[headers.TransportOffset + FlagsOffset] & Syn) != 0;

    /// <summary>Lowers what a SYN segment says, and never raises it; one that says nothing stays as it is.</summary>
    /// <param name="frame">A frame that <see cref="IsOpening"/>.</param>
    /// <param name="headers">Where its headers stand.</param>
    /// <param name="limit">The most it may say.</param>
    /// <param name="isChecksumUnfinished">The checksum is still to be summed, so it must not be changed for what is changed here.</param>
    /// <returns>True if it was lowered; the checksum is then right if it was before (RFC 1624).</returns>
    public static bool TryLower(Span<byte> frame, in InnerHeaders headers, ushort limit, bool isChecksumUnfinished)
    {
        var segment = frame.Slice(headers.TransportOffset, headers.TransportLength);
        var end = (segment[12] >> 4) * 4;
        if (end > segment.Length) return false;
        for (var at = HeaderSize; at < end && segment[at] != EndOfOptions;)
        {
            if (segment[at] == NoOperation)
            {
                at++;
                continue;
            }

            var length = at + 1 < end ? segment[at + 1] : 0;
            if (length < 2 || at + length > end) return false;
            if (segment[at] == Kind && length == Size) return TryLowerAt(segment, at + 2, limit, isChecksumUnfinished);
            at += length;
        }

        return false;
    }

    private static bool TryLowerAt(Span<byte> segment, int at, ushort limit, bool isChecksumUnfinished)
    {
        var before = BinaryPrimitives.ReadUInt16BigEndian(segment[at..]);
        if (before <= limit) return false;
        BinaryPrimitives.WriteUInt16BigEndian(segment[at..], limit);
        if (isChecksumUnfinished) return true;
        var after = limit;
        // The sum is of words: at an odd place the bytes count the other way round.
        if ((at & 1) != 0) (before, after) = (BinaryPrimitives.ReverseEndianness(before), BinaryPrimitives.ReverseEndianness(after));
        var checksum = segment[ChecksumOffset..];
        // RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
        var sum = (uint)(ushort)~BinaryPrimitives.ReadUInt16BigEndian(checksum) + (ushort)~before + after;
        BinaryPrimitives.WriteUInt16BigEndian(checksum, InternetChecksum.Finish(sum));
        return true;
    }
}
