using System.Text.Json;
using Sleeve.Bench.EndToEnd.Measure;
using Sleeve.Bench.EndToEnd.Rig;
using Sleeve.Bench.EndToEnd.Systems;

namespace Sleeve.Bench.EndToEnd.Workloads;

/// <summary>One bulk transfer by iperf3, and the CPU that it took.</summary>
/// <param name="streams">TCP connections at once.</param>
/// <param name="isReverse">True if the right host sends.</param>
/// <param name="seconds">How long.</param>
internal sealed class TcpWorkload(int streams, bool isReverse, int seconds) : Workload
{
    private const double Giga = 1e9;
    private static readonly TimeSpan ServerLimit = TimeSpan.FromSeconds(5);

    /// <inheritdoc/>
    public override string Name => "tcp";

    /// <inheritdoc/>
    public override double EstimatedSeconds => seconds + 0.3;

    private string Metric => $"tcp-{streams}{(isReverse ? "-reverse" : "")}";

    /// <inheritdoc/>
    public override void Run(Pair pair, Recorder recorder)
    {
        var (bits, bytes, used) = Transfer(pair, streams, isReverse, seconds);
        recorder.Add(Metric, bits / Giga);
        if (Metric != "tcp-1") return;
        recorder.Add("tcp-1-cpu-machine", used.Machine / (bytes / Giga));
        if (pair.Processes.Count > 0) recorder.Add("tcp-1-cpu-vtep", used.Processes / (bytes / Giga));
    }

    /// <summary>Transfers for some seconds.</summary>
    /// <returns>Bits a second, bytes in all, and the CPU that went by.</returns>
    /// <exception cref="BenchFailure">iperf3 hung (it can, when packets are lost that it counts on) or has no result.</exception>
    public static (double BitsPerSecond, double Bytes, Cpu Used) Transfer(Pair pair, int streams, bool isReverse, int seconds)
    {
        // A server for each run: one whose client was killed may refuse the next.
        using var server = new Background(Host.Right.Inside("iperf3", "-s", "-1", "--forceflush"));
        server.WaitFor("listening", ServerLimit);
        var before = Cpu.Read(pair.Processes);
        var outcome = Command.Try(TimeSpan.FromSeconds(seconds + 8), Host.Left.Inside(
            ["iperf3", "-c", Host.Right.Overlay, "-t", $"{seconds}", "-P", $"{streams}", "--json", "--connect-timeout", "3000", .. isReverse ? (string[])["-R"] : []]));
        var used = Cpu.Read(pair.Processes) - before;
        pair.ThrowIfDead();
        var (bits, bytes) = Parse(outcome.Output);
        return bits > 0 ? (bits, bytes, used) : throw new BenchFailure($"iperf3 has no result: {outcome.LastWords}");
    }

    /// <summary>What the receiving side of an iperf3 run counted; zeros if the run has no result.</summary>
    internal static (double BitsPerSecond, double Bytes) Parse(string json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            if (!document.RootElement.TryGetProperty("end", out var end) || !end.TryGetProperty("sum_received", out var sum)) return default;
            return (sum.GetProperty("bits_per_second").GetDouble(), sum.GetProperty("bytes").GetDouble());
        }
        catch (JsonException)
        {
            return default;
        }
    }
}
