namespace Sleeve.Control.Store;

/// <summary>
/// What the hosts of a cluster agree on: keys with values, in the order of one revision that every change counts up. Either the embedded store of one host, which others reach over TLS, or etcd v3
/// (https://etcd.io/docs/v3.5/learning/api_guarantees/): the same behaviour, held by one suite of tests. Methods may be called from any thread; each throws <see cref="StoreUnavailableException"/> when there is no
/// answer in time, and the caller cannot know then whether a commit was made: keys are chosen so that it can be asked for again.
/// </summary>
internal interface IStore : IAsyncDisposable
{
    /// <summary>Where it is, for messages: no secret stands in it.</summary>
    string Place { get; }

    /// <summary>
    /// Which store it is: revisions mean something only beside the same one. Null before it ever answered. A store of the same identity may have gone back in time too (an old backup); that is told by
    /// <see cref="StoreCompactedException"/> from watches.
    /// </summary>
    string? Identity => null;

    /// <summary>All entries whose key begins with a prefix, at one revision that is no older than the call (linearizable).</summary>
    /// <param name="prefix">"" for all.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="StoreUnavailableException">No answer.</exception>
    /// <exception cref="StoreRefusedException">Not for this host to read.</exception>
    Task<StoreSlice> RangeAsync(string prefix, CancellationToken cancellation);

    /// <summary>Does all of the changes if all of the conditions hold, else none.</summary>
    /// <param name="transaction">At most <see cref="StoreLimits.MaxOperations"/> conditions and as many changes; a key is changed once.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="StoreUnavailableException">No answer; it may have been done.</exception>
    /// <exception cref="StoreRefusedException">Not for this host to write, or beyond a limit; nothing was done.</exception>
    Task<StoreOutcome> CommitAsync(StoreTransaction transaction, CancellationToken cancellation);

    /// <summary>The changes of keys with a prefix, from a revision on, as they come; whole transactions, in order, none left out. Ends only by an exception.</summary>
    /// <param name="prefix">"" for all.</param>
    /// <param name="fromRevision">The first revision to tell of: that of a slice plus 1; at least 1.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="StoreCompactedException">The history from there is no longer kept, or is no longer this one (the store was restored from a backup): read the whole again.</exception>
    /// <exception cref="StoreUnavailableException">The connection broke: ask again from the last revision plus 1.</exception>
    IAsyncEnumerable<StoreBatch> WatchAsync(string prefix, long fromRevision, CancellationToken cancellation);

    /// <summary>Makes a lease: keys put under it are deleted if it is not kept alive.</summary>
    /// <param name="timeToLive">Whole seconds, 1 s to 24 h.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>Its number, never 0.</returns>
    Task<long> GrantAsync(TimeSpan timeToLive, CancellationToken cancellation);

    /// <summary>Lets a lease begin anew.</summary>
    /// <returns>False if there is none, any more.</returns>
    Task<bool> KeepAliveAsync(long lease, CancellationToken cancellation);

    /// <summary>Ends a lease and deletes its keys; one that is not there is no error.</summary>
    Task RevokeAsync(long lease, CancellationToken cancellation);
}

/// <summary>What any store takes at most.</summary>
internal static class StoreLimits
{
    /// <summary>Bytes of a key in UTF-8, and of a prefix.</summary>
    public const int MaxKeyBytes = 512;

    /// <summary>Bytes of a value in UTF-8.</summary>
    public const int MaxValueBytes = 64 * 1024;

    /// <summary>Conditions, and changes, of a transaction (etcd's own default is 128).</summary>
    public const int MaxOperations = 128;

    /// <summary>Bytes of all keys and values of a transaction, conditions and changes (etcd's own default is 1.5 MiB of a request).</summary>
    public const int MaxTransactionBytes = 1024 * 1024;

    /// <summary>Keys of a store, and entries of a range.</summary>
    public const int MaxKeys = 1_000_000;

    /// <summary>Bytes of all keys and values of a store, and of a range.</summary>
    public const long MaxTotalBytes = 512L * 1024 * 1024;

    /// <summary>The shortest lease, in seconds.</summary>
    public const int MinLeaseSeconds = 1;

    /// <summary>The longest lease, in seconds.</summary>
    public const int MaxLeaseSeconds = 24 * 60 * 60;
}

/// <summary>A key as it stands.</summary>
/// <param name="Key">UTF-8, without control characters.</param>
/// <param name="Value">UTF-8.</param>
/// <param name="CreateRevision">When it was put while it was not there.</param>
/// <param name="ModRevision">When it was put last.</param>
/// <param name="Lease">Whose end deletes it; 0 for none.</param>
internal sealed record StoreEntry(string Key, string Value, long CreateRevision, long ModRevision, long Lease);

/// <summary>Entries as they stood at one revision.</summary>
/// <param name="Revision">Of the whole store, then.</param>
/// <param name="Entries">In the order of the bytes of their keys in UTF-8 (<see cref="StoreChecks.Order"/>).</param>
internal sealed record StoreSlice(long Revision, IReadOnlyList<StoreEntry> Entries);

/// <summary>A condition on one key.</summary>
/// <param name="Key">The key.</param>
/// <param name="ModRevision">What its last change must be; 0: it must not be there.</param>
/// <param name="Value">If not null: what its value must be, and the revision does not matter.</param>
internal sealed record StoreCondition(string Key, long ModRevision, string? Value = null)
{
    /// <summary>It must not be there.</summary>
    public static StoreCondition Absent(string key) => new(key, 0);

    /// <summary>It must be as it was read.</summary>
    public static StoreCondition Unchanged(StoreEntry entry) => new(entry.Key, entry.ModRevision);

    /// <summary>It must have this value.</summary>
    public static StoreCondition Has(string key, string value) => new(key, 0, value);
}

/// <summary>A change of one key.</summary>
/// <param name="Key">The key.</param>
/// <param name="Value">What it is to be; null deletes it, which is no error if it is not there.</param>
/// <param name="Lease">Whose end deletes it; 0 for none.</param>
internal sealed record StoreWrite(string Key, string? Value, long Lease = 0);

/// <summary>Changes that are made together, if the conditions hold.</summary>
/// <param name="Conditions">All must hold; none is no condition.</param>
/// <param name="Writes">What is done then.</param>
internal sealed record StoreTransaction(IReadOnlyList<StoreCondition> Conditions, IReadOnlyList<StoreWrite> Writes);

/// <summary>What became of a transaction.</summary>
/// <param name="IsDone">The conditions held, and it is done.</param>
/// <param name="Revision">Of the store afterwards; that of the changes if it was done and changed something.</param>
/// <param name="Found">If it was not done: the keys of the conditions as they stand, those that are there.</param>
internal sealed record StoreOutcome(bool IsDone, long Revision, IReadOnlyList<StoreEntry> Found);

/// <summary>A change that was made.</summary>
/// <param name="Key">The key.</param>
/// <param name="Entry">As it stands now; null if it was deleted.</param>
internal sealed record StoreChange(string Key, StoreEntry? Entry);

/// <summary>What one or more revisions changed, together.</summary>
/// <param name="Revision">The last of them.</param>
/// <param name="Changes">In the order they were made; empty if only the revision is told (nothing with the prefix changed up to it).</param>
internal sealed record StoreBatch(long Revision, IReadOnlyList<StoreChange> Changes);

/// <summary>The store does not answer.</summary>
/// <param name="message">One line: which store, and why.</param>
/// <param name="inner">What it came of.</param>
internal sealed class StoreUnavailableException(string message, Exception? inner = null) : IOException(message, inner);

/// <summary>The store says no: another host's keys, no right, or beyond a limit.</summary>
/// <param name="message">One line.</param>
internal sealed class StoreRefusedException(string message) : IOException(message);

/// <summary>The history that was asked for is no longer kept.</summary>
/// <param name="oldest">The first revision that is.</param>
internal sealed class StoreCompactedException(long oldest) : IOException($"the history before revision {oldest} is no longer kept")
{
    /// <summary>The first revision that is still kept.</summary>
    public long Oldest { get; } = oldest;
}
