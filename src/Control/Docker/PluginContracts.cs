using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sleeve.Control.Docker;

/// <summary>A pool of a network, as dockerd tells it to a network driver.</summary>
internal sealed record IpamData
{
    /// <summary>Of which IPAM driver it is: "LocalDefault" is Docker's own, "null" none, <see cref="IpamDriver.AddressSpace"/> ours.</summary>
    public string? AddressSpace { get; init; }

    /// <summary>ADDRESS/LENGTH.</summary>
    public string? Pool { get; init; }

    /// <summary>Its gateway, ADDRESS/LENGTH.</summary>
    public string? Gateway { get; init; }

    /// <summary>Addresses that are somebody else's, by name, ADDRESS/LENGTH.</summary>
    public IReadOnlyDictionary<string, string>? AuxAddresses { get; init; }
}

/// <summary>Addresses of an endpoint.</summary>
internal sealed record EndpointInterface
{
    /// <summary>ADDRESS/LENGTH of IPv4; "" for none.</summary>
    public string? Address { get; init; }

    /// <summary>ADDRESS/LENGTH of IPv6; "" for none.</summary>
    [JsonPropertyName("AddressIPv6")]
    public string? AddressIPv6 { get; init; }

    /// <summary>Its MAC; "" to have it chosen.</summary>
    public string? MacAddress { get; init; }
}

/// <summary>What dockerd asks of a network driver; each method has some of it.</summary>
internal sealed record NetworkRequest
{
    /// <summary>Docker's id of the network: 64 hexadecimal digits, or 25 of base 36 in a swarm.</summary>
    [JsonPropertyName("NetworkID")]
    public string? NetworkId { get; init; }

    /// <summary>Docker's id of the endpoint.</summary>
    [JsonPropertyName("EndpointID")]
    public string? EndpointId { get; init; }

    /// <summary>What was said with -o, and more; of any type.</summary>
    public JsonElement? Options { get; init; }

    /// <summary>Its pools of IPv4.</summary>
    [JsonPropertyName("IPv4Data")]
    public IReadOnlyList<IpamData>? Pools4 { get; init; }

    /// <summary>Its pools of IPv6.</summary>
    [JsonPropertyName("IPv6Data")]
    public IReadOnlyList<IpamData>? Pools6 { get; init; }

    /// <summary>What the endpoint has been given.</summary>
    public EndpointInterface? Interface { get; init; }

    /// <summary>Path of the container's network namespace, which may not be there yet.</summary>
    public string? SandboxKey { get; init; }
}

/// <summary>What dockerd asks of an IPAM driver; each method has some of it.</summary>
internal sealed record IpamRequest
{
    /// <summary>Address space of the pool.</summary>
    public string? AddressSpace { get; init; }

    /// <summary>ADDRESS/LENGTH; "" to have it chosen.</summary>
    public string? Pool { get; init; }

    /// <summary>The part of it that addresses are chosen of (--ip-range); "" for all of it.</summary>
    public string? SubPool { get; init; }

    /// <summary>What was said with --ipam-opt, or about the address.</summary>
    public IReadOnlyDictionary<string, string>? Options { get; init; }

    /// <summary>Whether it is of IPv6.</summary>
    public bool V6 { get; init; }

    /// <summary>As it was answered.</summary>
    [JsonPropertyName("PoolID")]
    public string? PoolId { get; init; }

    /// <summary>The address; "" to have it chosen.</summary>
    public string? Address { get; init; }
}

/// <summary>An answer without anything in it.</summary>
internal sealed record NothingAnswer;

/// <summary>The error of a network driver.</summary>
internal sealed record NetworkFault([property: JsonPropertyName("Err")] string Error);

/// <summary>The error of an IPAM driver, which has another name.</summary>
internal sealed record IpamFault(string Error);

/// <summary>What a plugin is.</summary>
internal sealed record ActivationAnswer(IReadOnlyList<string> Implements);

/// <summary>What a network driver can do. "local": dockerd keeps its networks to itself; that hosts share them is our business.</summary>
internal sealed record NetworkCapabilities(string Scope, string ConnectivityScope);

/// <summary>What an IPAM driver needs.</summary>
internal sealed record IpamCapabilities([property: JsonPropertyName("RequiresMACAddress")] bool RequiresMac, bool RequiresRequestReplay);

/// <summary>Names of address spaces.</summary>
internal sealed record AddressSpacesAnswer(string LocalDefaultAddressSpace, string GlobalDefaultAddressSpace);

/// <summary>A pool that was given.</summary>
internal sealed record PoolAnswer([property: JsonPropertyName("PoolID")] string PoolId, string Pool, IReadOnlyDictionary<string, string> Data);

/// <summary>An address that was given, ADDRESS/LENGTH.</summary>
internal sealed record AddressAnswer(string Address, IReadOnlyDictionary<string, string> Data);

/// <summary>What an endpoint has besides what it was given: who answers what was supplied is refused.</summary>
internal sealed record EndpointAnswer(EndpointInterface Interface);

/// <summary>What is known of an endpoint besides; nothing.</summary>
internal sealed record OperationalAnswer(IReadOnlyDictionary<string, string> Value);

/// <summary>What swarm wants to be told of a network; nothing.</summary>
internal sealed record AllocationAnswer(IReadOnlyDictionary<string, string> Options);

/// <summary>The interface that dockerd moves into a container, and how it names it.</summary>
internal sealed record InterfaceName(string SrcName, string DstPrefix);

/// <summary>A route by the interface (type 1: on the link).</summary>
internal sealed record StaticRoute(string Destination, int RouteType);

/// <summary>How a container is wired.</summary>
internal sealed record JoinAnswer(InterfaceName InterfaceName, IReadOnlyList<StaticRoute> StaticRoutes)
{
    /// <summary>Without a gateway dockerd adds a wire to docker_gwbridge, for ports and the outside; true leaves that out.</summary>
    public bool DisableGatewayService { get; init; }
}

/// <summary>The plugin's JSON: members as Docker writes them.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, MaxDepth = 16)]
[JsonSerializable(typeof(NetworkRequest))]
[JsonSerializable(typeof(IpamRequest))]
[JsonSerializable(typeof(NothingAnswer))]
[JsonSerializable(typeof(NetworkFault))]
[JsonSerializable(typeof(IpamFault))]
[JsonSerializable(typeof(ActivationAnswer))]
[JsonSerializable(typeof(NetworkCapabilities))]
[JsonSerializable(typeof(IpamCapabilities))]
[JsonSerializable(typeof(AddressSpacesAnswer))]
[JsonSerializable(typeof(PoolAnswer))]
[JsonSerializable(typeof(AddressAnswer))]
[JsonSerializable(typeof(EndpointAnswer))]
[JsonSerializable(typeof(OperationalAnswer))]
[JsonSerializable(typeof(AllocationAnswer))]
[JsonSerializable(typeof(JoinAnswer))]
internal sealed partial class PluginJson : JsonSerializerContext;
