using System.Globalization;
using Sleeve.Control.Store;

namespace Sleeve.Control.Networks;

/// <summary>What a host lost.</summary>
/// <param name="Endpoints">Endpoints with their addresses and MACs.</param>
/// <param name="Claims">Addresses and MACs that belonged to none.</param>
/// <param name="Blocks">Blocks of addresses.</param>
/// <param name="Memberships">Networks.</param>
internal readonly record struct RemovedClaims(int Endpoints, int Claims, int Blocks, int Memberships)
{
    /// <summary>All of it.</summary>
    public int Total => Endpoints + Claims + Blocks + Memberships;

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Endpoints} endpoints, {Claims} other addresses and MACs, {Blocks} blocks, {Memberships} memberships");
}

/// <summary>
/// Takes from a host that will not come back what it has in the store, in transactions that each hold only while the host gives no sign of life, and of what it names only what is still the host's: whoever else
/// does the same at the same time does no harm, and a host that comes back meanwhile keeps the rest.
/// </summary>
/// <param name="store">Where.</param>
/// <param name="replica">The copy of it.</param>
/// <param name="host">The host.</param>
/// <param name="evenIfAlive">Whatever signs of life it gives.</param>
internal sealed class HostRemoval(IStore store, Replica replica, string host, bool evenIfAlive = false)
{
    // With a condition each, one for the sign of life, and what one endpoint may have more.
    private const int MaxAtOnce = 100;

    private readonly List<StoreEntry> _pending = [];

    /// <summary>Takes all of it.</summary>
    /// <returns>What it was; less than all if it gave a sign of life.</returns>
    /// <exception cref="StoreUnavailableException">No answer; some of it may be done.</exception>
    public async Task<RemovedClaims> RemoveAllAsync(CancellationToken cancellation)
    {
        var own = (await store.RangeAsync($"{ClusterKeys.Hosts}{host}/", cancellation)).Entries;
        var view = replica.View;
        var networks = own.Select(static entry => entry.Key.Split('/')).Where(static parts => parts.Length >= 4).Select(static parts => parts[3])
            .Concat(view.Networks.Where(each => each.Value.Addresses.Any(claim => claim.Value.Host == host) || each.Value.Blocks.Any(block => block.Value.Host == host)).Select(static each => each.Key))
            .Where(Names.IsName).Distinct().ToArray();
        var removed = default(RemovedClaims);
        foreach (var network in networks)
        {
            var endpoints = own.Where(entry => entry.Key.StartsWith($"{ClusterKeys.EndpointsOf(host)}{network}/", StringComparison.Ordinal)).ToArray();
            var claims = (await store.RangeAsync($"{ClusterKeys.Addresses}{network}/", cancellation)).Entries.Where(IsClaim).ToList();
            claims.AddRange((await store.RangeAsync($"{ClusterKeys.Macs}{network}/", cancellation)).Entries.Where(IsMac));
            var blocks = (await store.RangeAsync($"{ClusterKeys.Blocks}{network}/", cancellation)).Entries.Where(IsBlock).ToArray();
            var members = own.Where(entry => entry.Key == ClusterKeys.Member(host, network)).ToArray();
            removed = removed with { Endpoints = removed.Endpoints + endpoints.Length, Blocks = removed.Blocks + blocks.Length, Memberships = removed.Memberships + members.Length };
            removed = removed with { Claims = removed.Claims + await RemoveAsync(endpoints, claims, cancellation) };
            foreach (var entry in blocks.Concat(members)) await AddAsync([entry], cancellation);
        }

        await FlushAsync(cancellation);
        return removed;
    }

    /// <summary>Takes some of its endpoints of a network.</summary>
    public async Task RemoveEndpointsAsync(string network, IReadOnlySet<string> ids, CancellationToken cancellation)
    {
        var prefix = $"{ClusterKeys.EndpointsOf(host)}{network}/";
        var endpoints = (await store.RangeAsync(prefix, cancellation)).Entries.Where(entry => ids.Contains(entry.Key[prefix.Length..])).ToArray();
        var claims = (await store.RangeAsync($"{ClusterKeys.Addresses}{network}/", cancellation)).Entries.Where(entry => IsClaim(entry) && ids.Contains(EndpointOf(entry) ?? "")).ToList();
        claims.AddRange((await store.RangeAsync($"{ClusterKeys.Macs}{network}/", cancellation)).Entries.Where(entry => IsMac(entry) && ids.Contains(EndpointOf(entry) ?? "")));
        await RemoveAsync(endpoints, claims, cancellation);
        await FlushAsync(cancellation);
    }

    // An endpoint goes together with its claims, so that nobody sees half of one. What is left over follows, and is counted.
    private async Task<int> RemoveAsync(IReadOnlyList<StoreEntry> endpoints, List<StoreEntry> claims, CancellationToken cancellation)
    {
        var byEndpoint = claims.ToLookup(EndpointOf);
        foreach (var endpoint in endpoints)
        {
            var id = endpoint.Key[(endpoint.Key.LastIndexOf('/') + 1)..];
            await AddAsync([endpoint, .. byEndpoint[id].Take(MaxAtOnce - 1)], cancellation);
        }

        var ids = endpoints.Select(static endpoint => endpoint.Key[(endpoint.Key.LastIndexOf('/') + 1)..]).ToHashSet();
        var others = claims.Where(claim => EndpointOf(claim) is not { } id || !ids.Contains(id)).ToArray();
        foreach (var claim in others) await AddAsync([claim], cancellation);
        return others.Length;
    }

    private async Task AddAsync(IReadOnlyList<StoreEntry> together, CancellationToken cancellation)
    {
        if (_pending.Count + together.Count > MaxAtOnce) await FlushAsync(cancellation);
        _pending.AddRange(together);
    }

    private async Task FlushAsync(CancellationToken cancellation)
    {
        var entries = _pending.ToList();
        _pending.Clear();
        // What somebody else changed meanwhile is left alone; the rest is tried again.
        while (entries.Count > 0)
        {
            StoreCondition[] signs = evenIfAlive ? [] : [StoreCondition.Absent(ClusterKeys.AliveOf(host))];
            var transaction = new StoreTransaction([.. signs, .. entries.Select(StoreCondition.Unchanged)], [.. entries.Select(static entry => new StoreWrite(entry.Key, null))]);
            var outcome = await store.CommitAsync(transaction, cancellation);
            if (outcome.IsDone) return;
            var now = outcome.Found.ToDictionary(static entry => entry.Key);
            if (now.ContainsKey(ClusterKeys.AliveOf(host))) throw new HostReturnedException(host);
            if (entries.RemoveAll(entry => !now.TryGetValue(entry.Key, out var stands) || stands.ModRevision != entry.ModRevision) == 0) return;
        }
    }

    private bool IsClaim(StoreEntry entry) => RecordJson.TryRead<AddressRecord>(entry.Value, out var claim, out _) && claim.Host == host;

    private bool IsMac(StoreEntry entry) => entry.Value.StartsWith($"{host}/", StringComparison.Ordinal);

    private bool IsBlock(StoreEntry entry) => RecordJson.TryRead<BlockRecord>(entry.Value, out var block, out _) && block.Host == host;

    private static string? EndpointOf(StoreEntry claim) => claim.Key.StartsWith(ClusterKeys.Macs, StringComparison.Ordinal)
        ? claim.Value[(claim.Value.IndexOf('/', StringComparison.Ordinal) + 1)..]
        : RecordJson.TryRead<AddressRecord>(claim.Value, out var address, out _) ? address.Endpoint : null;
}

/// <summary>A host that was taken for dead gives signs of life; what was not taken from it by then stays its own.</summary>
/// <param name="host">The host.</param>
internal sealed class HostReturnedException(string host) : IOException($"host {host} gives a sign of life again");
