using Sleeve.Bench.EndToEnd.Systems;

namespace Sleeve.Bench.EndToEnd.Workloads;

/// <summary>What a long run at full rate asked of the garbage collector of one Sleeve process.</summary>
/// <param name="Load">What was sent.</param>
/// <param name="End">"left", which sends, or "right".</param>
/// <param name="Seconds">How long.</param>
/// <param name="Carried">Millions of datagrams, or gigabytes, that arrived.</param>
/// <param name="Unit">Which of the two.</param>
/// <param name="Gen0">Garbage collections of any generation during the run.</param>
/// <param name="Gen1">Of generation 1 or more.</param>
/// <param name="Gen2">Of the whole heap.</param>
/// <param name="AllocatedBytes">Allocated between the two readings, of which <paramref name="AskingBytes"/> for answering one.</param>
/// <param name="AskingBytes">Allocated between two readings with nothing in between: what it costs to ask.</param>
internal sealed record SteadyResult(
    string Load, string End, double Seconds, double Carried, string Unit, int Gen0, int Gen1, int Gen2, long AllocatedBytes, long AskingBytes);

/// <summary>The proof that frames allocate nothing: a long run at full rate, and the process's own counters before and after.</summary>
internal static class SteadyWorkload
{
    private const int MaxWarmUpSeconds = 3;

    /// <summary>Runs small datagrams, then four TCP streams.</summary>
    /// <param name="pair">With Sleeve at both ends.</param>
    /// <param name="seconds">How long each.</param>
    /// <exception cref="Rig.BenchFailure">There is no result.</exception>
    public static List<SteadyResult> Run(Pair pair, int seconds)
    {
        var results = new List<SteadyResult>();
        results.AddRange(Watch(pair, "udp-64", "million datagrams", seconds, length => UdpLoad.Run(pair, size: 64, flows: 0, length).Millions));
        results.AddRange(Watch(pair, "tcp-4", "GB", seconds, length => TcpWorkload.Transfer(pair, streams: 4, isReverse: false, length).Bytes / 1e9));
        return results;
    }

    private static IEnumerable<SteadyResult> Watch(Pair pair, string load, string unit, int seconds, Func<int, double> run)
    {
        SleeveEnd[] ends = [(SleeveEnd)pair.Left, (SleeveEnd)pair.Right];
        // The first frames of a kind open source ports, and the compiler replaces its first versions.
        run(Math.Min(MaxWarmUpSeconds, (seconds / 4) + 1));
        foreach (var end in ends) end.ReadRuntime();
        var first = ends.Select(static end => end.ReadRuntime()).ToArray();
        var before = ends.Select(static end => end.ReadRuntime()).ToArray();
        var carried = run(seconds);
        var after = ends.Select(static end => end.ReadRuntime()).ToArray();
        for (var i = 0; i < ends.Length; i++)
        {
            yield return new SteadyResult(
                load, i == 0 ? "left" : "right", seconds, carried, unit,
                after[i].Gen0 - before[i].Gen0, after[i].Gen1 - before[i].Gen1, after[i].Gen2 - before[i].Gen2,
                after[i].AllocatedBytes - before[i].AllocatedBytes, before[i].AllocatedBytes - first[i].AllocatedBytes);
        }
    }
}
