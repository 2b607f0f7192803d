using System.Buffers.Binary;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Offload;

/// <summary>
/// How a super-frame is cut: its headers are written anew before each part of its payload, which stays where it is. As the kernel's own
/// segmentation: sequence number, lengths, IPv4 identification, flags and checksums differ from segment to segment, nothing else.
/// </summary>
public readonly struct SegmentPlan
{
    private const byte Fin = 0x01;
    private const byte Push = 0x08;
    private const byte CongestionWindowReduced = 0x80;
    private const int TcpMinHeaderSize = 20;
    private const int UdpHeaderSize = 8;

    private readonly InnerHeaders _headers;
    private readonly int _payloadLength;
    private readonly ushort _segmentSize;
    private readonly bool _isTcp;

    private SegmentPlan(in InnerHeaders headers, int headerLength, int payloadLength, ushort segmentSize, bool isTcp)
    {
        _headers = headers;
        HeaderLength = headerLength;
        _payloadLength = payloadLength;
        _segmentSize = segmentSize;
        _isTcp = isTcp;
        Count = (payloadLength + segmentSize - 1) / segmentSize;
    }

    /// <summary>Bytes of all headers, from Ethernet to TCP or UDP; found from the headers, since the kernel's own number is only a hint.</summary>
    public int HeaderLength { get; }

    /// <summary>Where the headers stand.</summary>
    public InnerHeaders Headers => _headers;

    /// <summary>Payload bytes of every segment but the last.</summary>
    public int SegmentSize => _segmentSize;

    /// <summary>Segments.</summary>
    public int Count { get; }

    /// <summary>Bytes of every segment but the last, headers included.</summary>
    public int SegmentLength => HeaderLength + Math.Min(_segmentSize, _payloadLength);

    /// <summary>Where the payload of a segment starts in the super-frame.</summary>
    public int PayloadOffset(int index) => HeaderLength + (index * _segmentSize);

    /// <summary>Payload bytes of a segment.</summary>
    public int PayloadLength(int index) => Math.Min(_segmentSize, _payloadLength - (index * _segmentSize));

    /// <summary>Plans; false if the headers do not bear out what the facts say, so that the frame cannot be cut.</summary>
    public static bool TryMake(ReadOnlySpan<byte> frame, in InnerHeaders headers, in OffloadFacts facts, out SegmentPlan plan)
    {
        plan = default;
        if (headers.TransportOffset == 0 || facts.SegmentSize == 0) return false;
        var isTcp = facts.Kind is SegmentKind.TcpIPv4 or SegmentKind.TcpIPv6;
        if (headers.Protocol != (isTcp ? IpProtocol.Tcp : IpProtocol.Udp)) return false;
        var transportSize = UdpHeaderSize;
        if (isTcp)
        {
            if (headers.TransportLength < TcpMinHeaderSize) return false;
            transportSize = (frame[headers.TransportOffset + 12] >> 4) * 4;
            if (transportSize < TcpMinHeaderSize) return false;
        }

        var payloadLength = headers.TransportLength - transportSize;
        if (payloadLength <= 0) return false;
        plan = new SegmentPlan(headers, headers.TransportOffset + transportSize, payloadLength, facts.SegmentSize, isTcp);
        return true;
    }

    /// <summary>Writes the headers of a segment, checksums finished: <see cref="HeaderLength"/> bytes.</summary>
    /// <param name="frame">The super-frame; not changed.</param>
    /// <param name="index">Which segment, from 0.</param>
    /// <param name="destination">Where to.</param>
    public void WriteHeaders(ReadOnlySpan<byte> frame, int index, Span<byte> destination)
    {
        destination = destination[..HeaderLength];
        frame[..HeaderLength].CopyTo(destination);
        var payload = frame.Slice(PayloadOffset(index), PayloadLength(index));
        var transportLength = HeaderLength - _headers.TransportOffset + payload.Length;

        var network = destination[_headers.NetworkOffset..];
        if (_headers.IsIPv4) WriteIPv4(network, index, _headers.TransportOffset - _headers.NetworkOffset, transportLength);
        else BinaryPrimitives.WriteUInt16BigEndian(network[4..], (ushort)(_headers.TransportOffset - _headers.NetworkOffset - 40 + transportLength));

        var transport = destination[_headers.TransportOffset..];
        var checksum = _isTcp ? WriteTcp(transport, index) : WriteUdp(transport, transportLength);
        var sum = InternetChecksum.AddPseudoHeader(
            InternetChecksum.Add(InternetChecksum.Add(0, transport), payload), _headers.Addresses(destination), _headers.Protocol, transportLength);
        var finished = InternetChecksum.Finish(sum);
        // 0 would mean that there is none (RFC 768).
        BinaryPrimitives.WriteUInt16BigEndian(checksum, finished == 0 && !_isTcp ? (ushort)0xFFFF : finished);
    }

    private static void WriteIPv4(Span<byte> header, int index, int headerSize, int transportLength)
    {
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], (ushort)(headerSize + transportLength));
        BinaryPrimitives.WriteUInt16BigEndian(header[4..], (ushort)(BinaryPrimitives.ReadUInt16BigEndian(header[4..]) + index));
        BinaryPrimitives.WriteUInt16BigEndian(header[10..], 0);
        BinaryPrimitives.WriteUInt16BigEndian(header[10..], InternetChecksum.Finish(InternetChecksum.Add(0, header[..headerSize])));
    }

    private Span<byte> WriteTcp(Span<byte> header, int index)
    {
        var sequence = BinaryPrimitives.ReadUInt32BigEndian(header[4..]);
        BinaryPrimitives.WriteUInt32BigEndian(header[4..], sequence + ((uint)index * _segmentSize));
        if (index < Count - 1) header[13] &= unchecked((byte)~(Fin | Push));
        if (index > 0) header[13] &= unchecked((byte)~CongestionWindowReduced);
        var checksum = header.Slice(16, 2);
        checksum.Clear();
        return checksum;
    }

    private static Span<byte> WriteUdp(Span<byte> header, int transportLength)
    {
        BinaryPrimitives.WriteUInt16BigEndian(header[4..], (ushort)transportLength);
        var checksum = header.Slice(6, 2);
        checksum.Clear();
        return checksum;
    }
}
