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
/// <item>ARP/ND proxy: a known neighbour is answered to the TAP, done; who asks too much is held back</item>
/// <item>forward: FDB entry, else the replication list, as far as the flood limits let it (unicast not at all where only known stations are sent to); too long for the path to one VTEP: answered, and refused from a bridge port</item>
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
    private readonly RemoteTally _tally;
    private readonly bool _isOnTrial;
    private readonly PathMtuStage _pathMtu = new();
    private readonly ulong _hashKey;
    private CaptureRing? _capture;
    private long _nowMilliseconds;

    /// <summary>Makes a path with its own buffers.</summary>
    /// <param name="underlay">Where datagrams go.</param>
    /// <param name="hashKey">Key of the flow hash, one for the process.</param>
    /// <param name="isOnTrial">Leave tables and their counters alone, see <see cref="FrameTrial"/>.</param>
    public EncapsulationPath(IUnderlay underlay, ulong hashKey, bool isOnTrial = false)
    {
        _tally = new RemoteTally(isOnTrial);
        _isOnTrial = isOnTrial;
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
    public int Run(SegmentPort port, long nowMilliseconds)
    {
        ArgumentNullException.ThrowIfNull(port);
        _nowMilliseconds = nowMilliseconds;
        _frames.Clear();
        port.Tap.Receive(_frames); // 1

        if (_capture is { } ring)
        {
            for (var i = 0; i < _frames.Count; i++) TakeCaptured(ring, port, ref _frames[i]);
        }
        else
        {
            for (var i = 0; i < _frames.Count; i++) Take(port, ref _frames[i]);
        }

        if (_datagrams.Count > 0) Flush(port); // 7
        return _frames.Count;
    }

    // True if the frame ends here: held back, answered, consumed by a strict proxy, or suppressed.
    private bool Resolve(SegmentPort port, ref Frame frame, in InnerHeaders headers)
    {
        if (!_isOnTrial && !ResolutionGuard.Admits(port.Segment, _frames.Bytes(frame), headers, _nowMilliseconds))
        {
            port.Counters.DropOut(DropReason.RequestLimit);
            return true;
        }

        if (!_isOnTrial) ResolutionGuard.Snoop(port.Segment, _frames.Bytes(frame), headers, isLocal: true, _nowMilliseconds);
        var options = port.Segment.Options;
        if (options.Proxy && Proxy(port, ref frame, headers)) return true;
        if (!options.Proxy && !options.SuppressResolution) return false;
        if (ResolutionGuard.EndUnanswered(port.Segment, _frames.Bytes(frame), headers, _nowMilliseconds, tells: !_isOnTrial) is not { } reason) return false;
        port.Counters.DropOut(reason);
        return true;
    }

    /// <summary>Copies what is taken into a ring from here on, or no more; from any thread.</summary>
    internal void SetCapture(CaptureRing? ring) => Volatile.Write(ref _capture, ring);

    private void Take(SegmentPort port, ref Frame frame)
    {
        port.Counters.Count(Counter.TapReceivedBytes, frame.Length);
        BytesTaken += frame.Length;
        if (!InnerHeaders.TryParse(_frames.Bytes(frame), out var headers)) // 2
        {
            port.Counters.Count(Counter.TapReceived);
            port.Counters.DropOut(DropReason.Truncated);
            return;
        }

        if (port.Segment.HasFramePolicy && FramePolicy.Refuse(port.Segment.Options, headers) is { } refusal)
        {
            port.Counters.Count(Counter.TapReceived);
            port.Counters.DropOut(refusal);
            return;
        }

        if (frame.Offload.IsSuperFrame)
        {
            ForwardSuperFrame(port, frame, headers);
            return;
        }

        port.Counters.Count(Counter.TapReceived);
        if (port.Segment.WatchesResolution && AddressResolution.IsCandidate(headers) && Resolve(port, ref frame, headers)) return; // 3
        Forward(port, frame, headers); // 4, 5, 6
    }

    // Copied before a stage changes it, handed over when its fate is known.
    private void TakeCaptured(CaptureRing ring, SegmentPort port, ref Frame frame)
    {
        port.Counters.LastDrop = null;
        ring.Hold(port.Segment.Options.Vni.Value, _frames.Bytes(frame));
        Take(port, ref frame);
        ring.Release(port.Counters.LastDrop);
    }

    private bool Proxy(SegmentPort port, ref Frame frame, in InnerHeaders headers)
    {
        var length = NeighbourProxy.TryAnswer(_frames.Slab.Slice(frame.Offset, FrameBatch.MaxFrameSize), frame.Length, headers, port.Segment.Neighbours, _nowMilliseconds);
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
        var destinations = Destinations(port, frame, headers, count: 1);
        if (destinations.Remotes.IsEmpty) return;
        var bytes = _frames.Bytes(frame);
        var length = headers.NetworkOffset + headers.IpLength;
        if (PathMtuStage.MayConcern(port, length, destinations) && _pathMtu.Refuses(port, bytes, headers, length, destinations, 1, _nowMilliseconds)) return;
        if (port.Segment.Options.MssClamp != 0) PathMtuStage.ClampSegmentSize(port, bytes, headers, destinations.Only, frame.Offload.NeedsChecksum);
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
            var own = PathMtuStage.ClassFor(remote, length, outer);
            if (_datagrams.TryAdd(frame, remote, flowHash, headerInPlace, own)) continue;
            Flush(port);
            _datagrams.TryAdd(frame, remote, flowHash, headerInPlace, own);
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
        var destinations = Destinations(port, frame, headers, plan.Count);
        if (destinations.Remotes.IsEmpty) return;
        if (PathMtuStage.MayConcern(port, plan.SegmentLength, destinations)
            && _pathMtu.Refuses(port, bytes, headers, plan.SegmentLength, destinations, plan.Count, _nowMilliseconds)) return;
        var flowHash = FlowHash.Compute(bytes, headers, _hashKey);
        var outer = port.Segment.Outer.Of(bytes, headers); // 5
        foreach (var remote in destinations.Remotes)
        {
            var own = PathMtuStage.ClassFor(remote, plan.SegmentLength, outer);
            if (IsRefused(port, remote, plan.Count) || _datagrams.TryAdd(frame, plan, remote, flowHash, own)) continue;
            Flush(port);
            // An empty batch has room for any super-frame that fits a slot, or it is none that a kernel makes.
            if (!_datagrams.TryAdd(frame, plan, remote, flowHash, own)) port.Counters.DropOut(DropReason.BadOffload, plan.Count);
        }
    }

    private ReplicationList Destinations(SegmentPort port, in Frame frame, in InnerHeaders headers, int count)
    {
        var known = port.Segment.Fdb.Find(headers.Destination);
        if (known is null && port.Segment.Options.SuppressUnknown && !headers.Destination.IsGroup)
        {
            port.Counters.DropOut(DropReason.UnknownUnicast, count);
            if (!_isOnTrial) FloodGuard.TellMiss(port.Segment, headers.Destination, _nowMilliseconds);
            return ReplicationList.Empty;
        }

        var destinations = known ?? port.Segment.Fdb.Default;
        if (destinations.Remotes.IsEmpty)
        {
            port.Counters.DropOut(DropReason.NoRemoteVtep, count);
            if (!_isOnTrial) FloodGuard.TellMiss(port.Segment, headers.Destination, _nowMilliseconds);
            return destinations;
        }

        if ((known is null || destinations.Remotes.Length > 1)
            && !_isOnTrial && !FloodGuard.Admits(port.Segment, _frames.Bytes(frame), headers, destinations.Remotes.Length, count, _nowMilliseconds))
        {
            port.Counters.DropOut(DropReason.FloodLimit, count);
            return ReplicationList.Empty;
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
