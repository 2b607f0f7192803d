using System.Buffers.Binary;

namespace Sleeve.Seams;

/// <summary>
/// Frames and datagrams built byte by byte, sharing no code with src, so that a mistake there cannot hide in both. MACs and IPv4 addresses are numbers,
/// first byte on the wire most significant; IPv6 addresses are 16 bytes.
/// </summary>
public static class Craft
{
    public const ulong Broadcast = 0xFFFF_FFFF_FFFF;

    public static byte[] Concat(params byte[][] parts) => parts.SelectMany(part => part).ToArray();

    /// <summary>Hexadecimal with blanks and line breaks anywhere.</summary>
    public static byte[] Hex(string text) => Convert.FromHexString(string.Concat(text.Where(c => !char.IsWhiteSpace(c))));

    public static byte[] U16(int value) => [(byte)(value >> 8), (byte)value];

    public static byte[] U32(uint value) => [(byte)(value >> 24), (byte)(value >> 16), (byte)(value >> 8), (byte)value];

    public static byte[] Mac(ulong value) =>
        [(byte)(value >> 40), (byte)(value >> 32), (byte)(value >> 24), (byte)(value >> 16), (byte)(value >> 8), (byte)value];

    public static byte[] Address6(string text) => System.Net.IPAddress.Parse(text).GetAddressBytes();

    public static byte[] Fill(int length, int seed = 0)
    {
        var bytes = new byte[length];
        for (var i = 0; i < length; i++) bytes[i] = (byte)((i * 7) + seed + 1);
        return bytes;
    }

    public static byte[] Ethernet(ulong destination, ulong source, int type, byte[] payload) =>
        Concat(Mac(destination), Mac(source), U16(type), payload);

    /// <summary>With tags between source and type, outermost first.</summary>
    public static byte[] Tagged(ulong destination, ulong source, (int Type, int Tag)[] tags, int type, byte[] payload) =>
        Concat(Mac(destination), Mac(source), Concat([.. tags.Select(tag => Concat(U16(tag.Type), U16(tag.Tag)))]), U16(type), payload);

    /// <summary>RFC 791, section 3.1, its header checksum right. <paramref name="fragment"/>: flags and offset.</summary>
    public static byte[] IPv4(uint source, uint destination, byte protocol, byte[] payload, int fragment = 0, byte[]? options = null)
    {
        options ??= [];
        var header = Concat(
            [(byte)(0x45 + (options.Length / 4)), 0], U16(20 + options.Length + payload.Length), U16(0x1234), U16(fragment), [64, protocol, 0, 0], U32(source), U32(destination), options);
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(10), NaiveChecksum(header));
        return Concat(header, payload);
    }

    /// <summary>RFC 8200, section 3.</summary>
    public static byte[] IPv6(byte[] source, byte[] destination, byte next, byte[] payload, byte hopLimit = 64) =>
        Concat([0x60, 0, 0, 0], U16(payload.Length), [next, hopLimit], source, destination, payload);

    public static byte[] Udp(int sourcePort, int destinationPort, byte[] payload, int checksum = 0) =>
        Concat(U16(sourcePort), U16(destinationPort), U16(8 + payload.Length), U16(checksum), payload);

    public static byte[] Tcp(int sourcePort, int destinationPort, byte[] payload, int checksum = 0, byte[]? options = null)
    {
        options ??= [];
        return Concat(U16(sourcePort), U16(destinationPort), U32(1), U32(2), [(byte)((5 + (options.Length / 4)) << 4), 0x18], U16(1000), U16(checksum), U16(0), options, payload);
    }

    /// <summary>RFC 826.</summary>
    public static byte[] Arp(int operation, ulong senderMac, uint sender, ulong targetMac, uint target) =>
        Concat([0, 1, 8, 0, 6, 4], U16(operation), Mac(senderMac), U32(sender), Mac(targetMac), U32(target));

    /// <summary>RFC 4861, section 4.3, its checksum right.</summary>
    public static byte[] Solicitation(byte[] source, byte[] destination, byte[] target, byte[] options, byte hopLimit = 255, byte code = 0)
    {
        var message = Concat([135, code, 0, 0, 0, 0, 0, 0], target, options);
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(2), TransportChecksum(source, destination, 58, message));
        return IPv6(source, destination, 58, message, hopLimit);
    }

    /// <summary>RFC 7348, section 5.</summary>
    public static byte[] Vxlan(uint vni, byte[] frame, byte flags = 0x08) => Concat([flags, 0, 0, 0], U32(vni << 8), frame);

    /// <summary>RFC 1071, section 1, word by word.</summary>
    public static ushort NaiveChecksum(ReadOnlySpan<byte> bytes) => (ushort)~NaiveSum(bytes);

    public static ushort NaiveSum(ReadOnlySpan<byte> bytes)
    {
        uint sum = 0;
        for (var i = 0; i < bytes.Length; i += 2)
        {
            sum += (uint)((bytes[i] << 8) | (i + 1 < bytes.Length ? bytes[i + 1] : 0));
            sum = (sum & 0xFFFF) + (sum >> 16);
        }

        return (ushort)sum;
    }

    public static byte[] PseudoHeader(byte[] source, byte[] destination, byte protocol, int length) =>
        source.Length == 4 ? Concat(source, destination, [0, protocol], U16(length)) : Concat(source, destination, U32((uint)length), [0, 0, 0, protocol]);

    public static ushort TransportChecksum(byte[] source, byte[] destination, byte protocol, byte[] transport) =>
        NaiveChecksum(Concat(PseudoHeader(source, destination, protocol, transport.Length), transport));

    /// <summary>What a local stack leaves in the checksum field for a device to finish.</summary>
    public static ushort UnfinishedChecksum(byte[] source, byte[] destination, byte protocol, int length) =>
        NaiveSum(PseudoHeader(source, destination, protocol, length));
}
