using System.Globalization;
using System.Runtime.CompilerServices;

namespace Sleeve.Control.Store;

/// <summary>
/// The store of a cluster in etcd v3, by its JSON gateway; and, the same, in the <see cref="EmbeddedStore"/> of another host that a <c>StoreGateway</c> serves. Several members are tried in turn; see docs/store.md
/// for what is asked again and what is not.
/// </summary>
internal sealed class EtcdStore : IStore
{
    // Pages of a range are made to be about as large as this.
    private const long PageBytes = 2 * 1024 * 1024;
    private const int FirstPage = 256;
    private const int LargestPage = 4096;
    private const int RangeAttempts = 5;

    private readonly EtcdStoreOptions _options;
    private readonly EtcdClient _client;
    private readonly byte[] _root;

    /// <summary>Makes one; nothing is connected yet.</summary>
    public EtcdStore(EtcdStoreOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfZero(options.Endpoints.Count);
        _options = options;
        _client = new EtcdClient(options);
        _root = StoreChecks.Bytes(options.Root);
    }

    /// <inheritdoc/>
    public string Place => _client.Place;

    /// <inheritdoc/>
    public string? Identity => _client.Lineage.Seen.Cluster is not 0 and var cluster ? $"{cluster:x16}" : null;

    /// <inheritdoc/>
    public async Task<StoreSlice> RangeAsync(string prefix, CancellationToken cancellation)
    {
        StoreChecks.CheckPrefix(prefix);
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await RangeOnceAsync(StoreChecks.Bytes(prefix), cancellation);
            }
            catch (EtcdFault fault) when (fault.Kind == EtcdFaultKind.NoRevision && attempt < RangeAttempts)
            {
                // Compacted between two pages, or the store went back in time: from the beginning.
            }
            catch (EtcdFault fault)
            {
                throw new StoreUnavailableException(_client.Tell(fault.Message), fault);
            }
        }
    }

    private async Task<StoreSlice> RangeOnceAsync(byte[] prefix, CancellationToken cancellation)
    {
        byte[] whole = [.. _root, .. prefix];
        var end = StoreChecks.EndOf(whole);
        byte[] next = whole.Length > 0 ? whole : [0];
        var entries = new List<StoreEntry>();
        var (bytes, revision, page) = (0L, 0L, FirstPage);
        while (true)
        {
            EtcdRange answer;
            try
            {
                answer = await _client.AskAsync(
                    EtcdPaths.Range, new EtcdRangeRequest(next) { RangeEnd = end, Limit = page, Revision = revision > 0 ? revision : null }, EtcdJson.Default.EtcdRangeRequest, EtcdJson.Default.EtcdRange, isRepeatable: true,
                    cancellation);
            }
            catch (EtcdFault fault) when (fault.Kind == EtcdFaultKind.TooLarge && page > 1)
            {
                page = Math.Max(1, page / 8);
                continue;
            }

            if (revision == 0) revision = answer.Header!.Revision;
            var kvs = answer.Kvs ?? [];
            foreach (var kv in kvs)
            {
                // Ascending, and within what was asked for; or whoever answers is not etcd.
                if (kv is not { Key: { } key } || next.AsSpan().SequenceCompareTo(key) > 0 || !IsBefore(key, end) || kv.ModRevision > revision) throw Senseless();
                next = [.. key, 0];
                if (EntryOf(kv) is not { } entry) continue;
                entries.Add(entry);
                bytes += key.Length + (kv.Value?.Length ?? 0);
            }

            if (answer.More is not true) return new StoreSlice(revision, entries);
            if (kvs.Length == 0) throw Senseless();
            if (entries.Count > StoreLimits.MaxKeys || bytes > StoreLimits.MaxTotalBytes)
                throw new StoreUnavailableException(string.Create(CultureInfo.InvariantCulture, $"{Place}: more than {StoreLimits.MaxKeys} keys or {StoreLimits.MaxTotalBytes} bytes there: more than is read"));
            page = (int)Math.Clamp(PageBytes * entries.Count / Math.Max(1, bytes), 16, LargestPage);
        }
    }

    private static bool IsBefore(ReadOnlySpan<byte> key, ReadOnlySpan<byte> end) => end is [0] || key.SequenceCompareTo(end) < 0;

    private StoreUnavailableException Senseless() => new($"{Place}: the answer makes no sense: is it etcd?");

    // What others put beside our keys and is none that could be ours is not there for us.
    private StoreEntry? EntryOf(EtcdEntry kv) => KeyOf(kv.Key) is { } key ? new StoreEntry(key, System.Text.Encoding.UTF8.GetString(kv.Value ?? []), kv.CreateRevision, kv.ModRevision, kv.Lease) : null;

    private string? KeyOf(byte[]? key) =>
        key is not null && key.AsSpan().StartsWith(_root) && StoreChecks.Text(key.AsSpan(_root.Length)) is { } text && StoreChecks.IsKey(text) ? text : null;

    private byte[] Whole(string key) => [.. _root, .. StoreChecks.Bytes(key)];

    /// <inheritdoc/>
    public async Task<StoreOutcome> CommitAsync(StoreTransaction transaction, CancellationToken cancellation)
    {
        StoreChecks.Check(transaction);
        var failure = transaction.Conditions.Select(static condition => condition.Key).Distinct(StringComparer.Ordinal).Select(key => new EtcdOperation { RequestRange = new EtcdRangeRequest(Whole(key)) }).ToArray();
        var request = new EtcdTransactionRequest(
            [.. transaction.Conditions.Select(CompareOf)], [.. transaction.Writes.Select(OperationOf)], failure);
        try
        {
            var answer = await _client.AskAsync(EtcdPaths.Transaction, request, EtcdJson.Default.EtcdTransactionRequest, EtcdJson.Default.EtcdTransaction, isRepeatable: transaction.Writes.Count == 0, cancellation);
            var revision = answer.Header!.Revision;
            if (answer.Succeeded is true) return new StoreOutcome(true, revision, []);
            var found = (answer.Responses ?? []).SelectMany(static response => response?.ResponseRange?.Kvs ?? []).Select(EntryOf).ToArray();
            return found.Length <= failure.Length && found.All(entry => entry is not null && transaction.Conditions.Any(condition => condition.Key == entry.Key)) ? new StoreOutcome(false, revision, found!) : throw Senseless();
        }
        catch (EtcdFault fault)
        {
            throw fault.Kind switch
            {
                EtcdFaultKind.NoLease => new StoreRefusedException($"{Place}: a lease that the keys are put under is no longer there"),
                _ => new StoreUnavailableException(_client.Tell(fault.Message), fault),
            };
        }
    }

    private EtcdCompare CompareOf(StoreCondition condition) => condition.Value is { } value
        ? new EtcdCompare("EQUAL", "VALUE", Whole(condition.Key), null, StoreChecks.Bytes(value))
        : new EtcdCompare("EQUAL", "MOD", Whole(condition.Key), condition.ModRevision, null);

    private EtcdOperation OperationOf(StoreWrite write) => write.Value is { } value
        ? new EtcdOperation { RequestPut = new EtcdPut(Whole(write.Key), StoreChecks.Bytes(value), write.Lease != 0 ? write.Lease : null) }
        : new EtcdOperation { RequestDeleteRange = new EtcdRangeRequest(Whole(write.Key)) };

    /// <inheritdoc/>
    public async IAsyncEnumerable<StoreBatch> WatchAsync(string prefix, long fromRevision, [EnumeratorCancellation] CancellationToken cancellation)
    {
        StoreChecks.CheckPrefix(prefix);
        ArgumentOutOfRangeException.ThrowIfLessThan(fromRevision, 1);
        await using var watch = await BeginAsync(Whole(prefix), fromRevision, cancellation);
        while (true)
        {
            foreach (var batch in await NextAsync(watch, cancellation)) yield return batch;
        }
    }

    private async Task<EtcdWatchReader> BeginAsync(byte[] prefix, long fromRevision, CancellationToken cancellation)
    {
        // A second time if the token that was sent counts no more: etcd does not say so of watches, it only refuses.
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await EtcdWatchReader.BeginAsync(_client, _options, prefix, fromRevision, KeyOf, cancellation);
            }
            catch (EtcdFault fault) when (fault.Kind == EtcdFaultKind.Token && attempt == 1 && _options.User is not null)
            {
                _client.ForgetToken();
            }
            catch (EtcdFault fault)
            {
                throw Told(fault);
            }
        }
    }

    private async Task<IReadOnlyList<StoreBatch>> NextAsync(EtcdWatchReader watch, CancellationToken cancellation)
    {
        try
        {
            return await watch.NextAsync(cancellation);
        }
        catch (EtcdFault fault)
        {
            throw Told(fault);
        }
    }

    private IOException Told(EtcdFault fault) => fault.Kind is EtcdFaultKind.Refused or EtcdFaultKind.Token
        ? new StoreRefusedException(_client.Tell(fault.Message))
        : new StoreUnavailableException(_client.Tell(fault.Message), fault);

    /// <inheritdoc/>
    public async Task<long> GrantAsync(TimeSpan timeToLive, CancellationToken cancellation)
    {
        // Repeated, it may leave a lease behind that nobody uses; that ends by itself.
        var answer = await AskAsync(EtcdPaths.Grant, new EtcdLeaseRequest { Ttl = StoreChecks.SecondsOf(timeToLive) }, cancellation);
        return answer?.Id is { } id and not 0 ? id : throw Senseless();
    }

    /// <inheritdoc/>
    public async Task<bool> KeepAliveAsync(long lease, CancellationToken cancellation)
    {
        try
        {
            var answer = await _client.AskAsync(EtcdPaths.KeepAlive, new EtcdLeaseRequest { Id = lease }, EtcdJson.Default.EtcdLeaseRequest, EtcdJson.Default.EtcdLeaseLine, isRepeatable: true, cancellation);
            return answer.Result?.Ttl > 0;
        }
        catch (EtcdFault fault)
        {
            return fault.Kind == EtcdFaultKind.NoLease ? false : throw new StoreUnavailableException(_client.Tell(fault.Message), fault);
        }
    }

    /// <inheritdoc/>
    public Task RevokeAsync(long lease, CancellationToken cancellation) => AskAsync(EtcdPaths.Revoke, new EtcdLeaseRequest { Id = lease }, cancellation);

    private async Task<EtcdLease?> AskAsync(string path, EtcdLeaseRequest request, CancellationToken cancellation)
    {
        try
        {
            return await _client.AskAsync(path, request, EtcdJson.Default.EtcdLeaseRequest, EtcdJson.Default.EtcdLease, isRepeatable: true, cancellation);
        }
        catch (EtcdFault fault)
        {
            return fault.Kind == EtcdFaultKind.NoLease ? null : throw new StoreUnavailableException(_client.Tell(fault.Message), fault);
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        return ValueTask.CompletedTask;
    }
}
