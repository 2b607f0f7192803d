using Sleeve.Bench.EndToEnd.Measure;
using Sleeve.Bench.EndToEnd.Systems;

namespace Sleeve.Bench.EndToEnd.Report;

/// <summary>A metric of a system over all rounds.</summary>
/// <param name="Values">In the metric's unit.</param>
/// <param name="Ratio">To the kernel's in the same round; null if the kernel has none.</param>
internal sealed record Cell(Spread Values, Spread? Ratio);

/// <summary>A run, summarised: the medians that reports show.</summary>
internal sealed class Summary
{
    private readonly Dictionary<(string System, int Mtu, string Metric, int Parameter), Dictionary<int, double>> _values;

    /// <summary>Summarises a run.</summary>
    public Summary(RunResult run)
    {
        Run = run;
        _values = run.Samples.GroupBy(static sample => (sample.System, sample.Mtu, sample.Metric, sample.Parameter)).ToDictionary(
            static group => group.Key, static group => group.GroupBy(static sample => sample.Round).ToDictionary(static round => round.Key, static round => round.Last().Value));
        Mtus = [.. run.Samples.Select(static sample => sample.Mtu).Distinct()];
    }

    /// <summary>What is summarised.</summary>
    public RunResult Run { get; }

    /// <summary>MTUs that something was measured at, in the order of the run.</summary>
    public IReadOnlyList<int> Mtus { get; }

    /// <summary>A metric of a system; null if it was not measured.</summary>
    public Cell? Of(string system, int mtu, string metric, int parameter = 0)
    {
        if (!_values.TryGetValue((system, mtu, metric, parameter), out var values) || Spread.Of(values.Values) is not { } spread) return null;
        var ratio = _values.TryGetValue((Contender.Baseline, mtu, metric, parameter), out var baseline) ? Spread.OfRatios(values, baseline) : null;
        return new Cell(spread, ratio);
    }

    /// <summary>Metrics of a section that have a value at an MTU.</summary>
    public IReadOnlyList<Metric> MetricsOf(string section, int mtu) =>
        [.. Metric.All.Where(metric => metric.Section == section && Run.Samples.Any(sample => sample.Mtu == mtu && sample.Metric == metric.Name))];

    /// <summary>Systems that have a value of a metric at an MTU, in the order of their turns.</summary>
    public IReadOnlyList<string> SystemsOf(string metric, int mtu) =>
        [.. Run.Systems.Where(system => Run.Samples.Any(sample => sample.System == system && sample.Mtu == mtu && sample.Metric == metric))];

    /// <summary>Values of a metric's parameter that were measured at an MTU.</summary>
    public IReadOnlyList<int> ParametersOf(string metric, int mtu) =>
        [.. Run.Samples.Where(sample => sample.Mtu == mtu && sample.Metric == metric).Select(static sample => sample.Parameter).Distinct().Order()];

    /// <summary>Sections of the report, in order.</summary>
    public static IReadOnlyList<string> SectionNames { get; } = [.. Metric.All.Select(static metric => metric.Section).Distinct()];
}
