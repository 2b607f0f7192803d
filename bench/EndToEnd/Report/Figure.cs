using System.Globalization;
using Sleeve.Bench.EndToEnd.Measure;

namespace Sleeve.Bench.EndToEnd.Report;

/// <summary>How numbers are written: three figures that mean something, no more.</summary>
internal static class Figure
{
    /// <summary>A value.</summary>
    public static string Show(double value)
    {
        var size = Math.Abs(value);
        var format = size >= 100 ? "#,##0" : size >= 10 ? "0.0" : size >= 1 ? "0.00" : size == 0 ? "0" : size >= 0.01 ? "0.000" : "0.0000";
        return value.ToString(format, CultureInfo.InvariantCulture);
    }

    /// <summary>A ratio.</summary>
    public static string Ratio(double value) => value.ToString(Math.Abs(value) >= 10 ? "0" : Math.Abs(value) >= 0.095 ? "0.00" : "0.000", CultureInfo.InvariantCulture);

    /// <summary>Median, and in parentheses from the smallest to the largest.</summary>
    public static string Show(Spread spread) => spread.Count == 1 ? Show(spread.Median) : $"{Show(spread.Median)} ({Show(spread.Min)} to {Show(spread.Max)})";
}
