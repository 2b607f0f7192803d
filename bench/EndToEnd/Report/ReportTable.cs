using System.Globalization;
using Sleeve.Bench.EndToEnd.Measure;
using Sleeve.Bench.EndToEnd.Systems;

namespace Sleeve.Bench.EndToEnd.Report;

/// <summary>A table of a report, whatever it is written as.</summary>
/// <param name="Title">Above it.</param>
/// <param name="Headers">One a column; the first is of the row names.</param>
/// <param name="Rows">As many cells each as there are headers.</param>
internal sealed record ReportTable(string Title, IReadOnlyList<string> Headers, IReadOnlyList<IReadOnlyList<string>> Rows)
{
    private const string Nothing = "–";

    /// <summary>The tables of a section at an MTU; none if nothing was measured.</summary>
    public static IEnumerable<ReportTable> Of(Summary summary, string section, int mtu)
    {
        var metrics = summary.MetricsOf(section, mtu);
        if (metrics.Count == 0) yield break;
        var title = $"{section}, underlay MTU {mtu}";
        if (metrics[0].Parameter is null)
        {
            yield return BySystem(summary, metrics, mtu, title);
            yield break;
        }

        foreach (var metric in metrics) yield return ByParameter(summary, metric, mtu, $"{section}: {metric.Title}, {metric.Unit}, underlay MTU {mtu}");
    }

    /// <summary>The garbage collector during the steady run; null if there was none.</summary>
    public static ReportTable? OfSteady(RunResult run) => run.Steady.Count == 0 ? null : new ReportTable(
        "Steady run: the garbage collector of each Sleeve process",
        ["load", "end", "seconds", "carried", "collections gen 0 / 1 / 2", "bytes allocated", "of which by asking"],
        [.. run.Steady.Select(static row => (IReadOnlyList<string>)[
            row.Load, row.End, Figure.Show(row.Seconds), $"{Figure.Show(row.Carried)} {row.Unit}",
            $"{row.Gen0} / {row.Gen1} / {row.Gen2}", Figure.Show(row.AllocatedBytes), Figure.Show(row.AskingBytes)])]);

    /// <summary>Every failure, the same ones together; null if there was none.</summary>
    public static ReportTable? OfFailures(RunResult run) => run.Failures.Count == 0 ? null : new ReportTable(
        "Not available, or without a result",
        ["system", "MTU", "workload", "times", "why"],
        [.. run.Failures.GroupBy(static failure => (failure.System, failure.Mtu, failure.Workload, failure.Message)).Select(static group => (IReadOnlyList<string>)[
            Contender.TitleOf(group.Key.System), $"{group.Key.Mtu}", group.Key.Workload == "setup" ? "everything: not available" : group.Key.Workload, $"{group.Count()}", group.Key.Message])]);

    /// <summary>A cell: values, and how many times the kernel's.</summary>
    internal static string Show(Cell? cell) => cell is null ? Nothing
        : cell.Ratio is { } ratio ? $"{Figure.Show(cell.Values)} · {Figure.Ratio(ratio.Median)}×" : Figure.Show(cell.Values);

    private static ReportTable BySystem(Summary summary, IReadOnlyList<Metric> metrics, int mtu, string title)
    {
        var systems = summary.Run.Systems.Where(system => metrics.Any(metric => summary.Of(system, mtu, metric.Name) is not null));
        return new ReportTable(
            title,
            ["", .. metrics.Select(static metric => $"{metric.Title}, {metric.Unit}")],
            [.. systems.Select(system => (IReadOnlyList<string>)[Contender.TitleOf(system), .. metrics.Select(metric => Show(summary.Of(system, mtu, metric.Name)))])]);
    }

    private static ReportTable ByParameter(Summary summary, Metric metric, int mtu, string title)
    {
        var parameters = summary.ParametersOf(metric.Name, mtu);
        return new ReportTable(
            title,
            ["", .. parameters.Select(parameter => $"{parameter.ToString("#,##0", CultureInfo.InvariantCulture)} {metric.Parameter}")],
            [.. summary.SystemsOf(metric.Name, mtu).Select(system => (IReadOnlyList<string>)[
                Contender.TitleOf(system), .. parameters.Select(parameter => Show(summary.Of(system, mtu, metric.Name, parameter)))])]);
    }
}
