using System.Text.Json;

namespace Sleeve.Control.Store;

/// <summary>
/// Batches as lines of a watch. All hosts are told the same, so a line is made once for a thousand of them: what was made last is kept, by the very object that it was made of. Any thread; two that ask at the same time may both
/// make it.
/// </summary>
/// <param name="lineBytes">Bytes of events in one line; more become several.</param>
/// <param name="headerAt">The header of a revision.</param>
internal sealed class WatchLines(int lineBytes, Func<long, EtcdHeader> headerAt)
{
    private const int Kept = 64;

    // More than that is told so seldom that it need not be kept.
    private const int MaxKeptBytes = 64 * 1024;

    private readonly Made?[] _made = new Made?[Kept];

    private sealed record Made(StoreBatch Batch, byte[] Lines);

    /// <summary>The lines of a batch, each with its end.</summary>
    public byte[] Of(StoreBatch batch)
    {
        ref var place = ref _made[batch.Revision % Kept];
        if (Volatile.Read(ref place) is { } known && ReferenceEquals(known.Batch, batch)) return known.Lines;
        var lines = Make(batch);
        if (lines.Length <= MaxKeptBytes) Volatile.Write(ref place, new Made(batch, lines));
        return lines;
    }

    /// <summary>One line, with its end.</summary>
    public static byte[] LineOf(EtcdWatchLine line) => [.. JsonSerializer.SerializeToUtf8Bytes(line, EtcdJson.Default.EtcdWatchLine), (byte)'\n'];

    private byte[] Make(StoreBatch batch)
    {
        var header = headerAt(batch.Revision);
        var events = new List<EtcdEvent>();
        var before = new List<byte[]>();
        var bytes = 0;
        foreach (var change in batch.Changes)
        {
            if (bytes > lineBytes)
            {
                before.Add(LineOf(new EtcdWatchLine(new EtcdWatch(header, null, null, null, null, true, [.. events]), null)));
                events.Clear();
                bytes = 0;
            }

            var key = StoreChecks.Bytes(change.Key);
            var value = change.Entry is { } entry ? StoreChecks.Bytes(entry.Value) : null;
            bytes += key.Length + (value?.Length ?? 0) + 64;
            events.Add(change.Entry is { } now
                ? new EtcdEvent(null, new EtcdEntry(key, value, now.CreateRevision, now.ModRevision, 0, now.Lease))
                : new EtcdEvent("DELETE", new EtcdEntry(key, null, 0, batch.Revision, 0, 0)));
        }

        var last = LineOf(new EtcdWatchLine(new EtcdWatch(header, null, null, null, null, null, events.Count > 0 ? [.. events] : null), null));
        return before.Count == 0 ? last : [.. before.SelectMany(static line => line), .. last];
    }
}
