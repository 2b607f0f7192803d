using System.Diagnostics.Metrics;
using Sleeve.Control.Api;
using Sleeve.DataPlane.Forwarding;

namespace Sleeve.Control.Telemetry;

/// <summary>
/// The meter "Sleeve": what a running VTEP counts, as observable instruments, which cost nothing but when somebody reads them. Any thread.
/// </summary>
internal sealed class VtepMetrics : IDisposable
{
    /// <summary>Name of the meter.</summary>
    public const string MeterName = "Sleeve";

    /// <summary>Remotes that have series of their own, over all segments.</summary>
    public const int RemoteLimit = 1024;

    // All instruments of one collection tell of one moment.
    private const long FreshMilliseconds = 100;

    private readonly VtepState _state;
    private readonly Meter _meter = new(MeterName);
    private readonly Lock _lock = new();
    private readonly HashSet<Remote> _listed = [];
    private MetricReading? _reading;
    private long _readAt;

    /// <summary>Makes the instruments.</summary>
    /// <param name="state">Whose.</param>
    public VtepMetrics(VtepState state)
    {
        _state = state;
        Instruments = [.. MetricTable.All.Select(definition => (definition, definition.Create(_meter, Current)))];
    }

    /// <summary>The instruments in the order they are documented in.</summary>
    public IReadOnlyList<(MetricDefinition Definition, Instrument Instrument)> Instruments { get; }

    /// <summary>Has the next collection read everything anew, however soon it comes after the last.</summary>
    public void Refresh()
    {
        lock (_lock) _reading = null;
    }

    private MetricReading Current()
    {
        lock (_lock)
        {
            if (_reading is null || Environment.TickCount64 - _readAt > FreshMilliseconds)
            {
                _reading = new MetricReading(_state, _listed, RemoteLimit);
                _readAt = Environment.TickCount64;
            }

            return _reading;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();
}
