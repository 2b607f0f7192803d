using System.Globalization;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>What of a record may get into tables: a store is believed no more than a peer.</summary>
internal static class Bindings
{
    /// <summary>Addresses of an endpoint, at most; the rest is left out.</summary>
    public const int MaxAddresses = 16;

    /// <summary>Whether an endpoint may have a MAC: a station's, and neither the gateway's nor the TAP's.</summary>
    public static bool IsUsable(MacAddress mac, Segment segment) =>
        mac.IsValidSource && mac != segment.Options.GatewayMac && mac != segment.DeviceMac;

    /// <summary>Whether an endpoint may have an address: one host's, and not the gateway's.</summary>
    public static bool IsUsable(InternetAddress address, NetworkView view) =>
        address is { IsUnspecified: false, IsMulticast: false, IsLoopback: false, IsIPv4Broadcast: false } && view.Record?.Value.Gateways.Contains(address) != true;

    /// <summary>Why datagrams cannot be sent to a VTEP; null if they can.</summary>
    public static string? Refuse(InternetAddress vtep, ushort port, Segment segment) =>
        vtep.IsIPv4 != segment.Self.Address.IsIPv4 ? $"its VTEP {vtep} is of the other address family than this one"
        : vtep.IsUnspecified || vtep.IsMulticast || vtep.IsLoopback || vtep.IsIPv4Broadcast || port == 0 ? string.Create(CultureInfo.InvariantCulture, $"{vtep} port {port} is no VTEP's address")
        : vtep == segment.Self.Address ? $"its VTEP {vtep} has the address of this one"
        : null;
}
