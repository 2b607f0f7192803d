using System.Text.Json;

namespace Sleeve.Control.Api;

/// <summary>A segment of a running VTEP.</summary>
/// <param name="Ifname">Its TAP.</param>
/// <param name="Vni">Its number.</param>
/// <param name="Origin">Who wants it: "file" (the configuration file), "command", "network" (its settings name it), or "command-line" (<c>sleeve up</c>).</param>
/// <param name="State">"running", or "failed".</param>
internal sealed record SegmentJson(string Ifname, long Vni, string Origin, string State)
{
    /// <summary>Why it cannot be had.</summary>
    public string? Error { get; init; }

    /// <summary>MTU of the TAP, bytes.</summary>
    public int? Mtu { get; init; }

    /// <summary>MAC of the TAP.</summary>
    public string? Address { get; init; }

    /// <summary>Network namespace of the TAP, as it was named.</summary>
    public string? Netns { get; init; }

    /// <summary>Its settings as they were given, with the keys of the configuration file.</summary>
    public JsonElement? Settings { get; init; }
}

/// <summary>What became of a segment.</summary>
/// <param name="Ifname">Its TAP.</param>
/// <param name="Change">"added", "changed", "removed", "failed", or "unchanged".</param>
/// <param name="Details">What exactly, or why not.</param>
internal sealed record SegmentChangeJson(string Ifname, string Change, IReadOnlyList<string> Details);

/// <summary>The configuration in use.</summary>
/// <param name="File">Where it was read from.</param>
/// <param name="Settings">What the file says.</param>
/// <param name="Segments">Segments that there are to be, those of commands too.</param>
/// <param name="Failed">How many of them cannot be had at the moment.</param>
/// <param name="Unsaved">Why the state is not saved; left out if it is.</param>
/// <param name="Started">When the daemon began; another after a handover.</param>
internal sealed record ConfigurationJson(string File, JsonElement Settings, int Segments, int Failed, string? Unsaved, DateTimeOffset Started);
