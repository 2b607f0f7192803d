using System.Diagnostics;
using Sleeve.Control.Api;

namespace Sleeve.Control.Top;

/// <summary>Makes rates of two answers of one VTEP. What was not there before, or began anew, has no rate yet.</summary>
internal static class TopRates
{
    /// <summary>The rates between two moments.</summary>
    /// <param name="before">Counters then, and when by <see cref="Stopwatch.GetTimestamp"/>.</param>
    /// <param name="now">Counters now.</param>
    /// <param name="device">The one segment of interest; null for all.</param>
    public static TopJson Of((VtepStatsJson Stats, long At) before, (VtepStatsJson Stats, long At) now, string? device)
    {
        var (old, stats) = (before.Stats, now.Stats);
        var seconds = Math.Max(Stopwatch.GetElapsedTime(before.At, now.At).TotalSeconds, 1e-3);
        // Another process answers now: it has counted since it started, which nobody saw.
        if (old.Pid != stats.Pid) old = stats;
        var segments = stats.Segments.Where(segment => device is null || segment.Ifname == device).ToArray();
        var olds = old.Segments.ToDictionary(static segment => segment.Ifname);

        double Rate(long value, long? valueBefore, double factor = 1) => valueBefore is { } then && value >= then ? Math.Round((value - then) * factor / seconds, 2) : 0;

        return new TopJson(
            stats.Pid, stats.Local, stats.Dstport, DateTimeOffset.UtcNow, seconds, stats.TxOffload, stats.TxOffloadReason, stats.RxOffload, stats.Steering, Rate(stats.SocketDrops, old.SocketDrops),
            [.. stats.Workers.Zip(old.Workers, (worker, then) => new TopWorkerJson(
                worker.Worker, Math.Round(Math.Max(0, worker.CpuSeconds - then.CpuSeconds) * 100 / seconds, 1), Rate(worker.TapBytes, then.TapBytes, 8), Rate(worker.UnderlayBytes, then.UnderlayBytes, 8)))],
            [.. segments.Select(segment =>
            {
                var then = olds.GetValueOrDefault(segment.Ifname);
                double Counter(string name, double factor = 1) => Rate(segment.Counters[name], then?.Counters[name], factor);
                return new TopSegmentJson(
                    segment.Ifname, segment.Vni, segment.Up, Counter("tap_received"), Counter("tap_received_bytes", 8), Counter("tap_sent"), Counter("tap_sent_bytes", 8),
                    Rate(segment.Drops.Sum(static drop => drop.Count), then?.Drops.Sum(static drop => drop.Count)), segment.FdbEntries, segment.Neighbours);
            })],
            [.. segments.SelectMany(segment => RemotesOf(segment, olds.GetValueOrDefault(segment.Ifname), Rate))],
            [.. DropsOf(null, device is null ? stats.Drops : [], old.Drops, Rate), .. segments.SelectMany(segment => DropsOf(segment.Ifname, segment.Drops, olds.GetValueOrDefault(segment.Ifname)?.Drops, Rate))]);
    }

    private delegate double Rating(long value, long? valueBefore, double factor = 1);

    private static IEnumerable<TopRemoteJson> RemotesOf(SegmentStatsJson segment, SegmentStatsJson? before, Rating rate)
    {
        var olds = (before?.Remotes ?? []).ToDictionary(static remote => (remote.Dst, remote.Port, remote.Vni, remote.Via));
        foreach (var remote in segment.Remotes)
        {
            var then = olds.GetValueOrDefault((remote.Dst, remote.Port, remote.Vni, remote.Via));
            yield return new TopRemoteJson(
                segment.Ifname, remote.Dst, remote.Port, remote.Vni, remote.Via, rate(remote.TxDatagrams, then?.TxDatagrams), rate(remote.TxBytes, then?.TxBytes, 8),
                rate(remote.RxDatagrams, then?.RxDatagrams), rate(remote.RxBytes, then?.RxBytes, 8), rate(remote.TxDropped, then?.TxDropped));
        }
    }

    // A kind of drop that was not there before began at zero, if its segment was there.
    private static IEnumerable<TopDropJson> DropsOf(string? device, IReadOnlyList<DropJson> drops, IReadOnlyList<DropJson>? before, Rating rate) => drops.Select(drop => new TopDropJson(
        device, drop.Direction, drop.Reason, rate(drop.Count, before is null ? null : before.FirstOrDefault(then => (then.Direction, then.Reason) == (drop.Direction, drop.Reason))?.Count ?? 0), drop.Count, drop.Sentence));
}
