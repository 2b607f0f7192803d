using System.Diagnostics;
using System.Globalization;

namespace Sleeve.Bench.Micro;

/// <summary>One direction in a plain loop, for perf and other profilers: <c>--profile out|in|in-merging|fdb-find|fdb-miss|fdb-refresh SECONDS</c>.</summary>
internal static class Profile
{
    internal static int Run(string path, int seconds)
    {
        if (path.StartsWith("fdb-", StringComparison.Ordinal)) return RunFdb(path, seconds);
        var frames = new FramePath { Stations = 1000 };
        frames.SetUp();
        Action batch = path switch
        {
            "out" => () => frames.TapToUnderlay(),
            "in" => () => frames.UnderlayToTap(),
            "in-merging" => () => frames.UnderlayToTapThatTakesSuperFrames(),
            _ => throw new ArgumentException("out, in or in-merging", nameof(path)),
        };
        // Best of many short rounds: the machine is shared.
        var best = double.MaxValue;
        var end = Stopwatch.GetTimestamp() + (seconds * Stopwatch.Frequency);
        while (Stopwatch.GetTimestamp() < end)
        {
            const int Batches = 100;
            var started = Stopwatch.GetTimestamp();
            for (var i = 0; i < Batches; i++) batch();
            best = Math.Min(best, Stopwatch.GetElapsedTime(started).TotalNanoseconds / Batches / FramePath.FramesPerBatch);
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{path}: {best:F1} ns a frame"));
        return 0;
    }

    private static int RunFdb(string path, int seconds)
    {
        foreach (var entries in new[] { 1000, 100_000, 1_000_000 })
        {
            var fdb = new Fdb { Entries = entries };
            fdb.SetUp();
            var best = double.MaxValue;
            var end = Stopwatch.GetTimestamp() + (seconds * Stopwatch.Frequency);
            while (Stopwatch.GetTimestamp() < end)
            {
                var started = Stopwatch.GetTimestamp();
                _ = path == "fdb-find" ? fdb.LookUp() : path == "fdb-miss" ? fdb.LookUpOfUnknown() : fdb.Refresh();
                best = Math.Min(best, Stopwatch.GetElapsedTime(started).TotalNanoseconds / Fdb.Slice);
            }

            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{path} {entries}: {best:F1} ns"));
        }

        return 0;
    }
}
