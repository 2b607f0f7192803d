using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Sleeve.Control.Telemetry;
using Sleeve.DataPlane.Pipeline;
using YamlDotNet.RepresentationModel;

namespace Sleeve.Control.Tests.Telemetry;

/// <summary>What is written about metrics is about metrics that there are: the documentation's table, the dashboard, the alert rules.</summary>
public partial class MetricDocumentationTests
{
    private const string Begin = "<!-- metrics: written by the test MetricDocumentationTests with SLEEVE_WRITE_DOCS=1 -->\n";
    private const string End = "<!-- end of metrics -->";

    [GeneratedRegex(@"\b(sleeve|process)_[a-z_]+\b(?!\s*[""']?:)")]
    private static partial Regex MetricName { get; }

    [GeneratedRegex(@"^[a-z]+(\.[a-z]+(_[a-z]+)*)+$")]
    private static partial Regex InstrumentName { get; }

    [Fact]
    public void The_table_of_the_documentation_is_that_of_the_instruments()
    {
        var path = Path.Combine(Root, "docs/metrics.md");
        var text = File.ReadAllText(path);
        var (start, end) = (text.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length, text.IndexOf(End, StringComparison.Ordinal));
        Assert.True(start >= Begin.Length && end >= start);
        if (Environment.GetEnvironmentVariable("SLEEVE_WRITE_DOCS") == "1") File.WriteAllText(path, text[..start] + Table() + text[end..]);
        else Assert.Equal(Table(), text[start..end]);
    }

    [Fact]
    public void Every_counter_of_a_segment_has_a_metric()
    {
        var source = File.ReadAllText(Path.Combine(Root, "src/Control/Telemetry/MetricTable.cs"));
        Assert.All(Enum.GetNames<Counter>(), name => Assert.Single(Regex.Matches(source, $@"\(Counter\.{name},")));
    }

    [Fact]
    public void Names_follow_the_rules_and_are_told_once()
    {
        Assert.All(MetricTable.All, static metric =>
        {
            Assert.Matches(InstrumentName, metric.Name);
            Assert.Matches("^(By|s|\\{[a-z-]+\\}|)$", metric.Unit);
            Assert.EndsWith(".", metric.Description, StringComparison.Ordinal);
            Assert.DoesNotContain("total", metric.Name, StringComparison.Ordinal);
        });
        Assert.Equal(MetricTable.All.Count, MetricTable.All.Select(static metric => metric.Family).Distinct().Count());
    }

    [Fact]
    public void The_dashboard_is_JSON_and_asks_for_metrics_that_there_are()
    {
        using var dashboard = JsonDocument.Parse(File.ReadAllText(Path.Combine(Root, "deploy/grafana/sleeve.json")));
        var panels = dashboard.RootElement.GetProperty("panels").EnumerateArray().ToArray();
        Assert.Equal(panels.Length, panels.Select(static panel => panel.GetProperty("id").GetInt32()).Distinct().Count());
        var expressions = panels.Where(static panel => panel.TryGetProperty("targets", out _)).SelectMany(static panel => panel.GetProperty("targets").EnumerateArray()).Select(static target => target.GetProperty("expr").GetString()!).ToArray();
        Assert.True(expressions.Length > 20);
        AssertKnown(expressions);
        AssertKnown(dashboard.RootElement.GetProperty("templating").GetProperty("list").EnumerateArray().Where(static variable => variable.TryGetProperty("definition", out _)).Select(static variable => variable.GetProperty("definition").GetString()!));
    }

    [Fact]
    public void The_alert_rules_are_YAML_and_ask_for_metrics_that_there_are()
    {
        var yaml = new YamlStream();
        using (var reader = File.OpenText(Rules)) yaml.Load(reader);
        var rules = ((YamlSequenceNode)((YamlMappingNode)((YamlSequenceNode)((YamlMappingNode)yaml.Documents[0].RootNode)["groups"])[0])["rules"]).Cast<YamlMappingNode>().ToArray();
        Assert.True(rules.Length > 8);
        Assert.Equal(rules.Length, rules.Select(static rule => $"{rule["alert"]}").Distinct().Count());
        AssertKnown(rules.Select(static rule => $"{rule["expr"]}"));
        var reasons = Enum.GetNames<DropReason>().Select(JsonNamingPolicy.SnakeCaseLower.ConvertName).ToHashSet();
        foreach (Match list in Regex.Matches(File.ReadAllText(Rules), @"reason!?=~""([^""]+)""")) Assert.All(list.Groups[1].Value.Split('|'), reason => Assert.Contains(reason, reasons));
    }

    [SkippableFact]
    public void Prometheus_itself_takes_the_alert_rules()
    {
        Process promtool;
        try
        {
            promtool = Process.Start(new ProcessStartInfo("promtool", ["check", "rules", Rules]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            throw new SkipException("needs the program promtool: apt-get install prometheus");
        }

        using (promtool)
        {
            var said = promtool.StandardOutput.ReadToEnd() + promtool.StandardError.ReadToEnd();
            promtool.WaitForExit();
            Assert.True(promtool.ExitCode == 0, said);
        }
    }

    private static string Rules => Path.Combine(Root, "deploy/prometheus/sleeve.rules.yml");

    private static string Root { get; } = FindRoot();

    private static void AssertKnown(IEnumerable<string> expressions)
    {
        var known = MetricTable.All.Select(static metric => metric.SampleName).ToHashSet();
        Assert.All(expressions, expression =>
        {
            var names = MetricName.Matches(expression).Select(static match => match.Value).ToArray();
            Assert.NotEmpty(names);
            Assert.All(names, name => Assert.Contains(name, known));
        });
    }

    private static string Table()
    {
        var table = new StringBuilder("| Prometheus | instrument | kind | unit | labels | what |\n|---|---|---|---|---|---|\n");
        foreach (var metric in MetricTable.All)
            table.Append($"| `{metric.SampleName}` | `{metric.Name}` | {(metric.Kind == MetricKind.Counter ? "counter" : "gauge")} | {metric.Unit} | {metric.Labels} | {metric.Description} |\n");
        return table.ToString();
    }

    private static string FindRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Sleeve.slnx"))) folder = Path.GetDirectoryName(folder) ?? throw new DirectoryNotFoundException("no Sleeve.slnx above the tests");
        return folder;
    }
}
