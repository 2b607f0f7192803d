using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Guards;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// What becomes of an inner packet that does not fit the path to its VTEP in one piece, as in the kernel's device: whoever asked for it not to be
/// fragmented (IPv4 with DF, and IPv6) is answered by ICMP as if a router on the way had; from a bridge port the packet is not sent then, else it is
/// sent all the same. All others are sent, and fragmented on the underlay, also where datagrams have DF otherwise. One thread; nothing is allocated.
/// </summary>
internal sealed class PathMtuStage
{
    // A sender that listens needs one a connection; a window of one that does not is told a few times too often.
    private static readonly RateLimit Replies = new(perSecond: 1000, burst: 100);

    private readonly FrameBatch _replies = new(capacity: 1);
    private long _bucket;

    /// <summary>Whether there is anything to judge, in a few instructions: nearly everything fits.</summary>
    internal static bool MayConcern(SegmentPort port, int frameLength, ReplicationList destinations) =>
        destinations.Only is { } only ? only.IsTooLong(frameLength) : port.Segment.Options.Outer.DontFragment != DontFragmentRule.Unset;

    /// <summary>Judges a packet, or the segments of a super-frame, of which <see cref="MayConcern"/> is true.</summary>
    /// <param name="port">Where it came from.</param>
    /// <param name="frame">Its bytes.</param>
    /// <param name="headers">Where its headers stand.</param>
    /// <param name="frameLength">Bytes from the Ethernet header to the end of the IP packet, or of a segment.</param>
    /// <param name="destinations">Where it goes; not empty.</param>
    /// <param name="count">Frames that it stands for.</param>
    /// <param name="nowMilliseconds">The clock.</param>
    /// <returns>True if it is not to be sent; it is counted as dropped then.</returns>
    internal bool Refuses(
        SegmentPort port, ReadOnlySpan<byte> frame, in InnerHeaders headers, int frameLength, ReplicationList destinations, int count, long nowMilliseconds)
    {
        if (destinations.Only is not { } only)
        {
            TellOfMany(port, frame, headers, frameLength, destinations, nowMilliseconds);
            return false;
        }

        if (!Tells(port, frame, headers, frameLength, only, nowMilliseconds) || !port.Segment.IsBridgePort) return false;
        port.Counters.DropOut(DropReason.ExceedsPathMtu, count);
        return true;
    }

    // What is flooded to several VTEPs is sent to all of them: it may be in one piece for the one that matters. Who asked for DF wants no fragments, so the sender is
    // told of the first path that is too narrow.
    private void TellOfMany(SegmentPort port, ReadOnlySpan<byte> frame, in InnerHeaders headers, int frameLength, ReplicationList destinations, long nowMilliseconds)
    {
        foreach (var remote in destinations.Remotes)
            if (remote.IsTooLong(frameLength) && Tells(port, frame, headers, frameLength, remote, nowMilliseconds)) return;
    }

    private bool Tells(SegmentPort port, ReadOnlySpan<byte> frame, in InnerHeaders headers, int frameLength, Remote remote, long nowMilliseconds)
    {
        var mtu = remote.InnerMtu;
        // A tag is not counted, as in the kernel's device: what is too long only for its sake is sent, and fragmented. With DF it would be lost.
        if (port.Segment.Options.Outer.DontFragment == DontFragmentRule.Set) mtu -= headers.NetworkOffset - EthernetFrame.HeaderSize;
        if (frameLength - headers.NetworkOffset <= mtu || !PacketTooBig.IsAnswerable(frame, headers, mtu)) return false;
        if (Replies.TryTake(ref _bucket, 1, nowMilliseconds)) Reply(port, frame, headers, mtu);
        return true;
    }

    /// <summary>
    /// What is known to be too long for the path and is sent all the same leaves without DF, whatever the options say: with it nothing would arrive. IPv6 packets of 1280
    /// bytes must get through any tunnel that way (RFC 2473, section 7.1).
    /// </summary>
    internal static OuterClass ClassFor(Remote remote, int frameLength, OuterClass outer) => remote.IsTooLong(frameLength) ? outer.Fragmentable : outer;

    /// <summary>Lowers the maximum segment size of a TCP connection that is being opened, where the segment's options say so.</summary>
    /// <param name="port">The segment; its option is not 0.</param>
    /// <param name="frame">The frame, changed in place.</param>
    /// <param name="headers">Where its headers stand.</param>
    /// <param name="remote">The VTEP that the other end is behind; null if it is not known.</param>
    /// <param name="isChecksumUnfinished">Whether somebody else still finishes the checksum.</param>
    internal static void ClampSegmentSize(SegmentPort port, Span<byte> frame, in InnerHeaders headers, Remote? remote, bool isChecksumUnfinished)
    {
        if (!MaximumSegmentSize.IsOpening(frame, headers)) return;
        var limit = port.Segment.Options.MssClamp;
        if (limit == SegmentOptions.MssClampAuto)
            limit = Math.Min(port.Segment.Mtu, remote?.InnerMtu ?? int.MaxValue) - MaximumSegmentSize.Headers(headers.IsIPv4);
        // Nobody can do with less than this; a path that narrow is for the kernel to fragment.
        limit = Math.Clamp(limit, SegmentOptions.LeastMss, ushort.MaxValue);
        if (MaximumSegmentSize.TryLower(frame, headers, (ushort)limit, isChecksumUnfinished)) port.Counters.Count(Counter.MssClamped);
    }

    private void Reply(SegmentPort port, ReadOnlySpan<byte> frame, in InnerHeaders headers, int mtu)
    {
        _replies.Clear();
        var length = PacketTooBig.Write(_replies.Room(0), frame, headers, mtu);
        if (port.Tap.Send(_replies, _replies.Add(length), []) == TapStatus.Sent) port.Counters.Count(Counter.PmtuReplies);
    }
}
