using Sleeve.Control.Daemon;
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

    /// <summary>The segments with their TAPs; at least one.</summary>
    public required IReadOnlyList<UpSegment> Devices { get; init; }

    /// <summary>The segments alone.</summary>
    public IReadOnlyList<SegmentOptions> Segments => [.. Devices.Select(static device => device.Segment)];

    /// <summary>Underlay interface to send by and to join groups on; null lets the route decide.</summary>
    public string? Device { get; init; }

    /// <summary>How path MTUs are kept.</summary>
    public PathMtuOptions PathMtu { get; init; } = new();

    /// <summary>Ordinary user to run as once what takes root is prepared; null for whoever started it.</summary>
    public string? User { get; init; }

    /// <summary>Unix socket for commands; null for /run/sleeve/DEV.sock.</summary>
    public string? Socket { get; init; }

    /// <summary>How it is asked, and what it tells by itself.</summary>
    public FrontendOptions Frontend { get; init; } = new();
}

/// <summary>One segment, its TAP, and what is in its tables from the start.</summary>
internal sealed record UpSegment
{
    /// <summary>The segment; its name is the TAP's.</summary>
    public required SegmentOptions Segment { get; init; }

    /// <summary>Its default destinations, its multicast group too.</summary>
    public IReadOnlyList<InternetAddress> Remotes { get; init; } = [];

    /// <summary>MTU of the TAP in bytes; null to take it from the route to the remotes.</summary>
    public int? Mtu { get; init; }

    /// <summary>Addresses for the TAP.</summary>
    public IReadOnlyList<AddressPrefix> Addresses { get; init; } = [];

    /// <summary>Bridge that the TAP becomes a port of.</summary>
    public string? Bridge { get; init; }

    /// <summary>MAC of the TAP.</summary>
    public MacAddress? Mac { get; init; }

    /// <summary>Network namespace of the TAP: a name, a path or a process; null for the current one.</summary>
    public string? NetworkNamespace { get; init; }

    /// <summary>An open descriptor of the TAP, passed in by whoever started us.</summary>
    public int? TapDescriptor { get; init; }

    /// <summary>Entries that its FDB begins with.</summary>
    public IReadOnlyList<StaticEntry> Fdb { get; init; } = [];

    /// <summary>Neighbours that it begins with.</summary>
    public IReadOnlyList<Neighbour> Neighbours { get; init; } = [];

    /// <summary>Whether another asks for the same; lists compare in their order.</summary>
    public bool Equals(UpSegment? other) => other is not null
        && Segment == other.Segment && Mtu == other.Mtu && Bridge == other.Bridge && Mac == other.Mac && NetworkNamespace == other.NetworkNamespace && TapDescriptor == other.TapDescriptor
        && Remotes.SequenceEqual(other.Remotes) && Addresses.SequenceEqual(other.Addresses) && Fdb.SequenceEqual(other.Fdb) && Neighbours.SequenceEqual(other.Neighbours);

    /// <inheritdoc/>
    public override int GetHashCode() => Segment.GetHashCode();
}

/// <summary>An FDB entry to begin with.</summary>
/// <param name="Mac">The station; zero for a default destination.</param>
/// <param name="Destination">Address of the VTEP; unspecified to drop.</param>
/// <param name="Port">Its UDP port; null for the segment's own.</param>
/// <param name="Vni">The VNI towards it; null for the segment's own.</param>
/// <param name="Kind">Permanent or static.</param>
/// <param name="Via">The underlay interface to send by; null for the one that the route names.</param>
internal readonly record struct StaticEntry(MacAddress Mac, InternetAddress Destination, ushort? Port, Vni? Vni, EntryKind Kind, string? Via = null);
