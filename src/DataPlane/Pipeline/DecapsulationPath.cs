using System.Collections.Frozen;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Interop;
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
/// <item>ECN: the underlay's congestion mark goes into the frame, or is a reason to drop it</item>
/// <item>learn the source behind the sender; a contradiction of a static entry is dropped</item>
/// <item>recognise work that the sender left undone</item>
/// <item>merge consecutive frames of one flow; what continues a run skips the stages that its first frame passed</item>
/// <item>send: write to the TAP. Never back to the underlay: split horizon</item>
/// </list>
/// One thread; nothing is allocated but what a newly learned VTEP needs.
/// </summary>
public sealed class DecapsulationPath
{
    private readonly IUnderlay _underlay;
    private readonly FrameBatch _frames = new();
    private readonly Merger _merger;
    private readonly StrangerLog _strangers;
    private FrozenDictionary<uint, SegmentPort> _ports = FrozenDictionary<uint, SegmentPort>.Empty;

    private readonly RemoteTally _tally;
    private readonly bool _isOnTrial;
    private CaptureRing? _capture;

    // Whether the datagram under way came together with others (UDP_GRO).
    private bool _isCoalesced;

    // The batch under way: its clock, and the segment of the datagram before.
    private long _nowMilliseconds;
    private SegmentPort? _port;

    // The address whose datagrams would be our own, of a batch that a multicast group was sent; none otherwise.
    private InternetAddress _own;

    // The run of mergeable frames under way.
    private SegmentPort? _runPort;
    private VxlanHeader _runHeader;
    private InternetAddress _runSender;
    private Remote? _runRemote;
    private bool _runHasNoEcn;

    /// <summary>Makes a path with its own buffers and no segments.</summary>
    /// <param name="underlay">Where datagrams come from.</param>
    /// <param name="strangers">Where unknown senders are noted.</param>
    /// <param name="isOnTrial">Leave tables and their counters alone, see <see cref="FrameTrial"/>.</param>
    public DecapsulationPath(IUnderlay underlay, StrangerLog strangers, bool isOnTrial = false)
    {
        _tally = new RemoteTally(isOnTrial);
        _isOnTrial = isOnTrial;
        _underlay = underlay;
        _strangers = strangers;
        _merger = new Merger(_frames);
    }

    /// <summary>Datagrams that no segment could be found for: Truncated, NoVniFlag and UnknownVni; the rest is counted per segment.</summary>
    public Counters Unassigned { get; } = new();

    /// <summary>Takes what has no VNI and is an echo message; null: there is none who does.</summary>
    public EchoPort? Echo { get; init; }

    /// <summary>Bytes of all datagrams taken so far.</summary>
    internal long BytesTaken { get; private set; }

    /// <summary>Publishes the segments, by VNI; from any thread, read once a batch.</summary>
    public void SetPorts(IEnumerable<SegmentPort> ports) =>
        Volatile.Write(ref _ports, ports.ToFrozenDictionary(port => port.Segment.Options.Vni.Value));

    /// <summary>Takes one batch from the underlay through all stages.</summary>
    /// <returns>Messages taken; fewer than <see cref="FrameBatch.DefaultCapacity"/> when the underlay was emptied.</returns>
    public int Run(long nowMilliseconds) => Run(_underlay, default, nowMilliseconds);

    /// <summary>Takes one batch of what a multicast group was sent through all stages.</summary>
    /// <returns>Messages taken, as above.</returns>
    public int Run(GroupReceiver group, long nowMilliseconds)
    {
        ArgumentNullException.ThrowIfNull(group);
        return Run(group, group.Own, nowMilliseconds);
    }

    internal int Run(IDatagramSource source, InternetAddress own, long nowMilliseconds)
    {
        _frames.Clear();
        source.Receive(_frames); // 1
        _own = own;
        _nowMilliseconds = nowMilliseconds;
        var ring = _capture;
        for (var i = 0; i < _frames.Count; i++)
        {
            // Several datagrams of one flow may stand one behind the other (UDP_GRO).
            ref var message = ref _frames[i];
            BytesTaken += message.Length;
            var isWhole = message.DatagramLength != 0 && IsUdpSuperFrame(message);
            var each = message.DatagramLength == 0 || isWhole ? message.Length : message.DatagramLength;
            _isCoalesced = message.DatagramLength != 0 && !isWhole;
            if (!isWhole) message.DatagramLength = 0;
            var left = message.Length;
            for (var offset = message.Offset; ; offset += each)
            {
                // In the slot itself, which nobody needs any more: a copy just after its writes would stall.
                message.Offset = offset;
                message.Length = Math.Min(each, left);
                if (ring is null) TakeDatagram(ref message);
                else TakeCaptured(ring, ref message);
                left -= each;
                if (left <= 0) break;
            }
        }

        EndRun();
        _tally.Flush();
        Echo?.Flush();
        _port = null;
        return _frames.Count;
    }

    // One inner UDP super-frame of a peer on the same machine looks like several datagrams to the socket, but its IP header covers them all.
    private bool IsUdpSuperFrame(in Frame message) =>
        InnerHeaders.TryParse(_frames.Bytes(message)[Math.Min(VxlanHeader.Size, message.Length)..], out var headers)
        && headers.Protocol == IpProtocol.Udp && headers.TransportOffset != 0
        && VxlanHeader.Size + headers.NetworkOffset + headers.IpLength == message.Length;

    /// <summary>Copies what is taken into a ring from here on, or no more; from any thread.</summary>
    internal void SetCapture(CaptureRing? ring) => Volatile.Write(ref _capture, ring);

    private void TakeCaptured(CaptureRing ring, ref Frame frame)
    {
        var bytes = _frames.Bytes(frame);
        var hasHeader = VxlanHeader.TryParse(bytes, out var header) && header.HasVni;
        var counters = hasHeader && Volatile.Read(ref _ports).TryGetValue(header.Vni.Value, out var port) ? port.Counters : Unassigned;
        counters.LastDrop = null;
        ring.Hold(hasHeader ? header.Vni.Value : 0, frame.Sender, bytes, new OuterClass(frame.OuterTypeOfService));
        TakeDatagram(ref frame);
        ring.Release(counters.LastDrop);
    }

    private void TakeDatagram(ref Frame frame)
    {
        if (!VxlanHeader.TryParse(_frames.Bytes(frame), out var header)) // 2
        {
            CountUnassigned(DropReason.Truncated);
            return;
        }

        var length = frame.Length;
        frame.Offset += VxlanHeader.Size;
        frame.Length -= VxlanHeader.Size;
        if (_merger.Count > 0)
        {
            // What continues a run has the headers of its first frame, which passed every stage.
            if (header == _runHeader && frame.Sender == _runSender && BearsItsMark(frame) && _merger.TryAppend(frame))
            {
                _runPort!.Counters.Count(Counter.DatagramsReceived);
                if (_runHasNoEcn && (frame.OuterTypeOfService & CongestionMark.Mask) != 0) _runPort.Counters.Count(Counter.EcnUnexpected);
                if (_runRemote is not null) _tally.CountReceived(_runRemote, length);
                if (_merger.IsClosed) EndRun();
                return;
            }

            EndRun();
        }

        if (!header.HasVni)
        {
            if (TakeWithoutVni(frame, length) is { } ignored) CountUnassigned(ignored);
            return;
        }

        if ((_port is null || _port.Segment.Options.Vni != header.Vni) && !Volatile.Read(ref _ports).TryGetValue(header.Vni.Value, out _port))
        {
            CountUnassigned(DropReason.UnknownVni);
            return;
        }

        _port.Counters.Count(Counter.DatagramsReceived);
        var dropped = Take(_port, ref frame, header, out var sender);
        if (sender is not null) _tally.CountReceived(sender, length);
        if (dropped is { } reason) _port.Counters.DropIn(reason);
    }

    private DropReason? TakeWithoutVni(in Frame frame, int length)
    {
        var datagram = _frames.Slab.Slice(frame.Offset - VxlanHeader.Size, length);
        if (Echo is null) return DropReason.NoVniFlag;
        if (!EchoMessage.TryParse(datagram, out var message))
            return HelloMessage.TryParse(datagram, out var hello) ? Echo.Take(hello, frame.Sender, _nowMilliseconds) : DropReason.NoVniFlag;
        var segment = Volatile.Read(ref _ports).TryGetValue(message.Vni.Value, out var port) ? port.Segment : null;
        return Echo.Take(datagram, frame.Sender, frame.OuterTypeOfService, _isCoalesced, segment, message, _nowMilliseconds);
    }

    // The merger compares frames as they will be delivered, so the outer mark must be in this one already. Twice does no harm.
    private bool BearsItsMark(in Frame frame) =>
        !CongestionMark.CanChange(frame.OuterTypeOfService)
        || !InnerHeaders.TryParse(_frames.Bytes(frame), out var headers)
        || CongestionMark.Decapsulate(_frames.Bytes(frame), headers, frame.OuterTypeOfService) != CongestionOutcome.Contradiction;

    private DropReason? Take(SegmentPort port, ref Frame frame, VxlanHeader header, out Remote? sender)
    {
        var segment = port.Segment;
        sender = null;
        if (segment.Options.Strict && HasReservedBits(segment, header)) return DropReason.ReservedBits; // 3
        if (frame.Sender == _own) return DropReason.Reflected;
        if (!segment.Remotes.Admits(frame.Sender, out sender))
        {
            sender = null;
            if (!_isOnTrial) _strangers.Note(segment, frame.Sender, _nowMilliseconds);
            return DropReason.UnknownVtep;
        }

        var bytes = _frames.Bytes(frame);
        if (!InnerHeaders.TryParse(bytes, out var headers)) return DropReason.Truncated; // 4
        if (!headers.Source.IsValidSource) return DropReason.InvalidSource;
        if (headers.Source == segment.DeviceMac) return DropReason.OwnMac;
        if (headers.IsTruncatedIp) return DropReason.TruncatedIp;
        if (!segment.IsUp) return DropReason.DeviceDown;
        if (segment.HasFramePolicy && FramePolicy.Refuse(segment.Options, headers) is { } refusal) return refusal;
        var resolves = segment.WatchesResolution && AddressResolution.IsCandidate(headers);
        if (resolves && !_isOnTrial && !ResolutionGuard.Admits(segment, bytes, headers, _nowMilliseconds)) return DropReason.RequestLimit;
        if (headers.Destination.IsGroup && !_isOnTrial && segment.Guards.IsBack(bytes, headers.Source, frame.Sender, _nowMilliseconds)) port.Counters.Count(Counter.Returned);

        var policy = segment.Options.Policy is null ? default : header.Policy;
        if (!IsAccepted(segment, policy)) return DropReason.PolicyDenied;

        if ((frame.OuterTypeOfService & CongestionMark.Mask) != 0) // 5
        {
            var outcome = CongestionMark.Decapsulate(bytes, headers, frame.OuterTypeOfService);
            if (outcome == CongestionOutcome.Contradiction) return DropReason.EcnContradiction;
            if (outcome == CongestionOutcome.Unexpected) port.Counters.Count(Counter.EcnUnexpected);
        }

        // 6. The kernel's device learns in spite of a D bit; the draft says not to.
        switch (policy.DontLearn ? LearnResult.Known : Learn(segment, headers.Source, frame.Sender))
        {
            case LearnResult.Conflict: return DropReason.StaticConflict;
            case LearnResult.Held: return DropReason.MoveHeld;
            case LearnResult.Limited: port.Counters.Count(Counter.StationsLimited); break;
            case LearnResult.Learned: port.Counters.Count(Counter.Learned); break;
            case LearnResult.Moved: port.Counters.Count(Counter.Moved); break;
            case LearnResult.Skipped when segment.Options.Learning: port.Counters.Count(Counter.NotLearned); break;
        }

        if (resolves && !_isOnTrial) ResolutionGuard.Snoop(segment, bytes, headers, isLocal: false, _nowMilliseconds);

        frame.Offload = UnfinishedOffload.Recognise(bytes, headers, segment.Mtu, frame.DatagramLength); // 7
        if (segment.Options.MssClamp != 0) PathMtuStage.ClampSegmentSize(port, bytes, headers, sender, frame.Offload.NeedsChecksum);
        if (frame.Offload.NeedsChecksum)
        {
            port.Counters.Count(Counter.OffloadRecognised);
        }
        else if (port.Tap.TakesSuperFrames && _merger.TryStart(frame, headers, port.Tap.TakesUdpSuperFrames))
        {
            (_runPort, _runHeader, _runSender, _runRemote) = (port, header, frame.Sender, sender);
            _runHasNoEcn = (CongestionMark.TypeOfService(bytes, headers) & CongestionMark.Mask) == 0;
            return null;
        }

        Send(port, frame, [], frames: 1);
        return null;
    }

    private LearnResult Learn(Segment segment, MacAddress source, InternetAddress sender) =>
        _isOnTrial ? segment.Fdb.Judge(source, sender) : segment.Fdb.Learn(source, sender, _nowMilliseconds);

    private static bool HasReservedBits(Segment segment, VxlanHeader header) =>
        segment.Options.Policy is null ? header.HasReservedBits : header.HasReservedBitsBesidePolicy;

    // Policy that another device has applied is not applied again.
    private static bool IsAccepted(Segment segment, GroupPolicy policy) =>
        segment.Options.AcceptedGroups is not { } accepted || policy.IsApplied || accepted.Contains(policy.Group);

    private void EndRun()
    {
        if (_merger.Count == 0) return;
        var count = _merger.Count;
        if (count > 1) _runPort!.Counters.Count(Counter.SuperFramesMerged);
        Send(_runPort!, _merger.Finish(out var more), more, count);
    }

    private void Send(SegmentPort port, in Frame frame, ReadOnlySpan<SlabSlice> more, int frames)
    {
        switch (port.Tap.Send(_frames, frame, more)) // 9
        {
            case TapStatus.Down: port.Counters.DropIn(DropReason.DeviceDown, frames); return;
            case TapStatus.Rejected: port.Counters.DropIn(DropReason.TapRejected, frames); return;
        }

        port.Counters.Count(Counter.TapSent, frames);
        var bytes = frame.Length;
        foreach (var slice in more) bytes += slice.Length;
        port.Counters.Count(Counter.TapSentBytes, bytes);
    }

    private void CountUnassigned(DropReason reason)
    {
        Unassigned.Count(Counter.DatagramsReceived);
        Unassigned.DropIn(reason);
    }
}
