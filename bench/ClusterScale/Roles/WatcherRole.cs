using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Text.Json;
using Sleeve.Bench.ClusterScale.Model;
using Sleeve.Control.Store;

namespace Sleeve.Bench.ClusterScale.Roles;

/// <summary>
/// Hosts of which only the watch is there: each its own connection, and lines are counted, not understood. What it costs the store is what a real host costs it.
/// </summary>
internal sealed class WatcherRole : IDisposable
{
    private readonly Lock _access = new();
    private readonly Dictionary<long, (int Seen, long First)> _revisions = [];
    private readonly HttpClient _client;
    private readonly StorePlace _place;
    private readonly int _count;
    private readonly long _from;
    private long _lines;
    private long _bytes;
    private int _open;

    private WatcherRole(StorePlace place, int count, long from)
    {
        (_place, _count, _from) = (place, count, from);
        var handler = new SocketsHttpHandler { UseProxy = false, PooledConnectionLifetime = Timeout.InfiniteTimeSpan };
        if (place.Tls is { } tls) handler.SslOptions = tls;
        _client = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <summary>Watches until it is told to end.</summary>
    /// <param name="place">The store.</param>
    /// <param name="count">Watches.</param>
    /// <param name="from">First revision.</param>
    public static async Task<int> RunAsync(StorePlace place, int count, long from)
    {
        using var role = new WatcherRole(place, count, from);
        using var turns = new SemaphoreSlim(16);
        for (var i = 0; i < count; i++)
        {
            var number = i;
            await turns.WaitAsync();
            _ = Task.Run(() => role.WatchAsync(number, turns));
        }

        await RoleLines.ObeyAsync(word =>
        {
            RoleLines.Say("counted", ("lines", Interlocked.Read(ref role._lines)), ("bytes", Interlocked.Read(ref role._bytes)), ("cpu", ProcessFigures.Cpu));
            return Task.CompletedTask;
        });
        return 0;
    }

    /// <inheritdoc/>
    public void Dispose() => _client.Dispose();

    private async Task WatchAsync(int number, SemaphoreSlim turns)
    {
        try
        {
            var prefix = StoreChecks.Bytes(_place.Root);
            var create = new EtcdWatchRequest(new EtcdWatchCreate(prefix.Length > 0 ? prefix : [0], StoreChecks.EndOf(prefix), _from, ProgressNotify: true, Fragment: true));
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(_place.Uri, EtcdPaths.Watch)) { Content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(create, EtcdJson.Default.EtcdWatchRequest)) };
            request.Headers.Add(StorePlace.HostHeader, ClusterModel.HostOf(number));
            using var response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            response.EnsureSuccessStatusCode();
            var reader = PipeReader.Create(await response.Content.ReadAsStreamAsync());
            for (var isFirst = true; ; isFirst = false)
            {
                await ReadAsync(reader);
                if (!isFirst) continue;
                turns.Release();
                if (Interlocked.Increment(ref _open) == _count) RoleLines.Say("open");
            }
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException)
        {
            RoleLines.Say($"broken");
            Console.Error.WriteLine($"watcher {number}: {failure.Message}");
        }
    }

    // One line.
    private async Task ReadAsync(PipeReader reader)
    {
        while (true)
        {
            var read = await reader.ReadAsync();
            if (read.Buffer.PositionOf((byte)'\n') is { } end)
            {
                Note(read.Buffer.Slice(0, end));
                reader.AdvanceTo(read.Buffer.GetPosition(1, end));
                return;
            }

            reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            if (read.IsCompleted) throw new IOException("the watch ended");
        }
    }

    private void Note(ReadOnlySequence<byte> line)
    {
        Interlocked.Increment(ref _lines);
        Interlocked.Add(ref _bytes, line.Length + 1);
        if (RevisionOf(line.IsSingleSegment ? line.FirstSpan : line.ToArray()) is not { } revision) return;
        var now = Stopwatch.GetTimestamp();
        lock (_access)
        {
            var (seen, first) = _revisions.GetValueOrDefault(revision, (0, now));
            if (seen + 1 < _count)
            {
                _revisions[revision] = (seen + 1, first);
                return;
            }

            _revisions.Remove(revision);
            RoleLines.Say("all", ("revision", revision), ("ticks", now), ("first", first));
        }
    }

    /// <summary>The revision of the last change that a line tells of; null if it tells of none, or the rest of them comes with the next line.</summary>
    internal static long? RevisionOf(ReadOnlySpan<byte> line)
    {
        var name = "\"mod_revision\":\""u8;
        if (line.IndexOf("\"fragment\":true"u8) >= 0) return null;
        var begin = line.LastIndexOf(name);
        if (begin < 0) return null;
        var revision = 0L;
        foreach (var digit in line[(begin + name.Length)..])
        {
            if (digit is < (byte)'0' or > (byte)'9') break;
            revision = (revision * 10) + digit - (byte)'0';
        }

        return revision;
    }
}
