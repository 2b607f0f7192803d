using System.Text.Json.Serialization;

namespace Sleeve.Control.Api;

/// <summary>What <c>PUT /v1/networks/NETWORK</c> makes a network be. What is left out is chosen, or as by default.</summary>
internal sealed record NetworkSettingsJson
{
    /// <summary>Its VNI; left out: one that no other network has.</summary>
    public long? Vni { get; init; }

    /// <summary>Its address pools, ADDRESS/LENGTH.</summary>
    public IReadOnlyList<string>? Subnets { get; init; }

    /// <summary>Addresses that are the default route; left out: the first of each subnet.</summary>
    public IReadOnlyList<string>? Gateways { get; init; }

    /// <summary>MTU of endpoints in bytes; left out: what fits the underlay of each host.</summary>
    public int? Mtu { get; init; }

    /// <summary>UDP port of its datagrams; left out: that of each VTEP.</summary>
    public int? EncapPort { get; init; }

    /// <summary>"bridged" or "routed"; left out: bridged.</summary>
    public string? Mode { get; init; }

    /// <summary>Routed: hosts on one layer 2 send to each other without encapsulation.</summary>
    public bool? Direct { get; init; }

    /// <summary>Bits of the prefix of the block of addresses that a host takes at once (IPv4); left out: by the size of the subnet.</summary>
    public int? Block { get; init; }

    /// <summary>Plan of the addresses, such as zone:rack:host.</summary>
    public string? Blocks { get; init; }

    /// <summary>Hosts have no address in it, so they route nothing in or out.</summary>
    public bool? Internal { get; init; }

    /// <summary>The parts of the subnets that addresses are chosen of, ADDRESS/LENGTH; left out: all of it.</summary>
    public IReadOnlyList<string>? Ranges { get; init; }

    /// <summary>What flannel's keys begin with in the etcd that is the store: the network is what flannel's configuration there says, and shared with its hosts.</summary>
    public string? Flannel { get; init; }

    /// <summary>For people and programs.</summary>
    public IReadOnlyDictionary<string, string>? Labels { get; init; }
}

/// <summary>What <c>PUT /v1/networks/NETWORK/members/HOST</c> says of a host that runs no Sleeve.</summary>
/// <param name="Vtep">Address of its VTEP.</param>
/// <param name="Mac">MAC of its vxlan device.</param>
/// <param name="Subnets">The subnets behind it, ADDRESS/LENGTH.</param>
internal sealed record NetworkHostJson(string? Vtep, string? Mac, IReadOnlyList<string>? Subnets)
{
    /// <summary>UDP port of its VTEP; left out: that of each VTEP that sends.</summary>
    public int? Port { get; init; }
}

/// <summary>A network.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Id">Another for a network that is made anew under the same name.</param>
/// <param name="Vni">Its VNI.</param>
/// <param name="Subnets">Its address pools.</param>
/// <param name="Gateways">Addresses that are the default route.</param>
/// <param name="Mode">"bridged" or "routed".</param>
/// <param name="Version">Revision of the store that it was said in.</param>
/// <param name="Hosts">Hosts that have it.</param>
/// <param name="Endpoints">Endpoints in it, on all hosts.</param>
internal sealed record NetworkJson(string Name, string Id, long Vni, IReadOnlyList<string> Subnets, IReadOnlyList<string> Gateways, string Mode, long Version, int Hosts, int Endpoints)
{
    /// <summary>MTU of endpoints in bytes; left out: what fits the underlay of each host.</summary>
    public int? Mtu { get; init; }

    /// <summary>UDP port of its datagrams; left out: that of each VTEP.</summary>
    public int? EncapPort { get; init; }

    /// <summary>Whether hosts on one layer 2 send to each other without encapsulation; left out of bridged networks.</summary>
    public bool? Direct { get; init; }

    /// <summary>Bits of the prefix of the block that a host takes at once; left out if it goes by the size of the subnet.</summary>
    public int? Block { get; init; }

    /// <summary>Plan of the addresses; left out without one.</summary>
    public string? Blocks { get; init; }

    /// <summary>True if hosts have no address in it; left out otherwise.</summary>
    public bool? Internal { get; init; }

    /// <summary>The parts of the subnets that addresses are chosen of; left out if that is all of it.</summary>
    public IReadOnlyList<string>? Ranges { get; init; }

    /// <summary>What flannel's keys begin with that it is shared by; left out if it is not.</summary>
    public string? Flannel { get; init; }

    /// <summary>For people and programs.</summary>
    public IReadOnlyDictionary<string, string>? Labels { get; init; }

    /// <summary>The hosts that have it; only of one network that is asked for.</summary>
    public IReadOnlyList<NetworkMemberJson>? MemberList { get; init; }

    /// <summary>Its endpoints on all hosts; only of one network that is asked for.</summary>
    public IReadOnlyList<NetworkEndpointJson>? EndpointList { get; init; }
}

/// <summary>A host that has a network.</summary>
/// <param name="Host">Its name.</param>
/// <param name="Vtep">Address of its VTEP.</param>
/// <param name="Port">UDP port of its VTEP.</param>
/// <param name="Version">Revision of the store that it was said in.</param>
internal sealed record NetworkMemberJson(string Host, string Vtep, int Port, long Version)
{
    /// <summary>MAC of its TAP in a routed network.</summary>
    public string? Mac { get; init; }

    /// <summary>Its subnets in a routed network.</summary>
    public IReadOnlyList<string>? Subnets { get; init; }

    /// <summary>How a host is known that runs no Sleeve: "hand" (it was entered) or "flannel" (by its keys); left out of others.</summary>
    public string? By { get; init; }
}

/// <summary>An endpoint of a network, on whichever host.</summary>
/// <param name="Host">Its host.</param>
/// <param name="Id">Its id there.</param>
/// <param name="Mac">Its MAC.</param>
/// <param name="Addresses">Its addresses.</param>
/// <param name="Vtep">Address of its VTEP.</param>
/// <param name="Version">Revision of the store that it was said in.</param>
internal sealed record NetworkEndpointJson(string Host, string Id, string Mac, IReadOnlyList<string> Addresses, string Vtep, long Version)
{
    /// <summary>The name that resolves; left out without one.</summary>
    public string? Name { get; init; }

    /// <summary>Other names.</summary>
    public IReadOnlyList<string>? Aliases { get; init; }
}

/// <summary>What <c>PUT /v1/networks/NETWORK/labels</c> makes the labels be.</summary>
/// <param name="Labels">All of them.</param>
internal sealed record NetworkLabelsJson(IReadOnlyDictionary<string, string>? Labels);

/// <summary>The use of one subnet of a network. Counts that a number of 64 bits does not hold stand as its largest.</summary>
/// <param name="Network">The network.</param>
/// <param name="Subnet">The subnet.</param>
/// <param name="Usable">Addresses that can be given out.</param>
/// <param name="Used">Of endpoints.</param>
/// <param name="Reserved">Reserved, and gateways.</param>
/// <param name="BlockLength">Bits of the prefix of a block.</param>
/// <param name="Blocks">Blocks in the subnet.</param>
/// <param name="Leased">Blocks that a host has.</param>
internal sealed record PoolJson(string Network, string Subnet, long Usable, long Used, long Reserved, int BlockLength, long Blocks, int Leased)
{
    /// <summary>The blocks that a host has, or of which addresses are taken, by their addresses; only of one network that is asked for.</summary>
    public IReadOnlyList<BlockUseJson>? BlockList { get; init; }

    /// <summary>Gateways and reservations; only of one network that is asked for.</summary>
    public IReadOnlyList<ReservedAddressJson>? ReservedList { get; init; }
}

/// <summary>The use of one block.</summary>
/// <param name="Block">Its prefix.</param>
/// <param name="Usable">Addresses that can be given out.</param>
/// <param name="Used">Of endpoints.</param>
/// <param name="Reserved">Reserved, and gateways.</param>
internal sealed record BlockUseJson(string Block, long Usable, int Used, int Reserved)
{
    /// <summary>The host that gives out its addresses; left out: none.</summary>
    public string? Host { get; init; }

    /// <summary>How many of the used are endpoints of other hosts.</summary>
    public int? Foreign { get; init; }
}

/// <summary>An address that is kept from being given out.</summary>
/// <param name="Address">The address.</param>
/// <param name="Why">"gateway" or "reserved".</param>
internal sealed record ReservedAddressJson(string Address, string Why)
{
    /// <summary>What somebody said about it.</summary>
    public string? Note { get; init; }
}

/// <summary>What <c>PUT /v1/ipam/NETWORK/reservations/ADDRESS</c> says of an address.</summary>
/// <param name="Note">What for; left out for nothing.</param>
internal sealed record ReservationJson([property: JsonPropertyName("note")] string? Note = null);
