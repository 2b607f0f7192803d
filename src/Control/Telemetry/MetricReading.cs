using System.Globalization;
using Sleeve.Control.Api;
using Sleeve.Control.Daemon;
using Sleeve.Control.Host;
using Sleeve.Control.Logging;
using Sleeve.Control.Peers;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;

namespace Sleeve.Control.Telemetry;

/// <summary>Labels of a measurement.</summary>
internal readonly record struct Labels(KeyValuePair<string, object?>[] Pairs)
{
    /// <summary>No labels.</summary>
    public static Labels None { get; } = new([]);

    /// <summary>These and one more; one whose value is null or empty is left out, which is the same to Prometheus.</summary>
    public Labels With(string name, object? value) => value is null or "" ? this : new([.. Pairs, new(name, value)]);
}

/// <summary>One segment as it stood.</summary>
/// <param name="Attached">The segment.</param>
/// <param name="Counters">What all workers counted.</param>
/// <param name="Labels">Its device and VNI.</param>
internal sealed record SegmentReading(VtepSegment Attached, Counters Counters, Labels Labels);

/// <summary>One remote as it stood.</summary>
internal sealed record RemoteReading(Remote Remote, RemoteCounters Counters, Labels Labels);

/// <summary>Everything that the instruments tell, read once for all of them, so that what they tell belongs together.</summary>
internal sealed class MetricReading
{
    /// <summary>Reads it.</summary>
    /// <param name="state">Whose.</param>
    /// <param name="listed">Remotes that have series, changed here: those that went leave, others take their places.</param>
    /// <param name="remoteLimit">How many remotes may have series.</param>
    public MetricReading(VtepState state, HashSet<Remote> listed, int remoteLimit)
    {
        (Vtep, Log, Cluster) = (state.Vtep, state.Log, state.Cluster);
        Peers = Cluster?.Parts.Liveness.Report() ?? [];
        Segments = [.. state.Segments.Values.OrderBy(static each => each.Segment.Options.Name, StringComparer.Ordinal).Select(static each => new SegmentReading(
            each, each.Counters, Labels.None.With("device", each.Segment.Options.Name).With("vni", each.Segment.Options.Vni.Value.ToString(CultureInfo.InvariantCulture))))];
        Remotes = ReadRemotes(listed, remoteLimit);
        RemotesUnlisted = Segments.Sum(static segment => segment.Attached.Segment.Remotes.All.LongCount(static remote => !remote.IsNull)) - Remotes.Count;
        Workers = [.. Vtep.Workers.Select(static (worker, number) => (worker, Labels.None.With("worker", number.ToString(CultureInfo.InvariantCulture))))];
        IsSteered = Vtep.IsUnderlaySteered && Segments.All(static segment => segment.Attached.IsSteered);
    }

    /// <summary>The VTEP.</summary>
    public Vtep Vtep { get; }

    /// <summary>The log of the process.</summary>
    public StderrLogger Log { get; }

    /// <summary>What it shares with other hosts; null for nothing.</summary>
    public Cluster? Cluster { get; }

    /// <summary>What is known of the VTEPs of hosts that share a network with this one.</summary>
    public IReadOnlyList<LivenessReport> Peers { get; }

    /// <summary>Its segments by name.</summary>
    public IReadOnlyList<SegmentReading> Segments { get; }

    /// <summary>The remotes that have series.</summary>
    public IReadOnlyList<RemoteReading> Remotes { get; }

    /// <summary>Remotes beyond the limit.</summary>
    public long RemotesUnlisted { get; }

    /// <summary>Its workers.</summary>
    public IReadOnlyList<(Worker Worker, Labels Labels)> Workers { get; }

    /// <summary>Whether every flow stays with one worker by our own rule.</summary>
    public bool IsSteered { get; }

    // Who has a series keeps it, or a stranger with a lower address would break off another's; configured ones go first where there is room.
    private List<RemoteReading> ReadRemotes(HashSet<Remote> listed, int limit)
    {
        using var links = new LinkNames();
        var known = Segments.SelectMany(static segment => segment.Attached.Segment.Remotes.All, static (segment, remote) => (segment, remote)).Where(static each => !each.remote.IsNull).ToList();
        listed.IntersectWith(known.Select(static each => each.remote));
        foreach (var (_, remote) in known.OrderByDescending(static each => each.remote.IsConfigured))
        {
            if (listed.Count >= limit) break;
            listed.Add(remote);
        }

        return [.. known.Where(each => listed.Contains(each.remote)).Select(each => new RemoteReading(each.remote, each.remote.Counters, LabelsOf(each.segment, each.remote, links)))];
    }

    // What is as in the segment goes without saying.
    private Labels LabelsOf(SegmentReading segment, Remote remote, LinkNames links)
    {
        var labels = segment.Labels.With("remote", remote.Address.Address.ToString());
        if (remote.Address.Port != Vtep.Options.Port) labels = labels.With("remote_port", remote.Address.Port.ToString(CultureInfo.InvariantCulture));
        if (remote.Vni != segment.Attached.Segment.Options.Vni) labels = labels.With("remote_vni", remote.Vni.Value.ToString(CultureInfo.InvariantCulture));
        return labels.With("via", links.NameOf(remote.InterfaceIndex));
    }
}
