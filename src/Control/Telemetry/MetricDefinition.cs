using System.Diagnostics.Metrics;

namespace Sleeve.Control.Telemetry;

/// <summary>What a metric is.</summary>
internal enum MetricKind
{
    /// <summary>Only grows, from 0 when the process, the segment or the remote came to be.</summary>
    Counter,

    /// <summary>Goes up and down.</summary>
    Gauge,
}

/// <summary>A metric: an instrument, and how it is called where names have no dots.</summary>
/// <param name="Name">Name of the instrument, in OpenTelemetry's spelling.</param>
/// <param name="Kind">Counter or gauge.</param>
/// <param name="Unit">UCUM, as OpenTelemetry wants it: By, s, or an annotation such as {frame}; empty for none.</param>
/// <param name="Labels">Names of its labels, separated by blanks.</param>
/// <param name="Description">One sentence.</param>
internal abstract record MetricDefinition(string Name, MetricKind Kind, string Unit, string Labels, string Description)
{
    /// <summary>The unit as Prometheus writes it; empty for none.</summary>
    public string PrometheusUnit => Unit switch { "By" => "bytes", "s" => "seconds", _ => "" };

    /// <summary>Name of the family by the rules that OpenTelemetry has for Prometheus: dots become underscores, the unit comes last.</summary>
    public string Family
    {
        get
        {
            var name = Name.Replace('.', '_');
            return PrometheusUnit.Length == 0 || name.EndsWith("_" + PrometheusUnit, StringComparison.Ordinal) ? name : $"{name}_{PrometheusUnit}";
        }
    }

    /// <summary>Name of its samples in Prometheus: that of the family, of a counter with _total.</summary>
    public string SampleName => Kind == MetricKind.Counter ? Family + "_total" : Family;

    /// <summary>Makes the instrument.</summary>
    /// <param name="meter">Where.</param>
    /// <param name="read">Gives what it tells of.</param>
    public abstract Instrument Create(Meter meter, Func<MetricReading> read);
}

/// <inheritdoc cref="MetricDefinition"/>
internal sealed record MetricDefinition<T>(
    string Name, MetricKind Kind, string Unit, string Labels, string Description, Func<MetricReading, IEnumerable<(T Value, Labels Labels)>> Values)
    : MetricDefinition(Name, Kind, Unit, Labels, Description)
    where T : struct
{
    /// <inheritdoc/>
    public override Instrument Create(Meter meter, Func<MetricReading> read) => Kind == MetricKind.Counter
        ? meter.CreateObservableCounter(Name, () => Measure(read()), Unit, Description)
        : meter.CreateObservableGauge(Name, () => Measure(read()), Unit, Description);

    private IEnumerable<Measurement<T>> Measure(MetricReading reading) => Values(reading).Select(static each => new Measurement<T>(each.Value, each.Labels.Pairs));
}
