using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Offload;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// TAP → underlay, in the order a frame meets the stages; the numbers stand in the code.
/// <list type="number">
/// <item>receive: frames from the TAP into slots, headroom before each</item>
/// <item>parse: where the inner headers stand</item>
/// <item>ARP/ND proxy: a known neighbour is answered to the TAP, done</item>
/// <item>forward: FDB entry, else the replication list; too long for the path to one VTEP: answered, and refused from a bridge port</item>
/// <item>outer headers: DSCP, ECN, TTL, DF and flow label, as the frame and the options say</item>
/// <item>encapsulate: what the host left undone is finished, a super-frame is cut by writing headers beside its payload; a VXLAN header in
/// front; a copy per remote on one buffer</item>
/// <item>send, and count how each datagram went</item>
/// </list>
/// Local stations are not learned: which of them is behind the TAP is the business of the bridge or host above it, and a frame that it sends
/// down is meant for the underlay (the kernel's device works the same way). One thread; nothing is allocated.
/// </summary>
public sealed class EncapsulationPath
{
    private readonly IUnderlay _underlay;
    private readonly FrameBatch _frames;
    private readonly DatagramBatch _datagrams;
    private readonly RemoteTally _tally = new();
    private readonly PathMtuStage _pathMtu = new();
    private readonly ulong _hashKey;
    private long _nowMilliseconds;

    /// <summary>Makes a path with its own buffers.</summary>
    /// <param name="underlay">Where datagrams go.</param>
    /// <param name="hashKey">Key of the flow hash, one for the process.</param>
    public EncapsulationPath(IUnderlay underlay, ulong hashKey)
    {
        _underlay = underlay;
        _hashKey = hashKey;
        _frames = new FrameBatch();
        _datagrams = new DatagramBatch(_frames);
    }

    /// <summary>Bytes of all frames taken so far.</summary>
    internal long BytesTaken { get; private set; }

    /// <summary>Takes one batch from a segment's TAP through all stages.</summary>
    /// <param name="port">The segment.</param>
    /// <param name="nowMilliseconds">The clock.</param>
    /// <returns>Frames taken; fewer than <see cref="FrameBatch.DefaultCapacity"/> when the TAP was emptied.</returns>
    public int Run(SegmentPort port, long nowMilliseconds = 0)
    {
        ArgumentNullException.ThrowIfNull(port);
        _nowMilliseconds = nowMilliseconds;
        _frames.Clear();
        port.Tap.Receive(_frames); // 1

        for (var i = 0; i < _frames.Count; i++)
        {
            ref var frame = ref _frames[i];
            port.Counters.Count(Counter.TapReceivedBytes, frame.Length);
            BytesTaken += frame.Length;
            if (!InnerHeaders.TryParse(_frames.Bytes(frame), out var headers)) // 2
            {
                port.Counters.Count(Counter.TapReceived);
                port.Counters.DropOut(DropReason.Truncated);
                continue;
            }

            if (frame.Offload.IsSuperFrame)
            {
                ForwardSuperFrame(port, frame, headers);
                continue;
            }

            port.Counters.Count(Counter.TapReceived);
            if (port.Segment.Options.Proxy && Proxy(port, ref frame, headers)) continue; // 3
            Forward(port, frame, headers); // 4, 5, 6
        }

        if (_datagrams.Count > 0) Flush(port); // 7
        return _frames.Count;
    }

    private bool Proxy(SegmentPort port, ref Frame frame, in InnerHeaders headers)
    {
        var length = NeighbourProxy.TryAnswer(_frames.Slab.Slice(frame.Offset, FrameBatch.MaxFrameSize), frame.Length, headers, port.Segment.Neighbours);
        if (length == 0) return false;
        frame.Length = length;
        frame.Offload = default;
        switch (port.Tap.Send(_frames, frame, []))
        {
            case TapStatus.Sent: port.Counters.Count(Counter.Proxied); break;
            case TapStatus.Down: port.Counters.DropOut(DropReason.DeviceDown); break;
            default: port.Counters.DropOut(DropReason.TapRejected); break;
        }

        return true;
    }

    private void Forward(SegmentPort port, in Frame frame, in InnerHeaders headers)
    {
        var destinations = Destinations(port, headers, count: 1);
        if (destinations.Remotes.IsEmpty) return;
        var bytes = _frames.Bytes(frame);
        var only = destinations.Only;
        if (only is not null && only.IsTooLong(headers.NetworkOffset + headers.IpLength)
            && _pathMtu.Refuses(port, bytes, headers, headers.NetworkOffset + headers.IpLength, only, 1, _nowMilliseconds)) return;
        if (port.Segment.Options.MssClamp != 0) PathMtuStage.ClampSegmentSize(port, bytes, headers, only, frame.Offload.NeedsChecksum);
        if (frame.Offload.NeedsChecksum && !ChecksumFinisher.TryFinish(bytes, frame.Offload))
        {
            port.Counters.DropOut(DropReason.BadOffload, destinations.Remotes.Length);
            return;
        }

        var flowHash = FlowHash.Compute(bytes, headers, _hashKey);
        var outer = port.Segment.Outer.Of(bytes, headers); // 5
        foreach (var remote in destinations.Remotes)
        {
            if (IsRefused(port, remote, count: 1)) continue;
            var headerInPlace = remote.Vni == port.Segment.Options.Vni;
            if (_datagrams.TryAdd(frame, remote, flowHash, headerInPlace, outer)) continue;
            Flush(port);
            _datagrams.TryAdd(frame, remote, flowHash, headerInPlace, outer);
        }
    }

    // A super-frame counts as the frames it stands for. The proxy has no business with it.
    private void ForwardSuperFrame(SegmentPort port, in Frame frame, in InnerHeaders headers)
    {
        var bytes = _frames.Bytes(frame);
        if (!SegmentPlan.TryMake(bytes, headers, frame.Offload, out var plan))
        {
            port.Counters.Count(Counter.TapReceived);
            port.Counters.DropOut(DropReason.BadOffload);
            return;
        }

        port.Counters.Count(Counter.TapReceived, plan.Count);
        port.Counters.Count(Counter.SuperFramesCut);
        var destinations = Destinations(port, headers, plan.Count);
        if (destinations.Remotes.IsEmpty) return;
        if (destinations.Only is { } only && only.IsTooLong(plan.SegmentLength)
            && _pathMtu.Refuses(port, bytes, headers, plan.SegmentLength, only, plan.Count, _nowMilliseconds)) return;
        var flowHash = FlowHash.Compute(bytes, headers, _hashKey);
        var outer = port.Segment.Outer.Of(bytes, headers); // 5
        foreach (var remote in destinations.Remotes)
        {
            if (IsRefused(port, remote, plan.Count) || _datagrams.TryAdd(frame, plan, remote, flowHash, outer)) continue;
            Flush(port);
            // An empty batch has room for any super-frame that fits a slot, or it is none that a kernel makes.
            if (!_datagrams.TryAdd(frame, plan, remote, flowHash, outer)) port.Counters.DropOut(DropReason.BadOffload, plan.Count);
        }
    }

    private static ReplicationList Destinations(SegmentPort port, in InnerHeaders headers, int count)
    {
        var known = port.Segment.Fdb.Find(headers.Destination);
        var destinations = known ?? port.Segment.Fdb.Default;
        if (destinations.Remotes.IsEmpty)
        {
            port.Counters.DropOut(DropReason.NoRemoteVtep, count);
            return destinations;
        }

        if (known is null) port.Counters.Count(Counter.Flooded, count);
        port.Counters.Count(Counter.Replicated, (destinations.Remotes.Length - 1) * count);
        return destinations;
    }

    private static bool IsRefused(SegmentPort port, Remote remote, int count)
    {
        if (remote.IsSelf) port.Counters.DropOut(DropReason.Hairpin, count);
        else if (remote.IsNull) port.Counters.DropOut(DropReason.NullDestination, count);
        else return false;
        return true;
    }

    private void Flush(SegmentPort port)
    {
        _underlay.Send(_datagrams);
        long allSent = 0;
        for (var i = 0; i < _datagrams.Count; i++)
        {
            ref var datagram = ref _datagrams[i];
            if (datagram.Drop is { } reason) port.Counters.DropOut(reason, datagram.Dropped);
            var sent = datagram.Count - datagram.Dropped;
            _tally.CountSent(datagram.Remote, sent, datagram.Dropped == 0 ? datagram.Length : (long)sent * datagram.LengthEach, datagram.Dropped);
            allSent += sent;
        }

        port.Counters.Count(Counter.DatagramsSent, allSent);
        _tally.Flush();
        _datagrams.Clear();
    }
}
