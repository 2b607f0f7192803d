using System.Buffers.Binary;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Offload;

/// <summary>
/// Merges consecutive frames of one TCP or UDP flow into a super-frame, without moving a byte of payload: the headers of the first, then the
/// payloads where they stand. Only what the kernel's own GRO would merge: same headers and options, adjacent sequence numbers, same ECN bits and
/// flags (a PSH ends the run, a CWR can only begin one), IPv4 identification fixed or counting, checksums right, equal payloads but for a shorter last; never inner UDP
/// that is itself a tunnel. One run at a time; one thread; nothing is allocated.
/// </summary>
public sealed class Merger
{
    /// <summary>Frames of a run, at most.</summary>
    public const int MaxFrames = 128;

    private const byte Ack = 0x10;
    private const byte Push = 0x08;
    private const byte Echo = 0x40;
    private const byte WindowReduced = 0x80;
    private const int Ipv4HeaderSize = 20;
    private const int Ipv6HeaderSize = 40;
    private const int TcpMinHeaderSize = 20;
    private const int UdpHeaderSize = 8;

    private readonly FrameBatch _batch;
    private readonly SlabSlice[] _more = new SlabSlice[MaxFrames - 1];
    private Frame _first;
    private InnerHeaders _headers;
    private int _headerLength;
    private int _segmentSize;
    private int _payloadLength;
    private int _identificationStep;
    private bool _isTcp;
    private bool _endsWithPush;

    /// <summary>Makes a merger of the frames of one batch.</summary>
    public Merger(FrameBatch batch) => _batch = batch;

    /// <summary>Frames in the run; 0 if there is none.</summary>
    public int Count { get; private set; }

    /// <summary>True if nothing more can follow.</summary>
    public bool IsClosed { get; private set; }

    /// <summary>Begins a run with a frame; false if the frame is none that others can follow.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="headers">What was found in it.</param>
    /// <param name="mergesUdp">Whether UDP may be merged; kernels before 6.2 take no UDP super-frames.</param>
    public bool TryStart(in Frame frame, in InnerHeaders headers, bool mergesUdp)
    {
        var bytes = _batch.Bytes(frame);
        var networkSize = headers.IsIPv4 ? Ipv4HeaderSize : Ipv6HeaderSize;
        if (headers.TransportOffset != headers.NetworkOffset + networkSize || headers.NetworkOffset + headers.IpLength != frame.Length) return false;
        var transport = bytes[headers.TransportOffset..];
        int transportSize;
        switch (headers.Protocol)
        {
            case IpProtocol.Tcp when transport.Length > TcpMinHeaderSize:
                transportSize = (transport[12] >> 4) * 4;
                if (transportSize < TcpMinHeaderSize || (transport[13] & ~(Echo | WindowReduced)) != Ack) return false;
                _isTcp = true;
                break;
            case IpProtocol.Udp when mergesUdp && transport.Length > UdpHeaderSize:
                transportSize = UdpHeaderSize;
                if (BinaryPrimitives.ReadUInt16BigEndian(transport[6..]) == 0 || BinaryPrimitives.ReadUInt16BigEndian(transport[4..]) != transport.Length
                    || IsTunnelPort(BinaryPrimitives.ReadUInt16BigEndian(transport)) || IsTunnelPort(BinaryPrimitives.ReadUInt16BigEndian(transport[2..]))) return false;
                _isTcp = false;
                break;
            default:
                return false;
        }

        if (transport.Length <= transportSize) return false;
        _first = frame;
        _headers = headers;
        _headerLength = headers.TransportOffset + transportSize;
        _segmentSize = _payloadLength = frame.Length - _headerLength;
        _endsWithPush = IsClosed = false;
        Count = 1;
        return true;
    }

    /// <summary>Adds a frame to the run; false if it does not follow, and the run is as it was.</summary>
    public bool TryAppend(in Frame frame)
    {
        var payloadLength = frame.Length - _headerLength;
        if (IsClosed || payloadLength <= 0 || payloadLength > _segmentSize || Count == MaxFrames
            || _headerLength - _headers.NetworkOffset + _payloadLength + payloadLength > ushort.MaxValue) return false;

        ReadOnlySpan<byte> first = _batch.Bytes(_first), next = _batch.Bytes(frame);
        if (!next[.._headers.NetworkOffset].SequenceEqual(first[.._headers.NetworkOffset])) return false;
        var network = _headers.NetworkOffset;
        if (_headers.IsIPv4 ? !FollowsIPv4(first[network..], next[network..]) : !FollowsIPv6(first[network..], next[network..])) return false;
        var transport = _headers.TransportOffset;
        if (_isTcp ? !FollowsTcp(first[transport.._headerLength], next[transport..]) : !FollowsUdp(first[transport..], next[transport..])) return false;
        // The first is summed only now: most runs of small frames have but one, which goes on as it is, right or wrong.
        if (!IsRight(next, _headers) || (Count == 1 && !IsRight(first, _headers))) return false;

        if (_headers.IsIPv4 && Count == 1)
            _identificationStep = (ushort)(BinaryPrimitives.ReadUInt16BigEndian(next[(network + 4)..]) - BinaryPrimitives.ReadUInt16BigEndian(first[(network + 4)..]));
        _more[Count - 1] = new SlabSlice(frame.Offset + _headerLength, payloadLength);
        Count++;
        _payloadLength += payloadLength;
        _endsWithPush = _isTcp && (next[transport + 13] & Push) != 0;
        IsClosed = _endsWithPush || payloadLength < _segmentSize;
        return true;
    }

    /// <summary>Ends the run.</summary>
    /// <param name="more">The payloads behind the frame; good until the next run.</param>
    /// <returns>The super-frame's headers and first payload, rewritten for the whole; or the one frame there was, untouched.</returns>
    public Frame Finish(out ReadOnlySpan<SlabSlice> more)
    {
        more = _more.AsSpan(0, Count - 1);
        if (Count > 1) WriteHeaders(_batch.Bytes(_first)[.._headerLength]);
        Count = 0;
        return _first;
    }

    private void WriteHeaders(Span<byte> headers)
    {
        var network = headers[_headers.NetworkOffset..];
        var transport = headers[_headers.TransportOffset..];
        var transportLength = transport.Length + _payloadLength;
        if (_headers.IsIPv4)
        {
            BinaryPrimitives.WriteUInt16BigEndian(network[2..], (ushort)(Ipv4HeaderSize + transportLength));
            BinaryPrimitives.WriteUInt16BigEndian(network[10..], 0);
            BinaryPrimitives.WriteUInt16BigEndian(network[10..], InternetChecksum.Finish(InternetChecksum.Add(0, network[..Ipv4HeaderSize])));
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(network[4..], (ushort)transportLength);
        }

        if (!_isTcp) BinaryPrimitives.WriteUInt16BigEndian(transport[4..], (ushort)transportLength);
        else if (_endsWithPush) transport[13] |= Push;
        var checksumOffset = (ushort)(_isTcp ? 16 : 6);
        var sum = InternetChecksum.AddPseudoHeader(0, _headers.Addresses(headers), _headers.Protocol, transportLength);
        BinaryPrimitives.WriteUInt16BigEndian(transport[checksumOffset..], InternetChecksum.FoldSum(sum));
        var kind = !_isTcp ? SegmentKind.Udp : _headers.IsIPv4 ? SegmentKind.TcpIPv4 : SegmentKind.TcpIPv6;
        var hasWindowReduced = _isTcp && (transport[13] & WindowReduced) != 0;
        _first.Offload = new OffloadFacts(true, _headers.TransportOffset, checksumOffset, kind, (ushort)_segmentSize, (ushort)_headerLength, hasWindowReduced);
    }

    // Version, header length, TOS; flags and offset; TTL and protocol; addresses. Length fits; identification counts or stands still with DF.
    private bool FollowsIPv4(ReadOnlySpan<byte> first, ReadOnlySpan<byte> next)
    {
        if (!next[..2].SequenceEqual(first[..2]) || !next[6..10].SequenceEqual(first[6..10]) || !next[12..Ipv4HeaderSize].SequenceEqual(first[12..Ipv4HeaderSize])) return false;
        if (BinaryPrimitives.ReadUInt16BigEndian(next[2..]) != next.Length) return false;
        var step = (ushort)(BinaryPrimitives.ReadUInt16BigEndian(next[4..]) - BinaryPrimitives.ReadUInt16BigEndian(first[4..]));
        var isDontFragment = (first[6] & 0x40) != 0;
        var follows = Count == 1 ? step == 1 || (step == 0 && isDontFragment) : step == _identificationStep * Count;
        return follows && InternetChecksum.FoldSum(InternetChecksum.Add(0, next[..Ipv4HeaderSize])) == 0xFFFF;
    }

    // Version, traffic class, flow label; next header, hop limit, addresses.
    private static bool FollowsIPv6(ReadOnlySpan<byte> first, ReadOnlySpan<byte> next) =>
        next[..4].SequenceEqual(first[..4]) && next[6..Ipv6HeaderSize].SequenceEqual(first[6..Ipv6HeaderSize])
        && BinaryPrimitives.ReadUInt16BigEndian(next[4..]) == next.Length - Ipv6HeaderSize;

    // Ports; adjacent sequence; acknowledgement; header length; flags but PSH, and CWR on the first only; window; urgent pointer and options.
    private bool FollowsTcp(ReadOnlySpan<byte> first, ReadOnlySpan<byte> next) =>
        next[..4].SequenceEqual(first[..4])
        && BinaryPrimitives.ReadUInt32BigEndian(next[4..]) == BinaryPrimitives.ReadUInt32BigEndian(first[4..]) + (uint)_payloadLength
        && next[8..13].SequenceEqual(first[8..13])
        && ((next[13] ^ first[13]) & ~(Push | WindowReduced)) == 0 && (next[13] & WindowReduced) == 0
        && next[14..16].SequenceEqual(first[14..16])
        && next[18..first.Length].SequenceEqual(first[18..]);

    private static bool FollowsUdp(ReadOnlySpan<byte> first, ReadOnlySpan<byte> next) =>
        next[..4].SequenceEqual(first[..4]) && BinaryPrimitives.ReadUInt16BigEndian(next[4..]) == next.Length
        && BinaryPrimitives.ReadUInt16BigEndian(next[6..]) != 0;

    private static bool IsRight(ReadOnlySpan<byte> frame, in InnerHeaders headers)
    {
        var transport = frame[headers.TransportOffset..];
        return InternetChecksum.FoldSum(
            InternetChecksum.AddPseudoHeader(InternetChecksum.Add(0, transport), headers.Addresses(frame), headers.Protocol, transport.Length)) == 0xFFFF;
    }

    // VXLAN, Geneve, and the Linux module's old VXLAN port: what is in there is not one flow.
    private static bool IsTunnelPort(ushort port) => port is 4789 or 6081 or 8472;
}
