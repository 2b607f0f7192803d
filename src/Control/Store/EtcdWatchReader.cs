using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Text.Json;

namespace Sleeve.Control.Store;

/// <summary>
/// One watch as etcd streams it: a line of JSON for each batch of events, which may come in fragments. What is told on are whole revisions: the events of the last revision of a fragment wait for the next one. One caller.
/// </summary>
internal sealed class EtcdWatchReader : IAsyncDisposable
{
    // Of one revision; etcd's own limit of a request is far below.
    private const long MaxPendingBytes = 64 * 1024 * 1024;

    // In an etcd that others write to all the time: how often it is looked whether something of ours is among it. The first quiet times, then every so many.
    private const int FirstLooks = 3;
    private const int LaterLooks = 16;

    private static readonly JsonReaderOptions Strict = new() { MaxDepth = 16 };

    private readonly EtcdClient _client;
    private readonly EtcdStoreOptions _options;
    private readonly byte[] _prefix;
    private readonly Func<byte[]?, string?> _keyOf;
    private readonly HttpResponseMessage _response;
    private readonly Uri _endpoint;
    private readonly EtcdSeen _seen;
    private readonly PipeReader _lines;
    private readonly List<StoreChange> _pending = [];
    private Task<ReadResult>? _reading;
    private long _scanned;
    private long _pendingRevision;
    private long _pendingBytes;
    private long _told;
    private long _ofOthers;
    private long _untold;
    private int _looks;

    private EtcdWatchReader(
        EtcdClient client, EtcdStoreOptions options, byte[] prefix, long fromRevision, Func<byte[]?, string?> keyOf, (HttpResponseMessage Response, Uri Endpoint, EtcdSeen Seen) opened, Stream stream)
    {
        (_client, _options, _prefix, _keyOf) = (client, options, prefix, keyOf);
        (_response, _endpoint, _seen) = opened;
        _lines = PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 16 * 1024));
        _told = fromRevision - 1;
    }

    /// <summary>Begins a watch, and waits until it has begun.</summary>
    /// <exception cref="EtcdFault">It cannot.</exception>
    /// <exception cref="StoreCompactedException">What is asked for is not kept, or was another store's.</exception>
    public static async Task<EtcdWatchReader> BeginAsync(EtcdClient client, EtcdStoreOptions options, byte[] prefix, long fromRevision, Func<byte[]?, string?> keyOf, CancellationToken cancellation)
    {
        var request = new EtcdWatchRequest(new EtcdWatchCreate(prefix.Length > 0 ? prefix : [0], StoreChecks.EndOf(prefix), fromRevision, ProgressNotify: true, Fragment: true));
        var opened = await client.OpenAsync(EtcdPaths.Watch, request, EtcdJson.Default.EtcdWatchRequest, cancellation);
        EtcdWatchReader? reader = null;
        try
        {
            var stream = await opened.Response.Content.ReadAsStreamAsync(cancellation);
            reader = new EtcdWatchReader(client, options, prefix, fromRevision, keyOf, opened, stream);
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            patience.CancelAfter(options.Timeout);
            try
            {
                await reader.AwaitBeginningAsync(fromRevision, patience.Token);
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                throw new EtcdFault(EtcdFaultKind.Unknown, $"{opened.Endpoint.Authority}: the watch does not begin");
            }

            return reader;
        }
        catch
        {
            if (reader is not null) await reader.DisposeAsync();
            opened.Response.Dispose();
            throw;
        }
    }

    private async Task AwaitBeginningAsync(long fromRevision, CancellationToken cancellation)
    {
        var first = await LineAsync(cancellation);
        if (first is not { Created: true, Header: { } header }) throw EtcdClient.Senseless(_endpoint, null);
        _client.Lineage.Note(_seen, header, isCurrent: false, EtcdClient.IsAnother(_response));
        ThrowIfAnother();
        if (header.Revision >= fromRevision - 1) return;
        // This member may only be behind. Whether the store as a whole is, a read that goes by the majority tells.
        var now = await _client.AskAsync(EtcdPaths.Range, Probe(), EtcdJson.Default.EtcdRangeRequest, EtcdJson.Default.EtcdRange, isRepeatable: true, cancellation);
        if (now.Header!.Revision < fromRevision - 1) throw new StoreCompactedException(now.Header.Revision + 1);
    }

    private EtcdRangeRequest Probe() => new(_prefix.Length > 0 ? _prefix : [0]) { CountOnly = true };

    private void ThrowIfAnother()
    {
        if (_seen.Broken.IsCancellationRequested) throw new StoreCompactedException(_client.Lineage.Seen.Revision + 1);
    }

    /// <summary>Waits for what happens next.</summary>
    /// <exception cref="EtcdFault">The watch is broken.</exception>
    /// <exception cref="StoreCompactedException">The history is gone.</exception>
    public async Task<IReadOnlyList<StoreBatch>> NextAsync(CancellationToken cancellation)
    {
        while (true)
        {
            ThrowIfAnother();
            EtcdWatch line;
            using (var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation, _seen.Broken))
            {
                try
                {
                    line = await LineAsync(stop.Token);
                }
                catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
                {
                    continue;
                }
            }

            var batches = Take(line);
            if (batches.Count > 0) return batches;
        }
    }

    // Whole revisions out of a line; those that are not whole yet are kept.
    private List<StoreBatch> Take(EtcdWatch line)
    {
        var batches = new List<StoreBatch>();
        var events = line.Events ?? [];
        foreach (var each in events)
        {
            if (each?.Kv is not { Key: { } key, ModRevision: var revision } kv || !key.AsSpan().StartsWith(_prefix) || revision <= _told || revision < _pendingRevision || each.Type is not (null or "PUT" or "DELETE"))
                throw EtcdClient.Senseless(_endpoint, null);
            if (revision > _pendingRevision) Complete(batches);
            _pendingRevision = revision;
            _pendingBytes += 128 + key.Length + (kv.Value?.Length ?? 0);
            if (_pendingBytes > MaxPendingBytes) throw new EtcdFault(EtcdFaultKind.Unknown, $"{_endpoint.Authority}: a revision of the watch is larger than {MaxPendingBytes} bytes");
            if (_keyOf(key) is not { } name) continue;
            _pending.Add(new StoreChange(name, each.Type == "DELETE" ? null : new StoreEntry(name, System.Text.Encoding.UTF8.GetString(kv.Value ?? []), kv.CreateRevision, revision, kv.Lease)));
        }

        if (line.Fragment is true) return batches;
        Complete(batches);
        // Nothing but how far it is: all up to there has been told.
        if (events.Length == 0 && line.Header is { Revision: var reached } && reached > _told) batches.Add(new StoreBatch(_told = reached, []));
        return batches;
    }

    private void Complete(List<StoreBatch> batches)
    {
        if (_pendingRevision <= _told) return;
        batches.Add(new StoreBatch(_told = _pendingRevision, [.. _pending]));
        _pending.Clear();
        _pendingBytes = 0;
    }

    // The next line, but for those that end the watch.
    private async Task<EtcdWatch> LineAsync(CancellationToken cancellation)
    {
        while (true)
        {
            var line = await ReadLineAsync(cancellation);
            if (line.Error is { } error) throw EtcdFault.Of(error, HttpStatusCode.OK, _endpoint);
            if (line.Result is not { } result) throw EtcdClient.Senseless(_endpoint, null);
            if (result.Canceled is not true) return result;
            // Of the first revision that is not kept etcd names the last.
            if (result.CompactRevision is > 0 and var compacted) throw new StoreCompactedException(compacted + 1);
            var reason = result.CancelReason ?? "";
            var isDenied = reason.Contains("permission denied", StringComparison.OrdinalIgnoreCase) || reason.Contains("auth", StringComparison.OrdinalIgnoreCase);
            throw new EtcdFault(isDenied ? EtcdFaultKind.Token : EtcdFaultKind.Unknown, $"{_endpoint.Authority}: the watch was ended: {(reason.Length > 0 ? EtcdFault.Brief(reason) : "no reason was given")}");
        }
    }

    private async Task<EtcdWatchLine> ReadLineAsync(CancellationToken cancellation)
    {
        while (true)
        {
            ReadResult result;
            try
            {
                // One read goes on while others wait for it in turn: a quiet stream is asked after, not broken off.
                _reading ??= _lines.ReadAsync(CancellationToken.None).AsTask();
                result = await _reading.WaitAsync(_options.Quiet, cancellation);
                _reading = null;
            }
            catch (TimeoutException)
            {
                await AskAfterAsync(cancellation);
                continue;
            }
            catch (Exception failure) when (failure is IOException or HttpRequestException)
            {
                _reading = null;
                throw EtcdClient.Broken(_endpoint, failure);
            }

            var buffer = result.Buffer;
            if (buffer.Slice(_scanned).PositionOf((byte)'\n') is { } end)
            {
                var line = Parse(buffer.Slice(0, end));
                _lines.AdvanceTo(buffer.GetPosition(1, end));
                _scanned = 0;
                if (line is not null) return line;
                continue;
            }

            _scanned = buffer.Length;
            _lines.AdvanceTo(buffer.Start, buffer.End);
            if (result.IsCompleted) throw new EtcdFault(EtcdFaultKind.Unknown, $"{_endpoint.Authority}: the watch ended");
            if (_scanned > _options.MaxLineBytes) throw new EtcdFault(EtcdFaultKind.Unknown, $"{_endpoint.Authority}: a line of the watch is longer than {_options.MaxLineBytes} bytes");
        }
    }

    // Is the member there, and did it tell what it should have? A watch may be dead inside etcd while all else is answered.
    private async Task AskAfterAsync(CancellationToken cancellation)
    {
        var now = await AskOneAsync(Probe(), cancellation);
        if (now.Header!.Revision <= Math.Max(_told, _ofOthers)) return;
        // There is more, maybe of keys that nobody here watches. To find that out costs etcd a look at all of ours. (A StoreGateway sorts nothing; but it tells quiet watches how far they are, so it is not asked.)
        if (_untold <= _told && ++_looks > FirstLooks && _looks % LaterLooks != 0) return;
        var last = await AskOneAsync(new EtcdRangeRequest(_prefix.Length > 0 ? _prefix : [0]) { RangeEnd = StoreChecks.EndOf(_prefix), Limit = 1, KeysOnly = true, SortTarget = "MOD", SortOrder = "DESCEND" }, cancellation);
        var newest = last.Kvs is [{ ModRevision: var revision }, ..] ? revision : 0;
        if (newest <= _told)
        {
            _ofOthers = last.Header!.Revision;
            return;
        }

        // Once it may be on its way; not for as long as it takes to be asked again.
        if (_untold > _told) throw new EtcdFault(EtcdFaultKind.Unknown, $"{_endpoint.Authority}: the watch does not tell what was changed: revision {newest} is there, {_told} was told");
        _untold = newest;
    }

    private Task<EtcdRange> AskOneAsync(EtcdRangeRequest request, CancellationToken cancellation) =>
        _client.AskOneAsync(_endpoint, EtcdPaths.Range, request, EtcdJson.Default.EtcdRangeRequest, EtcdJson.Default.EtcdRange, cancellation);

    // Null for an empty line.
    private EtcdWatchLine? Parse(ReadOnlySequence<byte> line)
    {
        if (line.IsEmpty || (line.Length == 1 && line.FirstSpan[0] == '\r')) return null;
        if (line.Length > _options.MaxLineBytes) throw new EtcdFault(EtcdFaultKind.Unknown, $"{_endpoint.Authority}: a line of the watch is longer than {_options.MaxLineBytes} bytes");
        try
        {
            var reader = new Utf8JsonReader(line, Strict);
            return JsonSerializer.Deserialize(ref reader, EtcdJson.Default.EtcdWatchLine) ?? throw EtcdClient.Senseless(_endpoint, null);
        }
        catch (JsonException failure)
        {
            throw EtcdClient.Senseless(_endpoint, failure);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        // First the read that is under way: HttpClient is not made for a response that is disposed while it is read, and later answers may be mixed up by it.
        if (_reading is { } reading)
        {
            _lines.CancelPendingRead();
            try
            {
                await reading;
            }
            catch (Exception failure) when (failure is IOException or HttpRequestException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
            {
                // That was meant to be.
            }
        }

        _response.Dispose();
        await _lines.CompleteAsync();
    }
}
