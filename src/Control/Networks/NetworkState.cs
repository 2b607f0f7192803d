using Sleeve.Control.Host;
using Sleeve.Control.Store;

namespace Sleeve.Control.Networks;

/// <summary>This host's work in one network.</summary>
/// <param name="host">This host.</param>
internal sealed class NetworkState(string host)
{
    /// <summary>Of the network, once it is known: one that was made anew begins anew.</summary>
    public string? Id { get; set; }

    /// <summary>Whose turn it is.</summary>
    public NetworkTurns Turns { get; } = new();

    /// <summary>Chooses addresses; one at a time, which is the caller's to see to.</summary>
    public AddressChooser Chooser { get; } = new(host);

    /// <summary>What a host says of itself in a network.</summary>
    /// <param name="me">The host.</param>
    /// <param name="network">The network.</param>
    /// <param name="before">What it said; null if nothing.</param>
    /// <param name="view">Who has which block.</param>
    /// <param name="known">What the store said since.</param>
    /// <param name="leases">Blocks that it is about to lease.</param>
    public static MemberRecord MemberOf(
        PeerRecord me, NetworkRecord network, MemberRecord? before, NetworkView view, IReadOnlyDictionary<string, StoreEntry?> known, IEnumerable<AddressPrefix> leases)
    {
        var port = network.Port == 0 ? me.Port : network.Port;
        if (network.Mode != NetworkMode.Routed) return new MemberRecord(me.Local, port) { Mac = before?.Mac };
        AddressPrefix[] own = [.. network.Subnets.SelectMany(subnet => AddressChooser.BlocksOf(me.Name, network, subnet, view, known)).Concat(leases).Distinct().OrderBy(static block => block.ToString(), StringComparer.Ordinal)];
        return new MemberRecord(me.Local, port) { Mac = own.Length > 0 ? RoutedHost.MacOf(network, me.Name, own[0]) : before?.Mac, Subnets = own };
    }
}
