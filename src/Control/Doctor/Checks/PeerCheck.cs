namespace Sleeve.Control.Doctor.Checks;

/// <summary>Peers that know only one direction: never heard, or heard and not wanted.</summary>
internal sealed class PeerCheck : ICheck
{
    /// <summary>After so many datagrams without one in return a VTEP is silent. The odd broadcast needs no answer.</summary>
    public const int Patience = 5;

    private const int Most = 16;

    /// <inheritdoc/>
    public string Name => "peers";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        foreach (var vtep in patient.Known())
        {
            var findings = Examine(vtep).ToArray();
            foreach (var finding in findings.Take(Most)) yield return finding;
            if (findings.Length > Most) yield return Finding.Warning(vtep.Name, $"and {findings.Length - Most} more", "sleeve stats");
            var known = vtep.Remotes().Select(static each => each.Remote.Dst).Distinct().Count();
            if (findings.Length == 0) yield return Finding.Ok(vtep.Name, known == 0 ? "no VTEP is known yet" : $"nothing one-sided about {known} {(known == 1 ? "VTEP" : "VTEPs")}");
        }
    }

    private static IEnumerable<Finding> Examine(VtepFacts vtep)
    {
        foreach (var stranger in vtep.Details?.Strangers ?? [])
        {
            // Added since: no stranger any more.
            if (vtep.Remotes().Any(each => each.Segment.Ifname == stranger.Ifname && each.Remote.Dst == stranger.Dst && each.Remote.Configured)) continue;
            yield return Finding.Warning($"{stranger.Ifname} ← {stranger.Dst}", "sends to us and is not one of our VTEPs: its datagrams are dropped",
                $"if it belongs there: sleeve fdb append 00:00:00:00:00:00 dev {stranger.Ifname} dst {stranger.Dst}; else find out who it is");
        }

        foreach (var (segment, remote, _) in vtep.Remotes())
        {
            var subject = $"{segment.Ifname} ↔ {remote.Dst}";
            var floods = segment.Remotes.Any(static each => each.Configured);
            if (remote is { Configured: true, RxDatagrams: 0 } && remote.TxDatagrams >= Patience)
            {
                yield return Finding.Warning(subject, $"got {remote.TxDatagrams} datagrams from us and has never sent one: it is down, does not have us among its VTEPs, or a filter is between",
                    $"sleeve doctor {remote.Dst}; there: is {vtep.Now!.Local} a remote of VNI {remote.Vni}?");
            }
            else if (floods && remote is { Configured: false, RxDatagrams: > 0 } && segment.Group is null)
            {
                yield return Finding.Warning(subject, "sends to us and is not in our list: what is flooded here does not reach it",
                    $"sleeve fdb append 00:00:00:00:00:00 dev {segment.Ifname} dst {remote.Dst}");
            }
        }
    }
}
