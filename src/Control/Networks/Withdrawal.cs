using Sleeve.Control.Daemon;
using Sleeve.Control.Store;

namespace Sleeve.Control.Networks;

/// <summary>
/// Takes back what one endpoint published, in one transaction that deletes only what is still its own; with the last endpoint of a host in a network, what the host has of the network too: its membership and its
/// blocks. Done twice it is as done once.
/// </summary>
/// <param name="store">Where.</param>
/// <param name="claims">How things stand.</param>
/// <param name="state">This host's work in the network; the endpoint has its turn.</param>
/// <param name="me">This host.</param>
/// <param name="network">The network's name.</param>
/// <param name="id">The endpoint; "" for none: what the host has of the network besides.</param>
internal sealed class Withdrawal(IStore store, Claims claims, NetworkState state, PeerRecord me, string network, string id)
{
    private const int MaxAttempts = 200;

    // A condition and a change each, besides those of the endpoint.
    private const int MaxBlocks = 64;

    private static readonly TimeSpan PatienceForReplica = TimeSpan.FromSeconds(2);

    /// <summary>Whether the membership and the blocks went too.</summary>
    public bool WasLast { get; private set; }

    private string Host => me.Name;

    /// <summary>Does it.</summary>
    /// <param name="former">What it had, if its record may be gone while claims of it are left; null if that stands in the record.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>Revision of the store by which it is done.</returns>
    public async Task<long> RunAsync(EndpointRecord? former, CancellationToken cancellation)
    {
        var key = ClusterKeys.Endpoint(Host, network, id);
        long revision = 0;
        try
        {
            if (id.Length > 0 && claims.Endpoint is null)
            {
                var slice = await store.RangeAsync(key, cancellation);
                claims.LearnAbsent(key);
                claims.Learn(slice.Entries.Where(entry => entry.Key == key));
                revision = slice.Revision;
            }

            for (var attempt = 0; attempt < MaxAttempts; attempt++)
            {
                // What it claims came with it: if that is not in the copy yet, it would be left.
                if (claims.Endpoint is { } published) await CatchUpAsync(published.Version, cancellation);
                claims.Look();
                // A later run of this host has it: whoever is left of an earlier one keeps off.
                if (me.Generation > 0 && claims.Endpoint?.Value.Generation > me.Generation) return revision;
                var transaction = Compose(key, claims.Endpoint?.Value ?? former, out var blocksLeft);
                if (transaction.Writes.Count == 0) return revision;
                var outcome = await store.CommitAsync(transaction, cancellation);
                if (!outcome.IsDone)
                {
                    claims.Learn(transaction, outcome);
                    continue;
                }

                revision = outcome.Revision;
                if (!blocksLeft) return revision;
                foreach (var write in transaction.Writes) claims.LearnAbsent(write.Key);
            }
        }
        catch (StoreRefusedException refusal)
        {
            throw new CommandRefusedException(RefusalKind.Impossible, [$"{store.Place} refuses it: {refusal.Message}"]);
        }

        throw new CommandRefusedException(RefusalKind.Impossible, [$"endpoint {id} of network {network}: changes faster than it can be withdrawn; try again"]);
    }

    private async Task CatchUpAsync(long version, CancellationToken cancellation)
    {
        try
        {
            await claims.WaitForAsync(version, cancellation).WaitAsync(PatienceForReplica, cancellation);
        }
        catch (TimeoutException)
        {
            throw new StoreUnavailableException($"{store.Place} is away: its changes up to revision {version} are not heard");
        }
    }

    private StoreTransaction Compose(string key, EndpointRecord? record, out bool blocksLeft)
    {
        var (conditions, writes) = (new List<StoreCondition>(), new List<StoreWrite>());
        foreach (var address in record?.Addresses ?? [])
            if (claims.Address(address) is { IsMine: true } mine) Delete(ClusterKeys.Address(network, address), mine.Revision);
        if (record is not null && (claims.Mac(record.Mac).IsMine || (claims.Endpoint is null && !claims.Known.ContainsKey(ClusterKeys.Mac(network, record.Mac)))))
        {
            // If the record is gone it is not known; the transaction will find out.
            conditions.Add(StoreCondition.Has(ClusterKeys.Mac(network, record.Mac), claims.MacValue));
            writes.Add(new StoreWrite(ClusterKeys.Mac(network, record.Mac), null));
        }

        if (claims.RevisionOf(key, claims.Endpoint?.Version ?? 0) is not 0 and var revision) Delete(key, revision);
        blocksLeft = false;
        if ((WasLast = state.Turns.TryClose(id) && !claims.View.Endpoints.Any(each => each.Key.Host == Host && each.Key.Id != id && claims.RevisionOf(ClusterKeys.Endpoint(Host, network, each.Key.Id), each.Value.Version) != 0)))
            blocksLeft = AddLast(Delete);
        return new StoreTransaction(conditions, writes);

        void Delete(string what, long at)
        {
            conditions.Add(new StoreCondition(what, at));
            writes.Add(new StoreWrite(what, null));
        }
    }

    private bool AddLast(Action<string, long> delete)
    {
        var member = ClusterKeys.Member(Host, network);
        if (claims.RevisionOf(member, claims.View.Members.GetValueOrDefault(Host)?.Version ?? 0) is not 0 and var revision) delete(member, revision);
        var (count, isMore) = (0, false);
        foreach (var (text, block) in claims.View.Blocks)
        {
            var key = $"{ClusterKeys.Blocks}{network}/{text.Replace('/', '_')}";
            // One that another host leased meanwhile is not ours to give back.
            if (block.Host != Host || claims.RevisionOf(key, block.Version) != block.Version) continue;
            if (++count > MaxBlocks) isMore = true;
            else delete(key, block.Version);
        }

        return isMore;
    }
}
