using Sleeve.Control.Store;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>What stands in the store as a host's and belongs to nothing there: left by a run that was killed between two steps, or by an endpoint that went while the store was away.</summary>
/// <param name="store">Where.</param>
/// <param name="replica">The copy of it.</param>
/// <param name="host">The host.</param>
internal sealed class StrayClaims(IStore store, Replica replica, string host)
{
    /// <summary>Takes it back.</summary>
    /// <param name="isKept">Whether an endpoint is there.</param>
    /// <param name="withdraw">Withdraws an endpoint that is not, with what it had.</param>
    /// <param name="isInUse">Whether something of this host is at work in a network.</param>
    /// <param name="cancellation">Gives up.</param>
    public async Task RemoveAsync(Func<string, string, bool> isKept, Func<string, string, EndpointRecord?, Task> withdraw, Func<string, bool> isInUse, CancellationToken cancellation)
    {
        foreach (var (name, network) in replica.View.Networks)
        {
            var former = new Dictionary<string, EndpointRecord>();
            foreach (var ((owner, id), endpoint) in network.Endpoints)
                if (owner == host && !isKept(name, id)) former[id] = endpoint.Value;
            var claims = new List<StoreEntry>();
            if (network.Members.ContainsKey(host) || former.Count > 0 || network.Addresses.Any(claim => claim.Value.Host == host) || network.Blocks.Any(block => block.Value.Host == host))
                claims.AddRange((await store.RangeAsync($"{ClusterKeys.Macs}{name}/", cancellation)).Entries);
            foreach (var (id, endpoint) in former) await withdraw(name, id, endpoint);
            await RemoveClaimsAsync(name, network, claims, isKept, cancellation);
            // With the last of its endpoints, the membership and the blocks went; those that never had one are left.
            var isEmpty = !network.Endpoints.Keys.Any(each => each.Host == host && isKept(name, each.Id));
            if (isEmpty && !isInUse(name) && (network.Members.ContainsKey(host) || network.Blocks.Any(block => block.Value.Host == host))) await withdraw(name, "", null);
        }
    }

    private async Task RemoveClaimsAsync(string name, NetworkView network, List<StoreEntry> macs, Func<string, string, bool> isKept, CancellationToken cancellation)
    {
        var strays = new List<(string Key, long Revision)>();
        foreach (var (text, claim) in network.Addresses)
        {
            if (claim.Host != host || claim.Value.Why != AddressRecord.OfEndpoint) continue;
            // Of an endpoint that is there, but does not have it: it was given another and the old one stayed.
            var isHad = isKept(name, claim.Value.Endpoint) && (!network.Endpoints.TryGetValue((host, claim.Value.Endpoint), out var endpoint)
                || (InternetAddress.TryParse(text, out var address) && endpoint.Value.Addresses.Contains(address)));
            if (!isHad) strays.Add(($"{ClusterKeys.Addresses}{name}/{text}", claim.Version));
        }

        foreach (var entry in macs)
            if (entry.Value.StartsWith($"{host}/", StringComparison.Ordinal) && !isKept(name, entry.Value[(host.Length + 1)..])) strays.Add((entry.Key, entry.ModRevision));
        // One by one: what changed meanwhile is somebody's.
        foreach (var (key, revision) in strays)
            await store.CommitAsync(new StoreTransaction([new StoreCondition(key, revision)], [new StoreWrite(key, null)]), cancellation);
    }
}
