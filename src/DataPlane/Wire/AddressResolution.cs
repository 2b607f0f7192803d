namespace Sleeve.DataPlane.Wire;

/// <summary>Tells the frames that resolve addresses from all others: ARP, and the messages of neighbour discovery.</summary>
public static class AddressResolution
{
    private const byte Solicitation = 135;
    private const byte Advertisement = 136;
    private const byte RouterSolicitation = 133;

    // Multicast listener discovery: report and done (RFC 2710, section 3), report of version 2 (RFC 9777, section 5.2).
    private const byte ListenerReport = 131;
    private const byte ListenerDone = 132;
    private const byte ListenerReportV2 = 143;

    // IGMP: reports of versions 1, 2 and 3 and leave (RFC 9776, section 4).
    private const byte MembershipReportV1 = 0x12;
    private const byte MembershipReportV2 = 0x16;
    private const byte LeaveGroup = 0x17;
    private const byte MembershipReportV3 = 0x22;

    /// <summary>True for ARP, ICMPv6 and IGMP, behind VLAN tags too: a look at the headers only, the rest is for those few frames.</summary>
    public static bool IsCandidate(in InnerHeaders headers) =>
        headers.EtherType == EtherType.Arp || (headers.TransportOffset != 0 && (headers.IsIPv6 ? headers.Protocol == IpProtocol.IcmpV6 : headers.IsIPv4 && headers.Protocol == IpProtocol.Igmp));

    /// <summary>
    /// True for what a host says to all only so that others can find it, or routers know what it wants: ARP, neighbour solicitations and advertisements, router solicitations, and
    /// reports of group memberships. Not for router advertisements and queries: who sends those means to be heard.
    /// </summary>
    public static bool IsForNobodyElse(ReadOnlySpan<byte> frame, in InnerHeaders headers)
    {
        if (headers.EtherType == EtherType.Arp) return true;
        if (headers.TransportOffset == 0 || headers.TransportLength < 4) return false;
        var type = frame[headers.TransportOffset];
        return headers.IsIPv6
            ? headers.Protocol == IpProtocol.IcmpV6 && type is Solicitation or Advertisement or RouterSolicitation or ListenerReport or ListenerDone or ListenerReportV2
            : headers.IsIPv4 && headers.Protocol == IpProtocol.Igmp && type is MembershipReportV1 or MembershipReportV2 or LeaveGroup or MembershipReportV3;
    }

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
