using System.Globalization;
using System.Text;
using Sleeve.Bench.EndToEnd.Measure;
using Sleeve.Bench.EndToEnd.Systems;

namespace Sleeve.Bench.EndToEnd.Report;

/// <summary>A metric against its parameter as SVG, both axes logarithmic, a line a system with its whiskers.</summary>
internal static class LineChart
{
    private const int Width = 560;
    private const int Height = 250;
    private const int Left = 56;
    private const int Right = 130;
    private const int Top = 30;
    private const int Bottom = 36;
    private const int NameHeight = 14;

    /// <summary>Draws it; empty if there are not two points to join.</summary>
    public static string Draw(Summary summary, Metric metric, int mtu)
    {
        var parameters = summary.ParametersOf(metric.Name, mtu);
        var systems = summary.SystemsOf(metric.Name, mtu);
        var spreads = (from system in systems from parameter in parameters select summary.Of(system, mtu, metric.Name, parameter)?.Values).OfType<Spread>().ToArray();
        if (parameters.Count < 2 || spreads.Length == 0 || spreads.Max(static spread => spread.Max) <= 0) return "";
        // A zero has no logarithm: it is drawn at the bottom.
        var floor = spreads.Where(static spread => spread.Min > 0).Select(static spread => spread.Min).DefaultIfEmpty(1).Min();
        double low = Math.Floor(Math.Log10(floor)), high = Math.Ceiling(Math.Log10(spreads.Max(static spread => spread.Max)) + 1e-9);
        if (high <= low) high = low + 1;
        double X(int parameter) => Left + (Math.Log10((double)parameter / parameters[0]) / Math.Log10((double)parameters[^1] / parameters[0]) * (Width - Left - Right));
        double Y(double value) => Height - Bottom - ((Math.Log10(Math.Max(value, Math.Pow(10, low))) - low) / (high - low) * (Height - Top - Bottom));

        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"<svg viewBox=\"0 0 {Width} {Height}\" role=\"img\">");
        BarChart.Text(svg, 0, 13, "title", char.ToUpperInvariant(metric.Title[0]) + metric.Title[1..]);
        BarChart.Text(svg, Width, 13, "hint end", $"{metric.Unit}{(metric.Better == Better.More ? ", higher is better" : metric.Better == Better.Less ? ", lower is better" : "")}");
        for (var power = low; power <= high; power++) Grid(svg, Y(Math.Pow(10, power)), Figure.Show(Math.Pow(10, power)));
        foreach (var parameter in parameters) BarChart.Text(svg, X(parameter), Height - Bottom + 16, "axis middle", parameter.ToString("#,##0", CultureInfo.InvariantCulture));
        BarChart.Text(svg, Width - Right, Height - Bottom + 31, "axis end", metric.Parameter!);
        var ends = new List<(double Y, string System)>();
        foreach (var system in systems)
        {
            var points = parameters.Select(parameter => (X: X(parameter), Cell: summary.Of(system, mtu, metric.Name, parameter)?.Values))
                .Where(static point => point.Cell is not null).Select(static point => (point.X, Spread: point.Cell!.Value)).ToArray();
            Line(svg, [.. points.Select(point => (point.X, Y(point.Spread.Min), Y(point.Spread.Median), Y(point.Spread.Max)))], Palette.Of(system));
            ends.Add((Y(points[^1].Spread.Median), system));
        }

        Names(svg, ends);
        return svg.Append("</svg>").ToString();
    }

    // Names where the lines end, in the same order, moved apart where lines end together.
    private static void Names(StringBuilder svg, List<(double Y, string System)> ends)
    {
        var next = (double)Top;
        var left = ends.Count;
        foreach (var (end, system) in ends.OrderBy(static end => end.Y))
        {
            // Not so far down that those below it have no room.
            var y = Math.Max(next, Math.Min(end, Height - (left * NameHeight)));
            svg.Append(CultureInfo.InvariantCulture, $"<circle cx=\"{Width - Right + 12}\" cy=\"{y:0.#}\" r=\"3\" fill=\"{Palette.Of(system)}\"/>");
            BarChart.Text(svg, Width - Right + 20, y + 4, "label", Contender.TitleOf(system));
            (next, left) = (y + NameHeight, left - 1);
        }
    }

    private static void Grid(StringBuilder svg, double y, string label)
    {
        svg.Append(CultureInfo.InvariantCulture, $"<line class=\"grid\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{y:0.#}\" y2=\"{y:0.#}\"/>");
        BarChart.Text(svg, Left - 8, y + 4, "axis end", label);
    }

    private static void Line(StringBuilder svg, (double X, double Min, double Median, double Max)[] points, string colour)
    {
        var path = string.Join('L', points.Select(static point => string.Create(CultureInfo.InvariantCulture, $"{point.X:0.#} {point.Median:0.#}")));
        svg.Append(CultureInfo.InvariantCulture, $"<path d=\"M{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>");
        foreach (var (x, min, median, max) in points)
        {
            svg.Append(CultureInfo.InvariantCulture, $"<circle cx=\"{x:0.#}\" cy=\"{median:0.#}\" r=\"3\" fill=\"{colour}\"/>");
            if (Math.Abs(max - min) >= 1) svg.Append(CultureInfo.InvariantCulture, $"<path class=\"whisker\" d=\"M{x:0.#} {min:0.#}V{max:0.#}\"/>");
        }
    }
}
