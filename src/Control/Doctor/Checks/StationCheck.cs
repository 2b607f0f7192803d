namespace Sleeve.Control.Doctor.Checks;

/// <summary>Addresses that exist twice, and loops: what stations do that a network does not survive.</summary>
internal sealed class StationCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "stations";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        foreach (var vtep in patient.Known())
        {
            var quiet = true;
            foreach (var neighbour in vtep.Neighbours.Where(static neighbour => neighbour.State?.Contains("FAILED") == true))
            {
                quiet = false;
                yield return Finding.Warning($"{neighbour.Dev}", $"{neighbour.Dst} is claimed by two stations in turns, {neighbour.Lladdr} one of them", $"find and rename one: sleeve monitor {neighbour.Dev} duplicate-address names both");
            }

            foreach (var (segment, before) in Pairs(vtep))
            {
                foreach (var (reason, text, advice) in new[]
                {
                    ("move_held", "a MAC moves to and fro between VTEPs and is held: one MAC twice, a loop, or a bond over two VTEPs", $"sleeve monitor {segment.Ifname} moved guard"),
                    ("own_mac", "frames come back with the TAP's own MAC as their source: a loop, or a forgery", $"sleeve capture {segment.Ifname} drop; look for a second way between the bridges"),
                    ("reflected", "what is sent to the multicast group comes back", "look for a loop in the underlay"),
                })
                {
                    var fresh = Count(segment, reason) - Count(before, reason);
                    if (fresh <= 0) continue;
                    quiet = false;
                    yield return Finding.Warning(segment.Ifname, $"{text} ({fresh} within a second)", advice);
                }

                if (segment.Counters.GetValueOrDefault("returned") - (before?.Counters.GetValueOrDefault("returned") ?? 0) is > 0 and var returned)
                {
                    quiet = false;
                    yield return Finding.Warning(segment.Ifname, $"{returned} frames that were flooded from here came back within a second: a loop", "look for a second way between the bridges, or use --stp pass with a spanning tree");
                }
            }

            if (quiet) yield return Finding.Ok(vtep.Name, "no address seen twice, no loop");
        }
    }

    private static IEnumerable<(Api.SegmentStatsJson Now, Api.SegmentStatsJson? Before)> Pairs(VtepFacts vtep) =>
        vtep.Now!.Segments.Select(now => (now, vtep.Before?.Segments.FirstOrDefault(before => before.Ifname == now.Ifname)));

    private static long Count(Api.SegmentStatsJson? segment, string reason) => segment?.Drops.Where(drop => drop.Reason == reason).Sum(static drop => drop.Count) ?? 0;
}
