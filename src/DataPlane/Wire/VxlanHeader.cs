using System.Buffers.Binary;

namespace Sleeve.DataPlane.Wire;

/// <summary>
/// The VXLAN header (RFC 7348, section 5):
/// <code>
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |R|R|R|R|I|R|R|R|            Reserved                           |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                VXLAN Network Identifier (VNI) |   Reserved    |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// </code>
/// With the group policy extension (VXLAN-GBP, draft-smith-vxlan-group-policy) some of the reserved bits have a meaning:
/// <code>
/// |G|R|R|R|I|R|R|R|R|D|R|R|A|R|R|R|        Group Policy ID        |
/// </code>
/// </summary>
public readonly record struct VxlanHeader
{
    /// <summary>Bytes on the wire.</summary>
    public const int Size = 8;

    private const ulong VniFlag = 0x0800_0000_0000_0000UL;
    private const ulong VniMask = 0x0000_0000_FFFF_FF00UL;
    private const ulong PolicyFlag = 0x8000_0000_0000_0000UL;
    private const ulong DontLearnFlag = 0x0040_0000_0000_0000UL;
    private const ulong PolicyAppliedFlag = 0x0008_0000_0000_0000UL;

    // What the kernel's device ignores once it knows the extension: the second byte whole.
    private const ulong PolicyMask = 0x80FF_FFFF_0000_0000UL;

    private readonly ulong _bits;

    private VxlanHeader(ulong bits) => _bits = bits;

    /// <summary>Makes the header of a segment: I flag set, every reserved bit zero.</summary>
    public VxlanHeader(Vni vni) => _bits = VniFlag | ((ulong)vni.Value << 8);

    /// <summary>Makes the header of a segment with a group policy; group 0 without a flag is the plain header, as the kernel sends it.</summary>
    public VxlanHeader(Vni vni, GroupPolicy policy)
        : this(vni)
    {
        if (policy == default) return;
        _bits |= PolicyFlag | ((ulong)policy.Group << 32) | (policy.DontLearn ? DontLearnFlag : 0) | (policy.IsApplied ? PolicyAppliedFlag : 0);
    }

    /// <summary>The segment, meaningful only if <see cref="HasVni"/>.</summary>
    public Vni Vni => new((uint)((_bits & VniMask) >> 8));

    /// <summary>The I flag: the VNI is valid. Without it the datagram must be dropped.</summary>
    public bool HasVni => (_bits & VniFlag) != 0;

    /// <summary>True if any of the 39 reserved bits is set. Ignored on receipt by the RFC; the kernel's device drops.</summary>
    public bool HasReservedBits => (_bits & ~(VniFlag | VniMask)) != 0;

    /// <summary>True if a reserved bit is set that the group policy extension gives no meaning, as the kernel's device with <c>gbp</c> sees it.</summary>
    public bool HasReservedBitsBesidePolicy => (_bits & ~(VniFlag | VniMask | PolicyMask)) != 0;

    /// <summary>The group policy; the default value, group 0, if the G flag is not set.</summary>
    public GroupPolicy Policy => (_bits & PolicyFlag) == 0
        ? default
        : new GroupPolicy((ushort)(_bits >> 32), (_bits & DontLearnFlag) != 0, (_bits & PolicyAppliedFlag) != 0);

    /// <summary>Reads a header; false if fewer than <see cref="Size"/> bytes are there. Flags are the caller's to judge.</summary>
    public static bool TryParse(ReadOnlySpan<byte> datagram, out VxlanHeader header)
    {
        var whole = BinaryPrimitives.TryReadUInt64BigEndian(datagram, out var bits);
        header = new VxlanHeader(bits);
        return whole;
    }

    /// <summary>Writes <see cref="Size"/> bytes.</summary>
    public void Write(Span<byte> destination) => BinaryPrimitives.WriteUInt64BigEndian(destination, _bits);
}
