using System.Globalization;
using Sleeve.Control.Up;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;

namespace Sleeve.Control.Daemon;

/// <summary>What is said once everything stands: what was made, and how frames go.</summary>
internal static class StartReport
{
    // Of a thousand segments nobody reads a thousand lines.

    /// <summary>Things of a kind that get a line each; what is beyond shares one.</summary>
    public const int OneByOne = 8;

    private const int MaxListedCharacters = 400;

    /// <summary>The lines, in their order.</summary>
    public static IEnumerable<string> Lines(Engine engine, IReadOnlyList<RunningSegment> segments)
    {
        foreach (var running in segments.Take(OneByOne))
        {
            var link = running.Device.Link;
            yield return $"{link.Name} ({Origin(running)}) carries vni {running.Segment.Options.Vni}: MTU {link.Mtu}{(running.Device.Left.Count > 0 ? "" : $" from {running.MtuSource}")}, MAC {link.Mac}";
            foreach (var left in running.Device.Left) yield return $"{link.Name}: {left} (CAP_NET_ADMIN is missing)";
        }

        if (segments.Count > OneByOne) yield return RestLine(segments);

        var (vtep, options) = (engine.Vtep, engine.Options.Vtep);
        var buffer = vtep.ReceiveBufferBytes;
        var wish = UdpUnderlay.ReceiveBufferBytes;
        var shortfall = buffer < wish ? $" (asked for {Size(wish)}; without CAP_NET_ADMIN on the host raise it: sysctl net.core.rmem_max={wish})" : "";
        yield return
            $"underlay {(options.Local.IsUnspecified ? "address by route" : options.Local)}, UDP port {options.Port}, source ports {options.SourcePortMin}-{options.SourcePortMax} "
            + $"(at most {vtep.SourcePortsLimit} open), receive buffer {Size(buffer)}{shortfall}";
        yield return WorkersLine(engine, segments);
        if (Privileges.Describe() is { } privileges) yield return privileges;
        yield return $"tx-offload {vtep.TransmitOffload.Offload.Name()} ({vtep.TransmitOffload.Reason}), rx-offload {(vtep.IsCoalescing ? "udp-gro" : "none")} ({vtep.CoalescingReason})";
        foreach (var line in FloodLines(segments)) yield return line;
    }

    private static string Origin(RunningSegment running) =>
        !running.Device.IsMade ? "found, will be left as it was" : running.Device.WasThere ? "kept from the run before" : "made";

    private static string RestLine(IReadOnlyList<RunningSegment> segments)
    {
        var rest = segments.Skip(OneByOne).Select(static running => running.Device).ToArray();
        var mtus = rest.Select(static device => device.Link.Mtu);
        var mtu = mtus.Min() == mtus.Max() ? $"{mtus.Min()}" : $"{mtus.Min()} to {mtus.Max()}";
        return $"and {rest.Length} more, {rest[0].Name} to {rest[^1].Name} ({rest.Count(static device => device.IsMade)} made): MTU {mtu}; sleeve stats lists them";
    }

    // Segments that flood to the same VTEPs share a line.
    private static IEnumerable<string> FloodLines(IReadOnlyList<RunningSegment> segments)
    {
        var groups = segments.Select(static running => running.Asked).GroupBy(static asked => (string.Join(", ", asked.Remotes), asked.Segment.Admission)).ToArray();
        foreach (var group in groups.Take(OneByOne))
        {
            var whose = groups.Length == 1 ? "" : group.Count() == 1 ? $"{group.First().Segment.Name}: " : $"{group.First().Segment.Name} and {group.Count() - 1} more: ";
            var (remotes, admission) = group.Key;
            if (remotes.Length > MaxListedCharacters) remotes = $"{group.First().Remotes.Count} VTEPs";
            yield return whose + (remotes.Length == 0 && admission == Admission.Listed ? "VTEPs are those of the hosts that have its network, and no others are admitted"
                : remotes.Length == 0 ? "no remote yet: add one with sleeve fdb append 00:00:00:00:00:00, or let them be learned; datagrams of any VTEP are admitted until one is configured"
                : $"broadcast, unknown and multicast frames go to {remotes}; {Admitted(group.First(), admission)}");
        }

        if (groups.Length > OneByOne) yield return $"and {groups.Length - OneByOne} more lists of remotes; sleeve fdb show lists them";
    }

    // A group is no VTEP.
    private static string Admitted(UpSegment segment, Admission admission) =>
        admission == Admission.Any ? "datagrams of any VTEP are admitted"
        : segment.Remotes.All(static remote => remote.IsMulticast) ? "datagrams of any VTEP are admitted until one is configured"
        : "only configured VTEPs are admitted";

    private static string WorkersLine(Engine engine, IReadOnlyList<RunningSegment> segments)
    {
        var workers = engine.Vtep.Workers.Count;
        var line = workers == 1 ? "1 worker" : $"{workers} workers";
        if (workers < engine.Options.Vtep.Workers) line += $" (not {engine.Options.Vtep.Workers}: each needs a source port of its own)";
        if (!engine.Vtep.IsUnderlaySteered) line += "; datagrams are spread by outer flow: this kernel has no SO_ATTACH_REUSEPORT_CBPF";
        var single = segments.Where(running => workers > 1 && running.Device.Queues.Count == 1).ToArray();
        var unsteered = segments.Except(single).Where(static running => !running.Attached.IsSteered).ToArray();
        if (single is [var first, ..]) line += $"; {Names(single)} {(single.Length == 1 ? "has" : "have")} one queue, so one worker reads it (make it with: ip tuntap add {first.Name} mode tap multi_queue vnet_hdr)";
        if (unsteered.Length > 0) line += $"; the kernel spreads the flows of {Names(unsteered)}, and may reorder one that it moves: loading BPF was refused (CAP_BPF)";
        return line;
    }

    private static string Names(RunningSegment[] segments) =>
        segments.Length <= OneByOne ? string.Join(", ", segments.Select(static running => running.Name)) : $"{segments[0].Name} and {segments.Length - 1} more";

    private static string Size(int bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1024} KiB");
}
