using Sleeve.Control.Api;

namespace Sleeve.Control.Doctor.Checks;

/// <summary>Frames that are lost now, for a reason that somebody should do something about.</summary>
internal sealed class DropCheck : ICheck
{
    // What other checks tell of, and what is meant: guard rails, the strict proxy, what an entry says.
    private static readonly HashSet<string> ToldElsewhere =
        ["no_vni_flag", "echo_refused", "unknown_vtep", "move_held", "own_mac", "reflected", "null_destination", "hairpin", "unanswered", "exceeds_path_mtu", "inner_vlan", "spanning_tree", "policy_denied"];

    /// <inheritdoc/>
    public string Name => "drops";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        foreach (var vtep in patient.Known())
        {
            var lost = Fresh("", vtep.Now!.Drops, vtep.Before!.Drops)
                .Concat(vtep.Now.Segments.SelectMany(segment => Fresh(segment.Ifname, segment.Drops, vtep.Before.Segments.FirstOrDefault(before => before.Ifname == segment.Ifname)?.Drops ?? [])))
                .Where(static each => !ToldElsewhere.Contains(each.Drop.Reason)).ToArray();
            foreach (var (device, drop, count) in lost)
                yield return Finding.Warning(device.Length > 0 ? device : vtep.Name, $"{count} frames dropped {drop.Direction} within a second: {drop.Reason}: {drop.Sentence}", device.Length > 0 ? $"sleeve capture {device} drop shows them" : "sleeve capture any drop shows them");
            foreach (var segment in vtep.Now.Segments.Where(static segment => !segment.Up))
                yield return Finding.Warning(segment.Ifname, "the TAP is down: frames are dropped", $"ip link set {segment.Ifname} up");
            if (lost.Length == 0) yield return Finding.Ok(vtep.Name, "no frame was dropped within a second");
        }
    }

    private static IEnumerable<(string Device, DropJson Drop, long Count)> Fresh(string device, IReadOnlyList<DropJson> now, IReadOnlyList<DropJson> before)
    {
        foreach (var drop in now)
        {
            var count = drop.Count - (before.FirstOrDefault(each => each.Direction == drop.Direction && each.Reason == drop.Reason)?.Count ?? 0);
            if (count > 0) yield return (device, drop, count);
        }
    }
}
