using System.Buffers.Binary;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Guards;

/// <summary>
/// Remembers for a second the starts of group frames that were flooded from here, to know them again should they come back: then there is a way around, such as a
/// bridge over two segments. A station that moved away sends frames of its own, not those that it sent here; and one frame that comes back is no
/// loop yet. A hash and a time in 8 bytes, <see cref="Capacity"/> of them, the newest of a place stays. Any thread; no lock, nothing allocated.
/// </summary>
internal sealed class LoopWatch(int limit)
{
    /// <summary>Time within which frames that come back are counted, in milliseconds.</summary>
    public const long WindowMilliseconds = 10_000;

    /// <summary>Frames remembered, at most.</summary>
    public const int Capacity = 1024;

    private const int MemoryMilliseconds = 1_000;
    private const int TickShift = 4;
    private const int TickMask = 0xFFFF;

    // Ethernet with the header of IPv4, without what a device may still change (checksums) or cut off; of ARP all.
    private const int StartSize = 34;
    private const int ArpSize = 42;
    private const int ArpTypeOffset = 12;

    private readonly ulong[] _seen = new ulong[Capacity];
    private long _windowStart;
    private int _returns;

    /// <summary>Remembers a frame that is flooded.</summary>
    public void Note(ReadOnlySpan<byte> frame, long nowMilliseconds)
    {
        var hash = HashOf(frame);
        Volatile.Write(ref _seen[hash % Capacity], (hash & ~(ulong)TickMask) | TickOf(nowMilliseconds));
    }

    /// <summary>Whether a received frame was flooded from here within the last second.</summary>
    public bool IsBack(ReadOnlySpan<byte> frame, long nowMilliseconds)
    {
        var hash = HashOf(frame);
        var seen = Volatile.Read(ref _seen[hash % Capacity]);
        return ((seen ^ hash) & ~(ulong)TickMask) == 0 && (((long)(TickOf(nowMilliseconds) - (uint)(seen & TickMask)) & TickMask) << TickShift) <= MemoryMilliseconds;
    }

    /// <summary>Counts a frame that came back; true if that makes as many as there may be in the window.</summary>
    public bool IsLoop(long nowMilliseconds)
    {
        var start = Volatile.Read(ref _windowStart);
        if (nowMilliseconds - start >= WindowMilliseconds && Interlocked.CompareExchange(ref _windowStart, nowMilliseconds, start) == start)
            Volatile.Write(ref _returns, 0);
        return Interlocked.Increment(ref _returns) >= limit;
    }

    // Never 0 in the hash's own bits, which is what an empty place has.
    private static ulong HashOf(ReadOnlySpan<byte> frame)
    {
        var isArp = frame.Length >= ArpSize && BinaryPrimitives.ReadUInt16BigEndian(frame[ArpTypeOffset..]) == EtherType.Arp;
        var start = frame[..Math.Min(frame.Length, isArp ? ArpSize : StartSize)];
        ulong hash = 0;
        for (; start.Length >= sizeof(ulong); start = start[sizeof(ulong)..]) hash = StationBuckets.Mix(hash ^ BinaryPrimitives.ReadUInt64LittleEndian(start));
        foreach (var octet in start) hash = StationBuckets.Mix(hash ^ octet);
        return hash | (1UL << 63);
    }

    private static uint TickOf(long nowMilliseconds) => (uint)(nowMilliseconds >> TickShift) & TickMask;
}
