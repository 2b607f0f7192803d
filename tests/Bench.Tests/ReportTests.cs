using System.Text.RegularExpressions;
using System.Xml.Linq;
using Sleeve.Bench.EndToEnd.Measure;
using Sleeve.Bench.EndToEnd.Report;

namespace Sleeve.Bench.Tests;

/// <summary>The files that a run leaves.</summary>
public sealed class ReportTests
{
    private static readonly Summary Summary = new(Runs.Small);

    [Fact]
    public void JSON_holds_the_whole_run()
    {
        var json = ReportFiles.ToJson(Runs.Small);
        Assert.Equal(json, ReportFiles.ToJson(ReportFiles.FromJson(json)));
        Assert.Contains("\"metric\": \"tcp-1\"", json, StringComparison.Ordinal);
    }

    [Fact]
    public void CSV_has_a_line_for_every_sample()
    {
        var lines = CsvReport.Write(Runs.Small).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(Runs.Small.Samples.Count + 1, lines.Length);
        Assert.Equal("sleeve,1500,1,flows,10000,50,thousand/s", lines[9]);
        Assert.All(lines, static line => Assert.Equal(6, line.Count(static c => c == ',')));
    }

    [Fact]
    public void Markdown_shows_values_ratios_and_what_is_missing()
    {
        var text = MarkdownReport.Write(Summary);
        Assert.Contains("| sleeve | 12.5 (5.00 to 20.0) · 0.75× |", text, StringComparison.Ordinal);
        Assert.Contains("| OVS, user space | 1.00 · 0.050× |", text, StringComparison.Ordinal);
        Assert.Contains("| tinc, no cipher | 1500 | everything: not available | 1 | tincd: <no> \\| tun |", text, StringComparison.Ordinal);
        Assert.Contains("| OVS, user space | 1500 | tcp | 2 | iperf3: hung, killed after 9 s |", text, StringComparison.Ordinal);
        Assert.Contains("20 % busy", text, StringComparison.Ordinal);
        Assert.Contains("0 / 0 / 0", text, StringComparison.Ordinal);
        var columns = text.Split('\n').Where(static line => line.StartsWith('|')).Select(static line => Regex.Count(line, @"(?<!\\)\|"));
        Assert.All(columns, static count => Assert.True(count > 2));
    }

    [Fact]
    public void The_page_needs_nothing_from_elsewhere_and_escapes_what_it_shows()
    {
        var html = HtmlReport.Write(Summary);
        Assert.DoesNotMatch("""(?i)(src|href)\s*=|url\(|@import|<script|https?://""", html);
        Assert.Contains("A &lt;fast&gt; CPU, &quot;new&quot;", html, StringComparison.Ordinal);
        Assert.DoesNotContain("<no>", html, StringComparison.Ordinal);
        // Well-formed but for the doctype and the void element.
        var body = XDocument.Parse(html.Replace("<!DOCTYPE html>", "", StringComparison.Ordinal).Replace("<meta charset=\"utf-8\">", "", StringComparison.Ordinal)).Root!;
        Assert.Equal(3, body.Descendants("svg").Count());
    }

    [Fact]
    public void Bars_are_as_long_as_the_ratios_and_the_kernel_ends_at_the_line()
    {
        var svg = XDocument.Parse(BarChart.Draw(Summary, Metric.Of("tcp-1"), 1500)).Root!;
        var widths = svg.Elements("rect").Select(static bar => (double)bar.Attribute("width")!).ToArray();
        Assert.Equal(3, widths.Length);
        Assert.Equal(0.75, widths[1] / widths[0], 2);
        Assert.Equal(0.05, widths[2] / widths[0], 2);
        var line = svg.Elements("line").Single();
        Assert.Equal((double)line.Attribute("x1")!, (double)svg.Elements("rect").First().Attribute("x")! + widths[0], 0);
    }

    [Fact]
    public void A_line_chart_needs_two_points()
    {
        Assert.StartsWith("<svg", LineChart.Draw(Summary, Metric.Of("flows"), 1500), StringComparison.Ordinal);
        Assert.Empty(LineChart.Draw(Summary, Metric.Of("remotes"), 1500));
    }

    [Theory]
    [InlineData(1, "#ffffff")]
    [InlineData(100, "#91c891")]
    [InlineData(0.001, "#ff9191")]
    public void Better_than_the_kernel_is_green_and_worse_is_red(double ratio, string colour)
    {
        Assert.Equal(colour, HtmlReport.Shade(ratio, Better.More));
        Assert.Equal(HtmlReport.Shade(ratio, Better.More), HtmlReport.Shade(1 / ratio, Better.Less));
    }

    [Fact]
    public void Every_metric_has_a_name_of_its_own() => Assert.Equal(Metric.All.Count, Metric.All.Select(static metric => metric.Name).Distinct().Count());
}
