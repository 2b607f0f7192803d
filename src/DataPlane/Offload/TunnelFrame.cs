using System.Buffers.Binary;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Offload;

/// <summary>What stands in the outer headers of a super-frame.</summary>
/// <param name="DeviceMac">MAC of the underlay TAP.</param>
/// <param name="Source">Underlay address to send from.</param>
/// <param name="SourcePort">UDP source port: the flow's.</param>
/// <param name="Destination">The remote VTEP, of the same family.</param>
/// <param name="Header">The VXLAN header: the segment and its group policy.</param>
/// <param name="Identification">IPv4 identification of the first segment; the others count on.</param>
/// <param name="HasChecksum">Whether each segment gets an outer UDP checksum.</param>
/// <param name="Class">TOS, TTL, DF and flow label.</param>
public readonly record struct TunnelOuter(
    MacAddress DeviceMac, InternetAddress Source, ushort SourcePort, VtepAddress Destination, VxlanHeader Header, ushort Identification, bool HasChecksum, OuterClass Class = default);

/// <summary>
/// A super-frame as the underlay TAP takes it: uncut, outer headers in front, the cutting and both checksums left to the kernel or the network
/// card, exactly as its own vxlan device would hand it on.
/// <code>
/// │ virtio │ Ethernet │ IPv4 or IPv6 │ UDP │ VXLAN │ Ethernet, IP, TCP or UDP │ payload │
/// │   24   │    14    │   20 or 40   │  8  │   8   │◀───── super-frame as the TAP gave it ─────▶
///          └ outer_th_offset ────────▲  inner_nh_offset ────▲   ▲ csum_start: the inner transport
/// </code>
/// </summary>
public static class TunnelFrame
{
    /// <summary>
    /// TTL and hop limit as written unless the class says otherwise: forwarding takes one, and the datagrams of the sockets leave with 64.
    /// </summary>
    public const byte TimeToLive = 65;

    private const int EthernetSize = 14;
    private const int IPv4Size = 20;
    private const int IPv6Size = 40;
    private const int UdpSize = 8;
    private const byte DontFragmentFlag = 0x40;
    private const int ChecksumOffsetInUdp = 6;
    private const int ChecksumOffsetInTcp = 16;

    // Locally administered; nobody answers to it.
    private static readonly MacAddress Sender = MacAddress.FromValue(0x02_00_00_00_00_01);

    /// <summary>Bytes in front of the super-frame.</summary>
    public static int HeaderSize(bool isIPv4) => VirtioNetHeader.TunnelSize + EthernetSize + (isIPv4 ? IPv4Size : IPv6Size) + UdpSize + VxlanHeader.Size;

    /// <summary>Whether a super-frame fits an outer packet, whose length field has 16 bits.</summary>
    public static bool Fits(int frameLength) => IPv4Size + UdpSize + VxlanHeader.Size + frameLength <= ushort.MaxValue;

    /// <summary>Whether forwarding can leave what the class says: there is no TTL above 255 to begin with.</summary>
    public static bool CanBear(OuterClass outer) => outer.TimeToLive != byte.MaxValue;

    /// <summary>Writes everything in front of a super-frame.</summary>
    /// <param name="destination">The <see cref="HeaderSize"/> bytes before the frame; every one is written.</param>
    /// <param name="outer">What the outer headers say.</param>
    /// <param name="frameLength">Bytes of the super-frame.</param>
    /// <param name="plan">How it would be cut.</param>
    /// <param name="facts">What the TAP said about it.</param>
    public static void WriteHeaders(Span<byte> destination, in TunnelOuter outer, int frameLength, in SegmentPlan plan, in OffloadFacts facts)
    {
        var isIPv4 = outer.Destination.Address.IsIPv4;
        var networkSize = isIPv4 ? IPv4Size : IPv6Size;
        var outerTransport = EthernetSize + networkSize;
        var inner = outerTransport + UdpSize + VxlanHeader.Size;
        WriteVirtio(destination, outerTransport, inner, plan, facts, isIPv4, outer.HasChecksum);

        var packet = destination[VirtioNetHeader.TunnelSize..];
        outer.DeviceMac.Write(packet);
        Sender.Write(packet[MacAddress.Size..]);
        BinaryPrimitives.WriteUInt16BigEndian(packet[(2 * MacAddress.Size)..], isIPv4 ? EtherType.IPv4 : EtherType.IPv6);
        var udpLength = UdpSize + VxlanHeader.Size + frameLength;
        var network = packet.Slice(EthernetSize, networkSize);
        if (isIPv4) WriteIPv4(network, outer, udpLength);
        else WriteIPv6(network, outer, udpLength);
        WriteUdp(packet.Slice(outerTransport, UdpSize), network, outer, udpLength);
        outer.Header.Write(packet[(outerTransport + UdpSize)..]);
    }

    /// <summary>How a super-frame is to be cut, in the words of virtio; 0 if it is none.</summary>
    public static byte SegmentationOf(in OffloadFacts facts)
    {
        var segmentation = facts.Kind switch
        {
            SegmentKind.TcpIPv4 => LibC.VIRTIO_NET_HDR_GSO_TCPV4,
            SegmentKind.TcpIPv6 => LibC.VIRTIO_NET_HDR_GSO_TCPV6,
            SegmentKind.Udp => LibC.VIRTIO_NET_HDR_GSO_UDP_L4,
            _ => LibC.VIRTIO_NET_HDR_GSO_NONE,
        };
        return (byte)(facts.HasWindowReduced ? segmentation | LibC.VIRTIO_NET_HDR_GSO_ECN : segmentation);
    }

    private static void WriteVirtio(
        Span<byte> destination, int outerTransport, int inner, in SegmentPlan plan, in OffloadFacts facts, bool isIPv4, bool hasChecksum)
    {
        var tunnel = isIPv4 ? LibC.VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV4 : LibC.VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV6;
        var flags = hasChecksum ? LibC.VIRTIO_NET_HDR_F_NEEDS_CSUM | LibC.VIRTIO_NET_HDR_F_UDP_TUNNEL_CSUM : LibC.VIRTIO_NET_HDR_F_NEEDS_CSUM;
        VirtioNetHeader.Write(destination, new LibC.virtio_net_hdr_v1_hash_tunnel
        {
            hdr = new LibC.virtio_net_hdr
            {
                flags = (byte)flags,
                gso_type = (byte)(SegmentationOf(facts) | tunnel),
                hdr_len = (ushort)(inner + plan.HeaderLength),
                gso_size = (ushort)plan.SegmentSize,
                csum_start = (ushort)(inner + plan.Headers.TransportOffset),
                csum_offset = (ushort)(facts.Kind == SegmentKind.Udp ? ChecksumOffsetInUdp : ChecksumOffsetInTcp),
            },
            outer_th_offset = LittleEndian(outerTransport),
            inner_nh_offset = LittleEndian(inner + plan.Headers.NetworkOffset),
        });
    }

    // RFC 791, section 3.1.
    private static void WriteIPv4(Span<byte> header, in TunnelOuter outer, int udpLength)
    {
        header.Clear();
        header[0] = 0x45;
        header[1] = outer.Class.TypeOfService;
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], (ushort)(IPv4Size + udpLength));
        BinaryPrimitives.WriteUInt16BigEndian(header[4..], outer.Identification);
        if (outer.Class.DontFragment) header[6] = DontFragmentFlag;
        header[8] = TimeToLiveOf(outer);
        header[9] = IpProtocol.Udp;
        outer.Source.Write(header[12..]);
        outer.Destination.Address.Write(header[16..]);
        BinaryPrimitives.WriteUInt16BigEndian(header[10..], InternetChecksum.Finish(InternetChecksum.Add(0, header)));
    }

    // RFC 8200, section 3. The flow label is 0 unless the class has one, as the sockets have it then: one flow, one path.
    private static void WriteIPv6(Span<byte> header, in TunnelOuter outer, int udpLength)
    {
        header.Clear();
        BinaryPrimitives.WriteUInt32BigEndian(header, (6U << 28) | ((uint)outer.Class.TypeOfService << 20) | (uint)outer.Class.FlowLabel);
        BinaryPrimitives.WriteUInt16BigEndian(header[4..], (ushort)udpLength);
        header[6] = IpProtocol.Udp;
        header[7] = TimeToLiveOf(outer);
        outer.Source.Write(header[8..]);
        outer.Destination.Address.Write(header[24..]);
    }

    private static byte TimeToLiveOf(in TunnelOuter outer) => outer.Class.TimeToLive == 0 ? TimeToLive : (byte)(outer.Class.TimeToLive + 1);

    private static void WriteUdp(Span<byte> header, ReadOnlySpan<byte> network, in TunnelOuter outer, int udpLength)
    {
        BinaryPrimitives.WriteUInt16BigEndian(header, outer.SourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], outer.Destination.Port);
        BinaryPrimitives.WriteUInt16BigEndian(header[4..], (ushort)udpLength);
        // To be finished for each segment: so far the pseudo-header's sum.
        var addresses = outer.Destination.Address.IsIPv4 ? network.Slice(12, 8) : network.Slice(8, 32);
        var sum = outer.HasChecksum ? InternetChecksum.FoldSum(InternetChecksum.AddPseudoHeader(0, addresses, IpProtocol.Udp, udpLength)) : (ushort)0;
        BinaryPrimitives.WriteUInt16BigEndian(header[ChecksumOffsetInUdp..], sum);
    }

    private static ushort LittleEndian(int value) => BitConverter.IsLittleEndian ? (ushort)value : BinaryPrimitives.ReverseEndianness((ushort)value);
}
