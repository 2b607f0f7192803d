using System.Buffers.Binary;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Offload;

/// <summary>
/// Recognises work that a kernel VTEP on the same machine left undone because nothing on the way needed it: an inner transport checksum
/// that holds only the pseudo-header sum, and a whole super-frame in one datagram. Nothing on the socket tells (but the size of a UDP super-frame's parts); a guest that got such a
/// frame as it is would drop it ("ping works, TCP hangs").
/// </summary>
public static class UnfinishedOffload
{
    private const ushort TcpChecksumOffset = 16;
    private const ushort UdpChecksumOffset = 6;
    private const byte WindowReduced = 0x80;
    private const int TcpMinHeaderSize = 20;
    private const int UdpHeaderSize = 8;

    /// <summary>
    /// What is left to do on a received frame. A genuine checksum that happens to equal the pseudo-header sum is computed again, to the
    /// same value: harmless.
    /// </summary>
    /// <param name="frame">The frame.</param>
    /// <param name="headers">What was found in it.</param>
    /// <param name="mtu">MTU of the TAP, in bytes: a longer TCP segment is cut to it.</param>
    /// <param name="udpSegmentSize">Payload bytes of each datagram of a UDP super-frame; 0 if it is none, as far as the socket says.</param>
    public static OffloadFacts Recognise(ReadOnlySpan<byte> frame, in InnerHeaders headers, int mtu, int udpSegmentSize = 0)
    {
        if (headers.TransportOffset == 0) return default;
        var transport = frame[headers.TransportOffset..];
        var length = headers.TransportLength;
        switch (headers.Protocol)
        {
            case IpProtocol.Udp when length >= UdpHeaderSize:
                // 0 over IPv4 means that there is none (RFC 768).
                var udpChecksum = BinaryPrimitives.ReadUInt16BigEndian(transport[UdpChecksumOffset..]);
                if (udpChecksum == 0 || udpChecksum != PseudoHeaderSum(frame, headers, length)) return default;
                return udpSegmentSize > 0 && udpSegmentSize < length - UdpHeaderSize
                    ? new OffloadFacts(true, headers.TransportOffset, UdpChecksumOffset,
                        SegmentKind.Udp, (ushort)udpSegmentSize, (ushort)(headers.TransportOffset + UdpHeaderSize))
                    : new OffloadFacts(true, headers.TransportOffset, UdpChecksumOffset);

            case IpProtocol.Tcp when length >= TcpMinHeaderSize:
                var headerSize = (transport[12] >> 4) * 4;
                if (headerSize < TcpMinHeaderSize || headerSize > length) return default;
                if (BinaryPrimitives.ReadUInt16BigEndian(transport[TcpChecksumOffset..]) != PseudoHeaderSum(frame, headers, length)) return default;
                var headerLength = headers.TransportOffset + headerSize;
                var segmentSize = mtu - (headerLength - headers.NetworkOffset);
                var isSuperFrame = headers.IpLength > mtu && segmentSize > 0 && length - headerSize > segmentSize;
                return isSuperFrame
                    ? new OffloadFacts(true, headers.TransportOffset, TcpChecksumOffset,
                        headers.IsIPv4 ? SegmentKind.TcpIPv4 : SegmentKind.TcpIPv6, (ushort)segmentSize, (ushort)headerLength,
                        (transport[13] & WindowReduced) != 0)
                    : new OffloadFacts(true, headers.TransportOffset, TcpChecksumOffset);

            default:
                return default;
        }
    }

    private static ushort PseudoHeaderSum(ReadOnlySpan<byte> frame, in InnerHeaders headers, int length) =>
        InternetChecksum.FoldSum(InternetChecksum.AddPseudoHeader(0, headers.Addresses(frame), headers.Protocol, length));
}
