using System.Globalization;
using System.Text;

namespace Sleeve.Bench.ClusterScale.Report;

/// <summary>A table of a report: a line a figure, a column a size.</summary>
/// <param name="Title">What it is of.</param>
/// <param name="Headers">The first is that of the names.</param>
/// <param name="Rows">As many cells as headers each.</param>
internal sealed record ScaleTable(string Title, IReadOnlyList<string> Headers, IReadOnlyList<IReadOnlyList<string>> Rows)
{
    // A sign of life is given three times in its term of 10 s.
    private const double BeatsPerSecond = 0.3;

    private static readonly (string Name, Func<SimulatedFigures, string?> Of)[] Simulated =
    [
        ("keys in the store", static each => Whole(each.Keys)),
        ("store: file", static each => Mebi(each.Disk)),
        ("store: memory; with a watch a host", static each => $"{Mebi(each.StoreRss)}; {Mebi(each.StoreRssWatched)}"),
        ("store: keys a second while it is filled", static each => Whole(each.FillRate)),
        ("**cold start** of a host: all", static each => Time(each.Cold)),
        ("of that: read; made a view; tables programmed", static each => $"{Time(each.ColdRange)}; {Time(each.ColdView)}; {Time(each.ColdProgram)}"),
        ("CPU of the host; of the store", static each => $"{Time(each.ColdCpu)}; {Time(each.ColdStoreCpu)}"),
        ("on the wire; requests", static each => $"{Mebi(each.ColdBytes)}{(each.ColdRequests is { } requests ? $"; {Whole(requests)}" : "")}"),
        ("host: entries of its copy; of its FDBs", static each => $"{Whole(each.Entries)}; {Whole(each.Fdb)}"),
        ("host: memory; alive on its heap", static each => $"{Mebi(each.HostRss)}; {Mebi(each.HostHeap)}"),
        ("**one change**: answered by the store", static each => Time(each.Near.Commit)),
        ("in a table of the host: median; p99", static each => $"{Time(each.Near.Programmed)}; {Time(each.Near.Programmed99)}"),
        ("at all watches: median; p99", static each => $"{Time(each.Near.Everybody)}; {Time(each.Near.Everybody99)}"),
        ("to each host: messages; bytes; on the wire", static each => $"{Number(each.Near.Lines)}; {Whole(each.Near.Bytes)}; {Whole(each.Near.WireBytes)}"),
        ("CPU of the store, for all; for a host", static each => $"{Time(each.Near.StoreCpu)}; {Time(each.Near.StoreCpu / (each.Watchers + 1))}"),
        ("CPU of a host that has the network; allocated", static each => $"{Time(each.Near.HostCpu)}; {Whole(each.Near.HostAllocated)} KiB"),
        ("CPU of a host that has not; allocated", static each => each.Far is { } far ? $"{Time(far.HostCpu)}; {Whole(far.HostAllocated)} KiB" : "-"),
        ("changes a second that reach all, many at a time", static each => Whole(each.BurstRate)),
        ("**at rest**: signs of life a second; CPU of the store", static each =>
            $"{Whole(each.Peers * BeatsPerSecond)}; {Percent(each.KeepAliveCpu * each.Peers * BeatsPerSecond / 1e4)}"),
        ("CPU of a host: a look at its tables (every 5 s)", static each => Time(each.MendCpu)),
        ("CPU of a host: names of its networks made anew", static each => Time(each.NamesCpu)),
    ];

    /// <summary>The tables of a run.</summary>
    public static IEnumerable<ScaleTable> Of(ScaleRun run)
    {
        foreach (var group in run.Simulated.GroupBy(static each => (each.Store, IsOne: each.Networks == 1)))
        {
            yield return new ScaleTable(
                $"{(group.Key.IsOne ? "All in one network" : "Many networks")}, {(group.Key.Store == "etcd" ? "etcd" : "embedded store")}",
                ["hosts / endpoints / networks", .. group.Select(static each => $"{Whole(each.Peers)} / {Whole(each.Endpoints)} / {Whole(each.Networks)}")],
                [.. Simulated.Select(row => (IReadOnlyList<string>)[row.Name, .. group.Select(each => row.Of(each) ?? "-")])]);
        }

        if (run.Daemons is { } daemons) yield return Of(daemons);
    }

    private static ScaleTable Of(DaemonFigures daemons) => new(
        "Real daemons on one machine", ["figure", $"{daemons.Daemons} daemons, {daemons.Networks} networks, {daemons.Endpoints} endpoints"],
        [
            ["all started, four at a time", $"{Number(daemons.Started)} s"],
            ["all joined by token and known to all, four at a time; one `sleeve join`", $"{Number(daemons.Joined)} s; {Time(daemons.Join)}"],
            ["all attached, four at a time; one `sleeve attach`", $"{Number(daemons.Attached)} s; {Time(daemons.Attach)}"],
            ["from the last answer until all tables are complete; entries", $"{Number(daemons.Complete)} s; {Whole(daemons.Entries)}"],
            ["audit of all hosts", daemons.IsAuditClean ? "no difference" : "differences"],
            ["from `sleeve attach` to the entry on the first; on the last host (median of all); at most", $"{Time(daemons.FirstHost)}; {Time(daemons.LastHost)}; {Time(daemons.LastHostMax)}"],
            [$"from the first to the last of {daemons.Hosts - 1} hosts", Time(daemons.Apart)],
            ["memory of a daemon: median; largest; without what it shares", $"{Mebi(daemons.Rss)}; {Mebi(daemons.RssMax)}; {Mebi(daemons.Pss)}"],
            ["memory of the one that serves the store", Mebi(daemons.ServingRss)],
            ["CPU of a daemon at rest: median; largest", $"{Percent(daemons.Cpu)}; {Percent(daemons.CpuMax)}"],
            ["CPU of the one that serves the store", Percent(daemons.ServingCpu)],
        ]);

    /// <summary>As Markdown.</summary>
    public string ToMarkdown()
    {
        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"### {Title}\n\n| {string.Join(" | ", Headers)} |\n|{string.Concat(Headers.Select(static (_, i) => i == 0 ? "---|" : "--:|"))}\n");
        foreach (var row in Rows) text.Append(CultureInfo.InvariantCulture, $"| {string.Join(" | ", row)} |\n");
        return text.ToString();
    }

    private static string Whole(double value) => value.ToString("n0", CultureInfo.InvariantCulture);

    private static string Number(double value) => value.ToString(value < 10 ? "0.0" : "n0", CultureInfo.InvariantCulture);

    private static string Mebi(double value) => $"{Number(value)} MiB";

    private static string Percent(double value) => $"{Number(value)} %";

    /// <summary>Milliseconds in the unit that fits.</summary>
    internal static string Time(double milliseconds) => milliseconds switch
    {
        >= 1000 => $"{Number(milliseconds / 1000)} s",
        >= 1 => $"{Number(milliseconds)} ms",
        _ => $"{Whole(milliseconds * 1000)} µs",
    };
}
