using System.Buffers.Binary;

namespace Sleeve.DataPlane.Wire;

/// <summary>
/// A view of an ARP packet for IPv4 over Ethernet (RFC 826):
/// <code>
/// | hardware type 2 = 1 | protocol type 2 = 0800 | lengths 1+1 = 6, 4 | operation 2 |
/// | sender MAC 6 | sender IP 4 | target MAC 6 | target IP 4 |
/// </code>
/// </summary>
public readonly ref struct ArpPacket
{
    /// <summary>Bytes on the wire, without Ethernet header and padding.</summary>
    public const int Size = 28;

    /// <summary>Operation: who has the target address?</summary>
    public const ushort Request = 1;

    /// <summary>Operation: the sender has its address.</summary>
    public const ushort Reply = 2;

    // Ethernet (1), IPv4 (0800); then 6 and 4 bytes of address.
    private const uint EthernetIPv4 = 0x0001_0800;
    private const ushort AddressLengths = 0x0604;
    private const int OperationOffset = 6;
    private const int SenderMacOffset = 8;
    private const int SenderIpOffset = 14;
    private const int TargetMacOffset = 18;
    private const int TargetIpOffset = 24;

    private readonly ReadOnlySpan<byte> _bytes;

    private ArpPacket(ReadOnlySpan<byte> bytes) => _bytes = bytes;

    /// <summary><see cref="Request"/>, <see cref="Reply"/>, or another operation.</summary>
    public ushort Operation => BinaryPrimitives.ReadUInt16BigEndian(_bytes[OperationOffset..]);

    /// <summary>Hardware address the sender gives for itself.</summary>
    public MacAddress SenderMac => MacAddress.Read(_bytes[SenderMacOffset..]);

    /// <summary>IPv4 address the sender gives for itself; 0.0.0.0 in a probe (RFC 5227).</summary>
    public InternetAddress SenderAddress => InternetAddress.ReadIPv4(_bytes[SenderIpOffset..]);

    /// <summary>Hardware address of the target; unset in a request.</summary>
    public MacAddress TargetMac => MacAddress.Read(_bytes[TargetMacOffset..]);

    /// <summary>IPv4 address asked for.</summary>
    public InternetAddress TargetAddress => InternetAddress.ReadIPv4(_bytes[TargetIpOffset..]);

    /// <summary>True if the sender announces itself: sender and target address are one (RFC 5227, section 3).</summary>
    public bool IsGratuitous => SenderAddress == TargetAddress;

    /// <summary>Parses the payload of an Ethernet frame of type 0806; false unless it is IPv4 over Ethernet and whole.</summary>
    public static bool TryParse(ReadOnlySpan<byte> payload, out ArpPacket packet)
    {
        packet = default;
        if (payload.Length < Size) return false;
        if (BinaryPrimitives.ReadUInt32BigEndian(payload) != EthernetIPv4 || BinaryPrimitives.ReadUInt16BigEndian(payload[4..]) != AddressLengths) return false;
        packet = new ArpPacket(payload);
        return true;
    }

    /// <summary>Writes <see cref="Size"/> bytes.</summary>
    public static void Write(
        Span<byte> destination, ushort operation, MacAddress senderMac, InternetAddress senderAddress, MacAddress targetMac, InternetAddress targetAddress)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, EthernetIPv4);
        BinaryPrimitives.WriteUInt16BigEndian(destination[4..], AddressLengths);
        BinaryPrimitives.WriteUInt16BigEndian(destination[OperationOffset..], operation);
        senderMac.Write(destination[SenderMacOffset..]);
        senderAddress.Write(destination[SenderIpOffset..]);
        targetMac.Write(destination[TargetMacOffset..]);
        targetAddress.Write(destination[TargetIpOffset..]);
    }
}
