using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Wire;

/// <summary>The Internet checksum (RFC 1071): one's complement sum of 16-bit big-endian words.</summary>
public static class InternetChecksum
{
    /// <summary>
    /// Adds bytes to an unfolded sum of big-endian words; an odd last byte is padded with zero, so only the last part of a sum may be odd.
    /// </summary>
    public static ulong Add(ulong sum, ReadOnlySpan<byte> bytes)
    {
        // One's complement addition does not care about byte order (RFC 1071, section 2B): sum native words, swap once at the end.
        ulong native = 0;
        if (Vector.IsHardwareAccelerated && bytes.Length >= 4 * Vector<byte>.Count)
        {
            var words = MemoryMarshal.Cast<byte, Vector<uint>>(bytes);
            var lanes = Vector<ulong>.Zero;
            foreach (var word in words)
            {
                Vector.Widen(word, out var low, out var high);
                lanes += low + high;
            }

            native = Vector.Sum(lanes);
            bytes = bytes[(words.Length * Vector<byte>.Count)..];
        }

        for (; bytes.Length >= 8; bytes = bytes[8..])
        {
            var word = MemoryMarshal.Read<ulong>(bytes);
            native += (uint)word + (word >> 32);
        }

        if (bytes.Length >= 4)
        {
            native += MemoryMarshal.Read<uint>(bytes);
            bytes = bytes[4..];
        }

        if (bytes.Length >= 2)
        {
            native += MemoryMarshal.Read<ushort>(bytes);
            bytes = bytes[2..];
        }

        if (bytes.Length == 1) native += BitConverter.IsLittleEndian ? bytes[0] : (uint)bytes[0] << 8;
        var folded = FoldSum(native);
        return sum + (BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(folded) : folded);
    }

    /// <summary>Adds the TCP/UDP/ICMPv6 pseudo-header (RFC 9293, section 3.1; RFC 8200, section 8.1). Both addresses are of one family.</summary>
    /// <param name="sum">The sum so far.</param>
    /// <param name="addresses">Source and destination address as they stand in the IP header: 8 or 32 bytes.</param>
    /// <param name="protocol">IP protocol number.</param>
    /// <param name="length">Bytes of transport header and payload.</param>
    public static ulong AddPseudoHeader(ulong sum, ReadOnlySpan<byte> addresses, byte protocol, int length) =>
        Add(sum, addresses) + protocol + (uint)length;

    /// <summary>Folds a sum to 16 bits without complementing it.</summary>
    public static ushort FoldSum(ulong sum)
    {
        sum = (sum & 0xFFFF_FFFF) + (sum >> 32);
        sum = (sum & 0xFFFF_FFFF) + (sum >> 32);
        sum = (sum & 0xFFFF) + (sum >> 16);
        sum = (sum & 0xFFFF) + (sum >> 16);
        return (ushort)((sum & 0xFFFF) + (sum >> 16));
    }

    /// <summary>Folds and complements: the value of a checksum field.</summary>
    public static ushort Finish(ulong sum) => (ushort)~FoldSum(sum);

    /// <summary>The checksum field after one word that it covers has changed (RFC 1624, section 3, equation 3): right stays right, wrong stays wrong.</summary>
    /// <param name="checksum">The field.</param>
    /// <param name="before">The word as it was.</param>
    /// <param name="after">The word as it is.</param>
    public static ushort Replace(ushort checksum, ushort before, ushort after) => Finish((ulong)(ushort)~checksum + (ushort)~before + after);
}
