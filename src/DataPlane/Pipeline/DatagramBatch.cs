using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>A datagram to send: a VXLAN header and a frame, two slices of one slab, next to each other unless copies need different headers.</summary>
public struct Datagram
{
    /// <summary>Where the 8 bytes of the header start in the slab.</summary>
    public int HeaderOffset;

    /// <summary>Where the frame starts in the slab.</summary>
    public int FrameOffset;

    /// <summary>Bytes of the frame.</summary>
    public int FrameLength;

    /// <summary>Hash of the inner flow: which source port.</summary>
    public uint FlowHash;

    /// <summary>What the frame's sender left to do.</summary>
    public OffloadFacts Offload;

    /// <summary>Where to.</summary>
    public Remote Remote;

    /// <summary>Written by <see cref="IUnderlay.Send"/>: null if the kernel took it.</summary>
    public DropReason? Drop;

    /// <summary>True if header and frame are one slice.</summary>
    public readonly bool IsContiguous => HeaderOffset + VxlanHeader.Size == FrameOffset;

    /// <summary>UDP payload bytes.</summary>
    public readonly int Length => VxlanHeader.Size + FrameLength;
}

/// <summary>A bounded run of datagrams that point into the slab of one <see cref="FrameBatch"/>; one thread.</summary>
public sealed class DatagramBatch
{
    /// <summary>Datagrams, at most: a full frame batch fourfold replicated; longer lists are sent in parts.</summary>
    public const int DefaultCapacity = 4 * FrameBatch.DefaultCapacity;

    private readonly Datagram[] _datagrams;
    private int _arenaUsed;

    /// <summary>Makes an empty batch over the slab of <paramref name="frames"/>.</summary>
    public DatagramBatch(FrameBatch frames, int capacity = DefaultCapacity)
    {
        ArgumentNullException.ThrowIfNull(frames);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(capacity, FrameBatch.HeaderArenaSize / VxlanHeader.Size);
        Frames = frames;
        _datagrams = new Datagram[capacity];
    }

    /// <summary>Whose slab the datagrams are in.</summary>
    public FrameBatch Frames { get; }

    /// <summary>Datagrams in use.</summary>
    public int Count { get; private set; }

    /// <summary>True if no more fit.</summary>
    public bool IsFull => Count == _datagrams.Length;

    /// <summary>A datagram of the batch.</summary>
    public ref Datagram this[int index] => ref _datagrams[index];

    /// <summary>Adds a copy of a frame for a remote. The header is written before the frame if <paramref name="headerInPlace"/>, else beside.</summary>
    internal void Add(in Frame frame, Remote remote, uint flowHash, bool headerInPlace)
    {
        ref var datagram = ref _datagrams[Count++];
        datagram.FrameOffset = frame.Offset;
        datagram.FrameLength = frame.Length;
        datagram.FlowHash = flowHash;
        datagram.Offload = frame.Offload;
        datagram.Remote = remote;
        datagram.Drop = null;
        if (headerInPlace)
        {
            datagram.HeaderOffset = frame.Offset - VxlanHeader.Size;
        }
        else
        {
            datagram.HeaderOffset = Frames.HeaderArenaOffset + _arenaUsed;
            _arenaUsed += VxlanHeader.Size;
        }

        new VxlanHeader(remote.Vni).Write(Frames.Slab.Slice(datagram.HeaderOffset, VxlanHeader.Size));
    }

    /// <summary>Forgets all datagrams.</summary>
    internal void Clear() => Count = _arenaUsed = 0;
}
