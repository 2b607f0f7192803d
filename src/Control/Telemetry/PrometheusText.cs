using System.Buffers;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace Sleeve.Control.Telemetry;

/// <summary>
/// Writes what the instruments of a meter tell as text: Prometheus' format 0.0.4, or OpenMetrics 1.0.0. Listens to the meter as any collector would. Any thread,
/// one at a time.
/// </summary>
internal sealed class PrometheusText : IDisposable
{
    /// <summary>Content type of Prometheus' own format.</summary>
    public const string PlainType = "text/plain; version=0.0.4; charset=utf-8";

    /// <summary>Content type of OpenMetrics.</summary>
    public const string OpenMetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    private readonly VtepMetrics _metrics;
    private readonly MeterListener _listener = new();
    private readonly Lock _lock = new();
    private readonly Dictionary<Instrument, List<(string Labels, string Value)>> _samples = [];

    /// <summary>Listens from here on.</summary>
    public PrometheusText(VtepMetrics metrics)
    {
        _metrics = metrics;
        foreach (var (_, instrument) in metrics.Instruments)
        {
            _samples[instrument] = [];
            _listener.EnableMeasurementEvents(instrument);
        }

        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => _samples[instrument].Add((Format(tags), value.ToString(CultureInfo.InvariantCulture))));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => _samples[instrument].Add((Format(tags), Format(value))));
        _listener.Start();
    }

    /// <summary>Reads everything anew and writes it.</summary>
    /// <param name="output">Where to; UTF-8.</param>
    /// <param name="isOpenMetrics">OpenMetrics instead of Prometheus' own format.</param>
    public void Write(IBufferWriter<byte> output, bool isOpenMetrics)
    {
        lock (_lock)
        {
            foreach (var samples in _samples.Values) samples.Clear();
            _metrics.Refresh();
            _listener.RecordObservableInstruments();
            var text = new StringBuilder();
            foreach (var (definition, instrument) in _metrics.Instruments)
            {
                if (_samples[instrument].Count == 0) continue;
                WriteFamily(text, definition, _samples[instrument], isOpenMetrics);
                Encoding.UTF8.GetBytes(text.ToString(), output);
                text.Clear();
            }

            if (isOpenMetrics) output.Write("# EOF\n"u8);
        }
    }

    /// <summary>A number as both formats want it.</summary>
    internal static string Format(double value) =>
        double.IsNaN(value) ? "NaN" : double.IsPositiveInfinity(value) ? "+Inf" : double.IsNegativeInfinity(value) ? "-Inf" : value.ToString("R", CultureInfo.InvariantCulture);

    /// <summary>Labels as both formats want them; empty without any.</summary>
    internal static string Format(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (tags.IsEmpty) return "";
        var text = new StringBuilder("{");
        foreach (var (name, value) in tags)
        {
            if (text.Length > 1) text.Append(',');
            text.Append(name).Append("=\"").Append(Escape(Convert.ToString(value, CultureInfo.InvariantCulture) ?? "", quotes: true)).Append('"');
        }

        return text.Append('}').ToString();
    }

    /// <summary>Text that may hold anything, on one line.</summary>
    internal static string Escape(string text, bool quotes)
    {
        text = text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
        return quotes ? text.Replace("\"", "\\\"", StringComparison.Ordinal) : text;
    }

    private static void WriteFamily(StringBuilder text, MetricDefinition definition, List<(string Labels, string Value)> samples, bool isOpenMetrics)
    {
        // In OpenMetrics _total is of the sample, before it was of the family.
        var family = isOpenMetrics ? definition.Family : definition.SampleName;
        text.Append(CultureInfo.InvariantCulture, $"# HELP {family} {Escape(definition.Description, quotes: isOpenMetrics)}\n");
        text.Append(CultureInfo.InvariantCulture, $"# TYPE {family} {(definition.Kind == MetricKind.Counter ? "counter" : "gauge")}\n");
        if (isOpenMetrics && definition.PrometheusUnit.Length > 0) text.Append(CultureInfo.InvariantCulture, $"# UNIT {family} {definition.PrometheusUnit}\n");
        foreach (var (labels, value) in samples) text.Append(definition.SampleName).Append(labels).Append(' ').Append(value).Append('\n');
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();
}
