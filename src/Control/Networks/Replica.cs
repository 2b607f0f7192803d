using System.Globalization;
using Sleeve.Control.Store;

namespace Sleeve.Control.Networks;

/// <summary>
/// This host's copy of what the cluster agreed on, kept by reading all of it once and then watching. Without the store it stays what it was, and after a restart it is what <see cref="ReplicaCache"/> kept: frames
/// are forwarded by what was known last. When the store is back, the watch goes on where it broke off; where the history is gone, or is another one (a store restored from a backup), all is read again and the difference applied.
/// </summary>
internal sealed class Replica
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    private readonly IStore _store;
    private readonly ReplicaCache? _cache;
    private readonly Action<string> _say;
    private readonly TimeProvider _clock;
    private readonly Lock _access = new();
    private readonly List<(long Revision, TaskCompletionSource Reached)> _waiting = [];
    private volatile ClusterView _view = ClusterView.Empty;
    private volatile string? _fault = "the store has not been asked yet";
    private volatile bool _mustReadAll = true;
    private long _reached;
    private string? _identity;
    private volatile CancellationTokenSource? _watch;

    /// <summary>Makes a copy of nothing, or of what the cache kept.</summary>
    /// <param name="store">What to copy.</param>
    /// <param name="cache">Keeps it over restarts; null keeps nothing.</param>
    /// <param name="say">Takes lines for whoever watches.</param>
    /// <param name="clock">Waits between attempts.</param>
    public Replica(IStore store, ReplicaCache? cache, Action<string> say, TimeProvider? clock = null)
    {
        (_store, _cache, _say, _clock) = (store, cache, say, clock ?? TimeProvider.System);
        if (cache?.Load(store.Place) is not { Entries.Count: > 0 } kept) return;
        var edit = new ViewEdit(_view);
        edit.SetAll(kept.Entries);
        _view = edit.Finish(kept.Revision, out _);
        _reached = kept.Revision;
    }

    /// <summary>The cluster as it is known now. Any thread.</summary>
    public ClusterView View => _view;

    /// <summary>Whether the store is being watched, so that <see cref="View"/> is its state but for what is on its way.</summary>
    public bool IsConnected => _fault is null;

    /// <summary>Why it is not; null if it is.</summary>
    public string? Fault => _fault;

    /// <summary>
    /// Told of each change: the view before, the view after, and the names of the networks of which something is different (none if only peers are). One call at a time and in order; the next change waits for it.
    /// </summary>
    public Action<ClusterView, ClusterView, IReadOnlySet<string>> OnChange { get; set; } = static (_, _, _) => { };

    /// <summary>Told when the store is watched again, or no longer: why not, or null. From the thread of <see cref="OnChange"/>.</summary>
    public Action<string?> OnConnection { get; set; } = static _ => { };

    /// <summary>Told before a view of another history is published: the store was restored from a backup, or replaced. From the thread of <see cref="OnChange"/>.</summary>
    public Action OnAnotherHistory { get; set; } = static () => { };

    /// <summary>
    /// Told after all had to be read anew, because the history since the last change was gone or is another one: what this host published may be missing in it. From the thread of <see cref="OnChange"/>, after the change.
    /// </summary>
    public Action OnReadAgain { get; set; } = static () => { };

    /// <summary>Waits until a change of the store is in the view, and <see cref="OnChange"/> has been told.</summary>
    /// <param name="revision">Of the change.</param>
    /// <param name="cancellation">Gives up.</param>
    public Task WaitForAsync(long revision, CancellationToken cancellation)
    {
        TaskCompletionSource reached;
        lock (_access)
        {
            if (_reached >= revision) return Task.CompletedTask;
            reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Add((revision, reached));
        }

        return WaitAsync();

        async Task WaitAsync()
        {
            try
            {
                await reached.Task.WaitAsync(cancellation);
            }
            finally
            {
                lock (_access) _waiting.RemoveAll(each => each.Reached == reached);
            }
        }
    }

    /// <summary>Has all of it read again soon: somebody found it different from the store (<c>sleeve audit</c>).</summary>
    public void ReadAgain()
    {
        _mustReadAll = true;
        try
        {
            _watch?.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // That watch has just ended, and the next begins by looking.
        }
    }

    /// <summary>Keeps the copy until it is cancelled, which ends it without an exception.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        // Begun again after a fault of ours, it does not know what that kept from the cache.
        _mustReadAll = true;
        var pause = FirstPause;
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                await SynchroniseAsync(cancellation);
                SetFault(null);
                pause = FirstPause;
                await WatchAsync(cancellation);
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                break;
            }
            catch (OperationCanceledException)
            {
                // Somebody wants it read again.
                continue;
            }
            catch (StoreCompactedException)
            {
                _mustReadAll = true;
                continue;
            }
            catch (Exception failure) when (failure is IOException or TimeoutException)
            {
                SetFault(failure.Message);
            }

            try
            {
                // Between half and all of it, so that a thousand hosts do not come back in one moment.
                await Task.Delay(pause * (0.5 + (Random.Shared.NextDouble() / 2)), _clock, cancellation);
            }
            catch (OperationCanceledException)
            {
                break;
            }

            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }

        _fault = "it is no longer watched";
        if (_cache is not null) await _cache.FlushAsync();
    }

    // Before each watch: is it still the store that we know?
    private async Task SynchroniseAsync(CancellationToken cancellation)
    {
        var known = _view;
        if (!_mustReadAll && known.Revision > 0)
        {
            var peers = await _store.RangeAsync(ClusterKeys.Peers, cancellation);
            var networks = await _store.RangeAsync(ClusterKeys.Networks, cancellation);
            if (IsContinuation(known, Math.Min(peers.Revision, networks.Revision), peers.Entries.Concat(networks.Entries))) return;
        }

        var slice = await _store.RangeAsync("", cancellation);
        var isAgain = _identity is not null;
        var isOther = (isAgain && _identity != (_store.Identity ?? "")) || (known.Revision > 0 && !IsContinuation(known, slice.Revision, slice.Entries));
        if (isOther) OnAnotherHistory();
        if (isOther) _say(string.Create(CultureInfo.InvariantCulture, $"{_store.Place}: its history (revision {slice.Revision}) is not the one that was known (revision {known.Revision}): was it restored from a backup? All is read again"));
        _mustReadAll = false;
        _identity = _store.Identity ?? "";
        var edit = new ViewEdit(known);
        // What an earlier run kept may be of another history too: revisions that are the same prove nothing then.
        edit.SetAll(slice.Entries, isAnotherHistory: isOther || !isAgain);
        Publish(edit, slice.Revision, isWhole: true);
        _cache?.Replace(_store.Place, slice);
        if (isAgain) OnReadAgain();
    }

    // What it says that it did before our revision, we must have heard: if not, it was another store then.
    private static bool IsContinuation(ClusterView known, long revision, IEnumerable<StoreEntry> entries) => revision >= known.Revision && entries.All(entry =>
    {
        if (entry.ModRevision > known.Revision || known.Faults.ContainsKey(entry.Key)) return true;
        if (entry.Key.StartsWith(ClusterKeys.Peers, StringComparison.Ordinal)) return known.Peers.GetValueOrDefault(entry.Key[ClusterKeys.Peers.Length..])?.Version == entry.ModRevision;
        return !entry.Key.StartsWith(ClusterKeys.Networks, StringComparison.Ordinal)
            || known.Networks.GetValueOrDefault(entry.Key[ClusterKeys.Networks.Length..])?.Record?.Version == entry.ModRevision;
    });

    private async Task WatchAsync(CancellationToken cancellation)
    {
        using var watch = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        _watch = watch;
        try
        {
            if (_mustReadAll) return;
            await foreach (var batch in _store.WatchAsync("", _view.Revision + 1, watch.Token))
            {
                // Told again after a broken connection: it is in the view already.
                if (batch.Revision <= _view.Revision) continue;
                var edit = new ViewEdit(_view);
                foreach (var change in batch.Changes) edit.Set(change.Key, change.Entry);
                Publish(edit, batch.Revision, isWhole: false);
                _cache?.Note(batch);
            }

            throw new StoreUnavailableException($"{_store.Place} ended the watch");
        }
        finally
        {
            _watch = null;
        }
    }

    private void Publish(ViewEdit edit, long revision, bool isWhole)
    {
        var before = _view;
        var after = edit.Finish(revision, out var touched);
        _view = after;
        try
        {
            if (after.Entries != before.Entries || after.Digest != before.Digest || after.Alive != before.Alive || touched.Count > 0) OnChange(before, after, touched);
        }
        finally
        {
            // Who waits for a change waits for what follows from it: an endpoint is wired when it is out of the tables as another host's.
            lock (_access)
            {
                _reached = revision;
                // A store that went back may never get as far again.
                foreach (var (wanted, reached) in _waiting)
                    if (wanted <= revision || (isWhole && revision < before.Revision)) reached.TrySetResult();
            }
        }

        if (after.Faults.Count > before.Faults.Count)
            foreach (var (key, fault) in after.Faults.Except(before.Faults).Take(3)) _say($"{_store.Place}: {Show(key)}: left out: {fault}");
    }

    private void SetFault(string? fault)
    {
        var before = _fault;
        _fault = fault;
        if ((before is null) == (fault is null)) return;
        _say(fault is null ? $"{_store.Place} is watched" : $"{_store.Place} is away: {fault}; what is known stays in use, nothing new can be published");
        OnConnection(fault);
    }

    private static string Show(string key) => string.Concat(key.Take(120).Select(static c => char.IsControl(c) ? '?' : c));
}
