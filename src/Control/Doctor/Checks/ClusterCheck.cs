using System.Globalization;
using Sleeve.Control.Api;

namespace Sleeve.Control.Doctor.Checks;

/// <summary>The cluster that a daemon is in: its store, its hosts, its names.</summary>
internal sealed class ClusterCheck : ICheck
{
    // Certificates are renewed when a third of their time is left, which is months.
    private static readonly TimeSpan Soon = TimeSpan.FromDays(7);

    /// <inheritdoc/>
    public string Name => "cluster";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        foreach (var vtep in patient.Known())
            if (vtep.Details?.Cluster is { } cluster)
                foreach (var finding in Examine(vtep, cluster)) yield return finding;
    }

    private static IEnumerable<Finding> Examine(VtepFacts vtep, ClusterStateJson cluster)
    {
        var isWell = true;
        foreach (var finding in Complaints(vtep, cluster))
        {
            isWell = false;
            yield return finding;
        }

        if (isWell) yield return Finding.Ok(cluster.Host, string.Create(CultureInfo.InvariantCulture, $"the store is followed; {vtep.Peers.Count} hosts, none of them down"));
    }

    private static IEnumerable<Finding> Complaints(VtepFacts vtep, ClusterStateJson cluster)
    {
        if (cluster.StoreFault is { } fault)
            yield return Finding.Warning(cluster.Host, $"the store is not followed: {fault}; frames go on, but nothing can be attached and changes of others are not seen", "see to the host that serves the store, or to etcd; it is tried again by itself");
        foreach (var peer in vtep.Peers)
        {
            if (peer.State is "down" or "held")
                yield return Finding.Warning(peer.Name, $"its VTEP is {peer.State}{(peer.Reason is null ? "" : $": {peer.Reason}")}; nothing is sent to it", peer.Local is null ? null : $"sleeve doctor {peer.Local} tests the path");
            else if (peer is { State: "up", Alive: false })
                yield return Finding.Warning(peer.Name, "its VTEP answers, but it gives no sign of life to the store: after the grace time its addresses are anybody's", "see whether its daemon reaches the store: sleeve doctor there");
        }

        if (cluster.CertificateEnds is { } ends && ends - DateTimeOffset.UtcNow < Soon)
            yield return Finding.Warning(cluster.Host, $"its certificate ends {ends:u}, and was not renewed", "see the log for the reason; sleeve leave, then sleeve join with a new token, makes another");
        foreach (var names in cluster.SilentNames)
            yield return Finding.Error(names.Network, $"names of the network are not served on this host: {names.Error}", "see who has the port (ss -lunp sport = :53), and have it bind to addresses of its own only (dnsmasq: bind-dynamic)");
    }
}
