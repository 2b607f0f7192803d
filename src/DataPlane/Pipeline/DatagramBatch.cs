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

    /// <summary>Where to.</summary>
    public Remote Remote;

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

    // The super-frame cut last, so that its next copy can use the same segments.
    private int _cutFrameOffset = -1;
    private Vni _cutVni;
    private int _cutIndex;

    /// <summary>Makes an empty batch over the slab of <paramref name="frames"/>.</summary>
    public DatagramBatch(FrameBatch frames, int capacity = DefaultCapacity)
    {
        ArgumentNullException.ThrowIfNull(frames);
        Frames = frames;
        _datagrams = new Datagram[capacity];
    }

    /// <summary>Whose slab the datagrams are in.</summary>
    public FrameBatch Frames { get; }

    /// <summary>Entries in use.</summary>
    public int Count { get; private set; }

    /// <summary>An entry of the batch.</summary>
    public ref Datagram this[int index] => ref _datagrams[index];

    /// <summary>Slices of an entry: <see cref="Datagram.SlicesEach"/> for each of its datagrams, in order.</summary>
    public ReadOnlySpan<SlabSlice> SlicesOf(in Datagram datagram) => _slices.AsSpan(datagram.FirstSlice, datagram.SlicesEach * datagram.Count);

    /// <summary>Adds a copy of a frame for a remote.</summary>
    /// <param name="frame">A frame that needs nothing done.</param>
    /// <param name="remote">Where to.</param>
    /// <param name="flowHash">Hash of the inner flow.</param>
    /// <param name="headerInPlace">Write the VXLAN header before the frame; else beside it, for copies with different headers.</param>
    /// <returns>False if the batch is full: send it first.</returns>
    internal bool TryAdd(in Frame frame, Remote remote, uint flowHash, bool headerInPlace)
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

        new VxlanHeader(remote.Vni).Write(Frames.Slab.Slice(headerOffset, VxlanHeader.Size));
        var length = VxlanHeader.Size + frame.Length;
        // Field by field: a value with a reference in it is otherwise built aside and copied by "rep movs", 10 ns a frame.
        ref var datagram = ref _datagrams[Count++];
        datagram.FirstSlice = first;
        datagram.SlicesEach = _sliceCount - first;
        datagram.Count = 1;
        datagram.LengthEach = length;
        datagram.Length = length;
        datagram.FlowHash = flowHash;
        datagram.Remote = remote;
        datagram.Drop = null;
        datagram.Dropped = 0;
        return true;
    }

    /// <summary>Adds the segments of a super-frame for a remote: headers written anew, payload in place.</summary>
    /// <returns>False if the batch is full: send it first.</returns>
    internal bool TryAdd(in Frame frame, in SegmentPlan plan, Remote remote, uint flowHash)
    {
        if (Count == _datagrams.Length) return false;
        if (_cutFrameOffset != frame.Offset || _cutVni != remote.Vni)
        {
            var headers = VxlanHeader.Size + plan.HeaderLength;
            if (!HasRoom(2 * plan.Count, plan.Count * headers)) return false;
            var first = _sliceCount;
            var bytes = Frames.Bytes(frame);
            for (var i = 0; i < plan.Count; i++)
            {
                var offset = TakeArena(headers);
                new VxlanHeader(remote.Vni).Write(Frames.Slab.Slice(offset, VxlanHeader.Size));
                plan.WriteHeaders(bytes, i, Frames.Slab.Slice(offset + VxlanHeader.Size, plan.HeaderLength));
                _slices[_sliceCount++] = new SlabSlice(offset, headers);
                _slices[_sliceCount++] = new SlabSlice(frame.Offset + plan.PayloadOffset(i), plan.PayloadLength(i));
            }

            (_cutFrameOffset, _cutVni, _cutIndex) = (frame.Offset, remote.Vni, Count);
            _datagrams[Count++] = new Datagram
            {
                FirstSlice = first,
                SlicesEach = 2,
                Count = plan.Count,
                LengthEach = VxlanHeader.Size + plan.SegmentLength,
                Length = (plan.Count * headers) + frame.Length - plan.HeaderLength,
                FlowHash = flowHash,
                Remote = remote,
            };
            return true;
        }

        _datagrams[Count] = _datagrams[_cutIndex] with { Remote = remote };
        Count++;
        return true;
    }

    /// <summary>Forgets everything.</summary>
    internal void Clear()
    {
        Count = _sliceCount = _arenaUsed = 0;
        _cutFrameOffset = -1;
    }

    private bool HasRoom(int slices, int arena) =>
        Count < _datagrams.Length && _sliceCount + slices <= _slices.Length && _arenaUsed + arena <= FrameBatch.HeaderArenaSize;

    private int TakeArena(int size)
    {
        var offset = Frames.HeaderArenaOffset + _arenaUsed;
        _arenaUsed += size;
        return offset;
    }
}
