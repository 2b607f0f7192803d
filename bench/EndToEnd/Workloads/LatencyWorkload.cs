using System.Globalization;
using System.Text.RegularExpressions;
using Sleeve.Bench.EndToEnd.Rig;
using Sleeve.Bench.EndToEnd.Systems;

namespace Sleeve.Bench.EndToEnd.Workloads;

/// <summary>Request and response of 64 bytes over UDP, one at a time, by sockperf: the whole round trip.</summary>
/// <param name="seconds">How long.</param>
internal sealed partial class LatencyWorkload(int seconds) : Workload
{
    private const string Port = "11111";
    private const int Attempts = 3;
    private static readonly (string Percentile, string Metric)[] Wanted = [("50.000", "rtt-median"), ("99.000", "rtt-p99"), ("99.900", "rtt-p999")];

    [GeneratedRegex(@"percentile (?<percentile>[\d.]+)\s*=\s*(?<microseconds>[\d.]+)")]
    private static partial Regex Percentile { get; }

    /// <inheritdoc/>
    public override string Name => "latency";

    /// <inheritdoc/>
    public override double EstimatedSeconds => seconds + 0.8;

    /// <inheritdoc/>
    public override void Run(Pair pair, Recorder recorder)
    {
        Dictionary<string, double> percentiles = [];
        var lastWords = "";
        // On a machine that is out of cores the server may not be there yet when it is first asked.
        for (var attempt = 1; attempt <= Attempts && percentiles.Count == 0; attempt++) percentiles = PingPong(pair, out lastWords);
        foreach (var (percentile, metric) in Wanted)
        {
            if (!percentiles.TryGetValue(percentile, out var microseconds)) throw new BenchFailure($"sockperf has no result: {lastWords}");
            recorder.Add(metric, microseconds);
        }
    }

    private Dictionary<string, double> PingPong(Pair pair, out string lastWords)
    {
        using var server = new Background(Host.Right.Inside("sockperf", "server", "-i", Host.Right.Overlay, "-p", Port));
        // It does not say when it listens, at least not to a pipe.
        Thread.Sleep(200);
        var outcome = Command.Try(TimeSpan.FromSeconds(seconds + 8), Host.Left.Inside(
            "sockperf", "ping-pong", "-i", Host.Right.Overlay, "-p", Port, "-m", "64", "-t", $"{seconds}", "--full-rtt"));
        pair.ThrowIfDead();
        lastWords = outcome.LastWords;
        return Parse(outcome.Output);
    }

    /// <summary>Percentiles that sockperf printed, in microseconds.</summary>
    internal static Dictionary<string, double> Parse(string output) => Percentile.Matches(output).ToDictionary(
        static match => match.Groups["percentile"].Value, static match => double.Parse(match.Groups["microseconds"].Value, CultureInfo.InvariantCulture));
}
