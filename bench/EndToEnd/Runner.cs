using System.Diagnostics;
using System.Globalization;
using Sleeve.Bench.EndToEnd.Measure;
using Sleeve.Bench.EndToEnd.Rig;
using Sleeve.Bench.EndToEnd.Systems;
using Sleeve.Bench.EndToEnd.Workloads;

namespace Sleeve.Bench.EndToEnd;

/// <summary>Makes a run: every system in turns, then what is measured on a single VTEP. A failure is written down, and the run goes on.</summary>
/// <param name="plan">What is measured.</param>
/// <param name="sleeve">Path of the sleeve executable.</param>
/// <param name="progress">Takes a line for every turn.</param>
internal sealed class Runner(Plan plan, string sleeve, Action<string> progress)
{
    private readonly List<Sample> _samples = [];
    private readonly List<Failure> _failures = [];
    private readonly List<SteadyResult> _steady = [];
    private readonly Dictionary<string, string> _details = [];
    private readonly HashSet<(string System, int Mtu)> _unavailable = [];
    private readonly Stopwatch _clock = Stopwatch.StartNew();

    /// <summary>Runs all of it.</summary>
    public RunResult Run(MachineInfo machine)
    {
        var started = DateTime.UtcNow;
        foreach (var mtu in plan.Mtus)
            for (var round = 1; round <= plan.Rounds; round++)
                foreach (var contender in plan.Contenders.Where(contender => plan.HasTurn(contender, mtu, round)))
                    Turn(contender, mtu, round);
        if (plan.Has("remotes")) Scale("remotes", plan.Remotes, (end, count, recorder) => RemotesWorkload.Run(end, count, plan.Seconds, recorder));
        if (plan.Has("segments")) Scale("segments", plan.Segments, MemoryWorkload.RunSegments);
        if (plan.Has("fdb")) Scale("fdb", [plan.Stations], MemoryWorkload.RunFdb);
        if (plan.Has("steady")) Steady();
        return new RunResult(
            started, Math.Round(_clock.Elapsed.TotalSeconds), plan.Rounds, plan.Seconds, plan.IsQuick, machine,
            [.. plan.Contenders.Select(static contender => contender.Name)], _details, _samples, _failures, _steady);
    }

    private void Turn(Contender contender, int mtu, int round)
    {
        if (_unavailable.Contains((contender.Name, mtu))) return;
        var recorder = new Recorder(contender.Name, mtu, round);
        var where = $"mtu {mtu}, round {round} of {plan.Rounds}, {contender.Title}";
        try
        {
            using var pair = Pair.Start(contender, mtu, sleeve);
            if (plan.Has("setup")) recorder.Add("setup", pair.SetUpTime.TotalMilliseconds);
            if (!_details.ContainsKey(contender.Name) && pair.ReadDetail() is { } detail) _details.Add(contender.Name, detail);
            foreach (var workload in plan.TurnOf(contender, mtu, round))
            {
                try
                {
                    workload.Run(pair, recorder);
                }
                catch (BenchFailure failure)
                {
                    Fail(recorder.Fail(workload.Name, failure.Message), where);
                }
            }

            if (pair.Processes.Count > 0) ReadMemory(pair, recorder);
        }
        catch (Exception failure) when (failure is BenchFailure or IOException)
        {
            // What could not be set up once is not tried again: the others need the time.
            _unavailable.Add((contender.Name, mtu));
            Fail(recorder.Fail("setup", failure.Message), where);
        }

        Keep(recorder, where);
    }

    private static void ReadMemory(Pair pair, Recorder recorder)
    {
        if (pair.IsDead) return;
        var memory = Memory.Read(pair.Processes);
        recorder.Add("rss", memory.Rss);
        recorder.Add("pss", memory.Pss);
    }

    // One VTEP on the left host, made anew for every value of what is scaled.
    private void Scale(string workload, IReadOnlyList<int> parameters, Action<TunnelEnd, int, Recorder> measure)
    {
        var mtu = plan.Mtus[0];
        for (var round = 1; round <= plan.ScaleRounds(workload); round++)
        {
            foreach (var contender in plan.Scaled)
            {
                var recorder = new Recorder(contender.Name, mtu, round);
                var where = $"{workload}, round {round} of {plan.ScaleRounds(workload)}, {contender.Title}";
                foreach (var parameter in parameters)
                {
                    try
                    {
                        using var lab = new Lab(mtu);
                        using var end = contender.Left(Host.Left, mtu, sleeve);
                        measure(end, parameter, recorder);
                    }
                    catch (Exception failure) when (failure is BenchFailure or IOException)
                    {
                        Fail(recorder.Fail(workload, $"{parameter}: {failure.Message}"), where);
                    }
                }

                Keep(recorder, where);
            }
        }
    }

    private void Steady()
    {
        if (plan.Contenders.FirstOrDefault(static contender => contender.Name == "sleeve") is not { } contender) return;
        var mtu = plan.Mtus[0];
        try
        {
            using var pair = Pair.Start(contender, mtu, sleeve);
            var results = SteadyWorkload.Run(pair, plan.SteadySeconds);
            _steady.AddRange(results);
            foreach (var result in results)
                Say(string.Create(CultureInfo.InvariantCulture,
                    $"steady, {result.Load}, {result.Seconds:0} s, {result.End}: {result.Carried:0.#} {result.Unit}, {result.Gen0} collections, {result.AllocatedBytes} bytes allocated ({result.AskingBytes} by asking)"));
        }
        catch (BenchFailure failure)
        {
            Fail(new Failure(contender.Name, mtu, "steady", 1, failure.Message), "steady");
        }
    }

    private void Keep(Recorder recorder, string where)
    {
        _samples.AddRange(recorder.Samples);
        if (recorder.Samples.Count == 0) return;
        var shown = recorder.Samples.Where(static sample => !sample.Metric.Contains("-cpu-", StringComparison.Ordinal) && !sample.Metric.EndsWith("-offered", StringComparison.Ordinal));
        Say($"{where}: " + string.Join("  ", shown.Select(static sample =>
            $"{sample.Metric}{(sample.Parameter > 0 ? $"[{sample.Parameter}]" : "")} {Report.Figure.Show(sample.Value)}")));
    }

    private void Fail(Failure failure, string where)
    {
        _failures.Add(failure);
        Say($"{where}: {failure.Workload}: {(failure.Workload == "setup" ? "not available: " : "no result: ")}{failure.Message}");
    }

    private void Say(string line)
    {
        var left = plan.Estimate - _clock.Elapsed;
        progress($"[{(int)_clock.Elapsed.TotalMinutes:00}:{_clock.Elapsed.Seconds:00}{(left > TimeSpan.Zero ? $", some {Math.Ceiling(left.TotalMinutes):0} min left" : "")}] {line}");
    }
}
