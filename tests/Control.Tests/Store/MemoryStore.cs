using System.Runtime.CompilerServices;
using Sleeve.Control.Store;

namespace Sleeve.Control.Tests.Store;

/// <summary>
/// The obvious store: a sorted dictionary and a list of all that ever changed, under one lock. What the real ones are compared with, and a fast stand-in for them where a test is about something else. It can be away
/// (<see cref="IsAway"/>), forget its history (<see cref="Compact"/>) and be set back to an earlier time (<see cref="Snapshot"/>, <see cref="Restore"/>).
/// </summary>
internal sealed class MemoryStore(TimeProvider? time = null) : IStore
{
    private readonly Lock _access = new();
    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly SortedDictionary<string, StoreEntry> _entries = new(StoreChecks.Order);
    private readonly List<StoreBatch> _history = [];
    private readonly Dictionary<long, Lease> _leases = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _revision = 1;
    private long _compacted;
    private long _lastLease = 7000;
    private int _restores;
    private bool _isAway;

    public string Place => "memory";

    public string? Identity => "memory";

    /// <summary>Transactions that were asked for.</summary>
    public int Commits { get; private set; }

    /// <summary>Called with each transaction before it is looked at, without the lock: where a test lets another host come first.</summary>
    public Func<StoreTransaction, Task>? BeforeCommit { get; set; }

    /// <summary>Whether it does not answer; watches break when it goes away.</summary>
    public bool IsAway
    {
        get
        {
            lock (_access) return _isAway;
        }

        set
        {
            lock (_access)
            {
                _isAway = value;
                Signal();
            }
        }
    }

    /// <summary>The revision now.</summary>
    public long Revision
    {
        get
        {
            lock (_access) return _revision;
        }
    }

    public Task<StoreSlice> RangeAsync(string prefix, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        StoreChecks.CheckPrefix(prefix);
        lock (_access)
        {
            Look();
            return Task.FromResult(new StoreSlice(_revision, [.. _entries.Values.Where(entry => entry.Key.StartsWith(prefix, StringComparison.Ordinal))]));
        }
    }

    public async Task<StoreOutcome> CommitAsync(StoreTransaction transaction, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        StoreChecks.Check(transaction);
        if (BeforeCommit is { } before) await before(transaction);
        lock (_access)
        {
            Look();
            Commits++;
            if (!transaction.Conditions.All(Holds))
                return new StoreOutcome(false, _revision, [.. transaction.Conditions.Select(static condition => condition.Key).Distinct().Where(_entries.ContainsKey).Select(key => _entries[key])]);
            foreach (var write in transaction.Writes)
                if (write is { Value: not null, Lease: not 0 } && !_leases.ContainsKey(write.Lease)) throw new StoreRefusedException($"lease {write.Lease}: there is none, any more");
            Apply(transaction.Writes);
            return new StoreOutcome(true, _revision, []);
        }
    }

    private bool Holds(StoreCondition condition)
    {
        var entry = _entries.GetValueOrDefault(condition.Key);
        return condition.Value is { } value ? entry?.Value == value : (entry?.ModRevision ?? 0) == condition.ModRevision;
    }

    private void Apply(IEnumerable<StoreWrite> writes)
    {
        var revision = _revision + 1;
        var changes = new List<StoreChange>();
        foreach (var (key, value, lease) in writes)
        {
            if (value is not null)
            {
                _entries[key] = new StoreEntry(key, value, _entries.GetValueOrDefault(key)?.CreateRevision ?? revision, revision, lease);
                changes.Add(new StoreChange(key, _entries[key]));
            }
            else if (_entries.Remove(key))
            {
                changes.Add(new StoreChange(key, null));
            }
        }

        if (changes.Count == 0) return;
        _revision = revision;
        _history.Add(new StoreBatch(revision, changes));
        Signal();
    }

    public async IAsyncEnumerable<StoreBatch> WatchAsync(string prefix, long fromRevision, [EnumeratorCancellation] CancellationToken cancellation)
    {
        StoreChecks.CheckPrefix(prefix);
        ArgumentOutOfRangeException.ThrowIfLessThan(fromRevision, 1);
        var next = fromRevision;
        int? restores = null;
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            StoreBatch[] batches;
            Task changed;
            lock (_access)
            {
                Look();
                restores ??= _restores;
                if (next <= _compacted || next > _revision + 1 || restores != _restores) throw new StoreCompactedException(_compacted + 1);
                batches = [.. _history.Where(batch => batch.Revision >= next)];
                next = _revision + 1;
                changed = _changed.Task;
            }

            foreach (var batch in batches)
            {
                StoreChange[] changes = [.. batch.Changes.Where(change => change.Key.StartsWith(prefix, StringComparison.Ordinal))];
                if (changes.Length > 0) yield return batch with { Changes = changes };
            }

            await changed.WaitAsync(cancellation);
        }
    }

    public Task<long> GrantAsync(TimeSpan timeToLive, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var seconds = StoreChecks.SecondsOf(timeToLive);
        lock (_access)
        {
            Look();
            var number = ++_lastLease;
            var lease = new Lease(TimeSpan.FromSeconds(seconds), null!);
            _leases[number] = lease with { Timer = _time.CreateTimer(_ => End(number), null, lease.TimeToLive, Timeout.InfiniteTimeSpan) };
            return Task.FromResult(number);
        }
    }

    public Task<bool> KeepAliveAsync(long lease, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        lock (_access)
        {
            Look();
            return Task.FromResult(_leases.GetValueOrDefault(lease) is { } found && found.Timer.Change(found.TimeToLive, Timeout.InfiniteTimeSpan));
        }
    }

    public Task RevokeAsync(long lease, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        lock (_access) Look();
        End(lease);
        return Task.CompletedTask;
    }

    /// <summary>Ends a lease, as its time does.</summary>
    public void End(long lease)
    {
        lock (_access)
        {
            if (!_leases.Remove(lease, out var ended)) return;
            ended.Timer.Dispose();
            Apply([.. _entries.Values.Where(entry => entry.Lease == lease).Select(static entry => new StoreWrite(entry.Key, null))]);
        }
    }

    /// <summary>Forgets the history up to a revision.</summary>
    public void Compact(long revision)
    {
        lock (_access)
        {
            _compacted = Math.Max(_compacted, Math.Min(revision, _revision));
            _history.RemoveAll(batch => batch.Revision <= _compacted);
            Signal();
        }
    }

    /// <summary>All there is now, for <see cref="Restore"/>.</summary>
    public StoreSlice Snapshot()
    {
        lock (_access) return new StoreSlice(_revision, [.. _entries.Values]);
    }

    /// <summary>Is again as it was then, as after a backup was put back: revisions count on from there.</summary>
    public void Restore(StoreSlice backup)
    {
        lock (_access)
        {
            _entries.Clear();
            foreach (var entry in backup.Entries) _entries[entry.Key] = entry;
            _history.Clear();
            (_revision, _compacted) = (backup.Revision, backup.Revision);
            _restores++;
            Signal();
        }
    }

    private void Look()
    {
        if (_isAway) throw new StoreUnavailableException("memory: is away");
    }

    private void Signal()
    {
        _changed.TrySetResult();
        _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    public ValueTask DisposeAsync()
    {
        lock (_access)
            foreach (var lease in _leases.Values) lease.Timer.Dispose();
        return ValueTask.CompletedTask;
    }

    private sealed record Lease(TimeSpan TimeToLive, ITimer Timer);
}
