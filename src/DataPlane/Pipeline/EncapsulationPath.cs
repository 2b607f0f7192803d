using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// TAP → underlay, in the order a frame meets the stages; the numbers stand in the code.
/// <list type="number">
/// <item>receive: frames from the TAP into slots, headroom before each</item>
/// <item>parse: where the inner headers stand</item>
/// <item>ARP/ND proxy: a known neighbour is answered to the TAP, done</item>
/// <item>forward: FDB entry, else the replication list</item>
/// <item>encapsulate: a VXLAN header in front; a copy per remote on one buffer</item>
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
    private readonly ulong _hashKey;

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

    /// <summary>Takes one batch from a segment's TAP through all stages.</summary>
    /// <returns>Frames taken; fewer than <see cref="FrameBatch.DefaultCapacity"/> when the TAP was emptied.</returns>
    public int Run(SegmentPort port)
    {
        ArgumentNullException.ThrowIfNull(port);
        _frames.Clear();
        port.Tap.Receive(_frames); // 1

        for (var i = 0; i < _frames.Count; i++)
        {
            ref var frame = ref _frames[i];
            port.Counters.Count(Counter.TapReceived);
            port.Counters.Count(Counter.TapReceivedBytes, frame.Length);
            if (!InnerHeaders.TryParse(_frames.Bytes(frame), out var headers)) // 2
            {
                port.Counters.DropOut(DropReason.Truncated);
                continue;
            }

            if (port.Segment.Options.Proxy && Proxy(port, ref frame, headers)) continue; // 3
            Forward(port, frame, headers); // 4, 5
        }

        if (_datagrams.Count > 0) Flush(port); // 6
        return _frames.Count;
    }

    private bool Proxy(SegmentPort port, ref Frame frame, in InnerHeaders headers)
    {
        var length = NeighbourProxy.TryAnswer(_frames.Slab.Slice(frame.Offset, FrameBatch.MaxFrameSize), frame.Length, headers, port.Segment.Neighbours);
        if (length == 0) return false;
        frame.Length = length;
        frame.Offload = default;
        switch (port.Tap.Send(_frames, frame))
        {
            case TapStatus.Sent: port.Counters.Count(Counter.Proxied); break;
            case TapStatus.Down: port.Counters.DropOut(DropReason.DeviceDown); break;
            default: port.Counters.DropOut(DropReason.TapRejected); break;
        }

        return true;
    }

    private void Forward(SegmentPort port, in Frame frame, in InnerHeaders headers)
    {
        var segment = port.Segment;
        var known = segment.Fdb.Find(headers.Destination);
        var destinations = known ?? segment.Fdb.Default;
        if (destinations.Remotes.IsEmpty)
        {
            port.Counters.DropOut(DropReason.NoRemoteVtep);
            return;
        }

        if (known is null) port.Counters.Count(Counter.Flooded);
        port.Counters.Count(Counter.Replicated, destinations.Remotes.Length - 1);
        var flowHash = FlowHash.Compute(_frames.Bytes(frame), headers, _hashKey);
        foreach (var remote in destinations.Remotes)
        {
            if (remote.IsSelf) port.Counters.DropOut(DropReason.Hairpin);
            else if (remote.IsNull) port.Counters.DropOut(DropReason.NullDestination);
            else Encapsulate(port, frame, remote, flowHash);
        }
    }

    private void Encapsulate(SegmentPort port, in Frame frame, Remote remote, uint flowHash)
    {
        if (_datagrams.IsFull) Flush(port);
        _datagrams.Add(frame, remote, flowHash, headerInPlace: remote.Vni == port.Segment.Options.Vni);
    }

    private void Flush(SegmentPort port)
    {
        _underlay.Send(_datagrams);
        for (var i = 0; i < _datagrams.Count;)
        {
            // Datagrams to one remote come in runs; its shared counters are touched once a run.
            var remote = _datagrams[i].Remote;
            long sent = 0, bytes = 0, dropped = 0;
            for (; i < _datagrams.Count && _datagrams[i].Remote == remote; i++)
            {
                ref var datagram = ref _datagrams[i];
                if (datagram.Drop is { } reason)
                {
                    port.Counters.DropOut(reason);
                    dropped++;
                    continue;
                }

                sent++;
                bytes += datagram.Length;
            }

            port.Counters.Count(Counter.DatagramsSent, sent);
            remote.CountSent(sent, bytes, dropped);
        }

        _datagrams.Clear();
    }
}
