using Sleeve.DataPlane.Interop;

namespace Sleeve.DataPlane.Buffers;

/// <summary>
/// A bounded run of frames in slots of one slab, filled by a receive and reused for the next. A slot has headroom before its frame, so that
/// headers are put in front without moving bytes. One thread; the bytes are the batch's and good until <see cref="Clear"/>.
/// <code>
/// slot: │◀──────────────── Headroom ───────────────▶│ frame, at most MaxFrameSize │
///       │ spare for outer headers │ virtio or VXLAN │
/// </code>
/// </summary>
public sealed class FrameBatch
{
    /// <summary>Frames a batch, at most: enough to spread the cost of a system call, few enough to stay in the cache.</summary>
    public const int DefaultCapacity = 64;

    /// <summary>
    /// Bytes free before a received frame. Users: the virtio header (10; 24 with tunnel offload) or the VXLAN header (8), and outer
    /// Ethernet (14), IPv6 (40), UDP (8) and VXLAN (8) where the whole outer packet is written: 94, rounded up to cache lines.
    /// </summary>
    public const int Headroom = 128;

    /// <summary>
    /// The longest frame: a super-frame of 64 KiB with its Ethernet header and tags, which a kernel VTEP on the same machine hands over whole.
    /// </summary>
    public const int MaxFrameSize = 65536 + 64;

    /// <summary>Bytes from one slot to the next: not a power of two, so that the heads of neighbouring slots fall into different cache sets.</summary>
    public const int SlotSize = Headroom + MaxFrameSize;

    /// <summary>Bytes behind the slots for headers that do not fit in a headroom because copies of one frame need different ones.</summary>
    public const int HeaderArenaSize = 16384;

    private readonly Frame[] _frames;

    /// <summary>Allocates the slots.</summary>
    public FrameBatch(int capacity = DefaultCapacity)
    {
        _frames = new Frame[capacity];
        Slab = new PinnedSlab((capacity * SlotSize) + HeaderArenaSize);
    }

    /// <summary>The memory of all slots, then the header arena.</summary>
    public PinnedSlab Slab { get; }

    /// <summary>Where the header arena starts in the slab.</summary>
    public int HeaderArenaOffset => _frames.Length * SlotSize;

    /// <summary>Slots.</summary>
    public int Capacity => _frames.Length;

    /// <summary>Frames in use; slots 0 to Count − 1.</summary>
    public int Count { get; private set; }

    /// <summary>True if no slot is left.</summary>
    public bool IsFull => Count == _frames.Length;

    /// <summary>A frame of the batch.</summary>
    public ref Frame this[int index] => ref _frames[index];

    /// <summary>Bytes of a frame.</summary>
    public Span<byte> Bytes(in Frame frame) => Slab.Slice(frame.Offset, frame.Length);

    /// <summary>The room for a frame in a slot that is not yet in use, from <see cref="Headroom"/> on, with <paramref name="before"/> bytes of headroom.</summary>
    public Span<byte> Room(int slot, int before = 0) => Slab.Slice((slot * SlotSize) + Headroom - before, MaxFrameSize + before);

    /// <summary>Takes the next slot for a frame that was put at <see cref="Headroom"/>.</summary>
    public ref Frame Add(int length)
    {
        ref var frame = ref _frames[Count];
        frame = new Frame { Offset = (Count * SlotSize) + Headroom, Length = length };
        Count++;
        return ref frame;
    }

    /// <summary>Gives all slots back.</summary>
    public void Clear() => Count = 0;
}
