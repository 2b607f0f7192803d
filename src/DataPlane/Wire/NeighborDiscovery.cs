using System.Buffers.Binary;

namespace Sleeve.DataPlane.Wire;

/// <summary>
/// A view of a Neighbor Solicitation (RFC 4861, section 4.3) inside an IPv6 packet:
/// <code>
/// | IPv6 header 40: hop limit 255 | type 1 = 135 | code 1 = 0 | checksum 2 | reserved 4 | target 16 | options: type 1, length/8 1, … |
/// </code>
/// Everything RFC 4861, section 7.1.1 asks a receiver to check is checked, so what parses may be answered.
/// </summary>
public readonly ref struct NeighborSolicitation
{
    private const byte Type = 135;
    private const int HeaderSize = 24;
    private const int TargetOffset = 8;
    private const byte SourceLinkLayerAddress = 1;

    private NeighborSolicitation(InternetAddress source, InternetAddress target, MacAddress? sourceMac)
    {
        Source = source;
        Target = target;
        SourceMac = sourceMac;
    }

    /// <summary>Who asks; :: in duplicate address detection (RFC 4862, section 5.4).</summary>
    public InternetAddress Source { get; }

    /// <summary>The address asked for; never multicast.</summary>
    public InternetAddress Target { get; }

    /// <summary>The source link-layer address option, if there is one.</summary>
    public MacAddress? SourceMac { get; }

    /// <summary>True if the asker wants to know whether the address is free.</summary>
    public bool IsDuplicateAddressDetection => Source.IsUnspecified;

    /// <summary>Parses a frame; false unless it is a valid Neighbor Solicitation for Ethernet.</summary>
    public static bool TryParse(ReadOnlySpan<byte> frame, in InnerHeaders headers, out NeighborSolicitation solicitation)
    {
        solicitation = default;
        if (!headers.IsIPv6 || headers.Protocol != IpProtocol.IcmpV6 || headers.TransportOffset == 0) return false;
        var length = headers.TransportLength;
        if (length < HeaderSize) return false;
        var network = frame[headers.NetworkOffset..];
        var message = frame.Slice(headers.TransportOffset, length);
        if (message[0] != Type || message[1] != 0 || network[7] != 255) return false;

        var source = InternetAddress.ReadIPv6(network[8..]);
        var target = InternetAddress.ReadIPv6(message[TargetOffset..]);
        if (target.IsMulticast || source.IsMulticast) return false;
        if (InternetChecksum.FoldSum(InternetChecksum.AddPseudoHeader(InternetChecksum.Add(0, message), headers.Addresses(frame), IpProtocol.IcmpV6, length)) != 0xFFFF
            && !NeighborAdvertisement.IsUnfinished(frame, headers)) return false;

        MacAddress? sourceMac = null;
        for (var options = message[HeaderSize..]; options.Length > 0;)
        {
            var size = options.Length < 2 ? 0 : options[1] * 8;
            if (size == 0 || size > options.Length) return false;
            if (options[0] == SourceLinkLayerAddress && size == 8) sourceMac = MacAddress.Read(options[2..]);
            options = options[size..];
        }

        // A probe must go to a solicited-node address and carry no source option (RFC 4861, section 7.1.1).
        if (source.IsUnspecified && (sourceMac is not null || !InternetAddress.ReadIPv6(network[24..]).IsSolicitedNode)) return false;
        solicitation = new NeighborSolicitation(source, target, sourceMac);
        return true;
    }
}

/// <summary>A Neighbor Advertisement (RFC 4861, section 4.4) as a VTEP sends it: IPv6 header, message and target link-layer address option.</summary>
public static class NeighborAdvertisement
{
    /// <summary>Bytes of IPv6 header (40), message (24) and one option (8).</summary>
    public const int Size = 72;

    /// <summary>R: the target is a router.</summary>
    public const byte Router = 0x80;

    /// <summary>S: answers a solicitation.</summary>
    public const byte Solicited = 0x40;

    /// <summary>O: overrides what the receiver has cached.</summary>
    public const byte Override = 0x20;

    private const byte Type = 136;
    private const byte TargetLinkLayerAddress = 2;
    private const int MessageOffset = 40;
    private const int MessageSize = Size - MessageOffset;

    /// <summary>Writes the IPv6 packet, <see cref="Size"/> bytes, checksum included, hop limit 255.</summary>
    /// <param name="packet">Where to.</param>
    /// <param name="source">Source address: the target itself.</param>
    /// <param name="destination">Who asked, or ff02::1 in answer to duplicate address detection.</param>
    /// <param name="target">The address asked for.</param>
    /// <param name="targetMac">Its link-layer address.</param>
    /// <param name="flags"><see cref="Router"/>, <see cref="Solicited"/> and <see cref="Override"/>, combined.</param>
    public static void Write(
        Span<byte> packet, InternetAddress source, InternetAddress destination, InternetAddress target, MacAddress targetMac, byte flags)
    {
        packet = packet[..Size];
        packet.Clear();
        packet[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(packet[4..], MessageSize);
        packet[6] = IpProtocol.IcmpV6;
        packet[7] = 255;
        source.Write(packet[8..]);
        destination.Write(packet[24..]);

        var message = packet[MessageOffset..];
        message[0] = Type;
        message[4] = flags;
        target.Write(message[8..]);
        message[24] = TargetLinkLayerAddress;
        message[25] = 1;
        targetMac.Write(message[26..]);
        var sum = InternetChecksum.AddPseudoHeader(InternetChecksum.Add(0, message), packet.Slice(8, 32), IpProtocol.IcmpV6, MessageSize);
        BinaryPrimitives.WriteUInt16BigEndian(message[2..], InternetChecksum.Finish(sum));
    }

    /// <summary>True if the ICMPv6 checksum still holds only the pseudo-header sum: a local stack left it for a device to finish.</summary>
    internal static bool IsUnfinished(ReadOnlySpan<byte> frame, in InnerHeaders headers) =>
        BinaryPrimitives.ReadUInt16BigEndian(frame[(headers.TransportOffset + 2)..])
        == InternetChecksum.FoldSum(InternetChecksum.AddPseudoHeader(0, headers.Addresses(frame), IpProtocol.IcmpV6, headers.TransportLength));
}
