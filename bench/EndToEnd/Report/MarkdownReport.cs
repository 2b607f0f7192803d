using System.Text;
using Sleeve.Bench.EndToEnd.Systems;

namespace Sleeve.Bench.EndToEnd.Report;

/// <summary>A run as markdown, for documents.</summary>
internal static class MarkdownReport
{
    /// <summary>Writes it.</summary>
    public static string Write(Summary summary)
    {
        var run = summary.Run;
        var text = new StringBuilder();
        foreach (var line in Prose.Where(run)) Line($"{line}  ");
        Line("");
        foreach (var line in Prose.HowToRead(run)) Line($"- {line}");
        Line("");
        foreach (var (name, detail) in run.Details) Line($"- {Contender.TitleOf(name)}: {detail}");
        foreach (var section in Summary.SectionNames)
            foreach (var mtu in summary.Mtus)
                foreach (var table in ReportTable.Of(summary, section, mtu)) Table(table);
        if (ReportTable.OfSteady(run) is { } steady) Table(steady);
        if (ReportTable.OfFailures(run) is { } failures) Table(failures);
        return text.ToString();

        void Line(string line) => text.Append(line).Append('\n');

        void Table(ReportTable table)
        {
            Line("");
            Line($"### {table.Title}");
            Line("");
            Row(table.Headers);
            Line("|" + string.Concat(table.Headers.Select(static (_, index) => index == 0 ? "---|" : "---:|")));
            foreach (var row in table.Rows) Row(row);
        }

        void Row(IReadOnlyList<string> cells) => Line("| " + string.Join(" | ", cells.Select(static cell => cell.Replace("|", "\\|", StringComparison.Ordinal))) + " |");
    }
}
