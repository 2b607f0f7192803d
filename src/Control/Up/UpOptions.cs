using Sleeve.Control.Host;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Up;

/// <summary>What <c>sleeve up</c> was asked for, validated.</summary>
internal sealed record UpOptions
{
    /// <summary>The VTEP that all segments share.</summary>
    public required VtepOptions Vtep { get; init; }

    /// <summary>The segments, one a TAP; at least one.</summary>
    public required IReadOnlyList<SegmentOptions> Segments { get; init; }

    /// <summary>Default destinations of every segment.</summary>
    public IReadOnlyList<InternetAddress> Remotes { get; init; } = [];

    /// <summary>Underlay interface to send by and to join groups on; null lets the route decide.</summary>
    public string? Device { get; init; }

    /// <summary>MTU of the TAPs in bytes; null to take it from the route to the remotes.</summary>
    public int? Mtu { get; init; }

    /// <summary>Addresses for the TAP.</summary>
    public IReadOnlyList<AddressPrefix> Addresses { get; init; } = [];

    /// <summary>Bridge that the TAPs become ports of.</summary>
    public string? Bridge { get; init; }

    /// <summary>MAC of the TAP.</summary>
    public MacAddress? Mac { get; init; }

    /// <summary>Network namespace of the TAPs: a name, a path or a process; null for the current one.</summary>
    public string? NetworkNamespace { get; init; }

    /// <summary>An open descriptor of the TAP, passed in by whoever started us.</summary>
    public int? TapDescriptor { get; init; }

    /// <summary>Unix socket for commands; null for /run/sleeve/DEV.sock.</summary>
    public string? Socket { get; init; }
}
