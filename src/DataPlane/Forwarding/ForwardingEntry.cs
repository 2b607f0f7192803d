using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Forwarding;

/// <summary>How long an FDB entry lives.</summary>
public enum EntryKind : byte
{
    /// <summary>Learned, or added so: ages out, moves with its station.</summary>
    Dynamic,

    /// <summary>Stays until deleted; survives a flush of dynamic entries; shown as "static" (the kernel's NUD_NOARP).</summary>
    Static,

    /// <summary>As static; the default of an entry that an operator adds.</summary>
    Permanent,
}

/// <summary>An FDB entry as it was when a snapshot was taken.</summary>
/// <param name="Mac">The station; 00:00:00:00:00:00 holds the default destinations.</param>
/// <param name="Kind">How long it lives.</param>
/// <param name="Destinations">The VTEPs it is behind.</param>
/// <param name="IdleMilliseconds">Since a frame from the station was last received, to a tenth of the ageing time; 0 unless dynamic.</param>
public sealed record ForwardingEntry(MacAddress Mac, EntryKind Kind, ReplicationList Destinations, long IdleMilliseconds);
