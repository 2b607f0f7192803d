using System.Diagnostics.CodeAnalysis;
using Sleeve.Control.Telemetry;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Pipeline;

namespace Sleeve.Control.Api;

/// <summary>What the routes serve: a running VTEP and its segments by device name.</summary>
internal sealed class VtepState(Vtep vtep, IReadOnlyDictionary<string, VtepSegment> segments)
{
    private VtepMetrics? _metrics;
    private object? _lock;

    /// <summary>The VTEP.</summary>
    public Vtep Vtep { get; } = vtep;

    /// <summary>Its segments by the name of their TAP.</summary>
    public IReadOnlyDictionary<string, VtepSegment> Segments { get; } = segments;

    /// <summary>What it counts, as instruments; made when somebody asks.</summary>
    public VtepMetrics Metrics => LazyInitializer.EnsureInitialized(ref _metrics, ref _lock, () => new VtepMetrics(this));

    /// <summary>Looks a segment up.</summary>
    public bool TryFind(string device, [NotNullWhen(true)] out VtepSegment? segment) => Segments.TryGetValue(device, out segment);
}
