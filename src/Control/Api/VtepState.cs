using System.Diagnostics.CodeAnalysis;
using Sleeve.Control.Capture;
using Sleeve.Control.Daemon;
using Sleeve.Control.Logging;
using Sleeve.Control.Telemetry;
using Sleeve.Control.Trust;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Pipeline;

namespace Sleeve.Control.Api;

/// <summary>What the routes serve: a running VTEP and its segments by device name.</summary>
/// <param name="vtep">The VTEP.</param>
/// <param name="segments">Gives its segments as they are at the moment: they come and go.</param>
/// <param name="log">Where the process tells what happens.</param>
internal sealed class VtepState(Vtep vtep, Func<IReadOnlyDictionary<string, VtepSegment>> segments, StderrLogger log)
{
    private VtepMetrics? _metrics;
    private object? _lock;

    /// <summary>The VTEP.</summary>
    public Vtep Vtep { get; } = vtep;

    /// <summary>Its segments by the name of their TAP, as they are now. Ask once an answer.</summary>
    public IReadOnlyDictionary<string, VtepSegment> Segments => segments();

    /// <summary>Who sends most, for whoever looks; it shares the one capture there can be.</summary>
    public TalkerSampler Talkers { get; } = new(vtep);

    /// <summary>Where the process tells what happens.</summary>
    public StderrLogger Log { get; } = log;

    /// <summary>Makes, changes and removes segments; null where they are those of a command line.</summary>
    public SegmentKeeper? Keeper { get; init; }

    /// <summary>What it shares with other hosts; null where it shares nothing.</summary>
    public Cluster? Cluster { get; init; }

    /// <summary>Joins other hosts' clusters, and lets others join; null where there is no such thing.</summary>
    public Membership? Membership { get; init; }

    /// <summary>What it counts, as instruments; made when somebody asks.</summary>
    public VtepMetrics Metrics => LazyInitializer.EnsureInitialized(ref _metrics, ref _lock, () => new VtepMetrics(this));

    /// <summary>Gives way to the program as it is installed now; answers why not, or null. Null where there is no such thing.</summary>
    public Func<Task<string?>>? Handover { get; init; }

    /// <summary>Looks a segment up.</summary>
    public bool TryFind(string device, [NotNullWhen(true)] out VtepSegment? segment) => Segments.TryGetValue(device, out segment);
}
