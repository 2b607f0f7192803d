using Sleeve.Control.Api;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Doctor.Paths;

/// <summary>What came of a run.</summary>
internal sealed record EchoSummary
{
    /// <summary>Requests that the kernel took.</summary>
    public required int Sent { get; init; }

    /// <summary>Why others were not sent; null if all were.</summary>
    public DropReason? NotSent { get; init; }

    /// <summary>Answers.</summary>
    public required int Answered { get; init; }

    /// <summary>Requests that arrived, as far as answers tell.</summary>
    public required int Arrived { get; init; }

    /// <summary>Requests that came out of order.</summary>
    public required int Late { get; init; }

    /// <summary>Requests that came together with others.</summary>
    public required int Merged { get; init; }

    /// <summary>Round-trip times; null without an answer.</summary>
    public RoundTripJson? RoundTrip { get; init; }

    /// <summary>Median time at the far end, microseconds.</summary>
    public double FarEnd { get; init; }

    /// <summary>Of each path what was sent, answered, and the median time in microseconds.</summary>
    public IReadOnlyList<(int Sent, int Answered, double? Median)> Paths { get; init; } = [];

    /// <summary>Adds a run up.</summary>
    /// <param name="run">The run, when it is over.</param>
    /// <param name="paths">How many paths it took turns on.</param>
    public static EchoSummary Of(EchoRun run, int paths = 1)
    {
        var sent = new int[paths];
        var (arrived, late) = (new uint[paths], new uint[paths]);
        var times = Enumerable.Range(0, paths).Select(static _ => new List<double>()).ToArray();
        var residence = new List<double>();
        DropReason? notSent = null;
        var merged = 0;
        for (var i = 0; i < run.Capacity; i++)
        {
            ref readonly var slot = ref run[i];
            var path = i % paths;
            if (slot.SentNanoseconds == 0) continue;
            if (slot.Drop is { } drop) notSent = drop;
            else sent[path]++;
            if (!run.IsAnswered(i)) continue;
            arrived[path] = Math.Max(arrived[path], slot.Reply.Count);
            late[path] = Math.Max(late[path], slot.Reply.Late);
            times[path].Add((slot.ReceivedNanoseconds - slot.SentNanoseconds) / 1000.0);
            residence.Add(slot.Reply.ResidenceNanoseconds / 1000.0);
            if ((slot.Reply.Flags & EchoWishes.Coalesced) != 0) merged++;
        }

        foreach (var list in times) list.Sort();
        residence.Sort();
        var all = times.SelectMany(static each => each).Order().ToArray();
        return new EchoSummary
        {
            Sent = sent.Sum(),
            NotSent = notSent,
            Answered = all.Length,
            // Those after the last answer are not known to have arrived, nor to be lost there.
            Arrived = Math.Min((int)arrived.Sum(static each => each), sent.Sum()),
            Late = (int)late.Sum(static each => each),
            Merged = merged,
            RoundTrip = all.Length == 0 ? null : new RoundTripJson(Round(all[0]), Round(Quantile(all, 0.5)), Round(Quantile(all, 0.99)), Round(all[^1])),
            FarEnd = residence.Count == 0 ? 0 : Round(Quantile(residence, 0.5)),
            Paths = [.. Enumerable.Range(0, paths).Select(path => (sent[path], times[path].Count, times[path].Count == 0 ? (double?)null : Round(Quantile(times[path], 0.5))))],
        };
    }

    private static double Quantile(IReadOnlyList<double> sorted, double part) => sorted[(int)Math.Min(part * sorted.Count, sorted.Count - 1)];

    private static double Round(double value) => Math.Round(value, 1);
}
