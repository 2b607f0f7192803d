using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Offload;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// What goes to one remote: one datagram, or the datagrams of one super-frame, all of equal length but the last. Each datagram is one slice of
/// the batch's slab (header and frame next to each other) or two (headers written beside, payload in place).
/// </summary>
public struct Datagram
{
    /// <summary>Index of its first slice in the batch.</summary>
    public int FirstSlice;

    /// <summary>Slices of each datagram: 1 or 2.</summary>
    public int SlicesEach;

    /// <summary>Datagrams: 1, or the segments of a super-frame.</summary>
    public int Count;

    /// <summary>UDP payload bytes of each but the last.</summary>
    public int LengthEach;

    /// <summary>UDP payload bytes of all.</summary>
    public int Length;

    /// <summary>Hash of the inner flow: which source port.</summary>
    public uint FlowHash;

    /// <summary>What its outer IP headers say.</summary>
    public OuterClass Outer;

    /// <summary>Where to.</summary>
    public Remote Remote;

    /// <summary>Which super-frame of the batch it stands for, from 1; 0 for a datagram that is none.</summary>
    public int SuperFrame;

    /// <summary>Written by <see cref="IUnderlay.Send"/>: null if the kernel took all, else why it did not take <see cref="Dropped"/> of them.</summary>
    public DropReason? Drop;

    /// <summary>Written by <see cref="IUnderlay.Send"/>: datagrams that the kernel did not take.</summary>
    public int Dropped;
}

/// <summary>A bounded run of datagrams that point into the slab of one <see cref="FrameBatch"/>; one thread.</summary>
public sealed class DatagramBatch
{
    /// <summary>Entries, at most: a full frame batch fourfold replicated; longer lists are sent in parts.</summary>
    public const int DefaultCapacity = 4 * FrameBatch.DefaultCapacity;

    /// <summary>Slices, at most: two for each segment of some dozens of super-frames.</summary>
    public const int MaxSlices = 8192;

    private readonly Datagram[] _datagrams;
    private readonly SlabSlice[] _slices = new SlabSlice[MaxSlices];
    private int _sliceCount;
    private int _arenaUsed;

    // Super-frames, each with room kept for its segments. Copies of one share it if they have one VXLAN header.
    private readonly SuperFrame[] _superFrames;
    private int _superFrameCount;

    /// <summary>Makes an empty batch over the slab of <paramref name="frames"/>.</summary>
    public DatagramBatch(FrameBatch frames, int capacity = DefaultCapacity)
    {
        ArgumentNullException.ThrowIfNull(frames);
        Frames = frames;
        _datagrams = new Datagram[capacity];
        _superFrames = new SuperFrame[capacity];
    }

    /// <summary>Whose slab the datagrams are in.</summary>
    public FrameBatch Frames { get; }

    /// <summary>Entries in use.</summary>
    public int Count { get; private set; }

    /// <summary>An entry of the batch.</summary>
    public ref Datagram this[int index] => ref _datagrams[index];

    /// <summary>
    /// Slices of an entry: <see cref="Datagram.SlicesEach"/> for each of its datagrams, in order. A super-frame is cut when they are asked for
    /// the first time: where the kernel takes it whole, nobody does.
    /// </summary>
    public ReadOnlySpan<SlabSlice> SlicesOf(in Datagram datagram)
    {
        if (datagram.SuperFrame != 0) Cut(ref _superFrames[datagram.SuperFrame - 1]);
        return _slices.AsSpan(datagram.FirstSlice, datagram.SlicesEach * datagram.Count);
    }

    /// <summary>The frame behind an entry with a <see cref="Datagram.SuperFrame"/>, as it came from the TAP, and how it would be cut.</summary>
    internal ref readonly Frame WholeOf(in Datagram datagram, out SegmentPlan plan)
    {
        ref var superFrame = ref _superFrames[datagram.SuperFrame - 1];
        plan = superFrame.Plan;
        return ref superFrame.Frame;
    }

    /// <summary>Adds a copy of a frame for a remote.</summary>
    /// <param name="frame">A frame that needs nothing done.</param>
    /// <param name="remote">Where to.</param>
    /// <param name="flowHash">Hash of the inner flow.</param>
    /// <param name="headerInPlace">Write the VXLAN header before the frame; else beside it, for copies with different headers.</param>
    /// <param name="outer">What its outer IP headers say.</param>
    /// <returns>False if the batch is full: send it first.</returns>
    internal bool TryAdd(in Frame frame, Remote remote, uint flowHash, bool headerInPlace, OuterClass outer = default)
    {
        if (!HasRoom(slices: 2, headerInPlace ? 0 : VxlanHeader.Size)) return false;
        var first = _sliceCount;
        int headerOffset;
        if (headerInPlace)
        {
            headerOffset = frame.Offset - VxlanHeader.Size;
            _slices[_sliceCount++] = new SlabSlice(headerOffset, VxlanHeader.Size + frame.Length);
        }
        else
        {
            headerOffset = TakeArena(VxlanHeader.Size);
            _slices[_sliceCount++] = new SlabSlice(headerOffset, VxlanHeader.Size);
            _slices[_sliceCount++] = new SlabSlice(frame.Offset, frame.Length);
        }

        remote.Header.Write(Frames.Slab.Slice(headerOffset, VxlanHeader.Size));
        var length = VxlanHeader.Size + frame.Length;
        // Field by field: a value with a reference in it is otherwise built aside and copied by "rep movs", 10 ns a frame.
        ref var datagram = ref _datagrams[Count++];
        datagram.FirstSlice = first;
        datagram.SlicesEach = _sliceCount - first;
        datagram.Count = 1;
        datagram.LengthEach = length;
        datagram.Length = length;
        datagram.FlowHash = flowHash;
        datagram.Outer = outer;
        datagram.Remote = remote;
        datagram.SuperFrame = 0;
        datagram.Drop = null;
        datagram.Dropped = 0;
        return true;
    }

    /// <summary>Adds a datagram that is whole as it stands, its header included.</summary>
    /// <returns>False if the batch is full: send it first.</returns>
    internal bool TryAddWhole(in Frame datagram, Remote remote, uint flowHash, OuterClass outer)
    {
        if (!HasRoom(slices: 1, arena: 0)) return false;
        _slices[_sliceCount] = new SlabSlice(datagram.Offset, datagram.Length);
        _datagrams[Count++] = new Datagram
        {
            FirstSlice = _sliceCount++, SlicesEach = 1, Count = 1, LengthEach = datagram.Length, Length = datagram.Length, FlowHash = flowHash, Outer = outer, Remote = remote,
        };
        return true;
    }

    /// <summary>Adds a super-frame for a remote, and keeps room for its segments: headers written anew, payload in place.</summary>
    /// <returns>False if the batch is full: send it first.</returns>
    internal bool TryAdd(in Frame frame, in SegmentPlan plan, Remote remote, uint flowHash, OuterClass outer = default)
    {
        if (Count == _datagrams.Length) return false;
        var headers = VxlanHeader.Size + plan.HeaderLength;
        if (_superFrameCount == 0 || _superFrames[_superFrameCount - 1].Frame.Offset != frame.Offset || _superFrames[_superFrameCount - 1].Header != remote.Header)
        {
            if (!HasRoom(2 * plan.Count, plan.Count * headers)) return false;
            _superFrames[_superFrameCount++] = new SuperFrame
            {
                Frame = frame, Plan = plan, Header = remote.Header, FirstSlice = _sliceCount, ArenaOffset = TakeArena(plan.Count * headers),
            };
            _sliceCount += 2 * plan.Count;
        }

        _datagrams[Count++] = new Datagram
        {
            FirstSlice = _superFrames[_superFrameCount - 1].FirstSlice,
            SlicesEach = 2,
            Count = plan.Count,
            LengthEach = VxlanHeader.Size + plan.SegmentLength,
            Length = (plan.Count * headers) + frame.Length - plan.HeaderLength,
            FlowHash = flowHash,
            Outer = outer,
            Remote = remote,
            SuperFrame = _superFrameCount,
        };
        return true;
    }

    private void Cut(ref SuperFrame superFrame)
    {
        if (superFrame.IsCut) return;
        superFrame.IsCut = true;
        var plan = superFrame.Plan;
        var headers = VxlanHeader.Size + plan.HeaderLength;
        var bytes = Frames.Bytes(superFrame.Frame);
        for (var i = 0; i < plan.Count; i++)
        {
            var offset = superFrame.ArenaOffset + (i * headers);
            superFrame.Header.Write(Frames.Slab.Slice(offset, VxlanHeader.Size));
            plan.WriteHeaders(bytes, i, Frames.Slab.Slice(offset + VxlanHeader.Size, plan.HeaderLength));
            _slices[superFrame.FirstSlice + (2 * i)] = new SlabSlice(offset, headers);
            _slices[superFrame.FirstSlice + (2 * i) + 1] = new SlabSlice(superFrame.Frame.Offset + plan.PayloadOffset(i), plan.PayloadLength(i));
        }
    }

    /// <summary>Forgets everything.</summary>
    internal void Clear() => Count = _sliceCount = _arenaUsed = _superFrameCount = 0;

    private bool HasRoom(int slices, int arena) =>
        Count < _datagrams.Length && _sliceCount + slices <= _slices.Length && _arenaUsed + arena <= FrameBatch.HeaderArenaSize;

    private int TakeArena(int size)
    {
        var offset = Frames.HeaderArenaOffset + _arenaUsed;
        _arenaUsed += size;
        return offset;
    }

    private struct SuperFrame
    {
        public Frame Frame;
        public SegmentPlan Plan;
        public VxlanHeader Header;
        public int FirstSlice;
        public int ArenaOffset;
        public bool IsCut;
    }
}
