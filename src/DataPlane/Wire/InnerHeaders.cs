using System.Buffers.Binary;

namespace Sleeve.DataPlane.Wire;

/// <summary>
/// Where the headers of an inner frame stand, found once and trusted downstream: a small value that fits in a batch beside its frame.
/// IPv6 extension headers are walked; a header that does not fit the frame ends the walk and leaves what was proved so far.
/// </summary>
public record struct InnerHeaders
{
    /// <summary>IPv6 extension headers looked past, at most.</summary>
    public const int MaxExtensionHeaders = 8;

    private const int Ipv4HeaderSize = 20;
    private const int Ipv6HeaderSize = 40;

    /// <summary>The frame's destination.</summary>
    public MacAddress Destination { readonly get; private set; }

    /// <summary>The frame's source.</summary>
    public MacAddress Source { readonly get; private set; }

    /// <summary>The <see cref="Wire.EtherType"/> behind all VLAN tags.</summary>
    public ushort EtherType { readonly get; private set; }

    /// <summary>Offset of the layer-3 header in the frame: 14, plus 4 a VLAN tag.</summary>
    public ushort NetworkOffset { readonly get; private set; }

    /// <summary>Offset of the TCP, UDP or other layer-4 header; 0 if there is none to be trusted.</summary>
    public ushort TransportOffset { readonly get; private set; }

    /// <summary>IP protocol of the layer-4 header; meaningful for IP only.</summary>
    public byte Protocol { readonly get; private set; }

    /// <summary>True if the frame has a VLAN tag.</summary>
    public bool IsTagged { readonly get; private set; }

    /// <summary>True for any fragment of an IP datagram, the first included.</summary>
    public bool IsFragment { readonly get; private set; }

    /// <summary>True if an IPv4 or IPv6 frame is too short for its fixed header (the kernel's pskb_inet_may_pull).</summary>
    public bool IsTruncatedIp { readonly get; private set; }

    /// <summary>True if the layer-3 header is a whole IPv4 header.</summary>
    public bool IsIPv4 { readonly get; private set; }

    /// <summary>True if the layer-3 header is a whole IPv6 header.</summary>
    public bool IsIPv6 { readonly get; private set; }

    /// <summary>Bytes of the IP packet as its header says, at most what the frame holds; 0 if not IP.</summary>
    public ushort IpLength { readonly get; private set; }

    // Fields are written one by one into the caller's own value: a value built aside and copied whole would be read back, wide, before
    // its narrow writes have left the store buffer, and that stalls for more time than all the parsing takes.

    /// <summary>Parses a frame; false if it is shorter than an Ethernet header.</summary>
    public static bool TryParse(ReadOnlySpan<byte> frame, out InnerHeaders headers)
    {
        headers = default;
        if (!EthernetFrame.TryFindPayload(frame, out var type, out var offset)) return false;
        headers.Destination = MacAddress.Read(frame);
        headers.Source = MacAddress.Read(frame[EthernetFrame.SourceOffset..]);
        headers.EtherType = type;
        headers.NetworkOffset = (ushort)offset;
        headers.IsTagged = offset > EthernetFrame.HeaderSize;
        if (type == Wire.EtherType.IPv4) headers.ParseIPv4(frame[offset..]);
        else if (type == Wire.EtherType.IPv6) headers.ParseIPv6(frame[offset..]);
        return true;
    }

    private void ParseIPv4(ReadOnlySpan<byte> packet)
    {
        if (packet.Length < Ipv4HeaderSize)
        {
            IsTruncatedIp = true;
            return;
        }

        var headerLength = (packet[0] & 0x0F) * 4;
        var totalLength = BinaryPrimitives.ReadUInt16BigEndian(packet[2..]);
        if (packet[0] >> 4 != 4 || headerLength < Ipv4HeaderSize || headerLength > totalLength || totalLength > packet.Length) return;
        IsIPv4 = true;
        IpLength = totalLength;
        Protocol = packet[9];
        // More-fragments flag or an offset (RFC 791, section 3.1): ports stand in the first fragment only, so none is looked at.
        IsFragment = (BinaryPrimitives.ReadUInt16BigEndian(packet[6..]) & 0x3FFF) != 0;
        if (!IsFragment) TransportOffset = (ushort)(NetworkOffset + headerLength);
    }

    private void ParseIPv6(ReadOnlySpan<byte> packet)
    {
        if (packet.Length < Ipv6HeaderSize)
        {
            IsTruncatedIp = true;
            return;
        }

        var length = Ipv6HeaderSize + BinaryPrimitives.ReadUInt16BigEndian(packet[4..]);
        if (packet[0] >> 4 != 6 || length > packet.Length || length > ushort.MaxValue) return;
        IsIPv6 = true;
        IpLength = (ushort)length;
        Protocol = packet[6];
        packet = packet[..length];

        var next = packet[6];
        var offset = Ipv6HeaderSize;
        for (var walked = 0; ; walked++)
        {
            switch (next)
            {
                case IpProtocol.Fragment:
                    IsFragment = true;
                    Protocol = packet.Length > offset ? packet[offset] : next;
                    return;
                case IpProtocol.HopByHop or IpProtocol.Routing or IpProtocol.DestinationOptions:
                    if (walked == MaxExtensionHeaders || packet.Length < offset + 8) return;
                    next = packet[offset];
                    offset += (packet[offset + 1] + 1) * 8;
                    break;
                default:
                    Protocol = next;
                    if (packet.Length >= offset) TransportOffset = (ushort)(NetworkOffset + offset);
                    return;
            }
        }
    }

    /// <summary>Source and destination address as they stand in the frame: 8 bytes for IPv4, 32 for IPv6, none otherwise.</summary>
    public readonly ReadOnlySpan<byte> Addresses(ReadOnlySpan<byte> frame) =>
        IsIPv4 ? frame.Slice(NetworkOffset + 12, 8) : IsIPv6 ? frame.Slice(NetworkOffset + 8, 32) : default;

    /// <summary>Bytes of layer-4 header and payload; 0 without a <see cref="TransportOffset"/>.</summary>
    public readonly int TransportLength => TransportOffset == 0 ? 0 : NetworkOffset + IpLength - TransportOffset;
}
