using Sleeve.Bench.EndToEnd.Report;
using Spectre.Console;

namespace Sleeve.Bench.EndToEnd.Cli;

/// <summary>A run on the terminal: its tables, without the plots.</summary>
internal static class Screen
{
    private const int PipeWidth = 200;

    /// <summary>Prints it.</summary>
    public static void Show(Summary summary)
    {
        // A pipe has no width to fit into, and takes no colours.
        if (Console.IsOutputRedirected) (AnsiConsole.Profile.Width, AnsiConsole.Profile.Capabilities.Ansi) = (PipeWidth, false);
        foreach (var section in Summary.SectionNames)
            foreach (var mtu in summary.Mtus)
                foreach (var table in ReportTable.Of(summary, section, mtu)) Print(table);
        if (ReportTable.OfSteady(summary.Run) is { } steady) Print(steady);
        if (ReportTable.OfFailures(summary.Run) is { } failures) Print(failures);
    }

    private static void Print(ReportTable table)
    {
        var grid = new Table().Border(TableBorder.Rounded).Title(Markup.Escape(table.Title));
        for (var i = 0; i < table.Headers.Count; i++)
        {
            var column = new TableColumn(Markup.Escape(table.Headers[i]));
            grid.AddColumn(i == 0 ? column.NoWrap() : column.RightAligned());
        }

        foreach (var row in table.Rows) grid.AddRow([.. row.Select(Markup.Escape)]);
        AnsiConsole.Write(grid);
    }
}
