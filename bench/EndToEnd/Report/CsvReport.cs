using System.Globalization;
using System.Text;
using Sleeve.Bench.EndToEnd.Measure;

namespace Sleeve.Bench.EndToEnd.Report;

/// <summary>Every measured value as a line of RFC 4180, for whoever wants to draw something else.</summary>
internal static class CsvReport
{
    /// <summary>Writes it.</summary>
    public static string Write(RunResult run)
    {
        var text = new StringBuilder("system,mtu,round,metric,parameter,value,unit\r\n");
        foreach (var sample in run.Samples)
        {
            string[] fields =
            [
                sample.System, Whole(sample.Mtu), Whole(sample.Round), sample.Metric, sample.Parameter == 0 ? "" : Whole(sample.Parameter),
                sample.Value.ToString("R", CultureInfo.InvariantCulture), Metric.Of(sample.Metric).Unit,
            ];
            text.AppendJoin(',', fields.Select(Quote)).Append("\r\n");
        }

        return text.ToString();
    }

    private static string Whole(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Quote(string field) => field.AsSpan().ContainsAny(',', '"', '\n') ? $"\"{field.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : field;
}
