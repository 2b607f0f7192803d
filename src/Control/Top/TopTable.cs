using System.Text;

namespace Sleeve.Control.Top;

/// <summary>A column of a <see cref="TopTable"/>.</summary>
/// <param name="Title">What stands above.</param>
/// <param name="IsNumber">Numbers are flush right.</param>
/// <param name="Rank">Where there is no room the column with the highest goes first; 0 never.</param>
internal readonly record struct TopColumn(string Title, bool IsNumber = false, int Rank = 0);

/// <summary>A cell, and whether it is something to look at.</summary>
internal readonly record struct TopCell(string Text, bool IsAlarming = false)
{
    /// <summary>Most are nothing special.</summary>
    public static implicit operator TopCell(string text) => new(text);
}

/// <summary>Rows in columns as wide as they must be, in lines no longer than a terminal: columns go before anything is cut off.</summary>
/// <param name="columns">The columns.</param>
/// <param name="rows">Cells, as many as columns.</param>
internal sealed class TopTable(IReadOnlyList<TopColumn> columns, IReadOnlyList<TopCell[]> rows)
{
    private const int Gap = 2;

    /// <summary>How many rows there are.</summary>
    public int Rows => rows.Count;

    /// <summary>The lines: titles, then rows, and how many more there are in the place of the last if they do not all fit.</summary>
    /// <param name="width">Characters of a line, at most.</param>
    /// <param name="limit">Rows, at most; the titles not counted. 1 or more.</param>
    /// <param name="style">How lines look.</param>
    public IEnumerable<string> Lines(int width, int limit, TopStyle style)
    {
        var shown = rows.Count <= limit ? rows : [.. rows.Take(limit - 1)];
        var widths = columns.Select((column, index) => shown.Select(row => row[index].Text.Length).Append(column.Title.Length).Max()).ToArray();
        List<int> kept = [.. Enumerable.Range(0, columns.Count)];
        // Columns of one rank say nothing without each other.
        while (kept.Sum(index => widths[index] + Gap) - Gap > width && kept.Max(index => columns[index].Rank) is > 0 and var rank) kept.RemoveAll(index => columns[index].Rank == rank);
        yield return Line([.. columns.Select(static column => new TopCell(column.Title))], kept, widths, width, style, isTitle: true);
        foreach (var row in shown) yield return Line(row, kept, widths, width, style, isTitle: false);
        if (shown.Count < rows.Count) yield return style.Faint(Cut($"… {rows.Count - shown.Count} more", width));
    }

    private string Line(TopCell[] row, List<int> kept, int[] widths, int width, TopStyle style, bool isTitle)
    {
        var line = new StringBuilder();
        var left = width;
        foreach (var index in kept)
        {
            if (left <= 0) break;
            var isLast = index == kept[^1];
            var text = columns[index].IsNumber ? row[index].Text.PadLeft(widths[index]) : isLast ? row[index].Text : row[index].Text.PadRight(widths[index]);
            text = Cut(isLast ? text : text + new string(' ', Gap), left);
            left -= text.Length;
            line.Append(isTitle ? style.Title(text) : row[index].IsAlarming ? style.Alarm(text) : text);
        }

        return line.ToString();
    }

    /// <summary>Not more than so many characters.</summary>
    public static string Cut(string text, int width) => text.Length <= width ? text : width <= 0 ? "" : text[..(width - 1)] + "…";
}

/// <summary>How lines look: with the codes of a terminal, or plain.</summary>
/// <param name="hasColours">Whether a terminal will read them.</param>
internal sealed class TopStyle(bool hasColours)
{
    /// <summary>Titles.</summary>
    public string Title(string text) => With("1", text);

    /// <summary>Something to look at.</summary>
    public string Alarm(string text) => With("31", text);

    /// <summary>What matters less.</summary>
    public string Faint(string text) => With("2", text);

    private string With(string code, string text) => hasColours ? $"\e[{code}m{text}\e[0m" : text;
}
