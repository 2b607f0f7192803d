using System.Buffers.Binary;

namespace Sleeve.DataPlane.Wire;

/// <summary>
/// A view of an Ethernet frame (IEEE 802.3, 802.1Q, 802.1ad) that cannot fail once parsed. Tags are walked, never changed:
/// <code>
/// | destination 6 | source 6 | [type 8100/88A8, tag] … 4 each | type or length 2 | payload |
/// </code>
/// </summary>
public readonly ref struct EthernetFrame
{
    /// <summary>Bytes of the header without tags.</summary>
    public const int HeaderSize = 14;

    /// <summary>Bytes of one VLAN tag.</summary>
    public const int TagSize = 4;

    /// <summary>Tags looked past, at most; beyond them the payload counts as unknown. The kernel's flow dissector stops at two.</summary>
    public const int MaxTags = 4;

    internal const int SourceOffset = 6;
    private const int TypeOffset = 12;

    private readonly ReadOnlySpan<byte> _bytes;

    private EthernetFrame(ReadOnlySpan<byte> bytes, ushort type, int payloadOffset)
    {
        _bytes = bytes;
        Type = type;
        PayloadOffset = payloadOffset;
    }

    /// <summary>Where the frame goes.</summary>
    public MacAddress Destination => MacAddress.Read(_bytes);

    /// <summary>Who sent it.</summary>
    public MacAddress Source => MacAddress.Read(_bytes[SourceOffset..]);

    /// <summary>The <see cref="EtherType"/> behind all tags, or an 802.3 length if below <see cref="EtherType.FirstType"/>.</summary>
    public ushort Type { get; }

    /// <summary>Bytes from the start of the frame to its payload: 14, plus 4 a tag.</summary>
    public int PayloadOffset { get; }

    /// <summary>True if at least one VLAN tag is there.</summary>
    public bool IsTagged => PayloadOffset > HeaderSize;

    /// <summary>What follows the header and the tags; may be empty.</summary>
    public ReadOnlySpan<byte> Payload => _bytes[PayloadOffset..];

    /// <summary>Parses; false if shorter than <see cref="HeaderSize"/>. A tag cut short is taken for an unknown type.</summary>
    public static bool TryParse(ReadOnlySpan<byte> bytes, out EthernetFrame frame)
    {
        if (!TryFindPayload(bytes, out var type, out var offset))
        {
            frame = default;
            return false;
        }

        frame = new EthernetFrame(bytes, type, offset);
        return true;
    }

    /// <summary>What <see cref="TryParse"/> finds, in registers.</summary>
    internal static bool TryFindPayload(ReadOnlySpan<byte> bytes, out ushort type, out int offset)
    {
        type = 0;
        offset = HeaderSize;
        if (bytes.Length < HeaderSize) return false;
        type = BinaryPrimitives.ReadUInt16BigEndian(bytes[TypeOffset..]);
        for (var tags = 0; tags < MaxTags && type is EtherType.Vlan or EtherType.ServiceVlan && bytes.Length >= offset + TagSize; tags++)
        {
            type = BinaryPrimitives.ReadUInt16BigEndian(bytes[(offset + 2)..]);
            offset += TagSize;
        }

        return true;
    }
}
