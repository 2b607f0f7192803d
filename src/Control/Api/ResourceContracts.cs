using System.Text.Json.Serialization;

namespace Sleeve.Control.Api;

/// <summary>What <c>PUT …/fdb/MAC</c> makes an FDB entry be.</summary>
/// <param name="Dst">Address of the VTEP; 0.0.0.0 or :: drops frames for the station.</param>
/// <param name="Port">Its UDP port; left out for the segment's own.</param>
/// <param name="Vni">The VNI towards it; left out for the segment's own.</param>
/// <param name="State">"permanent" if left out, "static" or "dynamic".</param>
internal sealed record FdbDestinationJson(string? Dst, int? Port = null, long? Vni = null, string? State = null)
{
    /// <summary>The underlay interface that datagrams leave by; left out where the route decides.</summary>
    [JsonPropertyName("viaIf")]
    public string? ViaIf { get; init; }
}

/// <summary>A VTEP of the replication list: it gets a copy of broadcast, unknown and multicast frames.</summary>
/// <param name="Dst">Its address.</param>
/// <param name="Port">Its UDP port; left out for the segment's own.</param>
/// <param name="Vni">The VNI towards it; left out for the segment's own.</param>
internal sealed record RemoteAddressJson(string? Dst, int? Port = null, long? Vni = null)
{
    /// <summary>The underlay interface that datagrams leave by; left out where the route decides.</summary>
    [JsonPropertyName("viaIf")]
    public string? ViaIf { get; init; }
}

/// <summary>What <c>PUT …/neighbours/IP</c> makes a neighbour be.</summary>
/// <param name="Lladdr">Its MAC.</param>
/// <param name="Router">Whether it is a router; false if left out.</param>
internal sealed record NeighbourValueJson(string? Lladdr, bool? Router = null);
