using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;

namespace Sleeve.Control.Store;

/// <summary>
/// Serves an <see cref="EmbeddedStore"/> to other hosts, in the words of etcd's JSON gateway, so that <see cref="EtcdStore"/> is the client of both: ranges, transactions of conditions on equality, watches of a prefix, leases.
/// Who asks is told by whoever made the connection; what a host may write says <see cref="StoreRules"/>.
/// </summary>
internal sealed class StoreGateway
{
    private const int MaxPage = 5000;
    private const long PageBytes = 4 * 1024 * 1024;

    // gRPC status codes, and the HTTP status that etcd's gateway gives them.
    private static readonly Dictionary<int, int> Statuses = new() { [3] = 400, [5] = 404, [7] = 403, [8] = 429, [11] = 400, [14] = 503, [16] = 401 };

    private readonly EmbeddedStore _store;
    private readonly Func<HttpContext, string?> _identityOf;
    private readonly StoreGatewayOptions _options;
    private readonly StoreGuests _guests;
    private readonly WatchLines _lines;

    private StoreGateway(EmbeddedStore store, Func<HttpContext, string?> identityOf, StoreGatewayOptions options, TimeProvider time)
    {
        (_store, _identityOf, _options) = (store, identityOf, options);
        _guests = new StoreGuests(options, time);
        _lines = new WatchLines(options.LineBytes, HeaderAt);
    }

    /// <summary>Adds the routes.</summary>
    /// <param name="routes">Of any listener.</param>
    /// <param name="store">What is served.</param>
    /// <param name="identityOf">The name of the host that asks, as its certificate says; null if there is none, which is refused.</param>
    /// <param name="options">Limits of each host; null for the usual ones.</param>
    /// <param name="time">By which requests are counted; null for the system's.</param>
    public static void Map(IEndpointRouteBuilder routes, EmbeddedStore store, Func<HttpContext, string?> identityOf, StoreGatewayOptions? options = null, TimeProvider? time = null)
    {
        var gateway = new StoreGateway(store, identityOf, options ?? new StoreGatewayOptions(), time ?? TimeProvider.System);
        void Add(string path, RequestDelegate serve) => routes.MapPost(path, serve).ExcludeFromDescription();
        Add(EtcdPaths.Range, context => gateway.ServeAsync(context, EtcdJson.Default.EtcdRangeRequest, EtcdJson.Default.EtcdRange, gateway.RangeAsync));
        Add(EtcdPaths.Transaction, context => gateway.ServeAsync(context, EtcdJson.Default.EtcdTransactionRequest, EtcdJson.Default.EtcdTransaction, gateway.CommitAsync));
        Add(EtcdPaths.Grant, context => gateway.ServeAsync(context, EtcdJson.Default.EtcdLeaseRequest, EtcdJson.Default.EtcdLease, gateway.GrantAsync));
        Add(EtcdPaths.KeepAlive, context => gateway.ServeAsync(context, EtcdJson.Default.EtcdLeaseRequest, EtcdJson.Default.EtcdLeaseLine, gateway.KeepAliveAsync));
        Add(EtcdPaths.Revoke, context => gateway.ServeAsync(context, EtcdJson.Default.EtcdLeaseRequest, EtcdJson.Default.EtcdLease, gateway.RevokeAsync));
        Add(EtcdPaths.Watch, gateway.WatchAsync);
    }

    private sealed class Refusal(int code, string message) : Exception(message)
    {
        public int Code { get; } = code;
    }

    private static Refusal Invalid(string message) => new(3, message);

    private EtcdHeader HeaderAt(long revision)
    {
        var (store, number, epoch) = _store.Run;
        return new EtcdHeader((ulong)store, (ulong)epoch, revision, (ulong)number);
    }

    // One request, one answer.
    private async Task ServeAsync<TRequest, TAnswer>(
        HttpContext context, JsonTypeInfo<TRequest> ask, JsonTypeInfo<TAnswer> answer, Func<string, TRequest, CancellationToken, Task<TAnswer>> act)
        where TRequest : class
    {
        try
        {
            var host = _identityOf(context) ?? throw new Refusal(16, "who asks is not known: a host certificate is needed");
            using var place = _guests.TryBegin(host) ?? throw new Refusal(8, $"too many requests of {host}");
            SayIfAnother(context);
            var request = await ReadAsync(context, ask);
            var answered = await GuardAsync(() => act(host, request, context.RequestAborted));
            await WriteAsync(context, 200, JsonSerializer.SerializeToUtf8Bytes(answered, answer));
        }
        catch (Refusal refusal)
        {
            await WriteAsync(context, refusal);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody is there to be answered.
        }
    }

    private static async Task<T> GuardAsync<T>(Func<Task<T>> act)
    {
        try
        {
            return await act();
        }
        catch (StoreRefusedException refused)
        {
            throw Invalid(refused.Message);
        }
        catch (StoreCompactedException)
        {
            throw new Refusal(11, "etcdserver: mvcc: required revision has been compacted");
        }
        catch (StoreUnavailableException failure)
        {
            throw new Refusal(14, failure.Message);
        }
    }

    // Whoever saw another past than this one has to read everything again.
    private void SayIfAnother(HttpContext context)
    {
        if (context.Request.Headers[EtcdClient.SeenHeader] is not [{ } seen, ..]) return;
        var slash = seen.IndexOf('/', StringComparison.Ordinal);
        var isSame = slash > 0 && ulong.TryParse(seen.AsSpan(0, slash), NumberStyles.None, CultureInfo.InvariantCulture, out var epoch)
            && long.TryParse(seen.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var revision) && _store.Continues((long)epoch, revision);
        if (!isSame) context.Response.Headers[EtcdClient.AnotherHeader] = "1";
    }

    private async Task<TRequest> ReadAsync<TRequest>(HttpContext context, JsonTypeInfo<TRequest> type)
        where TRequest : class
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit) limit.MaxRequestBodySize = _options.MaxBodyBytes;
        try
        {
            var bytes = new byte[4096];
            var length = 0;
            while (await context.Request.Body.ReadAsync(bytes.AsMemory(length), context.RequestAborted) is > 0 and var read)
            {
                length += read;
                if (length > _options.MaxBodyBytes) throw Invalid("etcdserver: request is too large");
                if (length == bytes.Length) Array.Resize(ref bytes, bytes.Length * 2);
            }

            return JsonSerializer.Deserialize(bytes.AsSpan(0, length), type) ?? throw Invalid("the request must be an object");
        }
        catch (BadHttpRequestException large)
        {
            context.Response.Headers.Connection = "close";
            throw Invalid(large.StatusCode == StatusCodes.Status413PayloadTooLarge ? "etcdserver: request is too large" : large.Message);
        }
        catch (JsonException wrong)
        {
            throw Invalid(wrong.Message);
        }
    }

    private static Task WriteAsync(HttpContext context, Refusal refusal) =>
        WriteAsync(context, Statuses[refusal.Code], JsonSerializer.SerializeToUtf8Bytes(new EtcdError(refusal.Code, null, refusal.Message), EtcdJson.Default.EtcdError));

    private static async Task WriteAsync(HttpContext context, int status, byte[] json)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = json.Length;
        await context.Response.Body.WriteAsync(json, context.RequestAborted);
    }

    private static string KeyOf(byte[]? key) => key is { Length: > 0 } && StoreChecks.Text(key) is { } text && StoreChecks.IsKey(text) ? text : throw Invalid("a key must be Unicode, without control characters");

    private async Task<EtcdRange> RangeAsync(string host, EtcdRangeRequest request, CancellationToken cancellation)
    {
        if (request.Key is not { Length: > 0 and <= StoreLimits.MaxKeyBytes + 1 } from || request.RangeEnd is { Length: > StoreLimits.MaxKeyBytes + 1 }) throw Invalid("etcdserver: key is not provided, or too long");
        // Without an end it is this key alone.
        var end = request.RangeEnd is { Length: > 0 } given ? given : [.. from, 0];
        var limit = request.CountOnly is true ? 0 : request.Limit is > 0 and < MaxPage and var asked ? (int)asked : MaxPage;
        try
        {
            var (entries, hasMore, revision) = await _store.ReadAsync(from is [0] ? [] : from, end, limit, PageBytes, Math.Max(0, request.Revision ?? 0), cancellation);
            return new EtcdRange(HeaderAt(revision), [.. entries.Select(EntryOf)], hasMore ? true : null, entries.Count);
        }
        catch (StoreRefusedException)
        {
            throw new Refusal(11, "etcdserver: mvcc: required revision is a future revision");
        }
    }

    private static EtcdEntry EntryOf(StoreEntry entry) => new(StoreChecks.Bytes(entry.Key), StoreChecks.Bytes(entry.Value), entry.CreateRevision, entry.ModRevision, 0, entry.Lease);

    private async Task<EtcdTransaction> CommitAsync(string host, EtcdTransactionRequest request, CancellationToken cancellation)
    {
        var (compare, success, failure) = (request.Compare ?? [], request.Success ?? [], request.Failure ?? []);
        if (Math.Max(Math.Max(compare.Length, success.Length), failure.Length) > StoreLimits.MaxOperations) throw Invalid("etcdserver: too many operations in txn request");
        var transaction = new StoreTransaction([.. compare.Select(ConditionOf)], [.. success.Select(WriteOf)]);
        var reads = failure.Select(operation => operation?.RequestRange is { RangeEnd: null, Key: var key } ? KeyOf(key) : throw Unsupported()).ToArray();
        var asked = transaction.Conditions.Select(static condition => condition.Key).ToHashSet(StringComparer.Ordinal);
        if (!reads.All(asked.Contains)) throw Unsupported();
        int? code = null;
        StoreOutcome outcome;
        try
        {
            outcome = await _store.CommitAsync(
                transaction, read =>
                {
                    if (transaction.Writes.Any(write => write is { Value: not null, Lease: not 0 } && _store.OwnerOf(write.Lease) is null))
                    {
                        code = 5;
                        return "etcdserver: requested lease not found";
                    }

                    var refusal = _options.Rule(host, transaction.Writes, read, _store.OwnerOf);
                    if (refusal is not null) code = 7;
                    return refusal;
                },
                cancellation);
        }
        catch (StoreRefusedException refused) when (code is { } known)
        {
            throw new Refusal(known, refused.Message);
        }

        if (outcome.IsDone) return new EtcdTransaction(HeaderAt(outcome.Revision), true, null);
        var found = outcome.Found.ToDictionary(static entry => entry.Key, StringComparer.Ordinal);
        return new EtcdTransaction(
            HeaderAt(outcome.Revision), null, [.. reads.Select(key => new EtcdOutcome(new EtcdRange(null, found.TryGetValue(key, out var entry) ? [EntryOf(entry)] : null, null, null)))]);
    }

    private static Refusal Unsupported() => Invalid("not supported by this store: conditions are MOD or VALUE EQUAL, changes put or delete one key, and a failure reads the keys of the conditions");

    private static StoreCondition ConditionOf(EtcdCompare? compare) => compare switch
    {
        { Result: "EQUAL" or null, Target: "MOD" } => new StoreCondition(KeyOf(compare.Key), compare.ModRevision ?? 0),
        { Result: "EQUAL" or null, Target: "VALUE" } => StoreCondition.Has(KeyOf(compare.Key), StoreChecks.Text(compare.Value) ?? throw Invalid("a value must be Unicode")),
        _ => throw Unsupported(),
    };

    private static StoreWrite WriteOf(EtcdOperation? operation) => operation switch
    {
        { RequestPut: { } put, RequestDeleteRange: null, RequestRange: null } => new StoreWrite(KeyOf(put.Key), StoreChecks.Text(put.Value) ?? throw Invalid("a value must be Unicode"), put.Lease ?? 0),
        { RequestDeleteRange: { RangeEnd: null } delete, RequestPut: null, RequestRange: null } => new StoreWrite(KeyOf(delete.Key), null),
        _ => throw Unsupported(),
    };

    private async Task<EtcdLease> GrantAsync(string host, EtcdLeaseRequest request, CancellationToken cancellation)
    {
        if (request.Ttl is not (>= StoreLimits.MinLeaseSeconds and <= StoreLimits.MaxLeaseSeconds and var seconds) || request.Id is not (null or 0))
            throw Invalid($"TTL must be {StoreLimits.MinLeaseSeconds} to {StoreLimits.MaxLeaseSeconds}, and ID is chosen here");
        var lease = await _store.GrantAsync(TimeSpan.FromSeconds(seconds), host, cancellation);
        return new EtcdLease { Header = HeaderAt(_store.Revision), Id = lease, Ttl = seconds };
    }

    private async Task<EtcdLeaseLine> KeepAliveAsync(string host, EtcdLeaseRequest request, CancellationToken cancellation)
    {
        var lease = OwnLease(host, request);
        var isThere = await _store.KeepAliveAsync(lease, cancellation);
        return new EtcdLeaseLine(new EtcdLease { Header = HeaderAt(_store.Revision), Id = lease, Ttl = isThere ? _store.SecondsOf(lease) : null }, null);
    }

    private async Task<EtcdLease> RevokeAsync(string host, EtcdLeaseRequest request, CancellationToken cancellation)
    {
        var lease = OwnLease(host, request);
        if (_store.OwnerOf(lease) is null) throw new Refusal(5, "etcdserver: requested lease not found");
        await _store.RevokeAsync(lease, cancellation);
        return new EtcdLease { Header = HeaderAt(_store.Revision) };
    }

    // One that is not there is nobody's.
    private long OwnLease(string host, EtcdLeaseRequest request)
    {
        var lease = request.Id ?? 0;
        return _store.OwnerOf(lease) is { } owner && owner != host ? throw new Refusal(7, $"lease {lease} is not {host}'s") : lease;
    }

    private async Task WatchAsync(HttpContext context)
    {
        try
        {
            var host = _identityOf(context) ?? throw new Refusal(16, "who asks is not known: a host certificate is needed");
            EtcdWatchCreate create;
            using (_guests.TryBegin(host) ?? throw new Refusal(8, $"too many requests of {host}"))
            {
                SayIfAnother(context);
                create = (await ReadAsync(context, EtcdJson.Default.EtcdWatchRequest)).CreateRequest ?? throw Invalid("must be a create_request");
            }

            using var place = _guests.TryWatch(host) ?? throw new Refusal(8, $"too many requests of {host}: {_options.MaxWatches} watches at once are the limit");
            var prefix = create.Key is [0] ? "" : KeyOf(create.Key);
            if (create.RangeEnd is not { } end || !end.AsSpan().SequenceEqual(StoreChecks.EndOf(StoreChecks.Bytes(prefix)))) throw Invalid("not supported by this store: a watch is of a prefix");
            var watch = new StoreGatewayWatch(_store, _options, context, HeaderAt, _lines);
            await watch.ServeAsync(prefix, create.StartRevision is > 0 and var from ? from : _store.Revision + 1, create.ProgressNotify is true);
        }
        catch (Refusal refusal) when (!context.Response.HasStarted)
        {
            await WriteAsync(context, refusal);
        }
        catch (OperationCanceledException)
        {
            // Whoever watched has left, or was too slow.
        }
    }
}
