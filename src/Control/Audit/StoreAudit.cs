using Sleeve.Control.Networks;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Audit;

/// <summary>Something that is not as it should be.</summary>
/// <param name="Where">The host it was found on; "store" for the store itself.</param>
/// <param name="What">The thing: a key, an entry of a table, a link.</param>
/// <param name="Is">What is wrong with it, and what should be.</param>
internal sealed record Difference(string Where, string What, string Is);

/// <summary>
/// Whether what the store holds agrees with itself: every endpoint has its claims, every claim its endpoint, every VNI its network, and nothing belongs to a host that is none. Transactions keep it so; whoever
/// writes past them, or a backup of another day, does not.
/// </summary>
internal static class StoreAudit
{
    private const string Store = "store";

    /// <summary>Looks at all entries of one revision.</summary>
    public static IReadOnlyList<Difference> Check(StoreSlice slice)
    {
        var found = new List<Difference>();
        var cluster = Read(slice, found);
        foreach (var (key, host, network, endpoint) in cluster.Endpoints) CheckEndpoint(cluster, key, host, network, endpoint, found);
        foreach (var (network, address, record) in cluster.Addresses) CheckAddress(cluster, network, address, record, found);
        foreach (var (key, network, owner) in cluster.Macs)
            if (!cluster.EndpointKeys.Contains(EndpointKey(network, owner))) found.Add(new Difference(Store, key, $"is claimed by {owner}, which is no endpoint"));
        foreach (var (key, host) in cluster.Members)
            if (!cluster.Peers.Contains(host)) found.Add(new Difference(Store, key, $"{host} is no peer"));
        foreach (var (key, host) in cluster.Blocks)
            if (!cluster.Peers.Contains(host)) found.Add(new Difference(Store, key, $"is leased to {host}, which is no peer"));
        foreach (var (vni, network) in cluster.Vnis)
            if (!cluster.Networks.TryGetValue(network, out var record) || record.Vni.ToString() != vni) found.Add(new Difference(Store, $"{ClusterKeys.Vnis}{vni}", $"is taken for {network}, which does not have it"));
        foreach (var (name, record) in cluster.Networks)
            if (cluster.Vnis.GetValueOrDefault(record.Vni.ToString()) != name) found.Add(new Difference(Store, ClusterKeys.Network(name), $"its vni {record.Vni} is taken for {cluster.Vnis.GetValueOrDefault(record.Vni.ToString()) ?? "nothing"}"));
        return found;
    }

    private static void CheckEndpoint(Cluster cluster, string key, string host, string network, EndpointRecord endpoint, List<Difference> found)
    {
        if (!cluster.Peers.Contains(host)) found.Add(new Difference(Store, key, $"{host} is no peer"));
        if (!cluster.Networks.ContainsKey(network)) found.Add(new Difference(Store, key, $"there is no network {network}"));
        if (!cluster.MemberKeys.Contains(ClusterKeys.Member(host, network))) found.Add(new Difference(Store, key, $"{host} does not say that it has {network}"));
        foreach (var address in endpoint.Addresses)
        {
            if (!cluster.AddressOwners.TryGetValue(ClusterKeys.Address(network, address), out var owner)) found.Add(new Difference(Store, key, $"its address {address} is not claimed"));
            else if (owner.Host != host || owner.Endpoint != endpoint.Id) found.Add(new Difference(Store, key, $"its address {address} is claimed by {owner.Host}/{owner.Endpoint}"));
        }

        if (!cluster.MacOwners.TryGetValue(ClusterKeys.Mac(network, endpoint.Mac), out var macOwner)) found.Add(new Difference(Store, key, $"its MAC {endpoint.Mac} is not claimed"));
        else if (macOwner != $"{host}/{endpoint.Id}") found.Add(new Difference(Store, key, $"its MAC {endpoint.Mac} is claimed by {macOwner}"));
    }

    private static void CheckAddress(Cluster cluster, string network, string address, AddressRecord record, List<Difference> found)
    {
        var key = $"{ClusterKeys.Addresses}{network}/{address}";
        if (!cluster.Networks.ContainsKey(network)) found.Add(new Difference(Store, key, $"there is no network {network}"));
        if (record.Endpoint.Length > 0 && !cluster.EndpointKeys.Contains(EndpointKey(network, $"{record.Host}/{record.Endpoint}")))
            found.Add(new Difference(Store, key, $"is claimed by {record.Host}/{record.Endpoint}, which is no endpoint: a leaked address"));
    }

    // Of its owner as claims name it: HOST/ID.
    private static string EndpointKey(string network, string owner) => owner.Split('/') is [var host, var id] ? ClusterKeys.Endpoint(host, network, id) : "";

    private static Cluster Read(StoreSlice slice, List<Difference> found)
    {
        var cluster = new Cluster();
        foreach (var entry in slice.Entries)
        {
            if (!TryRead(cluster, entry, out var fault)) found.Add(new Difference(Store, entry.Key, fault ?? "is no key of Sleeve's"));
        }

        return cluster;
    }

    private static bool TryRead(Cluster cluster, StoreEntry entry, out string? fault)
    {
        fault = null;
        switch (entry.Key.Split('/'))
        {
            case ["peers", var host]:
                cluster.Peers.Add(host);
                return true;
            case ["alive", _] or ["audits", _] or ["hosts", _, "audits", _]:
                return true;
            case ["networks", var name]:
                if (!RecordJson.TryRead<NetworkRecord>(entry.Value, out var network, out fault)) return false;
                cluster.Networks[name] = network;
                return true;
            case ["vnis", var vni]:
                cluster.Vnis[vni] = entry.Value;
                return true;
            case ["addresses", var name, var address]:
                if (!RecordJson.TryRead<AddressRecord>(entry.Value, out var owner, out fault)) return false;
                if (!InternetAddress.TryParse(address, out _)) return false;
                cluster.Addresses.Add((name, address, owner));
                cluster.AddressOwners[entry.Key] = owner;
                return true;
            case ["macs", var name, _]:
                cluster.Macs.Add((entry.Key, name, entry.Value));
                cluster.MacOwners[entry.Key] = entry.Value;
                return true;
            case ["blocks", _, _]:
                if (!RecordJson.TryRead<BlockRecord>(entry.Value, out var block, out fault)) return false;
                cluster.Blocks.Add((entry.Key, block.Host));
                return true;
            case ["hosts", var host, "networks", _]:
                cluster.Members.Add((entry.Key, host));
                cluster.MemberKeys.Add(entry.Key);
                return RecordJson.TryRead<MemberRecord>(entry.Value, out _, out fault);
            case ["hosts", var host, "endpoints", var name, var id]:
                cluster.EndpointKeys.Add(entry.Key);
                if (!RecordJson.TryRead<EndpointRecord>(entry.Value, out var endpoint, out fault)) return false;
                if (endpoint.Id != id) return false;
                cluster.Endpoints.Add((entry.Key, host, name, endpoint));
                return true;
            default:
                return false;
        }
    }

    private sealed class Cluster
    {
        public HashSet<string> Peers { get; } = [];

        public Dictionary<string, NetworkRecord> Networks { get; } = [];

        public Dictionary<string, string> Vnis { get; } = [];

        public List<(string Key, string Host)> Members { get; } = [];

        public HashSet<string> MemberKeys { get; } = [];

        public List<(string Key, string Host)> Blocks { get; } = [];

        public List<(string Network, string Address, AddressRecord Record)> Addresses { get; } = [];

        public Dictionary<string, AddressRecord> AddressOwners { get; } = [];

        public List<(string Key, string Network, string Owner)> Macs { get; } = [];

        public Dictionary<string, string> MacOwners { get; } = [];

        public List<(string Key, string Host, string Network, EndpointRecord Endpoint)> Endpoints { get; } = [];

        public HashSet<string> EndpointKeys { get; } = [];
    }
}
