namespace Sleeve.DataPlane.Buffers;

/// <summary>How a super-frame is to be cut.</summary>
public enum SegmentKind : byte
{
    /// <summary>Not a super-frame.</summary>
    None,

    /// <summary>TCP over IPv4.</summary>
    TcpIPv4,

    /// <summary>TCP over IPv6.</summary>
    TcpIPv6,

    /// <summary>UDP over either: datagrams of equal size but for the last.</summary>
    Udp,
}

/// <summary>
/// Work that the sender of a frame left to a device, as it travels beside the frame (the virtio specification, section 5.1.6.2). The default
/// value says that nothing was left.
/// </summary>
/// <param name="NeedsChecksum">The transport checksum holds only the pseudo-header sum and is still to be finished.</param>
/// <param name="ChecksumStart">Offset in the frame from which to sum: the transport header.</param>
/// <param name="ChecksumOffset">Offset from there to the field: 16 for TCP, 6 for UDP.</param>
/// <param name="Kind">How to cut, if it is a super-frame.</param>
/// <param name="SegmentSize">Payload bytes of each segment but the last; 0 unless it is a super-frame.</param>
/// <param name="HeaderLength">Bytes of all headers, repeated in every segment; 0 unless it is a super-frame.</param>
/// <param name="HasWindowReduced">A TCP super-frame whose first segment, and no other, has CWR set (RFC 3168, section 6.1.2).</param>
public readonly record struct OffloadFacts(
    bool NeedsChecksum, ushort ChecksumStart, ushort ChecksumOffset, SegmentKind Kind = SegmentKind.None, ushort SegmentSize = 0, ushort HeaderLength = 0,
    bool HasWindowReduced = false)
{
    /// <summary>True if the frame stands for several.</summary>
    public bool IsSuperFrame => Kind != SegmentKind.None;
}
