using System.Collections.Frozen;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Offload;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// Underlay → TAP, in the order a datagram meets the stages; the numbers stand in the code.
/// <list type="number">
/// <item>receive: datagrams into slots, the inner frame at the headroom's end</item>
/// <item>decapsulate: the VXLAN header, its I flag, the segment of its VNI</item>
/// <item>admit: reserved bits if strict; the sender a VTEP of the segment?</item>
/// <item>parse the inner frame: source address legal, not ours, IP header whole</item>
/// <item>learn the source behind the sender; a contradiction of a static entry is dropped</item>
/// <item>recognise work that the sender left undone</item>
/// <item>send: write to the TAP. Never back to the underlay: split horizon</item>
/// </list>
/// One thread; nothing is allocated but what a newly learned VTEP needs.
/// </summary>
public sealed class DecapsulationPath
{
    private readonly IUnderlay _underlay;
    private readonly FrameBatch _frames = new();
    private readonly StrangerLog _strangers;
    private FrozenDictionary<uint, SegmentPort> _ports = FrozenDictionary<uint, SegmentPort>.Empty;

    /// <summary>Makes a path with its own buffers and no segments.</summary>
    public DecapsulationPath(IUnderlay underlay, StrangerLog strangers)
    {
        _underlay = underlay;
        _strangers = strangers;
    }

    /// <summary>Datagrams that no segment could be found for: Truncated, NoVniFlag and UnknownVni; the rest is counted per segment.</summary>
    public Counters Unassigned { get; } = new();

    /// <summary>Publishes the segments, by VNI; from any thread, read once a batch.</summary>
    public void SetPorts(IEnumerable<SegmentPort> ports) =>
        Volatile.Write(ref _ports, ports.ToFrozenDictionary(port => port.Segment.Options.Vni.Value));

    /// <summary>Takes one batch from the underlay through all stages.</summary>
    /// <returns>Datagrams taken; fewer than <see cref="FrameBatch.DefaultCapacity"/> when the underlay was emptied.</returns>
    public int Run(long nowMilliseconds)
    {
        _frames.Clear();
        _underlay.Receive(_frames); // 1
        var ports = Volatile.Read(ref _ports);
        SegmentPort? port = null;
        Remote? remote = null;
        long received = 0, receivedBytes = 0;

        for (var i = 0; i < _frames.Count; i++)
        {
            ref var frame = ref _frames[i];
            if (!VxlanHeader.TryParse(_frames.Bytes(frame), out var header)) // 2
            {
                CountUnassigned(DropReason.Truncated);
                continue;
            }

            if (!header.HasVni)
            {
                CountUnassigned(DropReason.NoVniFlag);
                continue;
            }

            if ((port is null || port.Segment.Options.Vni != header.Vni) && !ports.TryGetValue(header.Vni.Value, out port))
            {
                CountUnassigned(DropReason.UnknownVni);
                continue;
            }

            port.Counters.Count(Counter.DatagramsReceived);
            var length = frame.Length;
            if (Take(port, ref frame, header, nowMilliseconds, out var sender) is { } reason) port.Counters.DropIn(reason);

            if (sender is null) continue;
            if (sender != remote)
            {
                remote?.CountReceived(received, receivedBytes);
                (remote, received, receivedBytes) = (sender, 0, 0);
            }

            received++;
            receivedBytes += length;
        }

        remote?.CountReceived(received, receivedBytes);
        return _frames.Count;
    }

    private DropReason? Take(SegmentPort port, ref Frame frame, VxlanHeader header, long nowMilliseconds, out Remote? sender)
    {
        var segment = port.Segment;
        sender = null;
        if (segment.Options.Strict && header.HasReservedBits) return DropReason.ReservedBits; // 3
        if (!segment.Remotes.Admits(frame.Sender, out sender))
        {
            sender = null;
            _strangers.Note(segment, frame.Sender);
            return DropReason.UnknownVtep;
        }

        frame.Offset += VxlanHeader.Size;
        frame.Length -= VxlanHeader.Size;
        var bytes = _frames.Bytes(frame);
        if (!InnerHeaders.TryParse(bytes, out var headers)) return DropReason.Truncated; // 4
        if (!headers.Source.IsValidSource) return DropReason.InvalidSource;
        if (headers.Source == segment.DeviceMac) return DropReason.OwnMac;
        if (headers.IsTruncatedIp) return DropReason.TruncatedIp;
        if (!segment.IsUp) return DropReason.DeviceDown;

        switch (segment.Fdb.Learn(headers.Source, frame.Sender, nowMilliseconds)) // 5
        {
            case LearnResult.Conflict: return DropReason.StaticConflict;
            case LearnResult.Learned: port.Counters.Count(Counter.Learned); break;
            case LearnResult.Moved: port.Counters.Count(Counter.Moved); break;
            case LearnResult.Skipped when segment.Options.Learning: port.Counters.Count(Counter.NotLearned); break;
        }

        frame.Offload = UnfinishedOffload.Recognise(bytes, headers, segment.Mtu); // 6
        if (frame.Offload.NeedsChecksum) port.Counters.Count(Counter.OffloadRecognised);

        switch (port.Tap.Send(_frames, frame)) // 7
        {
            case TapStatus.Down: return DropReason.DeviceDown;
            case TapStatus.Rejected: return DropReason.TapRejected;
        }

        port.Counters.Count(Counter.TapSent);
        port.Counters.Count(Counter.TapSentBytes, frame.Length);
        return null;
    }

    private void CountUnassigned(DropReason reason)
    {
        Unassigned.Count(Counter.DatagramsReceived);
        Unassigned.DropIn(reason);
    }
}
