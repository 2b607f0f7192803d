using Sleeve.Control.Up;
using Sleeve.DataPlane;

namespace Sleeve.Control.Daemon;

/// <summary>What all segments of a VTEP share.</summary>
internal sealed record EngineOptions
{
    /// <summary>The VTEP itself.</summary>
    public required VtepOptions Vtep { get; init; }

    /// <summary>Underlay interface to send by and to join groups on; null lets the route decide.</summary>
    public string? Device { get; init; }

    /// <summary>How path MTUs are kept.</summary>
    public PathMtuOptions PathMtu { get; init; } = new();

    /// <summary>Leave TAPs in place at the end, for the next run to adopt. Default false: what was made is removed, what was found is put back.</summary>
    public bool KeepsDevices { get; init; }
}
