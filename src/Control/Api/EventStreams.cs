using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sleeve.DataPlane.Events;

namespace Sleeve.Control.Api;

/// <summary>Makes an event presentable.</summary>
internal delegate EventJson ShowEvent(in SegmentEvent happened);

/// <summary>
/// Everybody who reads events. The data plane wakes nobody: each stream looks into the ring by itself. A reader that does not read is waited for, and meanwhile the ring goes
/// on: what is kept for it is what its socket holds.
/// </summary>
internal sealed class EventStreams : IDisposable
{
    /// <summary>How often an event is looked for.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);

    /// <summary>Of server-sent events: how long nothing may be said.</summary>
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(15);

    /// <summary>How long events are kept for a reader that was cut off, and comes back with the number of the last it has.</summary>
    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(60);

    private readonly string _name = Guid.NewGuid().ToString("N")[..8];
    private readonly EventRing _ring;
    private readonly CancellationToken _stopping;
    private readonly Timer _end;
    private EventReader? _lingering;
    private int _readers;

    /// <summary>Makes the streams of a ring.</summary>
    /// <param name="ring">What they read.</param>
    /// <param name="stopping">Ends them all.</param>
    public EventStreams(EventRing ring, CancellationToken stopping)
    {
        (_ring, _stopping) = (ring, stopping);
        _end = new Timer(_ => Interlocked.Exchange(ref _lingering, null)?.Dispose());
    }

    /// <summary>Streams until either side ends it; false if there are too many already.</summary>
    /// <param name="context">The request.</param>
    /// <param name="isWanted">Which events.</param>
    /// <param name="show">Makes one presentable.</param>
    public async Task<bool> ServeAsync(HttpContext context, Func<SegmentEvent, bool> isWanted, ShowEvent show)
    {
        if (Interlocked.Increment(ref _readers) > EventRoutes.MaxReaders)
        {
            Interlocked.Decrement(ref _readers);
            return false;
        }

        using var end = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, _stopping);
        try
        {
            context.MayReadSlowly();
            if (ServerSentEvents.AreAskedFor(context.Request)) await SendEventsAsync(context, isWanted, show, end.Token);
            else await SendLinesAsync(context.Response, isWanted, show, end.Token);
        }
        catch (OperationCanceledException)
        {
            // The reader went, or this process goes: as good an end as any.
        }
        finally
        {
            Interlocked.Decrement(ref _readers);
        }

        return true;
    }

    private async Task SendLinesAsync(HttpResponse response, Func<SegmentEvent, bool> isWanted, ShowEvent show, CancellationToken end)
    {
        using var reader = _ring.Listen();
        response.ContentType = "application/x-ndjson";
        await CopyAsync(reader, isWanted, show, (line, _) => WriteLine(response, line), null, response, end);
    }

    private async Task SendEventsAsync(HttpContext context, Func<SegmentEvent, bool> isWanted, ShowEvent show, CancellationToken end)
    {
        var (reader, hasGap) = Resume(context.Request.Headers[ServerSentEvents.LastIdHeader].ToString());
        try
        {
            var sse = new ServerSentEvents(context.Response);
            var id = $"{_name}.{_ring.Hearing}-";
            sse.Begin();
            // Since the last that it has: how many is not known.
            if (hasGap) sse.Write(JsonSerializer.SerializeToUtf8Bytes(new EventJson("lost", DateTimeOffset.UtcNow), ApiJson.Default.EventJson), null);
            await CopyAsync(reader, isWanted, show, (line, number) => sse.Write(JsonSerializer.SerializeToUtf8Bytes(line, ApiJson.Default.EventJson), id + number), sse.Comment, context.Response, end);
        }
        finally
        {
            LetGo(reader);
        }
    }

    private static async Task CopyAsync(
        EventReader reader, Func<SegmentEvent, bool> isWanted, ShowEvent show, Action<EventJson, long> write, Action? comment, HttpResponse response, CancellationToken end)
    {
        write(new EventJson("listening", DateTimeOffset.UtcNow), reader.Position);
        await response.BodyWriter.FlushAsync(end);
        var silentSince = Environment.TickCount64;
        while (true)
        {
            var wrote = false;
            while (reader.TryRead(out var happened))
            {
                if (!isWanted(happened)) continue;
                wrote |= WriteLost(reader, write);
                write(show(happened), reader.Position);
                // Waits for a slow reader, and meanwhile the ring goes on.
                await response.BodyWriter.FlushAsync(end);
                wrote = true;
            }

            wrote |= WriteLost(reader, write);
            if (!wrote && comment is not null && Environment.TickCount64 - silentSince >= Heartbeat.TotalMilliseconds)
            {
                comment();
                wrote = true;
            }

            if (wrote)
            {
                silentSince = Environment.TickCount64;
                await response.BodyWriter.FlushAsync(end);
            }

            await Task.Delay(Interval, end);
        }
    }

    private static bool WriteLost(EventReader reader, Action<EventJson, long> write)
    {
        if (reader.TakeLost() is not (> 0 and var lost)) return false;
        write(new EventJson("lost", DateTimeOffset.UtcNow) { Lost = lost }, reader.Position);
        return true;
    }

    private static void WriteLine(HttpResponse response, EventJson line)
    {
        using (var json = new Utf8JsonWriter(response.BodyWriter)) JsonSerializer.Serialize(json, line, ApiJson.Default.EventJson);
        response.BodyWriter.Write("\n"u8);
    }

    // The id of an event is the number of the next. Numbers have no gap as long as somebody listened all the time.
    private (EventReader Reader, bool HasGap) Resume(string lastId)
    {
        if (lastId.Length == 0) return (_ring.Listen(), false);
        var reader = _ring.Listen();
        var prefix = $"{_name}.{_ring.Hearing}-";
        if (!lastId.StartsWith(prefix, StringComparison.Ordinal)
            || !long.TryParse(lastId.AsSpan(prefix.Length), System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var number)
            || number > reader.Position)
            return (reader, true);
        // In this order: somebody listens all the time.
        var resumed = _ring.ListenFrom(number);
        reader.Dispose();
        return (resumed, false);
    }

    // Whoever was cut off comes back within seconds and says what it has: until then somebody listens in its place. One is enough for all.
    private void LetGo(EventReader reader)
    {
        lock (_end)
        {
            if (_stopping.IsCancellationRequested)
            {
                reader.Dispose();
                return;
            }

            Interlocked.Exchange(ref _lingering, reader)?.Dispose();
            _end.Change(Linger, Timeout.InfiniteTimeSpan);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_end)
        {
            _end.Dispose();
            Interlocked.Exchange(ref _lingering, null)?.Dispose();
        }
    }
}
