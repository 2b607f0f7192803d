namespace Sleeve.DataPlane.Wire;

/// <summary>
/// What VXLAN adds to a frame on the underlay (RFC 7348, section 5), and so by how much the overlay's MTU is smaller:
/// <code>
///  underlay MTU ├──────────────────────────────────────────────────────────┤
///  │ outer IP   │ UDP │ VXLAN │ inner Ethernet │ inner IP packet           │
///  │ 20 or 40   │  8  │   8   │      14        │  ◀── overlay MTU ──▶      │
/// </code>
/// An inner VLAN tag is not counted, as in the kernel's device.
/// </summary>
public static class Overhead
{
    /// <summary>Over an IPv4 underlay: 20 + 8 + 8 + 14 bytes.</summary>
    public const int IPv4 = 50;

    /// <summary>Over an IPv6 underlay: 40 + 8 + 8 + 14 bytes.</summary>
    public const int IPv6 = 70;

    /// <summary>The overhead, in bytes, of reaching <paramref name="remote"/>.</summary>
    public static int For(InternetAddress remote) => remote.IsIPv4 ? IPv4 : IPv6;
}
