using Sleeve.Control.Daemon;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;

namespace Sleeve.Control.Peers;

/// <summary>A host of the cluster: what it says of itself, and what is known of it here.</summary>
/// <param name="Record">What it says; null of one that only gives a sign of life.</param>
/// <param name="Name">Its name.</param>
/// <param name="IsSelf">It is this one.</param>
/// <param name="IsAlive">It gives a sign of life to the store.</param>
/// <param name="Path">What its hellos tell; null if it is not asked: no network is shared.</param>
internal sealed record PeerReport(PeerRecord? Record, string Name, bool IsSelf, bool IsAlive, LivenessReport? Path);

/// <summary>The hosts of the cluster, for whoever asks or changes something about them.</summary>
internal sealed class PeerDirectory
{
    private const int MaxAttempts = 5;

    /// <summary>Name of this host.</summary>
    public required string Self { get; init; }

    /// <summary>Where records stand.</summary>
    public required IStore Store { get; init; }

    /// <summary>The cluster as it is known now.</summary>
    public required Func<ClusterView> View { get; init; }

    /// <summary>Whose VTEPs are alive; null where nobody looks.</summary>
    public Liveness? Liveness { get; init; }

    /// <summary>Removes what a host claimed: its addresses, MACs, blocks and endpoints; answers how many keys. Default: nothing.</summary>
    public Func<string, CancellationToken, Task<int>> ForgetClaimsAsync { get; init; } = static (_, _) => Task.FromResult(0);

    /// <summary>Waits until a revision of the store is in <see cref="View"/>. Default: does not.</summary>
    public Func<long, CancellationToken, Task> WaitForAsync { get; init; } = static (_, _) => Task.CompletedTask;

    /// <summary>Whether a host that is forgotten can write no more: its certificate is the cluster's to withdraw. etcd has users of its own.</summary>
    public bool ShutsOutForgotten { get; init; } = true;

    /// <summary>What is to be said about a host that was alive when it was forgotten; null for nothing.</summary>
    public string? NoteOfLivingHost(string host) => ShutsOutForgotten
        ? null
        : $"host {host} was alive: while its daemon runs and etcd lets it write, it enters itself again, with all it has; stop sleeve daemon there, or take its user from etcd (etcdctl user delete), then forget it again";

    /// <summary>Every host, in the order of the names.</summary>
    public IReadOnlyList<PeerReport> List()
    {
        var view = View();
        var paths = (Liveness?.Report() ?? []).ToDictionary(static report => report.Host, StringComparer.Ordinal);
        return [.. view.Peers.Keys.Union(view.Alive).Order(StringComparer.Ordinal).Select(name =>
            new PeerReport(view.Peers.GetValueOrDefault(name)?.Value, name, name == Self, view.Alive.Contains(name), paths.GetValueOrDefault(name)))];
    }

    /// <summary>Has a host take no new endpoints, or take them again.</summary>
    /// <param name="host">Which.</param>
    /// <param name="isDraining">What is to be.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>False if it was so already.</returns>
    /// <exception cref="CommandRefusedException">There is no such host.</exception>
    /// <exception cref="IOException">The store does not answer, or refuses.</exception>
    public async Task<bool> DrainAsync(string host, bool isDraining, CancellationToken cancellation)
    {
        var key = ClusterKeys.Peer(host);
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            var entry = await FindAsync(key, cancellation) ?? throw NoHost(host);
            if (!RecordJson.TryRead<PeerRecord>(entry.Value, out var record, out var fault)) throw new CommandRefusedException(RefusalKind.Impossible, [$"host {host}: its record cannot be read: {fault}"]);
            if (record.IsDraining == isDraining) return false;
            var outcome = await CommitAsync(
                host, "drain it", new StoreTransaction([StoreCondition.Unchanged(entry)], [new StoreWrite(key, RecordJson.Write(record with { IsDraining = isDraining }))]), cancellation);
            if (!outcome.IsDone) continue;
            await WaitForAsync(outcome.Revision, cancellation);
            return true;
        }

        throw new CommandRefusedException(RefusalKind.Conflict, [$"host {host}: its record changes all the time; try again"]);
    }

    /// <summary>Forgets a host: what it claimed and its record go, and its certificate counts no more.</summary>
    /// <param name="host">Which; not this one.</param>
    /// <param name="force">Also if it is alive.</param>
    /// <param name="cancellation">Gives up; what was done stays done, and may be asked for again.</param>
    /// <returns>Keys that were removed.</returns>
    /// <exception cref="CommandRefusedException">There is no such host, it is this one, or it is alive.</exception>
    /// <exception cref="IOException">The store does not answer, or refuses.</exception>
    public async Task<int> ForgetAsync(string host, bool force, CancellationToken cancellation)
    {
        if (host == Self) throw new CommandRefusedException(RefusalKind.Conflict, [$"host {host}: is this one; sleeve leave takes it out of the cluster"]);
        var record = await FindAsync(ClusterKeys.Peer(host), cancellation);
        var alive = await FindAsync(ClusterKeys.AliveOf(host), cancellation);
        if (record is null && alive is null && !IsKnown(host)) throw NoHost(host);
        if (alive is not null && !force)
        {
            throw new CommandRefusedException(RefusalKind.Conflict,
                [$"host {host}: is alive, its endpoints would be cut off; sleeve leave on that host, or --force"]);
        }

        // A host that is alive is taken off first, so that its claims are anybody's to remove. The record goes last: while it stands, forgetting can be asked for again.
        if (alive is not null) await CommitAsync(host, "forget it while it is alive", new StoreTransaction([], [new StoreWrite(alive.Key, null)]), cancellation);
        var removed = await AllowedAsync(host, "take what it has", () => ForgetClaimsAsync(host, cancellation));
        removed += alive is null ? 0 : 1;
        if (record is null) return removed;
        var outcome = await CommitAsync(host, "forget it while it is alive", new StoreTransaction([StoreCondition.Absent(ClusterKeys.AliveOf(host))], [new StoreWrite(record.Key, null)]), cancellation);
        if (!outcome.IsDone) throw new CommandRefusedException(RefusalKind.Conflict, [$"host {host}: came back at the same moment, and is alive"]);
        await WaitForAsync(outcome.Revision, cancellation);
        return removed + 1;
    }

    // The embedded store lets nobody write what is another's who is alive (StoreRules); the host that serves it asks nobody.
    private Task<StoreOutcome> CommitAsync(string host, string what, StoreTransaction transaction, CancellationToken cancellation) =>
        AllowedAsync(host, what, () => Store.CommitAsync(transaction, cancellation));

    private async Task<T> AllowedAsync<T>(string host, string what, Func<Task<T>> change)
    {
        try
        {
            return await change();
        }
        catch (StoreRefusedException refusal)
        {
            throw new CommandRefusedException(RefusalKind.Impossible,
            [
                ShutsOutForgotten ? $"host {host}: only that host, or the one that serves the cluster, may {what}: type it there"
                    : $"host {host}: etcd does not let this host {what}: {refusal.Message}; its user needs the role for that (sleeve-reclaim of docs/store.md)",
            ]);
        }
    }

    // Of one that was forgotten by halves.
    private bool IsKnown(string host) => View().Networks.Values.Any(network => network.Members.ContainsKey(host) || network.Endpoints.Keys.Any(key => key.Host == host));

    private async Task<StoreEntry?> FindAsync(string key, CancellationToken cancellation) =>
        (await Store.RangeAsync(key, cancellation)).Entries.FirstOrDefault(entry => entry.Key == key);

    private static CommandRefusedException NoHost(string host) => new(RefusalKind.Impossible, [$"host {host}: there is none of that name; sleeve peer ls lists them"]);
}
