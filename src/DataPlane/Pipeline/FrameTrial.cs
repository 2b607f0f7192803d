using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>One copy of a frame on trial that would be sent.</summary>
/// <param name="Remote">Where to.</param>
/// <param name="FlowHash">Hash of the inner flow: which source port.</param>
/// <param name="Datagrams">Datagrams: 1, or the parts of a super-frame.</param>
/// <param name="LengthEach">UDP payload bytes of each but the last.</param>
/// <param name="Outer">What its outer IP headers say.</param>
public sealed record TrialCopy(Remote Remote, uint FlowHash, int Datagrams, int LengthEach, OuterClass Outer);

/// <summary>What came of a frame on trial.</summary>
/// <param name="Counters">What the paths counted, drops included, on counters of its own.</param>
/// <param name="Copies">What would be sent, one for each remote.</param>
/// <param name="Payload">The first UDP payload that would be sent: VXLAN header and frame, as every stage left them.</param>
/// <param name="Delivered">What would be written to the TAP.</param>
public sealed record TrialOutcome(
    Counters Counters, IReadOnlyList<TrialCopy> Copies, ReadOnlyMemory<byte> Payload, IReadOnlyList<TrialDelivery> Delivered);

/// <summary>A frame that would be written to a TAP.</summary>
/// <param name="Bytes">The frame.</param>
/// <param name="Offload">What the kernel is left to do.</param>
public sealed record TrialDelivery(ReadOnlyMemory<byte> Bytes, OffloadFacts Offload);

/// <summary>
/// Takes a frame through the workers' own paths and the segment's own tables without sending, counting, learning or changing anything: the seams
/// are memory, the counters its own, and a path that is <em>on trial</em> asks its tables what they would do. So a stage that is added to a path is
/// on trial too, without a second copy of its rules; a stage that keeps state of its own must leave it alone while its path is on trial (guard rails admit everything then).
/// One thread at a time; holds some 10 MB.
/// </summary>
public sealed class FrameTrial
{
    private readonly TrialUnderlay _underlay = new();
    private readonly TrialTap _tap = new();
    private readonly EncapsulationPath _out;
    private readonly DecapsulationPath _in;

    /// <summary>Makes a trial.</summary>
    /// <param name="hashKey">Key of the workers' flow hash.</param>
    public FrameTrial(ulong hashKey)
    {
        _out = new EncapsulationPath(_underlay, hashKey, isOnTrial: true);
        _in = new DecapsulationPath(_underlay, new StrangerLog(), isOnTrial: true);
    }

    /// <summary>A frame that the host would send into the TAP.</summary>
    /// <param name="segment">The TAP's segment.</param>
    /// <param name="frame">At most <see cref="FrameBatch.MaxFrameSize"/> bytes.</param>
    /// <param name="nowMilliseconds">The clock of the tables.</param>
    /// <param name="offload">What the host would leave undone.</param>
    public TrialOutcome Send(Segment segment, ReadOnlySpan<byte> frame, long nowMilliseconds, OffloadFacts offload = default)
    {
        var port = Begin(segment);
        _tap.Feed(frame, offload);
        _out.Run(port, nowMilliseconds);
        return End(port);
    }

    /// <summary>A datagram that a VTEP would send to us.</summary>
    /// <param name="segment">The segment of its VNI.</param>
    /// <param name="datagram">VXLAN header and frame, at most <see cref="FrameBatch.MaxFrameSize"/> bytes.</param>
    /// <param name="sender">Its source address.</param>
    /// <param name="nowMilliseconds">The clock of the tables.</param>
    /// <param name="typeOfService">TOS or traffic class of its outer header.</param>
    /// <returns>What came of it; if no segment is asked for (its header is cut off, has no VNI or another), that is counted too.</returns>
    public TrialOutcome Receive(Segment segment, ReadOnlySpan<byte> datagram, InternetAddress sender, long nowMilliseconds, byte typeOfService = 0)
    {
        var port = Begin(segment);
        _in.SetPorts([port]);
        _in.Unassigned.LastDrop = null;
        _underlay.Feed(datagram, sender, typeOfService);
        _in.Run(nowMilliseconds);
        if (_in.Unassigned.LastDrop is { } reason)
        {
            port.Counters.Count(Counter.DatagramsReceived);
            port.Counters.DropIn(reason);
        }

        return End(port);
    }

    private SegmentPort Begin(Segment segment)
    {
        _underlay.Clear();
        _tap.Clear();
        return new SegmentPort(segment, _tap, new Counters());
    }

    private TrialOutcome End(SegmentPort port) =>
        new(port.Counters, [.. _underlay.Copies], _underlay.Payload, [.. _tap.Delivered]);

    private sealed class TrialTap : ITap
    {
        private byte[]? _frame;
        private OffloadFacts _offload;

        public bool TakesSuperFrames => false;

        public bool TakesUdpSuperFrames => false;

        public List<TrialDelivery> Delivered { get; } = [];

        public void Feed(ReadOnlySpan<byte> frame, OffloadFacts offload) => (_frame, _offload) = (frame.ToArray(), offload);

        public void Clear() => Delivered.Clear();

        public void Receive(FrameBatch batch)
        {
            if (_frame is null) return;
            _frame.CopyTo(batch.Room(batch.Count));
            batch.Add(_frame.Length).Offload = _offload;
            _frame = null;
        }

        public TapStatus Send(FrameBatch batch, in Frame frame, ReadOnlySpan<SlabSlice> more)
        {
            Delivered.Add(new TrialDelivery(batch.Bytes(frame).ToArray(), frame.Offload));
            return TapStatus.Sent;
        }
    }

    private sealed class TrialUnderlay : IUnderlay
    {
        private byte[]? _datagram;
        private InternetAddress _sender;
        private byte _typeOfService;

        public List<TrialCopy> Copies { get; } = [];

        public byte[] Payload { get; private set; } = [];

        public void Feed(ReadOnlySpan<byte> datagram, InternetAddress sender, byte typeOfService) =>
            (_datagram, _sender, _typeOfService) = (datagram.ToArray(), sender, typeOfService);

        public void Clear()
        {
            Copies.Clear();
            Payload = [];
        }

        public void Receive(FrameBatch batch)
        {
            if (_datagram is null) return;
            _datagram.CopyTo(batch.Room(batch.Count, before: VxlanHeader.Size));
            ref var frame = ref batch.Add(_datagram.Length);
            frame.Offset -= VxlanHeader.Size;
            frame.Sender = _sender;
            frame.OuterTypeOfService = _typeOfService;
            _datagram = null;
        }

        public void Send(DatagramBatch batch)
        {
            for (var i = 0; i < batch.Count; i++)
            {
                ref var datagram = ref batch[i];
                datagram.Drop = null;
                datagram.Dropped = 0;
                if (Copies.Count == 0) Payload = FirstOf(batch, datagram);
                Copies.Add(new TrialCopy(datagram.Remote, datagram.FlowHash, datagram.Count, datagram.LengthEach, datagram.Outer));
            }
        }

        private static byte[] FirstOf(DatagramBatch batch, in Datagram datagram)
        {
            var bytes = new List<byte>(datagram.LengthEach);
            foreach (var slice in batch.SlicesOf(datagram)[..datagram.SlicesEach]) bytes.AddRange(batch.Frames.Slab.Slice(slice.Offset, slice.Length));
            return [.. bytes];
        }
    }
}
