using System.Buffers.Binary;
using System.Net;

namespace Sleeve.EndToEnd.Rig;

/// <summary>The Internet checksum (RFC 1071), the slow and obvious way.</summary>
public static class Checksums
{
    /// <summary>Adds 16-bit words; an odd last byte counts as the upper half of a word.</summary>
    public static uint Add(uint sum, ReadOnlySpan<byte> bytes)
    {
        ulong total = sum;
        for (var i = 0; i + 1 < bytes.Length; i += 2) total += BinaryPrimitives.ReadUInt16BigEndian(bytes[i..]);
        if (bytes.Length % 2 != 0) total += (uint)bytes[^1] << 8;
        while (total > 0xFFFF) total = (total & 0xFFFF) + (total >> 16);
        return (uint)total;
    }

    /// <summary>The complement of a folded sum.</summary>
    public static ushort Finish(uint sum) => (ushort)~sum;

    /// <summary>
    /// Checksum of a TCP, UDP or ICMPv6 packet with the pseudo-header of its addresses (RFC 768, RFC 8200 section 8.1). Over a packet whose checksum
    /// field is filled in and right, the result is 0.
    /// </summary>
    public static ushort Transport(IPAddress source, IPAddress destination, byte protocol, ReadOnlySpan<byte> packet)
    {
        var sum = Add(0, source.GetAddressBytes());
        sum = Add(sum, destination.GetAddressBytes());
        sum = Add(sum, [0, protocol, (byte)(packet.Length >> 24), (byte)(packet.Length >> 16), (byte)(packet.Length >> 8), (byte)packet.Length]);
        return Finish(Add(sum, packet));
    }
}
