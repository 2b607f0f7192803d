using System.Buffers.Binary;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>Where a packet was seen.</summary>
public enum CapturePoint : byte
{
    /// <summary>A frame from the TAP, as the host sent it.</summary>
    FromTap,

    /// <summary>A frame to the TAP.</summary>
    ToTap,

    /// <summary>A datagram from the underlay.</summary>
    FromUnderlay,

    /// <summary>A datagram to the underlay.</summary>
    ToUnderlay,
}

/// <summary>A packet as it was captured; the bytes are the ring's and good until the next is read.</summary>
public readonly ref struct CapturedPacket
{
    internal CapturedPacket(ReadOnlySpan<byte> record)
    {
        Point = (CapturePoint)record[4];
        Drop = record[5] == CaptureRing.NoDrop ? null : (DropReason)record[5];
        OriginalLength = BinaryPrimitives.ReadInt32LittleEndian(record[8..]);
        Vni = BinaryPrimitives.ReadUInt32LittleEndian(record[12..]);
        Nanoseconds = BinaryPrimitives.ReadInt64LittleEndian(record[16..]);
        Bytes = record.Slice(CaptureRing.HeaderSize, BinaryPrimitives.ReadInt32LittleEndian(record[24..]));
    }

    /// <summary>Where it was seen.</summary>
    public CapturePoint Point { get; }

    /// <summary>Why it was dropped, if it was.</summary>
    public DropReason? Drop { get; }

    /// <summary>Its length; <see cref="Bytes"/> may be fewer.</summary>
    public int OriginalLength { get; }

    /// <summary>Its VNI: the segment's for frames, the header's for datagrams.</summary>
    public uint Vni { get; }

    /// <summary>When, in nanoseconds of the clock that the ring was made with.</summary>
    public long Nanoseconds { get; }

    /// <summary>An Ethernet frame, or for datagrams an IP packet whose headers down to UDP were made up around what the socket took or gave.</summary>
    public ReadOnlySpan<byte> Bytes { get; }
}

/// <summary>
/// Packets of one worker on their way to whoever captures: one writes, one reads, and neither waits. What finds no room is left out and counted, so that
/// a reader that is too slow gets a sample. Nothing is allocated after it was made.
/// </summary>
public sealed class CaptureRing
{
    /// <summary>Bytes of a ring: some 20,000 packets of 200 bytes, or 64 super-frames.</summary>
    public const int Size = 4 << 20;

    internal const int HeaderSize = 32;
    internal const byte NoDrop = 0xFF;

    private const int Skip = -1;
    private const int OuterRoom = 48;

    private readonly byte[] _bytes;
    private readonly int _size;
    private readonly Func<long> _clock;
    private readonly uint? _only;
    private readonly int _snapLength;
    private readonly InternetAddress _local;
    private readonly ushort _port;
    private long _written;
    private long _read;
    private long _lost;

    // The worker's own: how far it has written, and the record whose fate is not known yet.
    private long _head;
    private int _heldAt;
    private bool _isHeld;

    /// <summary>Makes an empty ring.</summary>
    /// <param name="clock">Nanoseconds; any zero.</param>
    /// <param name="only">The one VNI of interest; null for all.</param>
    /// <param name="snapLength">Bytes of each packet that are kept.</param>
    /// <param name="local">Our own address for made-up headers.</param>
    /// <param name="port">Our own UDP port for them.</param>
    /// <param name="size">Its bytes, a multiple of 8.</param>
    public CaptureRing(Func<long> clock, uint? only, int snapLength, InternetAddress local, ushort port, int size = Size)
    {
        _bytes = GC.AllocateUninitializedArray<byte>(size, pinned: true);
        _size = size;
        _clock = clock;
        _only = only;
        _snapLength = snapLength;
        _local = local;
        _port = port;
    }

    /// <summary>Packets that found no room.</summary>
    public long Lost => Volatile.Read(ref _lost);

    // ---- the worker ----

    /// <summary>Copies a frame of a TAP whose fate is not known yet; <see cref="Release"/> must follow. What is added in between comes behind it.</summary>
    internal void Hold(uint vni, ReadOnlySpan<byte> frame)
    {
        if (!TryBegin(CapturePoint.FromTap, vni, frame.Length, out var room)) return;
        Copy(frame, room);
        _isHeld = true;
    }

    /// <summary>Copies a datagram whose fate is not known yet; <see cref="Release"/> must follow.</summary>
    internal void Hold(uint vni, InternetAddress sender, ReadOnlySpan<byte> datagram, OuterClass outer = default) =>
        _isHeld = TryCopyDatagram(CapturePoint.FromUnderlay, vni, sender, 0, _port, datagram, default, outer);

    /// <summary>Says what came of what is held, and hands it over with what came behind.</summary>
    internal void Release(DropReason? drop)
    {
        if (_isHeld && drop is { } reason) _bytes[_heldAt + 5] = (byte)reason;
        _isHeld = false;
        Publish();
    }

    /// <summary>Copies what is sent to a TAP, a merged super-frame as one.</summary>
    internal void AddToTap(uint vni, FrameBatch batch, in Frame frame, ReadOnlySpan<SlabSlice> more)
    {
        var length = frame.Length;
        foreach (var slice in more) length += slice.Length;
        var held = (_isHeld, _heldAt);
        if (TryBegin(CapturePoint.ToTap, vni, length, out var room))
        {
            room = Copy(batch.Bytes(frame), room);
            foreach (var slice in more) room = Copy(batch.Slab.Slice(slice.Offset, slice.Length), room);
        }

        (_isHeld, _heldAt) = held;
        Publish();
    }

    /// <summary>Copies what was sent to the underlay, or should have been; a super-frame as one, before it is cut.</summary>
    internal void AddSent(DatagramBatch batch, SourcePorts ports)
    {
        Span<byte> header = stackalloc byte[VxlanHeader.Size];
        var held = (_isHeld, _heldAt);
        for (var i = 0; i < batch.Count; i++)
        {
            ref readonly var datagram = ref batch[i];
            var remote = datagram.Remote;
            ReadOnlySpan<byte> first = header, second;
            if (datagram.SuperFrame != 0)
            {
                remote.Header.Write(header);
                second = batch.Frames.Bytes(batch.WholeOf(datagram, out _));
            }
            else
            {
                var slices = batch.SlicesOf(datagram);
                first = batch.Frames.Slab.Slice(slices[0].Offset, slices[0].Length);
                second = slices.Length > 1 ? batch.Frames.Slab.Slice(slices[1].Offset, slices[1].Length) : default;
            }

            var port = ports.PortOf(datagram.FlowHash).Port;
            if (TryCopyDatagram(CapturePoint.ToUnderlay, remote.Vni.Value, remote.Address.Address, port, remote.Address.Port, first, second, datagram.Outer) && datagram.Drop is { } reason)
                _bytes[_heldAt + 5] = (byte)reason;
        }

        (_isHeld, _heldAt) = held;
        Publish();
    }

    // The reader sees nothing of what is held, nor of what came behind it.
    private void Publish()
    {
        if (!_isHeld) Volatile.Write(ref _written, _head);
    }

    private bool TryCopyDatagram(
        CapturePoint point, uint vni, InternetAddress peer, ushort sourcePort, ushort targetPort, ReadOnlySpan<byte> header, ReadOnlySpan<byte> frame, OuterClass outerClass)
    {
        Span<byte> outer = stackalloc byte[OuterRoom];
        var payload = header.Length + frame.Length;
        var isOut = point == CapturePoint.ToUnderlay;
        var size = OuterHeaders.Write(outer, isOut ? _local : peer, isOut ? peer : _local, sourcePort, targetPort, payload, outerClass);
        if (!TryBegin(point, vni, size + payload, out var room)) return false;
        Copy(frame, Copy(header, Copy(outer[..size], room)));
        return true;
    }

    private bool TryBegin(CapturePoint point, uint vni, int length, out Span<byte> room)
    {
        room = default;
        if (_only is { } only && only != vni) return false;
        var kept = Math.Min(length, _snapLength);
        var size = (HeaderSize + kept + 7) & ~7;
        var at = (int)(_head % _size);
        // A record stands in one piece; what is left at the end is passed over.
        var passed = at + size > _size ? _size - at : 0;
        if (_head + passed + size - Volatile.Read(ref _read) > _size)
        {
            Volatile.Write(ref _lost, _lost + 1);
            return false;
        }

        if (passed > 0)
        {
            BinaryPrimitives.WriteInt32LittleEndian(_bytes.AsSpan(at), Skip);
            at = 0;
        }

        var record = _bytes.AsSpan(at, size);
        BinaryPrimitives.WriteInt32LittleEndian(record, size);
        record[4] = (byte)point;
        record[5] = NoDrop;
        BinaryPrimitives.WriteInt32LittleEndian(record[8..], length);
        BinaryPrimitives.WriteUInt32LittleEndian(record[12..], vni);
        BinaryPrimitives.WriteInt64LittleEndian(record[16..], _clock());
        BinaryPrimitives.WriteInt32LittleEndian(record[24..], kept);
        _heldAt = at;
        _head += passed + size;
        room = record.Slice(HeaderSize, kept);
        return true;
    }

    private static Span<byte> Copy(scoped ReadOnlySpan<byte> from, Span<byte> to)
    {
        var count = Math.Min(from.Length, to.Length);
        from[..count].CopyTo(to);
        return to[count..];
    }

    // ---- whoever captures ----

    /// <summary>Takes the oldest packet. <see cref="Free"/> gives its bytes back.</summary>
    public bool TryRead(out CapturedPacket packet)
    {
        packet = default;
        while (_read != Volatile.Read(ref _written))
        {
            var at = (int)(_read % _size);
            var size = BinaryPrimitives.ReadInt32LittleEndian(_bytes.AsSpan(at));
            if (size != Skip)
            {
                packet = new CapturedPacket(_bytes.AsSpan(at, size));
                return true;
            }

            Volatile.Write(ref _read, _read + _size - at);
        }

        return false;
    }

    /// <summary>Gives the bytes of the packet that was read back.</summary>
    public void Free()
    {
        var at = (int)(_read % _size);
        Volatile.Write(ref _read, _read + BinaryPrimitives.ReadInt32LittleEndian(_bytes.AsSpan(at)));
    }
}
