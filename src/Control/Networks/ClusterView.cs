using System.Collections.Immutable;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>The cluster as one revision of the store has it. Immutable; what cannot be read in it is left out and told in <see cref="Faults"/>.</summary>
internal sealed record ClusterView
{
    /// <summary>Entries, at most; what comes beyond is left out, and a fault.</summary>
    public const int MaxEntries = 4_000_000;

    /// <summary>Faults that are kept, at most.</summary>
    public const int MaxFaults = 100;

    /// <summary>A cluster of which nothing is known.</summary>
    public static ClusterView Empty { get; } = new();

    /// <summary>The revision; 0 before anything was read.</summary>
    public long Revision { get; init; }

    /// <summary>The hosts by name.</summary>
    public ImmutableDictionary<string, Published<PeerRecord>> Peers { get; init; } = ImmutableDictionary<string, Published<PeerRecord>>.Empty;

    /// <summary>Hosts that give a sign of life to the store.</summary>
    public ImmutableHashSet<string> Alive { get; init; } = [];

    /// <summary>The networks by name, and those that are gone but still have members or endpoints (without a record).</summary>
    public ImmutableDictionary<string, NetworkView> Networks { get; init; } = ImmutableDictionary<string, NetworkView>.Empty;

    /// <summary>Keys that are understood: peers, networks, members, endpoints, addresses, blocks; at most <see cref="MaxEntries"/>.</summary>
    public int Entries { get; init; }

    /// <summary>
    /// Sum of a hash of each of those keys with the revision of its last change: two hosts whose digests are the same at the same revision know the same. Against damage and bugs, not against forgery.
    /// </summary>
    public ulong Digest { get; init; }

    /// <summary>Keys whose values say nothing that this version understands, and why; at most 100 are kept.</summary>
    public ImmutableDictionary<string, string> Faults { get; init; } = ImmutableDictionary<string, string>.Empty;
}

/// <summary>A network and who is in it.</summary>
internal sealed record NetworkView
{
    /// <summary>A network that nobody has.</summary>
    public static NetworkView Nobody { get; } = new();

    /// <summary>What it is; null if it was removed.</summary>
    public Published<NetworkRecord>? Record { get; init; }

    /// <summary>The hosts that have it, by name.</summary>
    public ImmutableDictionary<string, Published<MemberRecord>> Members { get; init; } = ImmutableDictionary<string, Published<MemberRecord>>.Empty;

    /// <summary>Routed: hosts of it that are none of the cluster, by name. Not in the store under a key of their own.</summary>
    public ImmutableDictionary<string, Published<MemberRecord>> Foreign { get; init; } = ImmutableDictionary<string, Published<MemberRecord>>.Empty;

    /// <summary>Its endpoints, by host and id.</summary>
    public ImmutableDictionary<(string Host, string Id), Published<EndpointRecord>> Endpoints { get; init; } = ImmutableDictionary<(string Host, string Id), Published<EndpointRecord>>.Empty;

    /// <summary>In what the endpoints differ from those of the view before; null if that is not known, or is much.</summary>
    public EndpointChanges? Changes { get; init; }

    /// <summary>Whose which address is.</summary>
    public ImmutableDictionary<string, Published<AddressRecord>> Addresses { get; init; } = ImmutableDictionary<string, Published<AddressRecord>>.Empty;

    /// <summary>Whose which block is, by its prefix as text.</summary>
    public ImmutableDictionary<string, Published<BlockRecord>> Blocks { get; init; } = ImmutableDictionary<string, Published<BlockRecord>>.Empty;

    /// <summary>Whether nothing is left of it.</summary>
    public bool IsGone => Record is null && Members.IsEmpty && Endpoints.IsEmpty && Addresses.IsEmpty && Blocks.IsEmpty;

    /// <summary>Whether an endpoint's address is claimed by it: of two that say they have it, the one that does.</summary>
    public bool Holds(string host, string endpoint, InternetAddress address) =>
        Addresses.TryGetValue(address.ToString(), out var claim) && claim.Host == host && claim.Value.Endpoint == endpoint && claim.Value.Why == AddressRecord.OfEndpoint;
}

/// <summary>The way from the endpoints of one view to those of the next, so that whoever went by the one need not look at all of the other.</summary>
/// <param name="Before">The endpoints before: the very object, of which the view remembers no more than that it shares.</param>
/// <param name="Keys">Those that came, went or are different.</param>
internal sealed record EndpointChanges(ImmutableDictionary<(string Host, string Id), Published<EndpointRecord>> Before, IReadOnlyCollection<(string Host, string Id)> Keys)
{
    /// <summary>Keys, at most: who has to look at more may as well look at all.</summary>
    public const int MaxKeys = 1024;
}
