namespace Sleeve.DataPlane.Wire;

/// <summary>Tells the frames that resolve addresses from all others: ARP, and the messages of neighbour discovery.</summary>
public static class AddressResolution
{
    private const byte Solicitation = 135;
    private const byte Advertisement = 136;

    /// <summary>True for ARP and ICMPv6, behind VLAN tags too: a look at the headers only, the rest is for those few frames.</summary>
    public static bool IsCandidate(in InnerHeaders headers) =>
        headers.EtherType == EtherType.Arp || (headers.IsIPv6 && headers.Protocol == IpProtocol.IcmpV6 && headers.TransportOffset != 0);

    /// <summary>True for an ARP request and a neighbour solicitation of code 0, well formed or not.</summary>
    public static bool IsRequest(ReadOnlySpan<byte> frame, in InnerHeaders headers)
    {
        if (headers.EtherType == EtherType.Arp) return ArpPacket.TryParse(frame[headers.NetworkOffset..], out var arp) && arp.Operation == ArpPacket.Request;
        return IsMessage(frame, headers, Solicitation);
    }

    /// <summary>True for a neighbour advertisement of code 0, well formed or not.</summary>
    public static bool IsAdvertisement(ReadOnlySpan<byte> frame, in InnerHeaders headers) => IsMessage(frame, headers, Advertisement);

    private static bool IsMessage(ReadOnlySpan<byte> frame, in InnerHeaders headers, byte type) =>
        headers.IsIPv6 && headers.Protocol == IpProtocol.IcmpV6 && headers.TransportOffset != 0 && headers.TransportLength >= 4
        && frame[headers.TransportOffset] == type && frame[headers.TransportOffset + 1] == 0;
}
