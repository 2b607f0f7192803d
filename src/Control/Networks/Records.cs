using Sleeve.Control.Host;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>A host of the cluster, as it says itself.</summary>
/// <param name="Name">Its name; the last part of its key.</param>
/// <param name="Local">Address of its VTEP.</param>
/// <param name="Port">UDP port of its VTEP.</param>
internal sealed record PeerRecord(string Name, InternetAddress Local, ushort Port)
{
    /// <summary>It takes no new endpoints; those it has go on (<c>sleeve peer drain</c>).</summary>
    public bool IsDraining { get; init; }

    /// <summary>The version of Sleeve it runs.</summary>
    public string Version { get; init; } = "";

    /// <summary>Counts its starts, so that what an earlier run said can be told from what this one says.</summary>
    public long Generation { get; init; }

    /// <summary>When it joined, by its own clock; for people only, nothing is decided by it.</summary>
    public DateTimeOffset Since { get; init; }

    /// <summary>Where it stands, as zone/rack/host, for address plans; "" if nothing was said.</summary>
    public string Location { get; init; } = "";
}

/// <summary>How a network carries its endpoints.</summary>
internal enum NetworkMode
{
    /// <summary>One layer 2 over all hosts.</summary>
    Bridged,

    /// <summary>A subnet per host and routes between them, as flannel's vxlan backend.</summary>
    Routed,
}

/// <summary>A network, the same on all hosts. It is not changed once it is made, but for its labels.</summary>
/// <param name="Name">Its name; the last part of its key.</param>
/// <param name="Id">Random, 16 lower-case hexadecimal digits: another network made under the same name later is another.</param>
/// <param name="Vni">Its VNI, of no other network of the cluster.</param>
internal sealed record NetworkRecord(string Name, string Id, Vni Vni)
{
    /// <summary>Its address pools, host bits zero; at most 16, or none: addresses are given by hand then.</summary>
    public IReadOnlyList<AddressPrefix> Subnets { get; init; } = [];

    /// <summary>Address that endpoints have as their default route, one a subnet at most; each host that has the network has it on its bridge.</summary>
    public IReadOnlyList<InternetAddress> Gateways { get; init; } = [];

    /// <summary>MTU of endpoints in bytes; 0 takes what fits the underlay of each host.</summary>
    public int Mtu { get; init; }

    /// <summary>UDP port of its datagrams; 0 for that of each VTEP.</summary>
    public ushort Port { get; init; }

    /// <summary>How it carries its endpoints.</summary>
    public NetworkMode Mode { get; init; }

    /// <summary>Bits of the block that a host takes at once (of IPv4; IPv6 takes /112), or of the subnet that a host has if it is routed. 0: chosen by size.</summary>
    public int BlockLength { get; init; }

    /// <summary>Plan of the addresses, such as "zone:rack:host"; "" without.</summary>
    public string Plan { get; init; } = "";

    /// <summary>Hosts have no address in it, so they route nothing in or out; its gateways are kept from being given out all the same.</summary>
    public bool IsInternal { get; init; }

    /// <summary>The parts of the subnets that addresses are chosen of; others must be asked for by name. Null for all of it; at most <see cref="NetworkRules.MaxSubnets"/>.</summary>
    public IReadOnlyList<AddressPrefix>? Ranges { get; init; }

    /// <summary>Routed: hosts on one layer 2 with each other send without encapsulation (direct).</summary>
    public bool IsDirect { get; init; }

    /// <summary>Routed: hosts that run no Sleeve, entered by hand (<c>sleeve net member add</c>); at most <see cref="RoutedRules.MaxHosts"/>, null for none.</summary>
    public IReadOnlyList<ForeignHost>? Hosts { get; init; }

    /// <summary>Routed: what flannel's keys begin with in the etcd of the cluster, such as /coreos.com/network; hosts of either kind find each other there. Null without.</summary>
    public string? Flannel { get; init; }

    /// <summary>For people and programs; at most 64, keys and values of at most 255 characters.</summary>
    public IReadOnlyDictionary<string, string> Labels { get; init; } = new SortedDictionary<string, string>(StringComparer.Ordinal);
}

/// <summary>A host of a routed network that runs no Sleeve.</summary>
/// <param name="Host">What it is called here; <see cref="Names"/>.</param>
/// <param name="Vtep">Address of its VTEP.</param>
/// <param name="Mac">MAC of its vxlan device.</param>
/// <param name="Subnets">The subnets that are behind it, 1 to 16.</param>
internal sealed record ForeignHost(string Host, InternetAddress Vtep, MacAddress Mac, IReadOnlyList<AddressPrefix> Subnets)
{
    /// <summary>UDP port of its VTEP; 0 for that of the VTEP that sends.</summary>
    public ushort Port { get; init; }
}

/// <summary>That a host has a network: its VTEP stands in the replication lists of the others.</summary>
/// <param name="Vtep">Its address.</param>
/// <param name="Port">Its UDP port.</param>
internal sealed record MemberRecord(InternetAddress Vtep, ushort Port)
{
    /// <summary>MAC of its TAP, where others route to it (<see cref="NetworkMode.Routed"/>); null otherwise.</summary>
    public MacAddress? Mac { get; init; }

    /// <summary>The subnets that are behind it if the network is routed.</summary>
    public IReadOnlyList<AddressPrefix> Subnets { get; init; } = [];
}

/// <summary>What is attached to a network: one MAC with its addresses, on one host.</summary>
/// <param name="Id">Unique on its host and network; <see cref="Names"/>.</param>
/// <param name="Mac">Its MAC, of no other endpoint of the network.</param>
/// <param name="Addresses">Its addresses, of no other endpoint of the network; at most 16.</param>
internal sealed record EndpointRecord(string Id, MacAddress Mac, IReadOnlyList<InternetAddress> Addresses)
{
    /// <summary>Its name, which resolves for the members of the network; "" without.</summary>
    public string Name { get; init; } = "";

    /// <summary>Other names, which several endpoints may share; at most 16.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];

    /// <summary>Address of its VTEP.</summary>
    public InternetAddress Vtep { get; init; }

    /// <summary><see cref="PeerRecord.Generation"/> of the run that said so last.</summary>
    public long Generation { get; init; }
}

/// <summary>Whose an address is.</summary>
/// <param name="Host">The host; "" for a reservation of the whole network.</param>
/// <param name="Endpoint">Its endpoint; "" for a gateway or a reservation.</param>
/// <param name="Why">"endpoint", "gateway" or "reserved".</param>
internal sealed record AddressRecord(string Host, string Endpoint, string Why)
{
    /// <summary><see cref="Why"/> of an endpoint's address.</summary>
    public const string OfEndpoint = "endpoint";

    /// <summary><see cref="Why"/> of a gateway.</summary>
    public const string OfGateway = "gateway";

    /// <summary><see cref="Why"/> of an address that is kept from being given out.</summary>
    public const string OfReservation = "reserved";

    /// <summary>What a person said about it.</summary>
    public string Note { get; init; } = "";
}

/// <summary>Whose a block of addresses is.</summary>
/// <param name="Host">The host that gives out its addresses.</param>
internal sealed record BlockRecord(string Host);

/// <summary>Something that stands in the store, with where it stands.</summary>
/// <param name="Value">What it says.</param>
/// <param name="Host">Whose it is.</param>
/// <param name="Version">Revision of the store that it was said in: of two, the later counts.</param>
internal sealed record Published<T>(T Value, string Host, long Version);
