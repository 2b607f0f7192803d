using System.Buffers.Binary;

namespace Sleeve.DataPlane.Wire;

/// <summary>
/// A whole packet of the underlay as a capture has it (Ethernet, VLAN tags, IPv4 or IPv6, UDP), and what of it a VTEP's socket is told. Checksums are not looked at, as little as
/// the destination address.
/// </summary>
public readonly ref struct OuterDatagram
{
    private const int UdpSize = 8;
    private const int TargetPortOffset = 2;
    private const int LengthOffset = 4;

    private OuterDatagram(InternetAddress sender, ushort sourcePort, byte typeOfService, ReadOnlySpan<byte> payload)
    {
        Sender = sender;
        SourcePort = sourcePort;
        TypeOfService = typeOfService;
        Payload = payload;
    }

    /// <summary>Source address.</summary>
    public InternetAddress Sender { get; }

    /// <summary>UDP source port.</summary>
    public ushort SourcePort { get; }

    /// <summary>TOS or traffic class, ECN in its two low bits.</summary>
    public byte TypeOfService { get; }

    /// <summary>What UDP carries: VXLAN header and frame, if it is what its port says. The bytes are those of the frame that was parsed.</summary>
    public ReadOnlySpan<byte> Payload { get; }

    /// <summary>Reads a packet; false if it is none to that UDP port, a fragment, or not there to its end.</summary>
    /// <param name="frame">With its Ethernet header.</param>
    /// <param name="port">UDP destination port.</param>
    /// <param name="datagram">What was found.</param>
    public static bool TryParse(ReadOnlySpan<byte> frame, ushort port, out OuterDatagram datagram)
    {
        datagram = default;
        if (!InnerHeaders.TryParse(frame, out var headers) || headers.Protocol != IpProtocol.Udp || headers.TransportLength < UdpSize) return false;
        var udp = frame.Slice(headers.TransportOffset, headers.TransportLength);
        var length = BinaryPrimitives.ReadUInt16BigEndian(udp[LengthOffset..]);
        if (BinaryPrimitives.ReadUInt16BigEndian(udp[TargetPortOffset..]) != port || length < UdpSize || length > udp.Length) return false;
        var source = headers.Addresses(frame);
        datagram = new OuterDatagram(
            headers.IsIPv4 ? InternetAddress.ReadIPv4(source) : InternetAddress.ReadIPv6(source),
            BinaryPrimitives.ReadUInt16BigEndian(udp),
            CongestionMark.TypeOfService(frame, headers),
            udp[UdpSize..length]);
        return true;
    }
}
