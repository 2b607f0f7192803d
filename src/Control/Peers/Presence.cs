using Sleeve.Control.Networks;
using Sleeve.Control.Store;

namespace Sleeve.Control.Peers;

/// <summary>
/// This host's sign of life in the store, and what it says of itself: <c>alive/HOST</c> under a lease that is kept alive, <c>peers/HOST</c>. Both come back by themselves when they are lost. A name that another host
/// has, which is alive, is not taken over: it is told, and tried again.
/// </summary>
/// <param name="store">Where.</param>
/// <param name="self">What this host says of itself; Generation is filled in, and that it drains is kept as it stands.</param>
/// <param name="instance">Tells this host's state from any other's; the value of the sign of life.</param>
/// <param name="nextGeneration">Counts a start, over what was heard of earlier ones.</param>
/// <param name="say">Takes lines for whoever watches.</param>
internal sealed class Presence(IStore store, Func<PeerRecord> self, string instance, Func<long, long> nextGeneration, Action<string> say)
{
    /// <summary>How long a host counts as alive that says nothing.</summary>
    public static readonly TimeSpan TimeToLive = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Beat = TimeToLive / 3;
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    private PeerRecord? _published;
    private long _generation;
    private string? _said;
    private volatile string? _fault = "not in the store yet";

    /// <summary>Why this host is not in the store as it should be; null if it is.</summary>
    public string? Fault => _fault;

    /// <summary>What this host said of itself last, with its generation; null before the first time.</summary>
    public PeerRecord? Published => Volatile.Read(ref _published);

    /// <summary>The cluster as it is known, to see that somebody removed the record of this host; null where nobody looks.</summary>
    public Func<ClusterView>? View { get; init; }

    /// <summary>Told of what was published.</summary>
    public Action<PeerRecord> OnPublished { get; set; } = static _ => { };

    /// <summary>Keeps it up until it is told to end; whatever the store does.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        var pause = FirstPause;
        while (true)
        {
            try
            {
                var lease = await PublishAsync(cancellation);
                if (lease != 0)
                {
                    pause = FirstPause;
                    Tell(null);
                    await KeepAsync(lease, cancellation);
                }
            }
            catch (Exception failure) when (failure is IOException)
            {
                Tell(failure.Message);
            }

            await Task.Delay(pause, cancellation);
            pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, LongestPause.Ticks));
        }
    }

    // Until the lease is lost, or what stands there is no longer what is to stand there.
    private async Task KeepAsync(long lease, CancellationToken cancellation)
    {
        while (true)
        {
            await Task.Delay(Beat, cancellation);
            if (!await store.KeepAliveAsync(lease, cancellation)) return;
            Tell(null);
            var view = View?.Invoke();
            var seen = view?.Peers.GetValueOrDefault(self().Name)?.Value;
            // Another host may say that this one drains.
            if (seen is not null && seen.Generation == _generation && seen.IsDraining != _published!.IsDraining) Note(_published with { IsDraining = seen.IsDraining });
            var isRemoved = seen is null && view is { Revision: > 0 };
            if (isRemoved) say($"warning: somebody removed host {self().Name} from the store (sleeve peer forget --force): it is entered again, with what it has; stop its daemon to keep it out");
            if (!isRemoved && Filled(self(), _published!.IsDraining) == _published) continue;
            await store.RevokeAsync(lease, cancellation);
            return;
        }
    }

    /// <summary>Puts both into the store.</summary>
    /// <returns>The lease; 0 if another host has the name, which was told.</returns>
    /// <exception cref="StoreUnavailableException">No answer.</exception>
    public async Task<long> PublishAsync(CancellationToken cancellation)
    {
        var me = self();
        var record = await FindAsync(ClusterKeys.Peer(me.Name), cancellation);
        var alive = await FindAsync(ClusterKeys.AliveOf(me.Name), cancellation);
        var before = RecordJson.TryRead<PeerRecord>(record?.Value, out var read, out _) ? read : null;
        if (alive is not null && alive.Value != instance)
        {
            Tell($"name {me.Name}: another host{(before is null ? "" : $" has it, with the VTEP {before.Local}:{before.Port},")} and is alive; give this one another name (--name), or sleeve peer forget {me.Name} --force if that one is gone");
            return 0;
        }

        if (_generation == 0) _generation = nextGeneration(before?.Generation ?? 0);
        me = Filled(me, before?.IsDraining ?? false);
        var lease = await store.GrantAsync(TimeToLive, cancellation);
        var text = RecordJson.Write(me);
        List<StoreWrite> writes = [new(ClusterKeys.AliveOf(me.Name), instance, lease)];
        if (record?.Value != text) writes.Add(new StoreWrite(ClusterKeys.Peer(me.Name), text));
        var outcome = await store.CommitAsync(new StoreTransaction([As(ClusterKeys.Peer(me.Name), record), As(ClusterKeys.AliveOf(me.Name), alive)], writes), cancellation);
        if (!outcome.IsDone)
        {
            await store.RevokeAsync(lease, cancellation);
            throw new StoreUnavailableException($"what stands in the store of host {me.Name} changed at the same time");
        }

        Note(me);
        return lease;
    }

    private void Note(PeerRecord me)
    {
        Volatile.Write(ref _published, me);
        OnPublished(me);
    }

    private PeerRecord Filled(PeerRecord me, bool isDraining) => me with { Generation = _generation, IsDraining = isDraining };

    private static StoreCondition As(string key, StoreEntry? entry) => entry is null ? StoreCondition.Absent(key) : StoreCondition.Unchanged(entry);

    private async Task<StoreEntry?> FindAsync(string key, CancellationToken cancellation) =>
        (await store.RangeAsync(key, cancellation)).Entries.FirstOrDefault(entry => entry.Key == key);

    private void Tell(string? fault)
    {
        _fault = fault;
        if (fault is not null && fault != _said) say($"warning: {fault}");
        if (fault is null && _said is not null) say($"host {self().Name} is in the store {(_published is null ? "" : "again")}".TrimEnd());
        _said = fault;
    }
}
