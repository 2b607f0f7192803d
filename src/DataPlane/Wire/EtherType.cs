namespace Sleeve.DataPlane.Wire;

/// <summary>EtherType numbers the VTEP looks at (IANA "IEEE 802 Numbers"); everything else is carried unread.</summary>
public static class EtherType
{
    /// <summary>Values below this are an 802.3 length, not a type.</summary>
    public const ushort FirstType = 0x0600;

    /// <summary>IPv4.</summary>
    public const ushort IPv4 = 0x0800;

    /// <summary>ARP (RFC 826).</summary>
    public const ushort Arp = 0x0806;

    /// <summary>IPv6.</summary>
    public const ushort IPv6 = 0x86DD;

    /// <summary>802.1Q customer tag.</summary>
    public const ushort Vlan = 0x8100;

    /// <summary>802.1ad service tag.</summary>
    public const ushort ServiceVlan = 0x88A8;
}
