namespace Sleeve.DataPlane.Wire;

/// <summary>IP protocol and IPv6 next-header numbers the VTEP looks at (IANA "Protocol Numbers").</summary>
public static class IpProtocol
{
    /// <summary>IPv6 hop-by-hop options (RFC 8200, section 4.3).</summary>
    public const byte HopByHop = 0;

    /// <summary>ICMP for IPv4.</summary>
    public const byte Icmp = 1;

    /// <summary>IGMP: group memberships of IPv4 (RFC 9776).</summary>
    public const byte Igmp = 2;

    /// <summary>TCP.</summary>
    public const byte Tcp = 6;

    /// <summary>UDP.</summary>
    public const byte Udp = 17;

    /// <summary>DCCP: ports stand where UDP's do.</summary>
    public const byte Dccp = 33;

    /// <summary>IPv6 routing header (RFC 8200, section 4.4).</summary>
    public const byte Routing = 43;

    /// <summary>IPv6 fragment header (RFC 8200, section 4.5).</summary>
    public const byte Fragment = 44;

    /// <summary>ICMP for IPv6.</summary>
    public const byte IcmpV6 = 58;

    /// <summary>IPv6 destination options (RFC 8200, section 4.6).</summary>
    public const byte DestinationOptions = 60;

    /// <summary>SCTP: ports stand where UDP's do.</summary>
    public const byte Sctp = 132;

    /// <summary>UDP-Lite: ports stand where UDP's do.</summary>
    public const byte UdpLite = 136;
}
