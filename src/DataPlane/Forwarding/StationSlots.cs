using System.Diagnostics;
using System.Numerics;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Forwarding;

/// <summary>
/// The memory of an FDB: a word an entry, so that a look-up touches one cache line; and beside it when each station was last seen, which only
/// learning looks at. No reference is in it, so a garbage collection does not read it. At 1,048,576 entries 16 MiB and 8 MiB.
/// <code>
/// word: 0 if free, else │ number of its destinations, from 1 on 16 │ MAC 48 │
/// </code>
/// Open addressing with linear probing, at most half full. Read by any thread without a lock, an entry being one read; changed by one writer at
/// a time. Comparing the eight words of a line at once is slower on the frame path, by 6 ns a frame: what follows must wait for the comparison, while a
/// branch, mostly right, lets the processor go on.
/// </summary>
internal sealed class StationSlots
{
    /// <summary>The largest number that a word holds.</summary>
    internal const int MaxNumber = ushort.MaxValue;

    private const int NumberShift = 48;
    private const ulong MacMask = (1UL << NumberShift) - 1;

    private readonly ulong[] _words;
    private readonly uint[] _seen;
    private readonly ulong _hashKey;

    /// <summary>Makes free slots.</summary>
    /// <param name="capacity">How many; a power of two.</param>
    /// <param name="hashKey">A secret, so that nobody on the wire can aim at one slot.</param>
    internal StationSlots(int capacity, ulong hashKey)
    {
        Debug.Assert(BitOperations.IsPow2(capacity), "masks need a power of two");
        _words = new ulong[capacity];
        _seen = new uint[capacity];
        _hashKey = hashKey;
    }

    /// <summary>Slots.</summary>
    internal int Capacity => _words.Length;

    /// <summary>When the station of a slot was last seen, in the table's unit. A refresh that another thread overwrites comes again.</summary>
    internal ref uint SeenAt(int index) => ref _seen[index];

    /// <summary>The number of a MAC's destinations; 0 if it has no entry. While a writer removes entries, it may be missed.</summary>
    /// <param name="mac">The station.</param>
    /// <param name="index">Its slot, for the moment.</param>
    internal int Find(MacAddress mac, out int index)
    {
        // One array for the whole look-up; masked by its own length, the index needs no other check.
        var words = _words;
        for (index = Home(mac.Value); ; index++)
        {
            index &= words.Length - 1;
            var word = Volatile.Read(ref words[index]);
            if ((word & MacMask) == mac.Value || word == 0) return NumberOf(word);
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
        Volatile.Write(ref _words[index], ((ulong)number << NumberShift) | mac.Value);
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
            Volatile.Write(ref _words[hole], WordAt(i));
            hole = i;
        }

        Volatile.Write(ref _words[hole], 0);
    }

    /// <summary>A copy with twice as many slots.</summary>
    internal StationSlots Doubled()
    {
        var doubled = new StationSlots(Capacity * 2, _hashKey);
        for (var i = 0; i < Capacity; i++)
            if (this[i] is (var mac, not 0 and var number)) doubled.Insert(mac, number, _seen[i]);
        return doubled;
    }

    private ulong WordAt(int index) => Volatile.Read(ref _words[index]);

    private static int NumberOf(ulong word) => (int)(word >> NumberShift);

    private int Home(ulong mac)
    {
        var mixed = (mac ^ _hashKey) * 0x9E37_79B9_7F4A_7C15UL;
        mixed = (mixed ^ (mixed >> 32)) * 0xD6E8_FEB8_6659_FD93UL;
        return (int)(mixed >> 32) & (Capacity - 1);
    }

    private int Next(int index) => (index + 1) & (Capacity - 1);
}
