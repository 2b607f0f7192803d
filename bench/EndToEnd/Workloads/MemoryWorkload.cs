using System.Diagnostics;
using Sleeve.Bench.EndToEnd.Load;
using Sleeve.Bench.EndToEnd.Measure;
using Sleeve.Bench.EndToEnd.Rig;
using Sleeve.Bench.EndToEnd.Systems;

namespace Sleeve.Bench.EndToEnd.Workloads;

/// <summary>Memory of one VTEP with many segments, or with many stations in its FDB.</summary>
internal static class MemoryWorkload
{
    private const int Passes = 8;
    // One in so many may be missing.
    private const int Tolerated = 1000;
    private const int StationsPerSecond = 150_000;
    // Learned stations are to stay for as long as learning takes.
    private const string Ageing = "3600";
    private static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(300);

    /// <summary>One VTEP with so many segments.</summary>
    /// <param name="end">A <see cref="KernelEnd"/> or <see cref="SleeveEnd"/> on the left host, not started; stays the caller's.</param>
    /// <param name="segments">How many.</param>
    /// <param name="recorder">Where to.</param>
    public static void RunSegments(TunnelEnd end, int segments, Recorder recorder)
    {
        var kernel = Memory.ReadKernel();
        var clock = Stopwatch.StartNew();
        var numbers = Enumerable.Range(1, segments);
        if (end is SleeveEnd sleeve)
        {
            sleeve.StartAndWait([.. numbers.Select(static number => $"d{number}:{number}"), "--local", end.Host.Underlay, "--remote", end.Host.Peer.Underlay]);
        }
        else
        {
            var file = Path.GetTempFileName();
            File.WriteAllLines(file, numbers.SelectMany(number => (string[])[
                $"link add d{number} type vxlan id {number} local {end.Host.Underlay} remote {end.Host.Peer.Underlay} dstport 4789 dev eth0", $"link set d{number} up"]));
            Command.Run("ip", "-n", end.Host.Name, "-batch", file);
            File.Delete(file);
        }

        recorder.Add("segments-setup", clock.Elapsed.TotalMilliseconds, segments);
        Thread.Sleep(Settle);
        recorder.Add("segments-kernel", Math.Max(0, Memory.ReadKernel() - kernel), segments);
        if (end.Processes.Count == 0) return;
        var memory = Memory.Read(end.Processes);
        recorder.Add("segments-rss", memory.Rss, segments);
        recorder.Add("segments-pss", memory.Pss, segments);
    }

    /// <summary>One VTEP that learns so many stations from the wire.</summary>
    /// <param name="end">A <see cref="KernelEnd"/> or <see cref="SleeveEnd"/> on the left host, not started; stays the caller's.</param>
    /// <param name="stations">How many.</param>
    /// <param name="recorder">Where to.</param>
    /// <exception cref="BenchFailure">It learned fewer than half of them.</exception>
    public static void RunFdb(TunnelEnd end, int stations, Recorder recorder)
    {
        if (end is SleeveEnd sleeve)
            sleeve.StartOwnSocket(["--vni", "100", "--local", end.Host.Underlay, "--remote", end.Host.Peer.Underlay, "--ageing", Ageing]);
        else
            ((KernelEnd)end).StartAlone("ageing", Ageing);
        Thread.Sleep(Settle);
        var kernel = Memory.ReadKernel();
        var before = Memory.Read(end.Processes);

        var entries = 0;
        for (var pass = 0; pass < Passes && entries < stations - (stations / Tolerated); pass++)
        {
            // Datagrams get lost and a busy table skips a station; who was missed is learned when it speaks again.
            var outcome = Command.Try(TimeSpan.FromSeconds(20 + (stations / StationsPerSecond * 3)), end.Host.Peer.Inside(
                LoadWords.Of("fdb-fill", end.Host.Underlay, "4789", "100", $"{stations}", $"{StationsPerSecond}")));
            if (outcome.Code != 0) throw new BenchFailure($"fdb-fill: {outcome.LastWords}");
            Thread.Sleep(Settle);
            entries = (end as SleeveEnd)?.ReadFdbEntries() ?? Command.CountLines(end.Host.Inside("bridge", "fdb", "show", "dev", end.Device));
        }

        recorder.Add("fdb-entries", entries, stations);
        if (entries < stations / 2) throw new BenchFailure($"fdb: learned only {entries} of {stations} stations");
        var grownKernel = Math.Max(0, Memory.ReadKernel() - kernel);
        recorder.Add("fdb-kernel", grownKernel, stations);
        var grown = grownKernel;
        if (end.Processes.Count > 0)
        {
            var after = Memory.Read(end.Processes);
            grown = after.Rss - before.Rss;
            recorder.Add("fdb-rss", grown, stations);
            recorder.Add("fdb-pss", after.Pss, stations);
        }

        recorder.Add("fdb-bytes", grown * 1024 * 1024 / entries, stations);
    }
}
