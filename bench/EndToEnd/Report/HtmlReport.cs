using System.Globalization;
using System.Net;
using System.Text;
using Sleeve.Bench.EndToEnd.Measure;
using Sleeve.Bench.EndToEnd.Systems;

namespace Sleeve.Bench.EndToEnd.Report;

/// <summary>A run as one page that needs nothing else: an overview, plots, and under each group of plots its table.</summary>
internal static class HtmlReport
{
    private const string Style = """
        body{font:15px/1.45 system-ui,"DejaVu Sans",sans-serif;color:#1c2430;background:#f4f6f9;margin:0}
        main{max-width:1240px;margin:0 auto;padding:24px}
        h1{margin:0 0 4px;font-size:26px} h2{margin:36px 0 10px;font-size:19px} h3{margin:16px 0 6px;font-size:14px;color:#4a5565}
        p.where{margin:2px 0;color:#4a5565} ul{padding-left:20px} li{margin:3px 0}
        .charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(480px,1fr));gap:14px}
        .card{background:#fff;border:1px solid #dde3ea;border-radius:8px;padding:12px 14px}
        svg{width:100%;height:auto;display:block;font-family:inherit}
        svg .title{font-size:13px;font-weight:600;fill:#1c2430} svg .hint{font-size:11px;fill:#7b8796}
        svg .label{font-size:12px;fill:#1c2430} svg .value{font-size:12px;fill:#1c2430;white-space:pre} svg .axis{font-size:11px;fill:#7b8796}
        svg .end{text-anchor:end} svg .middle{text-anchor:middle}
        svg .one{stroke:#3f4a5a;stroke-dasharray:3 3} svg .grid{stroke:#e6eaf0} svg .whisker{stroke:#10151c;stroke-width:1.2;fill:none}
        .wide{overflow-x:auto} table{border-collapse:collapse;background:#fff;font-size:13px;margin:6px 0}
        th,td{border:1px solid #dde3ea;padding:4px 9px;text-align:right;font-variant-numeric:tabular-nums} th{background:#eef1f5;font-weight:600}
        th:first-child,td:first-child{text-align:left;white-space:nowrap} td.text{text-align:left}
        """;

    private static readonly string[] Overview = ["tcp-1", "tcp-4", "tcp-1-reverse", "tcp-4-reverse", "udp-64", "udp-1400", "rtt-median", "rtt-p99", "tcp-1-cpu-machine", "udp-64-cpu-machine", "setup"];

    /// <summary>Writes it.</summary>
    public static string Write(Summary summary)
    {
        var run = summary.Run;
        var html = new StringBuilder();
        html.Append($"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Sleeve, end to end</title><style>\n{Style}\n</style></head><body><main>\n");
        html.Append("<h1>Sleeve, end to end</h1>\n");
        foreach (var line in Prose.Where(run)) html.Append($"<p class=\"where\">{Escape(line)}</p>\n");
        foreach (var mtu in summary.Mtus) WriteOverview(html, summary, mtu);
        html.Append("<h2>How to read it</h2>\n<ul>\n");
        foreach (var line in Prose.HowToRead(run)) html.Append($"<li>{Escape(line)}</li>\n");
        foreach (var (name, detail) in run.Details) html.Append($"<li>{Escape(Contender.TitleOf(name))}: {Escape(detail)}</li>\n");
        html.Append("</ul>\n");
        if (ReportTable.OfFailures(run) is { } failures) WriteTable(html, failures, "h2");
        foreach (var section in Summary.SectionNames)
            foreach (var mtu in summary.Mtus) WriteSection(html, summary, section, mtu);
        if (ReportTable.OfSteady(run) is { } steady) WriteTable(html, steady, "h2");
        return html.Append("</main></body></html>\n").ToString();
    }

    // Ratios to the kernel at a glance: green where better than the kernel, red where worse.
    private static void WriteOverview(StringBuilder html, Summary summary, int mtu)
    {
        var metrics = Overview.Select(Metric.Of).Where(metric => summary.Run.Systems.Any(system => summary.Of(system, mtu, metric.Name)?.Ratio is not null)).ToArray();
        if (metrics.Length == 0) return;
        html.Append($"<h2>Times the kernel’s vxlan device, underlay MTU {mtu}</h2>\n<div class=\"wide\"><table><tr><th></th>");
        foreach (var metric in metrics) html.Append($"<th>{Escape(metric.Title)} {(metric.Better == Better.Less ? "▼" : "▲")}</th>");
        html.Append("</tr>\n");
        foreach (var system in summary.Run.Systems)
        {
            var cells = metrics.Select(metric => summary.Of(system, mtu, metric.Name)?.Ratio).ToArray();
            if (cells.All(static cell => cell is null)) continue;
            html.Append($"<tr><td>{Escape(Contender.TitleOf(system))}</td>");
            for (var i = 0; i < metrics.Length; i++)
                html.Append(cells[i] is { } ratio ? $"<td style=\"background:{Shade(ratio.Median, metrics[i].Better)}\">{Figure.Ratio(ratio.Median)}</td>" : "<td>–</td>");
            html.Append("</tr>\n");
        }

        html.Append("</table></div>\n<p class=\"where\">▲ more is better, ▼ less is better; green is better than the kernel, red is worse.</p>\n");
    }

    /// <summary>A colour from red (a tenth of the kernel's) over white (the same) to green (ten times as good).</summary>
    internal static string Shade(double ratio, Better better)
    {
        if (ratio <= 0 || better == Better.Neither) return "#ffffff";
        var good = Math.Clamp(Math.Log10(ratio) * (better == Better.Less ? -1 : 1), -1, 1);
        var other = (int)(255 - (Math.Sqrt(Math.Abs(good)) * 110));
        return good >= 0
            ? string.Create(CultureInfo.InvariantCulture, $"#{other:x2}{(other + 255) / 2:x2}{other:x2}")
            : string.Create(CultureInfo.InvariantCulture, $"#ff{other:x2}{other:x2}");
    }

    private static void WriteSection(StringBuilder html, Summary summary, string section, int mtu)
    {
        var metrics = summary.MetricsOf(section, mtu);
        if (metrics.Count == 0) return;
        html.Append($"<h2>{Escape(section)}, underlay MTU {mtu}</h2>\n<div class=\"charts\">\n");
        foreach (var metric in metrics.Where(static metric => metric.Better != Better.Neither))
        {
            // A single value of a parameter makes no line.
            var parameters = summary.ParametersOf(metric.Name, mtu);
            var chart = parameters.Count == 1 ? BarChart.Draw(summary, metric, mtu, parameters[0]) : LineChart.Draw(summary, metric, mtu);
            if (chart.Length > 0) html.Append($"<div class=\"card\">{chart}</div>\n");
        }

        html.Append("</div>\n");
        foreach (var table in ReportTable.Of(summary, section, mtu)) WriteTable(html, table, "h3");
    }

    private static void WriteTable(StringBuilder html, ReportTable table, string heading)
    {
        html.Append($"<{heading}>{Escape(table.Title)}</{heading}>\n<div class=\"wide\"><table><tr>");
        foreach (var header in table.Headers) html.Append($"<th>{Escape(header)}</th>");
        html.Append("</tr>\n");
        foreach (var row in table.Rows)
        {
            html.Append("<tr>");
            foreach (var cell in row) html.Append($"<td>{Escape(cell)}</td>");
            html.Append("</tr>\n");
        }

        html.Append("</table></div>\n");
    }

    private static string Escape(string text) => WebUtility.HtmlEncode(text);
}
