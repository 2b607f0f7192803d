using System.Buffers.Binary;

namespace Sleeve.DataPlane.Wire;

/// <summary>What became of the inner frame's mark when the outer one was taken off.</summary>
public enum CongestionOutcome : byte
{
    /// <summary>The combination is an expected one; the frame has the mark it should have.</summary>
    Expected,

    /// <summary>The outer header claims ECN for a frame that has none: somebody on the way meddled. Harmless; the frame is as it was.</summary>
    Unexpected,

    /// <summary>The outer header says congestion, and the inner cannot be told: the frame must be dropped, since its sender only understands loss.</summary>
    Contradiction,
}

/// <summary>
/// Explicit congestion notification through a tunnel (RFC 6040; RFC 9601 names VXLAN): the two low bits of the IPv4 TOS or IPv6 traffic class.
/// <code>
///   00 Not-ECT   01 ECT(1)   10 ECT(0)   11 CE
/// </code>
/// </summary>
public static class CongestionMark
{
    /// <summary>The bits of a TOS or traffic class that hold the mark.</summary>
    public const byte Mask = 3;

    private const byte NotCapable = 0;
    private const byte Ect1 = 1;
    private const byte Ect0 = 2;
    private const byte Experienced = 3;
    private const int Ipv4ChecksumOffset = 10;

    /// <summary>Whether an outer TOS can change an inner one, which ECT(1) and CE can.</summary>
    public static bool CanChange(byte outer) => (outer & Ect1) != 0;

    /// <summary>TOS or traffic class of a frame, VLAN tags looked through; 0 if it is not IP.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="headers">What was found in it.</param>
    public static byte TypeOfService(ReadOnlySpan<byte> frame, in InnerHeaders headers) =>
        headers.IsIPv4 ? frame[headers.NetworkOffset + 1]
        : headers.IsIPv6 ? (byte)(BinaryPrimitives.ReadUInt16BigEndian(frame[headers.NetworkOffset..]) >> 4)
        : (byte)0;

    /// <summary>
    /// Gives a decapsulated frame the mark that the two together mean (RFC 6040, section 4.2); the IPv4 header checksum follows. What is not IP stays as it is. Twice does
    /// what once does.
    /// </summary>
    /// <param name="frame">The frame.</param>
    /// <param name="headers">What was found in it.</param>
    /// <param name="outer">TOS or traffic class of the outer header.</param>
    public static CongestionOutcome Decapsulate(Span<byte> frame, in InnerHeaders headers, byte outer)
    {
        if (!headers.IsIPv4 && !headers.IsIPv6) return CongestionOutcome.Expected;
        var inner = TypeOfService(frame, headers) & Mask;
        outer &= Mask;
        if (inner == NotCapable)
            return outer switch { NotCapable => CongestionOutcome.Expected, Experienced => CongestionOutcome.Contradiction, _ => CongestionOutcome.Unexpected };
        if (outer == Experienced && inner != Experienced) Set(frame[headers.NetworkOffset..], headers.IsIPv4, Experienced);
        else if (outer == Ect1 && inner == Ect0) Set(frame[headers.NetworkOffset..], headers.IsIPv4, Ect1);
        return CongestionOutcome.Expected;
    }

    // The mark stands in the first 16-bit word of either header.
    private static void Set(Span<byte> network, bool isIPv4, byte mark)
    {
        var before = BinaryPrimitives.ReadUInt16BigEndian(network);
        var shift = isIPv4 ? 0 : 4;
        var after = (ushort)((before & ~(Mask << shift)) | (mark << shift));
        BinaryPrimitives.WriteUInt16BigEndian(network, after);
        if (!isIPv4) return;
        var checksum = network[Ipv4ChecksumOffset..];
        BinaryPrimitives.WriteUInt16BigEndian(checksum, InternetChecksum.Replace(BinaryPrimitives.ReadUInt16BigEndian(checksum), before, after));
    }
}
