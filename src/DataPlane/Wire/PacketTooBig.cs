using System.Buffers.Binary;

namespace Sleeve.DataPlane.Wire;

/// <summary>
/// The answer to an inner packet that is too long for a path: ICMP "fragmentation needed" (RFC 792 and RFC 1191, section 4) or ICMPv6 "packet too
/// big" (RFC 4443, section 3.2), from the packet's own destination back to its sender:
/// <code>
/// | Ethernet 14, addresses swapped, tags kept | IPv4 20 | type 1 = 3 | code 1 = 4 | checksum 2 | unused 2 | MTU 2 | quote, 576 with the headers |
/// | Ethernet 14, addresses swapped, tags kept | IPv6 40 | type 1 = 2 | code 1 = 0 | checksum 2 | MTU 4            | quote, 1280 with the headers |
/// </code>
/// To whom there is none follows the kernel's tunnels (skb_tunnel_check_pmtu) and the RFCs: no answer to errors, to groups, or from nobody.
/// </summary>
public static class PacketTooBig
{
    /// <summary>The longest answer: four tags and an IPv6 packet of 1280 bytes.</summary>
    public const int MaxSize = EthernetFrame.HeaderSize + (EthernetFrame.MaxTags * EthernetFrame.TagSize) + LeastIPv6Mtu;

    /// <summary>No IPv4 host is told a smaller MTU; it takes packets of that size (RFC 791, section 3.1).</summary>
    public const int LeastIPv4Mtu = 576;

    /// <summary>No IPv6 link has a smaller MTU (RFC 8200, section 5).</summary>
    public const int LeastIPv6Mtu = 1280;

    private const int IPv4HeaderSize = 20;
    private const int IPv6HeaderSize = 40;
    private const int IcmpHeaderSize = 8;
    private const ushort DontFragment = 0x4000;
    private const byte Authentication = 51;
    private const byte NoNextHeader = 59;
    private const byte Redirect = 137;
    private const byte FirstInformational = 128;

    /// <summary>Whether the sender of a packet is to be told that it is too long.</summary>
    /// <param name="frame">The frame, or a super-frame with the headers of each.</param>
    /// <param name="headers">Where its headers stand.</param>
    /// <param name="mtu">What the sender would be told.</param>
    public static bool IsAnswerable(ReadOnlySpan<byte> frame, in InnerHeaders headers, int mtu)
    {
        if (headers.Destination.IsGroup || !headers.Source.IsValidSource) return false;
        var packet = frame[headers.NetworkOffset..];
        if (headers.IsIPv4) return mtu >= LeastIPv4Mtu && IsAnswerableIPv4(frame, packet, headers);
        return headers.IsIPv6 && mtu >= LeastIPv6Mtu && IsAnswerableIPv6(packet[..headers.IpLength]);
    }

    /// <summary>Writes the answer.</summary>
    /// <param name="destination">Where to: at least <see cref="MaxSize"/> bytes.</param>
    /// <param name="frame">A frame that <see cref="IsAnswerable"/>.</param>
    /// <param name="headers">Where its headers stand.</param>
    /// <param name="mtu">Bytes of the largest packet that fits, for the sender to know.</param>
    /// <returns>Bytes written.</returns>
    public static int Write(Span<byte> destination, ReadOnlySpan<byte> frame, in InnerHeaders headers, int mtu)
    {
        headers.Source.Write(destination);
        headers.Destination.Write(destination[EthernetFrame.SourceOffset..]);
        frame[(2 * MacAddress.Size)..headers.NetworkOffset].CopyTo(destination[(2 * MacAddress.Size)..]);
        var packet = frame.Slice(headers.NetworkOffset, headers.IpLength);
        var answer = destination[headers.NetworkOffset..];
        return headers.NetworkOffset + (headers.IsIPv4 ? WriteIPv4(answer, packet, mtu) : WriteIPv6(answer, packet, mtu));
    }

    private static bool IsAnswerableIPv4(ReadOnlySpan<byte> frame, ReadOnlySpan<byte> packet, in InnerHeaders headers)
    {
        if (BinaryPrimitives.ReadUInt16BigEndian(packet[6..]) != DontFragment) return false;
        var source = InternetAddress.ReadIPv4(packet[12..]);
        var destination = InternetAddress.ReadIPv4(packet[16..]);
        if (destination.IsMulticast || destination.IsIPv4Broadcast) return false;
        if (packet[12] == 0 || source.IsLoopback || source.IsMulticast || source.IsIPv4Broadcast) return false;
        if (headers.Protocol != IpProtocol.Icmp) return true;
        // Unreachable, source quench, redirect, time exceeded, parameter problem.
        return headers.TransportLength > 0 && frame[headers.TransportOffset] is not (3 or 4 or 5 or 11 or 12);
    }

    private static bool IsAnswerableIPv6(ReadOnlySpan<byte> packet)
    {
        var source = InternetAddress.ReadIPv6(packet[8..]);
        if (source.IsUnspecified || source.IsLoopback || source.IsMulticast || InternetAddress.ReadIPv6(packet[24..]).IsMulticast) return false;
        var next = packet[6];
        var offset = IPv6HeaderSize;
        for (var walked = 0; walked <= InnerHeaders.MaxExtensionHeaders; walked++)
        {
            switch (next)
            {
                case IpProtocol.HopByHop or IpProtocol.Routing or IpProtocol.DestinationOptions or IpProtocol.Fragment or Authentication:
                    if (packet.Length < offset + 8) return false;
                    // Only of the first fragment anybody knows what it was (RFC 4443, section 2.4 quotes as much as there is).
                    if (next == IpProtocol.Fragment && (BinaryPrimitives.ReadUInt16BigEndian(packet[(offset + 2)..]) & 0xFFF8) != 0) return false;
                    var size = next switch
                    {
                        IpProtocol.Fragment => 8,
                        Authentication => (packet[offset + 1] + 2) * 4,
                        _ => (packet[offset + 1] + 1) * 8,
                    };
                    next = packet[offset];
                    offset += size;
                    break;
                case NoNextHeader:
                    return false;
                case IpProtocol.IcmpV6:
                    return offset < packet.Length && packet[offset] is >= FirstInformational and not Redirect;
                default:
                    return true;
            }
        }

        return false;
    }

    private static int WriteIPv4(Span<byte> answer, ReadOnlySpan<byte> packet, int mtu)
    {
        var quote = packet[..Math.Min(packet.Length, LeastIPv4Mtu - IPv4HeaderSize - IcmpHeaderSize)];
        var length = IPv4HeaderSize + IcmpHeaderSize + quote.Length;
        answer = answer[..length];
        answer[..(IPv4HeaderSize + IcmpHeaderSize)].Clear();
        answer[0] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(answer[2..], (ushort)length);
        BinaryPrimitives.WriteUInt16BigEndian(answer[6..], DontFragment);
        answer[8] = packet[8];
        answer[9] = IpProtocol.Icmp;
        packet.Slice(16, 4).CopyTo(answer[12..]);
        packet.Slice(12, 4).CopyTo(answer[16..]);
        BinaryPrimitives.WriteUInt16BigEndian(answer[10..], InternetChecksum.Finish(InternetChecksum.Add(0, answer[..IPv4HeaderSize])));

        var message = answer[IPv4HeaderSize..];
        message[0] = 3;
        message[1] = 4;
        BinaryPrimitives.WriteUInt16BigEndian(message[6..], (ushort)Math.Min(mtu, ushort.MaxValue));
        quote.CopyTo(message[IcmpHeaderSize..]);
        BinaryPrimitives.WriteUInt16BigEndian(message[2..], InternetChecksum.Finish(InternetChecksum.Add(0, message)));
        return length;
    }

    private static int WriteIPv6(Span<byte> answer, ReadOnlySpan<byte> packet, int mtu)
    {
        var quote = packet[..Math.Min(packet.Length, LeastIPv6Mtu - IPv6HeaderSize - IcmpHeaderSize)];
        var length = IcmpHeaderSize + quote.Length;
        answer = answer[..(IPv6HeaderSize + length)];
        answer[..(IPv6HeaderSize + IcmpHeaderSize)].Clear();
        answer[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(answer[4..], (ushort)length);
        answer[6] = IpProtocol.IcmpV6;
        answer[7] = packet[7];
        packet.Slice(24, 16).CopyTo(answer[8..]);
        packet.Slice(8, 16).CopyTo(answer[24..]);

        var message = answer[IPv6HeaderSize..];
        message[0] = 2;
        BinaryPrimitives.WriteUInt32BigEndian(message[4..], (uint)mtu);
        quote.CopyTo(message[IcmpHeaderSize..]);
        var sum = InternetChecksum.AddPseudoHeader(InternetChecksum.Add(0, message), answer.Slice(8, 32), IpProtocol.IcmpV6, length);
        BinaryPrimitives.WriteUInt16BigEndian(message[2..], InternetChecksum.Finish(sum));
        return answer.Length;
    }
}
