using Sleeve.Control.Peers;

namespace Sleeve.Control.Telemetry;

/// <summary>Metrics of a daemon that is one of several hosts; another VTEP has none of them.</summary>
internal static class ClusterMetrics
{
    /// <summary>Hosts that have series of their own; the rest is counted by state alone.</summary>
    public const int PeerLimit = 1024;

    private const string OfPeer = "peer";

    /// <summary>The metrics.</summary>
    public static IEnumerable<MetricDefinition> All { get; } =
    [
        Of("sleeve.store.up", "", "", "1 if the store that hosts share is watched, else 0.", static reading => reading.Cluster is { } cluster ? [(cluster.Replica.IsConnected ? 1 : 0, Labels.None)] : []),
        Of("sleeve.endpoints", "{endpoint}", "", "Endpoints on this host.", static reading => reading.Cluster is { } cluster ? [(cluster.Endpoints.List.Count, Labels.None)] : []),
        Of("sleeve.peers", "{host}", "state", "Hosts that share a network with this one, by what their hellos tell: up, down, held or unknown.", States),
        Of("sleeve.peer.up", "", OfPeer, "1 if frames go to the host's VTEP, 0 if its hellos tell that it is dead.", static reading => Peers(reading, static peer => peer.State is LivenessState.Up or LivenessState.Unknown ? 1 : 0)),
        Counted("sleeve.peer.flaps", "{change}", "How often the host's VTEP went down.", static peer => peer.Flaps),
        Counted("sleeve.peer.hellos.received", "{hello}", "Hellos that came of the host.", static peer => peer.Received),
        Counted("sleeve.peer.hellos.not_sent", "{hello}", "Hellos to the host that could not be sent.", static peer => peer.NotSent),
        new MetricDefinition<double>("sleeve.peer.hellos.loss", MetricKind.Gauge, "", OfPeer, "Share of the host's last hundred hellos that did not arrive, 0 to 1.", static reading => Known(reading, static peer => peer.Loss)),
        new MetricDefinition<double>("sleeve.peer.rtt", MetricKind.Gauge, "s", OfPeer, "Round trip of hellos to the host.", static reading => Known(reading, static peer => peer.RoundTrip?.TotalSeconds)),
    ];

    private static IEnumerable<(long, Labels)> States(MetricReading reading) => reading.Cluster is null ? [] :
        Enum.GetValues<LivenessState>().Select(state => ((long)reading.Peers.Count(peer => peer.State == state), Labels.None.With("state", state.ToString().ToLowerInvariant())));

    private static IEnumerable<(long, Labels)> Peers(MetricReading reading, Func<LivenessReport, long> value) =>
        reading.Peers.Take(PeerLimit).Select(peer => (value(peer), Labels.None.With(OfPeer, peer.Host)));

    // Of those that were heard.
    private static IEnumerable<(double, Labels)> Known(MetricReading reading, Func<LivenessReport, double?> value)
    {
        foreach (var peer in reading.Peers.Take(PeerLimit))
            if (peer.State != LivenessState.Unknown && value(peer) is { } known) yield return (known, Labels.None.With(OfPeer, peer.Host));
    }

    private static MetricDefinition<long> Counted(string name, string unit, string description, Func<LivenessReport, long> value) =>
        new(name, MetricKind.Counter, unit, OfPeer, description, reading => Peers(reading, value));

    private static MetricDefinition<long> Of(string name, string unit, string labels, string description, Func<MetricReading, IEnumerable<(long, Labels)>> values) =>
        new(name, MetricKind.Gauge, unit, labels, description, values);
}
