using System.Text.Json;

namespace Sleeve.Bench.EndToEnd.Report;

/// <summary>The files that a run leaves: run.json, run.csv, report.md, report.html.</summary>
internal static class ReportFiles
{
    /// <summary>Writes them, over those of an earlier run.</summary>
    /// <returns>Their paths.</returns>
    public static IReadOnlyList<string> Write(RunResult run, string folder)
    {
        Directory.CreateDirectory(folder);
        var summary = new Summary(run);
        (string Name, string Text)[] files =
        [
            ("report.html", HtmlReport.Write(summary)),
            ("report.md", MarkdownReport.Write(summary)),
            ("run.csv", CsvReport.Write(run)),
            ("run.json", ToJson(run)),
        ];
        foreach (var (name, text) in files) File.WriteAllText(Path.Combine(folder, name), text);
        return [.. files.Select(file => Path.Combine(folder, file.Name))];
    }

    /// <summary>A run as JSON.</summary>
    public static string ToJson(RunResult run) => JsonSerializer.Serialize(run, BenchJson.Default.RunResult);

    /// <summary>A run that <see cref="ToJson"/> wrote.</summary>
    /// <exception cref="JsonException">It is none.</exception>
    public static RunResult FromJson(string json) => JsonSerializer.Deserialize(json, BenchJson.Default.RunResult) ?? throw new JsonException("no run");
}
