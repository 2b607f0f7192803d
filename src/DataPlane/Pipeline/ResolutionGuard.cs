using Sleeve.DataPlane.Events;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>What is asked of ARP and neighbour discovery, before the proxy and after it. Other frames do not come here.</summary>
internal static class ResolutionGuard
{
    /// <summary>Whether a frame may go on, either way: stations that ask too much are held back.</summary>
    public static bool Admits(Segment segment, ReadOnlySpan<byte> frame, in InnerHeaders headers, long nowMilliseconds) =>
        !segment.Guards.LimitsRequests || !AddressResolution.IsRequest(frame, headers) || segment.Guards.AdmitsRequest(headers.Source, nowMilliseconds);

    /// <summary>Keeps what a frame claims, if somebody wants to know (--neigh-snoop).</summary>
    public static void Snoop(Segment segment, ReadOnlySpan<byte> frame, in InnerHeaders headers, bool isLocal, long nowMilliseconds)
    {
        if (segment.Neighbours.Snooped is { } snooped && AddressClaim.TryParse(frame, headers, out var claim)) snooped.Note(claim, isLocal, nowMilliseconds);
    }

    /// <summary>
    /// What becomes of a frame that the proxy did not answer: it may be told of (l3miss); a strict proxy consumes every ARP frame and every
    /// solicitation, as the kernel's does; and where the tables are complete what would be flooded for nobody's good ends here.
    /// </summary>
    /// <returns>Why it is to be dropped; null if it goes on.</returns>
    public static DropReason? EndUnanswered(Segment segment, ReadOnlySpan<byte> frame, in InnerHeaders headers, long nowMilliseconds, bool tells = true)
    {
        var options = segment.Options;
        // As with the kernel's proxy, what has a tag is a frame like others.
        if (headers.IsTagged) return null;
        if (tells && options.L3Miss && segment.Events.IsHeard) TellMiss(segment, frame, headers, nowMilliseconds);
        if (options.ProxyStrict && (headers.EtherType == EtherType.Arp || AddressResolution.IsRequest(frame, headers))) return DropReason.Unanswered;
        // To one station it is no flood: that is asked whether it is still there.
        return options.SuppressResolution && headers.Destination.IsGroup && AddressResolution.IsForNobodyElse(frame, headers) ? DropReason.ResolutionSuppressed : null;
    }

    private static void TellMiss(Segment segment, ReadOnlySpan<byte> frame, in InnerHeaders headers, long nowMilliseconds)
    {
        InternetAddress target;
        if (headers.EtherType == EtherType.Arp)
        {
            if (!ArpPacket.TryParse(frame[headers.NetworkOffset..], out var arp) || arp.Operation != ArpPacket.Request) return;
            target = arp.TargetAddress;
        }
        else
        {
            if (!NeighborSolicitation.TryParse(frame, headers, out var solicitation)) return;
            target = solicitation.Target;
        }

        if (target.IsUnspecified || target.IsMulticast || target.IsLoopback || segment.Neighbours.TryResolve(target, nowMilliseconds, out _)) return;
        if (segment.Guards.AdmitsMiss((1UL << 63) | (uint)target.GetHashCode(), nowMilliseconds)) segment.Events.Publish(EventKind.L3Miss, nowMilliseconds, address: target);
    }
}
