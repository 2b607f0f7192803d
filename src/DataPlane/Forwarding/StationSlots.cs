using System.Diagnostics;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Forwarding;

/// <summary>
/// The memory of an FDB: a word an entry, eight to a cache line, so that a look-up touches one line; and beside it when each station was last seen,
/// which only learning looks at. No reference is in it, so a garbage collection does not read it. At 1,048,576 entries 16 MiB and 8 MiB.
/// <code>
/// word: 0 if free, else │ number of its destinations, from 1 on 16 │ MAC 48 │
/// </code>
/// Open addressing: a MAC's home is a whole line, and from there on to the first free slot; at most half full, which leaves 98 of 100 entries at
/// home. The words of a line are compared at once: a branch for each, decided by memory that is not there yet, would make a look-up wait for the
/// one before. Read by any thread without a lock, a word being one read; changed by one writer at a time.
/// </summary>
internal sealed class StationSlots
{
    /// <summary>The largest number that a word holds.</summary>
    internal const int MaxNumber = ushort.MaxValue;

    private const int LineBytes = 64;
    private const int LineSlots = LineBytes / sizeof(ulong);
    private const int NumberShift = 48;
    private const ulong MacMask = (1UL << NumberShift) - 1;

    private readonly ulong[] _words;
    private readonly uint[] _seen;
    private readonly int _first;
    private readonly int _lineMask;
    private readonly ulong _hashKey;

    /// <summary>Makes free slots.</summary>
    /// <param name="capacity">How many; a power of two.</param>
    /// <param name="hashKey">A secret, so that nobody on the wire can aim at one line.</param>
    internal StationSlots(int capacity, ulong hashKey)
    {
        Debug.Assert(BitOperations.IsPow2(capacity) && capacity >= LineSlots, "masks need a power of two");
        // Pinned, so that what starts at a cache line once does so for good.
        _words = GC.AllocateArray<ulong>(capacity + LineSlots, pinned: true);
        var misplaced = (int)(Marshal.UnsafeAddrOfPinnedArrayElement(_words, 0) % LineBytes);
        _first = (LineBytes - misplaced) % LineBytes / sizeof(ulong);
        _seen = new uint[capacity];
        _lineMask = (capacity / LineSlots) - 1;
        _hashKey = hashKey;
        Capacity = capacity;
    }

    /// <summary>Slots.</summary>
    internal int Capacity { get; }

    /// <summary>When the station of a slot was last seen, in the table's unit. A refresh that another thread overwrites comes again.</summary>
    internal ref uint SeenAt(int index) => ref _seen[index];

    /// <summary>The number of a MAC's destinations; 0 if it has no entry. While a writer removes entries, it may be missed.</summary>
    /// <param name="mac">The station.</param>
    /// <param name="index">Its slot, for the moment.</param>
    internal int Find(MacAddress mac, out int index)
    {
        index = Home(mac.Value);
        return FindFrom(mac, ref index);
    }

    /// <summary>As <see cref="Find"/>; what <see cref="SeenAt"/> will read is fetched at the same time.</summary>
    internal int FindToRefresh(MacAddress mac, out int index)
    {
        index = Home(mac.Value);
        _ = Volatile.Read(ref _seen[index]);
        return FindFrom(mac, ref index);
    }

    private int FindFrom(MacAddress mac, ref int index)
    {
        ReadOnlySpan<ulong> line = new(_words, _first + index, LineSlots);
        Vector256<ulong> low = Vector256.Create(line), high = Vector256.Create(line[(LineSlots / 2)..]);
        var sought = Vector256.Create(mac.Value);
        var macs = Vector256.Create(MacMask);
        var matches = Equal(low & macs, high & macs, sought);
        if (matches == 0) return Equal(low, high, default) != 0 ? 0 : FindBehind(mac.Value, ref index);
        var slot = BitOperations.TrailingZeroCount(matches);
        index += slot;
        // Read again: the writer may have given the slot away since, and two halves of a vector are two reads.
        var word = Volatile.Read(ref _words[_first + index]);
        return (word & MacMask) == mac.Value ? NumberOf(word) : 0;
    }

    private static uint Equal(Vector256<ulong> low, Vector256<ulong> high, Vector256<ulong> to) =>
        Vector256.Equals(low, to).ExtractMostSignificantBits() | (Vector256.Equals(high, to).ExtractMostSignificantBits() << (LineSlots / 2));

    private int FindBehind(ulong mac, ref int index)
    {
        for (index = Next(index + LineSlots - 1); ; index = Next(index))
        {
            var word = WordAt(index);
            if (word == 0 || (word & MacMask) == mac) return NumberOf(word);
        }
    }

    /// <summary>The entry of a slot; number 0 if it is free.</summary>
    internal (MacAddress Mac, int Number) this[int index] => (MacAddress.FromValue(WordAt(index)), NumberOf(WordAt(index)));

    // ---- one writer at a time ----

    /// <summary>Puts a MAC that is not there into a free slot; there must be one.</summary>
    internal void Insert(MacAddress mac, int number, uint seen)
    {
        var i = Home(mac.Value);
        while (WordAt(i) != 0) i = Next(i);
        _seen[i] = seen;
        SetNumber(i, mac, number);
    }

    /// <summary>Changes the destinations of a MAC's entry.</summary>
    internal void SetNumber(int index, MacAddress mac, int number)
    {
        Debug.Assert(number is > 0 and <= MaxNumber, "0 is a free slot");
        Volatile.Write(ref _words[_first + index], ((ulong)number << NumberShift) | mac.Value);
    }

    /// <summary>Frees a slot. Later entries move back towards their homes; while that goes on, readers may miss them.</summary>
    internal void Remove(int index)
    {
        Debug.Assert(WordAt(index) != 0, "only an entry can be removed");
        var hole = index;
        for (var i = Next(hole); WordAt(i) != 0; i = Next(i))
        {
            // An entry may move back into the hole unless its home lies behind the hole.
            var home = Home(WordAt(i) & MacMask);
            if (((i - home) & (Capacity - 1)) < ((i - hole) & (Capacity - 1))) continue;
            _seen[hole] = _seen[i];
            Volatile.Write(ref _words[_first + hole], WordAt(i));
            hole = i;
        }

        Volatile.Write(ref _words[_first + hole], 0);
    }

    /// <summary>A copy with twice as many slots.</summary>
    internal StationSlots Doubled()
    {
        var doubled = new StationSlots(Capacity * 2, _hashKey);
        for (var i = 0; i < Capacity; i++)
            if (this[i] is (var mac, not 0 and var number)) doubled.Insert(mac, number, _seen[i]);
        return doubled;
    }

    private ulong WordAt(int index) => Volatile.Read(ref _words[_first + index]);

    private static int NumberOf(ulong word) => (int)(word >> NumberShift);

    private int Home(ulong mac)
    {
        var mixed = (mac ^ _hashKey) * 0x9E37_79B9_7F4A_7C15UL;
        mixed = (mixed ^ (mixed >> 32)) * 0xD6E8_FEB8_6659_FD93UL;
        return ((int)(mixed >> 32) & _lineMask) * LineSlots;
    }

    private int Next(int index) => (index + 1) & (Capacity - 1);
}
