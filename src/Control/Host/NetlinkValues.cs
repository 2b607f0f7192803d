using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Host;

/// <summary>The wire types as netlink attributes.</summary>
internal static class NetlinkValues
{
    /// <summary>Appends 4 or 16 bytes.</summary>
    public static NetlinkRequest Add(this NetlinkRequest request, ushort type, InternetAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.Write(bytes);
        return request.Add(type, bytes[..address.Size]);
    }

    /// <summary>Appends 6 bytes.</summary>
    public static NetlinkRequest Add(this NetlinkRequest request, ushort type, MacAddress address)
    {
        Span<byte> bytes = stackalloc byte[MacAddress.Size];
        address.Write(bytes);
        return request.Add(type, bytes);
    }

    /// <summary>Appends a UDP port in network order.</summary>
    public static NetlinkRequest AddPort(this NetlinkRequest request, ushort type, ushort port) => request.Add(type, [(byte)(port >> 8), (byte)port]);

    /// <summary>Reads 4 or 16 bytes; null for any other number.</summary>
    public static InternetAddress? ToInternetAddress(this NetlinkAttribute attribute) => attribute.Payload.Length switch
    {
        4 => InternetAddress.ReadIPv4(attribute.Payload),
        16 => InternetAddress.ReadIPv6(attribute.Payload),
        _ => null,
    };

    /// <summary>Reads 6 bytes; zero for an address of another kind of link.</summary>
    public static MacAddress ToMacAddress(this NetlinkAttribute attribute) =>
        attribute.Payload.Length == MacAddress.Size ? MacAddress.Read(attribute.Payload) : MacAddress.Zero;

    /// <summary>AF_INET or AF_INET6.</summary>
    public static byte Family(this InternetAddress address) => (byte)(address.IsIPv4 ? LibC.AF_INET : LibC.AF_INET6);
}
