using System.Buffers.Binary;

namespace Sleeve.DataPlane.Wire;

/// <summary>
/// IP and UDP headers made up around a datagram for whoever reads captures: a UDP socket shows neither. What is not known is zero: identification, UDP
/// checksum, a flow label of the kernel's; and the time to live 64 if it is the route's.
/// </summary>
public static class OuterHeaders
{
    private const int UdpSize = 8;
    private const int IPv4Size = 20;
    private const int IPv6Size = 40;
    private const byte TimeToLive = 64;

    /// <summary>Writes headers.</summary>
    /// <param name="destination">At least 48 bytes.</param>
    /// <param name="source">Source address; one of the other family stands for unknown.</param>
    /// <param name="target">Destination address.</param>
    /// <param name="sourcePort">UDP source port.</param>
    /// <param name="targetPort">UDP destination port.</param>
    /// <param name="payloadLength">Bytes behind; lengths that do not fit their field are 0, as of a packet that is still to be cut.</param>
    /// <param name="outer">What is known of the IP header.</param>
    /// <returns>Bytes written: 28 or 48.</returns>
    public static int Write(
        Span<byte> destination, InternetAddress source, InternetAddress target, ushort sourcePort, ushort targetPort, int payloadLength, OuterClass outer)
    {
        var isIPv4 = target.IsUnspecified ? source.IsIPv4 : target.IsIPv4;
        var size = isIPv4 ? IPv4Size : IPv6Size;
        destination[..(size + UdpSize)].Clear();
        var timeToLive = outer.TimeToLive == 0 ? TimeToLive : outer.TimeToLive;
        var udpLength = UdpSize + payloadLength;
        if (isIPv4)
        {
            destination[0] = 0x45;
            BinaryPrimitives.WriteUInt16BigEndian(destination[2..], Fitting(size + udpLength));
            destination[1] = outer.TypeOfService;
            if (outer.DontFragment) destination[6] = 0x40;
            destination[8] = timeToLive;
            destination[9] = IpProtocol.Udp;
            if (source.IsIPv4) source.Write(destination[12..]);
            if (target.IsIPv4) target.Write(destination[16..]);
            BinaryPrimitives.WriteUInt16BigEndian(destination[10..], InternetChecksum.Finish(InternetChecksum.Add(0, destination[..IPv4Size])));
        }
        else
        {
            BinaryPrimitives.WriteInt32BigEndian(destination, (6 << 28) | (outer.TypeOfService << 20) | outer.FlowLabel);
            BinaryPrimitives.WriteUInt16BigEndian(destination[4..], Fitting(udpLength));
            destination[6] = IpProtocol.Udp;
            destination[7] = timeToLive;
            if (!source.IsIPv4) source.Write(destination[8..]);
            if (!target.IsIPv4) target.Write(destination[24..]);
        }

        var udp = destination[size..];
        BinaryPrimitives.WriteUInt16BigEndian(udp, sourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(udp[2..], targetPort);
        BinaryPrimitives.WriteUInt16BigEndian(udp[4..], Fitting(udpLength));
        return size + UdpSize;
    }

    private static ushort Fitting(int length) => length <= ushort.MaxValue ? (ushort)length : (ushort)0;
}
