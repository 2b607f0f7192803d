using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Threading.Channels;
using Microsoft.Data.Sqlite;
using Sleeve.Control.Host;

namespace Sleeve.Control.Store;

/// <summary>
/// The store of a cluster in a file of this host (<see cref="ClusterDatabase"/>); <c>StoreGateway</c> serves it to the others. Whatever is answered is on the disk. One thread of work makes all changes, those that wait
/// together with one flush of the disk; reads and watches do not wait for it.
/// </summary>
internal sealed class EmbeddedStore : IStore
{
    /// <summary>Its file in the state folder.</summary>
    public const string FileName = "cluster.db";

    private const string LockName = "cluster.lock";
    private const int MaxWaiting = 4096;
    private const int MaxTogether = 256;
    private const int ReadAtOnce = 1000;
    private const long ReadBytesAtOnce = 4 * 1024 * 1024;
    private static readonly TimeSpan LeaseLook = TimeSpan.FromMilliseconds(250);

    private readonly ClusterDatabase _database;
    private readonly FileStream _lock;
    private readonly EmbeddedStoreOptions _options;
    private readonly Channel<Work> _waiting = Channel.CreateBounded<Work>(new BoundedChannelOptions(MaxWaiting) { SingleReader = true });
    private readonly RecentBatches _recent;
    private readonly LeaseTable _leases;
    private readonly ITimer _timer;
    private readonly CancellationTokenSource _closing = new();
    private readonly Task _writing;
    private (long Keys, long Bytes, long HistoryBytes) _totals;
    private long _compacted;
    private int _watches;

    private EmbeddedStore(string folder, ClusterDatabase database, FileStream held, EmbeddedStoreOptions options, TimeProvider time)
    {
        Place = Path.Combine(folder, FileName);
        (_database, _lock, _options) = (database, held, options);
        _recent = new RecentBatches(database.Meta("revision"));
        _compacted = database.Meta("compacted");
        var (keys, bytes) = database.Totals();
        _totals = (keys, bytes, database.HistoryBytes());
        _leases = new LeaseTable(time, database.Leases());
        _writing = Task.Run(WriteAsync);
        _timer = time.CreateTimer(_ => EndLeases(), null, LeaseLook, LeaseLook);
    }

    /// <summary>Opens the store of a folder, which is made if need be.</summary>
    /// <param name="folder">The state folder.</param>
    /// <param name="time">By which leases end.</param>
    /// <param name="options">Limits; null for the usual ones.</param>
    /// <exception cref="HostException">It is damaged, in use, or cannot be written.</exception>
    public static EmbeddedStore Open(string folder, TimeProvider time, EmbeddedStoreOptions? options = null)
    {
        FileStream held;
        try
        {
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            held = new FileStream(Path.Combine(folder, LockName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException failure) when (failure.Message.Contains("being used", StringComparison.Ordinal))
        {
            throw new HostException($"{Path.Combine(folder, FileName)}: another sleeve daemon uses it; stop that one, or give this one another folder (--state)");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"{Path.Combine(folder, FileName)}: cannot be written: {failure.Message}");
        }

        try
        {
            var database = ClusterDatabase.Open(Path.Combine(folder, FileName));
            try
            {
                return new EmbeddedStore(folder, database, held, options ?? new EmbeddedStoreOptions(), time);
            }
            catch
            {
                database.Dispose();
                throw;
            }
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    /// <summary>Removes the store of a folder; one that is not there is no error.</summary>
    public static void Remove(string folder)
    {
        foreach (var path in Directory.EnumerateFiles(folder, $"{FileName}*").Append(Path.Combine(folder, LockName)).ToArray()) File.Delete(path);
    }

    /// <inheritdoc/>
    public string Place { get; }

    /// <inheritdoc/>
    public string? Identity => $"{_database.StoreId:x16}";

    /// <summary>Which store this is, and which run of it.</summary>
    public (long Store, long EpochNumber, long Epoch) Run => (_database.StoreId, _database.Epoch.Number, _database.Epoch.Id);

    /// <summary>The revision now.</summary>
    public long Revision => _recent.Revision;

    /// <summary>What it holds.</summary>
    public (long Keys, long Bytes) Totals => (Interlocked.Read(ref _totals.Keys), Interlocked.Read(ref _totals.Bytes));

    /// <summary>Whether what a client saw in a run of the store, up to a revision, is still so.</summary>
    public bool Continues(long epoch, long revision) => _database.Continues(epoch, revision);

    /// <inheritdoc/>
    public async Task<StoreSlice> RangeAsync(string prefix, CancellationToken cancellation)
    {
        StoreChecks.CheckPrefix(prefix);
        var from = StoreChecks.Bytes(prefix);
        var (entries, _, revision) = await ReadAsync(from, StoreChecks.EndOf(from), StoreLimits.MaxKeys, long.MaxValue, 0, cancellation);
        return new StoreSlice(revision, entries);
    }

    /// <summary>Entries from a key on, as they stood at a revision: <see cref="ClusterDatabase.Range"/>.</summary>
    /// <exception cref="StoreUnavailableException">The file cannot be read.</exception>
    public Task<(IReadOnlyList<StoreEntry> Entries, bool HasMore, long Revision)> ReadAsync(byte[] from, byte[] end, int limit, long enoughBytes, long revision, CancellationToken cancellation) =>
        ReadAsync(() => _database.Range(from, end, limit, enoughBytes, revision), cancellation);

    private async Task<T> ReadAsync<T>(Func<T> read, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        if (_closing.IsCancellationRequested) throw Closed();
        try
        {
            return await Task.Run(read, cancellation).WaitAsync(_options.Patience, cancellation);
        }
        catch (SqliteException failure)
        {
            throw new StoreUnavailableException(_database.Reason(failure), failure);
        }
        catch (InvalidOperationException failure) when (_closing.IsCancellationRequested)
        {
            throw Closed(failure);
        }
        catch (TimeoutException failure)
        {
            throw Silent(failure);
        }
    }

    private StoreUnavailableException Closed(Exception? failure = null) => new($"{Place}: the store is closed", failure);

    private StoreUnavailableException Silent(TimeoutException failure) => new($"{Place}: no answer from the disk in {_options.Patience.TotalSeconds} s", failure);

    /// <inheritdoc/>
    public Task<StoreOutcome> CommitAsync(StoreTransaction transaction, CancellationToken cancellation) => CommitAsync(transaction, null, cancellation);

    /// <summary>As the other, for somebody who may not write everything.</summary>
    /// <param name="transaction">What is to be done.</param>
    /// <param name="guard">Asked if the conditions hold, with what reads an entry as it stands then; says why not, or null.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="StoreRefusedException">The guard says no.</exception>
    public Task<StoreOutcome> CommitAsync(StoreTransaction transaction, Func<Func<string, StoreEntry?>, string?>? guard, CancellationToken cancellation)
    {
        StoreChecks.Check(transaction);
        return DoAsync(group => Commit(group, transaction, guard), cancellation);
    }

    private StoreOutcome Commit(Group group, StoreTransaction transaction, Func<Func<string, StoreEntry?>, string?>? guard)
    {
        if (!transaction.Conditions.All(condition => Holds(condition, _database.Get(condition.Key))))
            return new StoreOutcome(false, group.Revision, [.. transaction.Conditions.Select(static condition => condition.Key).Distinct(StringComparer.Ordinal).Select(_database.Get).OfType<StoreEntry>()]);
        if (guard?.Invoke(_database.Get) is { } refusal) throw new StoreRefusedException(refusal);
        var changes = new List<(StoreWrite Write, StoreEntry? Before)>(transaction.Writes.Count);
        var (keys, bytes) = (group.Keys, group.Bytes);
        foreach (var write in transaction.Writes)
        {
            if (write is { Value: not null, Lease: not 0 } && _leases.Find(write.Lease) is null) throw new StoreRefusedException($"lease {write.Lease}: there is none, any more");
            var before = _database.Get(write.Key);
            if (write.Value is null && before is null) continue;
            changes.Add((write, before));
            keys += (write.Value is null ? 0 : 1) - (before is null ? 0 : 1);
            bytes += SizeOf(write.Key, write.Value) - SizeOf(write.Key, before?.Value);
        }

        // Deleting must always go on.
        if (keys > _options.MaxKeys && keys > group.Keys) throw new StoreRefusedException($"the store is full: it holds {group.Keys} keys, at most {_options.MaxKeys} are allowed");
        if (bytes > _options.MaxTotalBytes && bytes > group.Bytes) throw new StoreRefusedException($"the store is full: it holds {group.Bytes} bytes, at most {_options.MaxTotalBytes} are allowed");
        if (changes.Count > 0) group.Add(_database, changes, keys, bytes);
        return new StoreOutcome(true, group.Revision, []);
    }

    private static bool Holds(StoreCondition condition, StoreEntry? entry) => condition.Value is { } value ? entry?.Value == value : (entry?.ModRevision ?? 0) == condition.ModRevision;

    internal static long SizeOf(string key, string? value) => value is null ? 0 : System.Text.Encoding.UTF8.GetByteCount(key) + System.Text.Encoding.UTF8.GetByteCount(value);

    /// <inheritdoc/>
    public async IAsyncEnumerable<StoreBatch> WatchAsync(string prefix, long fromRevision, [EnumeratorCancellation] CancellationToken cancellation)
    {
        StoreChecks.CheckPrefix(prefix);
        ArgumentOutOfRangeException.ThrowIfLessThan(fromRevision, 1);
        // A revision that this store never had was another's.
        if (fromRevision > Revision + 1) throw new StoreCompactedException(Interlocked.Read(ref _compacted) + 1);
        if (Interlocked.Increment(ref _watches) > _options.MaxWatches)
        {
            Interlocked.Decrement(ref _watches);
            throw new StoreUnavailableException($"{Place}: {_options.MaxWatches} watches at once are the limit");
        }

        try
        {
            var next = fromRevision;
            var told = fromRevision - 1;
            while (true)
            {
                cancellation.ThrowIfCancellationRequested();
                if (_closing.IsCancellationRequested) throw Closed();
                if (next <= Interlocked.Read(ref _compacted)) throw new StoreCompactedException(Interlocked.Read(ref _compacted) + 1);
                var more = _recent.Read(next, out var batches);
                var from = next;
                batches ??= await ReadAsync(() => _database.History(from, ReadAtOnce, ReadBytesAtOnce), cancellation);
                foreach (var batch in batches)
                {
                    next = batch.Revision + 1;
                    if (Only(prefix, batch) is not { } seen) continue;
                    told = batch.Revision;
                    yield return seen;
                }

                if (batches.Count > 0) continue;
                // Nothing with the prefix was changed up to here: that is worth telling too.
                if (told < next - 1) yield return new StoreBatch(told = next - 1, []);
                await more.WaitAsync(cancellation);
            }
        }
        finally
        {
            Interlocked.Decrement(ref _watches);
        }
    }

    private static StoreBatch? Only(string prefix, StoreBatch batch)
    {
        if (prefix.Length == 0) return batch;
        StoreChange[] changes = [.. batch.Changes.Where(change => change.Key.StartsWith(prefix, StringComparison.Ordinal))];
        return changes.Length > 0 ? batch with { Changes = changes } : null;
    }

    /// <inheritdoc/>
    public Task<long> GrantAsync(TimeSpan timeToLive, CancellationToken cancellation) => GrantAsync(timeToLive, "", cancellation);

    /// <summary>As the other, for another host.</summary>
    public Task<long> GrantAsync(TimeSpan timeToLive, string owner, CancellationToken cancellation)
    {
        var seconds = StoreChecks.SecondsOf(timeToLive);
        return DoAsync(
            group =>
            {
                if (_leases.Count >= _options.MaxLeases) throw new StoreRefusedException($"there are {_options.MaxLeases} leases: no more are allowed");
                // Drawn, so that none is used again after a backup was put back.
                var lease = new StoredLease(RandomNumberGenerator.GetInt32(1, int.MaxValue) * 0x8000_0000L + RandomNumberGenerator.GetInt32(int.MaxValue), seconds, owner);
                _database.PutLease(lease);
                _leases.Add(lease);
                group.OnFailure(() => _leases.FinishEnd(lease.Number, isDone: true));
                return lease.Number;
            },
            cancellation);
    }

    /// <inheritdoc/>
    public Task<bool> KeepAliveAsync(long lease, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        if (_closing.IsCancellationRequested) throw Closed();
        return Task.FromResult(_leases.KeepAlive(lease));
    }

    /// <summary>Who made a lease; null if there is none, "" for this host itself.</summary>
    public string? OwnerOf(long lease) => _leases.Find(lease)?.Owner;

    /// <summary>Its term in seconds; 0 if there is none.</summary>
    public long SecondsOf(long lease) => _leases.Find(lease)?.Seconds ?? 0;

    /// <inheritdoc/>
    public Task RevokeAsync(long lease, CancellationToken cancellation) => DoAsync(group => End(group, lease, isExpiry: false), cancellation);

    private bool End(Group group, long lease, bool isExpiry)
    {
        if (!_leases.BeginEnd(lease, isExpiry)) return false;
        group.OnFailure(() => _leases.FinishEnd(lease, isDone: false));
        _database.DeleteLease(lease);
        var changes = _database.KeysOf(lease).Select(key => (new StoreWrite(key, null), _database.Get(key))).ToList();
        group.OnSuccess(() => _leases.FinishEnd(lease, isDone: true));
        if (changes.Count > 0) group.Add(_database, changes, group.Keys - changes.Count, group.Bytes - changes.Sum(static change => SizeOf(change.Item1.Key, change.Item2?.Value)));
        return true;
    }

    private void EndLeases()
    {
        foreach (var lease in _leases.Due())
        {
            // If there is no room for it now, it is due at the next look too.
            if (!_waiting.Writer.TryWrite(new Work<bool>(group => End(group, lease, isExpiry: true), CancellationToken.None))) return;
        }
    }

    /// <summary>Forgets the history up to a revision; that happens by itself too.</summary>
    public Task CompactAsync(long revision, CancellationToken cancellation) => DoAsync(group => Compact(group, Math.Min(revision, group.Revision)), cancellation);

    private bool Compact(Group group, long revision)
    {
        if (revision <= group.Compacted) return false;
        var freed = _database.HistoryBytes(revision);
        _database.Compact(revision);
        group.Compacted = revision;
        group.HistoryBytes -= freed;
        return true;
    }

    private async Task<T> DoAsync<T>(Func<Group, T> act, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        if (_closing.IsCancellationRequested) throw Closed();
        var work = new Work<T>(act, cancellation);
        try
        {
            await _waiting.Writer.WriteAsync(work, cancellation).AsTask().WaitAsync(_options.Patience, cancellation);
            return await work.Done.WaitAsync(_options.Patience, cancellation);
        }
        catch (TimeoutException failure)
        {
            throw Silent(failure);
        }
        catch (ChannelClosedException failure)
        {
            throw Closed(failure);
        }
    }

    // Makes all changes: those that wait become one transaction of the database, so that the disk is flushed once for all of them.
    private async Task WriteAsync()
    {
        var works = new List<Work>();
        while (await _waiting.Reader.WaitToReadAsync())
        {
            works.Clear();
            while (works.Count < MaxTogether && _waiting.Reader.TryRead(out var work)) works.Add(work);
            Write(works);
        }
    }

    private void Write(List<Work> works)
    {
        var group = new Group(_recent.Revision, _compacted, _totals);
        try
        {
            _database.Begin();
            foreach (var work in works) work.Act(group);
            var oldest = group.Revision - _options.HistoryRevisions;
            if (oldest > group.Compacted + Math.Min(1000, _options.HistoryRevisions)) Compact(group, oldest);
            if (group.HistoryBytes > _options.HistoryBytes) Compact(group, group.Revision - ((group.Revision - group.Compacted) * 3 / 4));
            if (group.Batches.Count > 0) _database.SetRevision(group.Revision);
            _database.Commit();
        }
        catch (Exception failure)
        {
            _database.Rollback();
            group.Fail();
            var reason = new StoreUnavailableException(failure is SqliteException refused ? _database.Reason(refused) : $"{Place}: {failure.Message}", failure);
            foreach (var work in works) work.Fail(reason);
            return;
        }

        Interlocked.Exchange(ref _totals.Keys, group.Keys);
        Interlocked.Exchange(ref _totals.Bytes, group.Bytes);
        _totals.HistoryBytes = group.HistoryBytes;
        Interlocked.Exchange(ref _compacted, group.Compacted);
        group.Succeed();
        _recent.Add(group.Batches);
        foreach (var work in works) work.Finish();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_closing.IsCancellationRequested) return;
        await _closing.CancelAsync();
        await _timer.DisposeAsync();
        _waiting.Writer.TryComplete();
        _recent.Wake();
        await _writing;
        _database.Dispose();
        await _lock.DisposeAsync();
        _closing.Dispose();
    }
}
