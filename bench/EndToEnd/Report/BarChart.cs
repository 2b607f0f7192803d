using System.Globalization;
using System.Net;
using System.Text;
using Sleeve.Bench.EndToEnd.Measure;
using Sleeve.Bench.EndToEnd.Systems;

namespace Sleeve.Bench.EndToEnd.Report;

/// <summary>
/// A metric of every system as SVG: a bar is the ratio to the kernel, a whisker goes from the smallest to the largest round, a line stands at 1.
/// Where the kernel has no such figure, bars are the values themselves.
/// </summary>
internal static class BarChart
{
    private const int Width = 560;
    private const int RowHeight = 22;
    private const int LabelWidth = 132;
    private const int PlotWidth = 230;
    private const int Top = 34;
    private const int BarHeight = 13;

    /// <summary>Draws it; empty if nothing was measured.</summary>
    /// <param name="summary">Of a run.</param>
    /// <param name="metric">Which.</param>
    /// <param name="mtu">Of the underlay.</param>
    /// <param name="parameter">Which value of the metric's parameter; 0 if it has none.</param>
    public static string Draw(Summary summary, Metric metric, int mtu, int parameter = 0)
    {
        var rows = summary.SystemsOf(metric.Name, mtu).Select(system => (System: system, Cell: summary.Of(system, mtu, metric.Name, parameter)))
            .Where(static row => row.Cell is not null).Select(static row => (row.System, Cell: row.Cell!)).ToArray();
        if (rows.Length == 0) return "";
        var isRatio = rows.Any(static row => row.Cell.Ratio is not null);
        var max = rows.Max(row => Shown(row.Cell, isRatio)?.Max ?? 0);
        if (max <= 0) return "";
        var scale = PlotWidth / (max * 1.04);
        var height = Top + (rows.Length * RowHeight) + 8;

        var svg = new StringBuilder();
        svg.Append($"<svg viewBox=\"0 0 {Width} {height}\" role=\"img\" aria-label=\"{Escape(metric.Title)}\">");
        Text(svg, 0, 13, "title", metric.Title);
        var hint = metric.Better switch { Better.More => "longer is better", Better.Less => "shorter is better", _ => "" };
        Text(svg, Width, 13, "hint end", isRatio ? $"times the kernel's, {hint}" : $"{metric.Unit}, {hint}");
        if (isRatio)
        {
            var one = LabelWidth + scale;
            svg.Append(CultureInfo.InvariantCulture, $"<line class=\"one\" x1=\"{one:0.#}\" x2=\"{one:0.#}\" y1=\"{Top - 8}\" y2=\"{height - 6}\"/>");
            Text(svg, one, Top - 10, "axis middle", "1");
        }

        for (var i = 0; i < rows.Length; i++)
        {
            var (system, cell) = rows[i];
            var y = Top + (i * RowHeight);
            Text(svg, LabelWidth - 8, y + 11, "label end", Contender.TitleOf(system));
            if (Shown(cell, isRatio) is not { } spread) continue;
            Bar(svg, y, scale, spread, Palette.Of(system));
            var figures = isRatio ? $"{Figure.Ratio(spread.Median)}×   {Figure.Show(cell.Values.Median)} {metric.Unit}" : $"{Figure.Show(spread.Median)} {metric.Unit}";
            Text(svg, LabelWidth + PlotWidth + 12, y + 11, "value", figures);
        }

        return svg.Append("</svg>").ToString();
    }

    private static Spread? Shown(Cell cell, bool isRatio) => isRatio ? cell.Ratio : cell.Values;

    private static void Bar(StringBuilder svg, int y, double scale, Spread spread, string colour)
    {
        double min = LabelWidth + (spread.Min * scale), max = LabelWidth + (spread.Max * scale), middle = y + (BarHeight / 2.0);
        svg.Append(CultureInfo.InvariantCulture, $"<rect x=\"{LabelWidth}\" y=\"{y}\" width=\"{Math.Max(1, spread.Median * scale):0.#}\" height=\"{BarHeight}\" fill=\"{colour}\"/>");
        if (max - min < 1) return;
        svg.Append(CultureInfo.InvariantCulture,
            $"<path class=\"whisker\" d=\"M{min:0.#} {middle:0.#}H{max:0.#}M{min:0.#} {middle - 4:0.#}v8M{max:0.#} {middle - 4:0.#}v8\"/>");
    }

    /// <summary>Text at a place; the class says how it looks and to which side it is set.</summary>
    internal static void Text(StringBuilder svg, double x, double y, string look, string text) =>
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{x:0.#}\" y=\"{y:0.#}\" class=\"{look}\">{Escape(text)}</text>");

    private static string Escape(string text) => WebUtility.HtmlEncode(text);
}
