using System.Diagnostics;
using System.Security.Cryptography;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Forwarding;

/// <summary>What learning from a received frame came to.</summary>
public enum LearnResult
{
    /// <summary>The station was known behind that VTEP.</summary>
    Known,

    /// <summary>A new entry was made.</summary>
    Learned,

    /// <summary>The station was behind another VTEP until now.</summary>
    Moved,

    /// <summary>A static or permanent entry puts the station elsewhere: the frame must be dropped (section 5.7 of the kernel's behaviour).</summary>
    Conflict,

    /// <summary>Learning is off, or the table is at its limit or busy: not learned, but the frame goes on.</summary>
    Skipped,
}

/// <summary>
/// The FDB of a segment: which VTEPs a MAC is behind. Its rules, as of Linux 6.15:
/// a frame received from a VTEP puts its source there (dynamic), at once overriding where it was; only reception keeps an entry young;
/// silence for the ageing time removes it; static and permanent entries neither move nor age, and a frame that contradicts one is dropped;
/// 00:00:00:00:00:00 holds the default destinations of whatever has no entry; only it and group addresses may have more than one.
/// <para>
/// Look-ups and refreshes take no lock and come from any thread. A change takes the lock; the data plane skips a change rather than wait
/// for it. Open addressing with linear probing, at most half full; deletion moves later entries back, under a version that readers check
/// before they believe that something is absent.
/// </para>
/// </summary>
public sealed class ForwardingTable
{
    private const ulong InUse = 1UL << 48;
    private const int KindShift = 49;
    private const ulong KindMask = 3UL << KindShift;

    // A slot whose entry is being exchanged: no station's, but not the end of a chain either.
    private const ulong Moving = 1UL << 51;
    private const int FirstCapacity = 64;
    private const int MaxRetries = 8;
    private const int SweepSlots = 1 << 16;

    private readonly Lock _writers = new();
    private readonly SegmentOptions _options;
    private readonly RemoteTable _remotes;
    private readonly VtepAddress _self;

    // Keyed, so that nobody on the wire can aim at one slot.
    private readonly ulong _hashKey = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8));
    private Slot[] _slots = new Slot[FirstCapacity];
    private ReplicationList _default = ReplicationList.Empty;
    private EntryKind _defaultKind;
    private long _defaultSeenMilliseconds;
    private int _count;
    private int _version;

    internal ForwardingTable(SegmentOptions options, RemoteTable remotes, VtepAddress self)
    {
        _options = options;
        _remotes = remotes;
        _self = self;
    }

    /// <summary>Entries of all kinds, the default destinations counted as one.</summary>
    public int Count => Volatile.Read(ref _count) + (Volatile.Read(ref _default).Remotes.IsEmpty ? 0 : 1);

    /// <summary>Where frames go that have no entry of their own: the replication list.</summary>
    public ReplicationList Default => Volatile.Read(ref _default);

    // ---- data plane ----

    /// <summary>Where a frame to <paramref name="destination"/> goes: its own entry, else the default destinations. Never null, may be empty.</summary>
    public ReplicationList Lookup(MacAddress destination) => Find(destination) ?? Default;

    /// <summary>The destinations of a MAC's own entry; null if it has none.</summary>
    public ReplicationList? Find(MacAddress destination)
    {
        var wanted = InUse | destination.Value;
        for (var retry = 0; retry < MaxRetries; retry++)
        {
            var version = Volatile.Read(ref _version);
            var slots = Volatile.Read(ref _slots);
            var mask = slots.Length - 1;
            for (var i = Home(wanted, mask); ; i = (i + 1) & mask)
            {
                ref var slot = ref slots[i];
                var key = Volatile.Read(ref slot.Key);
                if (key == 0) break;
                if ((key & ~KindMask) != wanted) continue;
                var destinations = Volatile.Read(ref slot.Destinations);
                // The slot may have been given to another station between the two reads.
                if ((Volatile.Read(ref slot.Key) & ~KindMask) == wanted) return destinations;
                break;
            }

            if ((version & 1) == 0 && Volatile.Read(ref _version) == version) break;
        }

        return null;
    }

    /// <summary>Learns that <paramref name="source"/> is behind the VTEP <paramref name="sender"/>, or refreshes it.</summary>
    /// <param name="source">A valid source address.</param>
    /// <param name="sender">Underlay address the frame came from.</param>
    /// <param name="nowMilliseconds">The clock.</param>
    public LearnResult Learn(MacAddress source, InternetAddress sender, long nowMilliseconds)
    {
        if (!_options.Learning) return LearnResult.Skipped;
        var slots = Volatile.Read(ref _slots);
        var index = IndexOf(slots, source);
        if (index >= 0)
        {
            ref var slot = ref slots[index];
            var key = Volatile.Read(ref slot.Key);
            var destinations = Volatile.Read(ref slot.Destinations);
            // Only if the slot was not given to another station meanwhile: a conflict drops the frame, so it must not be imagined.
            if ((key & ~KindMask) == (InUse | source.Value) && Volatile.Read(ref slot.Key) == key)
            {
                var isThere = IsBehind(destinations, sender);
                if (KindOf(key) != EntryKind.Dynamic) return isThere ? LearnResult.Known : LearnResult.Conflict;
                if (isThere)
                {
                    // A write a frame would keep the cache line travelling between cores; a tenth of the age is precise enough.
                    if (nowMilliseconds - slot.SeenMilliseconds >= _options.AgeingMilliseconds / 10) slot.SeenMilliseconds = nowMilliseconds;
                    return LearnResult.Known;
                }
            }
        }

        return LearnNew(source, sender, nowMilliseconds);
    }

    private LearnResult LearnNew(MacAddress source, InternetAddress sender, long nowMilliseconds)
    {
        if (!_writers.TryEnter()) return LearnResult.Skipped;
        try
        {
            var index = IndexOf(_slots, source);
            // Another worker may have been faster.
            if (index >= 0 && IsBehind(_slots[index].Destinations, sender)) return LearnResult.Known;
            if (index >= 0 && KindOf(_slots[index].Key) != EntryKind.Dynamic) return LearnResult.Conflict;
            if (index < 0 && Count >= _options.EntryLimit) return LearnResult.Skipped;
            if (!_remotes.TryGetLearned(sender, nowMilliseconds, out var remote)) return LearnResult.Skipped;
            if (index < 0)
            {
                Insert(source, EntryKind.Dynamic, remote.Alone, nowMilliseconds);
                return LearnResult.Learned;
            }

            _slots[index].SeenMilliseconds = nowMilliseconds;
            Volatile.Write(ref _slots[index].Destinations, remote.Alone);
            return LearnResult.Moved;
        }
        finally
        {
            _writers.Exit();
        }
    }

    private static bool IsBehind(ReplicationList destinations, InternetAddress sender) =>
        !destinations.Remotes.IsEmpty && destinations.Remotes[0].Address.Address == sender;

    // ---- commands, as of bridge(8) "fdb" ----

    /// <summary>Adds an entry for a MAC that has none (bridge fdb add).</summary>
    public TableResult Add(MacAddress mac, VtepAddress destination, Vni vni, EntryKind kind, long nowMilliseconds)
    {
        lock (_writers)
        {
            if (Refuse(destination.Address) is { } refusal) return refusal;
            if (!DestinationsOf(mac, out _).Remotes.IsEmpty) return TableResult.Exists;
            return Put(mac, kind, ReplicationList.Empty.With(_remotes.Get(destination, vni)), nowMilliseconds);
        }
    }

    /// <summary>
    /// Adds a destination to a group address or to the default destinations, making the entry if need be (bridge fdb append). A destination
    /// that is there already, or a second one for a unicast address, is silently left out, as in the kernel.
    /// </summary>
    public TableResult Append(MacAddress mac, VtepAddress destination, Vni vni, EntryKind kind, long nowMilliseconds)
    {
        lock (_writers)
        {
            if (Refuse(destination.Address) is { } refusal) return refusal;
            var before = DestinationsOf(mac, out var kindBefore);
            var remote = _remotes.Get(destination, vni);
            if (before.Remotes.IsEmpty) return Put(mac, kind, remote.Alone, nowMilliseconds);
            if ((!mac.IsGroup && !mac.IsZero) || before.Remotes.Contains(remote)) return TableResult.Done;
            if (before.Remotes.Length >= ReplicationList.MaxRemotes) return TableResult.Full;
            return Put(mac, kindBefore, before.With(remote), nowMilliseconds);
        }
    }

    /// <summary>Sets the one destination of a unicast address, making the entry if need be (bridge fdb replace).</summary>
    public TableResult Replace(MacAddress mac, VtepAddress destination, Vni vni, EntryKind kind, long nowMilliseconds)
    {
        lock (_writers)
        {
            if (Refuse(destination.Address) is { } refusal) return refusal;
            if (mac.IsGroup || mac.IsZero) return TableResult.NotSupported;
            return Put(mac, kind, _remotes.Get(destination, vni).Alone, nowMilliseconds);
        }
    }

    /// <summary>Removes an entry, or one destination of it (bridge fdb del).</summary>
    /// <param name="mac">The station.</param>
    /// <param name="destination">Null for the whole entry.</param>
    /// <param name="vni">With a destination: the VNI used towards it.</param>
    /// <param name="nowMilliseconds">The clock.</param>
    public TableResult Delete(MacAddress mac, VtepAddress? destination, Vni vni, long nowMilliseconds)
    {
        lock (_writers)
        {
            var before = DestinationsOf(mac, out var kind);
            if (before.Remotes.IsEmpty) return TableResult.NotFound;
            if (destination is not { } wanted) return Put(mac, kind, ReplicationList.Empty, nowMilliseconds);
            foreach (var remote in before.Remotes)
                if (remote.Address == wanted && remote.Vni == vni) return Put(mac, kind, before.Without(remote), nowMilliseconds);
            return TableResult.NotFound;
        }
    }

    /// <summary>Removes dynamic entries (bridge fdb flush), or with <paramref name="all"/> every entry but the default destinations.</summary>
    /// <returns>How many.</returns>
    public int Flush(bool all, long nowMilliseconds)
    {
        var removed = 0;
        lock (_writers)
        {
            for (var i = 0; i < _slots.Length;)
            {
                // A removal moves a later entry into this slot, so look at it again.
                var key = _slots[i].Key;
                if (key == 0 || (!all && KindOf(key) != EntryKind.Dynamic))
                {
                    i++;
                    continue;
                }

                Put(MacAddress.FromValue(key), KindOf(key), ReplicationList.Empty, nowMilliseconds);
                removed++;
            }
        }

        return removed;
    }

    /// <summary>Removes dynamic entries that have been silent for the ageing time, and remotes nothing names any more. Call about once a second.</summary>
    /// <returns>How many entries went.</returns>
    public int AgeOut(long nowMilliseconds)
    {
        var oldest = nowMilliseconds - _options.AgeingMilliseconds;
        var removed = 0;
        for (int from = 0, length = int.MaxValue; from < length; from += SweepSlots)
        {
            // A part at a time, so that learning does not find the lock taken for long.
            lock (_writers)
            {
                length = _slots.Length;
                var end = Math.Min(from + SweepSlots, length);
                for (var i = from; i < end;)
                {
                    ref var slot = ref _slots[i];
                    if (slot.Key != 0 && KindOf(slot.Key) == EntryKind.Dynamic)
                    {
                        if (slot.SeenMilliseconds <= oldest)
                        {
                            Remove(i);
                            removed++;
                            continue;
                        }

                        slot.Destinations!.Remotes[0].LastUsedMilliseconds = nowMilliseconds;
                    }

                    i++;
                }
            }
        }

        lock (_writers)
        {
            // Nothing is ever received from the zero address, so dynamic default destinations live as long as nobody changes them.
            if (_defaultKind == EntryKind.Dynamic && !_default.Remotes.IsEmpty && _defaultSeenMilliseconds <= oldest)
            {
                Put(MacAddress.Zero, EntryKind.Dynamic, ReplicationList.Empty, nowMilliseconds);
                removed++;
            }

            _remotes.Forget(oldest);
        }

        return removed;
    }

    /// <summary>A copy of all entries, the default destinations first, the others in no order.</summary>
    public IReadOnlyList<ForwardingEntry> Snapshot(long nowMilliseconds)
    {
        lock (_writers)
        {
            var entries = new List<ForwardingEntry>(Count);
            if (!_default.Remotes.IsEmpty) entries.Add(new ForwardingEntry(MacAddress.Zero, _defaultKind, _default, 0));
            foreach (ref var slot in _slots.AsSpan())
            {
                if (slot.Key == 0) continue;
                var kind = KindOf(slot.Key);
                var idle = kind == EntryKind.Dynamic ? Math.Max(0, nowMilliseconds - slot.SeenMilliseconds) : 0;
                entries.Add(new ForwardingEntry(MacAddress.FromValue(slot.Key), kind, slot.Destinations!, idle));
            }

            return entries;
        }
    }

    // ---- under the lock ----

    private TableResult? Refuse(InternetAddress destination) => destination.IsIPv4 == _self.Address.IsIPv4 ? null : TableResult.WrongFamily;

    private ReplicationList DestinationsOf(MacAddress mac, out EntryKind kind)
    {
        kind = _defaultKind;
        if (mac.IsZero) return _default;
        var index = IndexOf(_slots, mac);
        if (index < 0) return ReplicationList.Empty;
        kind = KindOf(_slots[index].Key);
        return _slots[index].Destinations!;
    }

    private TableResult Put(MacAddress mac, EntryKind kind, ReplicationList destinations, long nowMilliseconds)
    {
        var before = DestinationsOf(mac, out var kindBefore);
        if (before.Remotes.IsEmpty && Count >= _options.EntryLimit) return TableResult.Full;
        Reconfigure(
            kindBefore == EntryKind.Dynamic ? [] : before.Remotes.AsSpan(), kind == EntryKind.Dynamic ? [] : destinations.Remotes.AsSpan(), nowMilliseconds);
        foreach (var remote in destinations.Remotes) remote.LastUsedMilliseconds = nowMilliseconds;

        if (mac.IsZero)
        {
            _defaultKind = kind;
            _defaultSeenMilliseconds = nowMilliseconds;
            Volatile.Write(ref _default, destinations);
            return TableResult.Done;
        }

        var index = IndexOf(_slots, mac);
        if (destinations.Remotes.IsEmpty) Remove(index);
        else if (index < 0) Insert(mac, kind, destinations, nowMilliseconds);
        else Overwrite(ref _slots[index], mac, kind, destinations, nowMilliseconds);
        return TableResult.Done;
    }

    // Only what differs, so that appending the thousandth remote costs little more than the first.
    private void Reconfigure(ReadOnlySpan<Remote> before, ReadOnlySpan<Remote> after, long nowMilliseconds)
    {
        var same = before.CommonPrefixLength(after);
        before = before[same..];
        after = after[same..];
        while (before.Length > 0 && after.Length > 0 && before[^1] == after[^1])
        {
            before = before[..^1];
            after = after[..^1];
        }

        // Configure before unconfiguring: a remote in both must not be unknown in between.
        foreach (var remote in after) _remotes.Configure(remote);
        foreach (var remote in before) _remotes.Unconfigure(remote, nowMilliseconds);
    }

    private static void Overwrite(ref Slot slot, MacAddress mac, EntryKind kind, ReplicationList destinations, long nowMilliseconds)
    {
        slot.SeenMilliseconds = nowMilliseconds;
        Volatile.Write(ref slot.Destinations, destinations);
        Volatile.Write(ref slot.Key, KeyOf(mac, kind));
    }

    private void Insert(MacAddress mac, EntryKind kind, ReplicationList destinations, long nowMilliseconds)
    {
        if ((_count + 1) * 2 > _slots.Length) Grow();
        Overwrite(ref _slots[FreeSlot(_slots, mac)], mac, kind, destinations, nowMilliseconds);
        Volatile.Write(ref _count, _count + 1);
    }

    private void Grow()
    {
        var larger = new Slot[_slots.Length * 2];
        foreach (ref var slot in _slots.AsSpan())
            if (slot.Key != 0) larger[FreeSlot(larger, MacAddress.FromValue(slot.Key))] = slot;
        Volatile.Write(ref _slots, larger);
    }

    private void Remove(int index)
    {
        Debug.Assert(_slots[index].Key != 0, "only an entry can be removed");
        Volatile.Write(ref _version, _version + 1);
        Interlocked.MemoryBarrier();
        var mask = _slots.Length - 1;
        var hole = index;
        for (var i = (hole + 1) & mask; _slots[i].Key != 0; i = (i + 1) & mask)
        {
            // An entry may move back into the hole unless its home lies behind the hole.
            var home = Home(_slots[i].Key & ~KindMask, mask);
            if (((i - home) & mask) < ((i - hole) & mask)) continue;
            Volatile.Write(ref _slots[hole].Key, Moving);
            _slots[hole].SeenMilliseconds = _slots[i].SeenMilliseconds;
            Volatile.Write(ref _slots[hole].Destinations, _slots[i].Destinations);
            Volatile.Write(ref _slots[hole].Key, _slots[i].Key);
            hole = i;
        }

        Volatile.Write(ref _slots[hole].Key, 0);
        Volatile.Write(ref _count, _count - 1);
        Volatile.Write(ref _version, _version + 1);
    }

    // ---- probing ----

    private int Home(ulong key, int mask)
    {
        var mixed = (key ^ _hashKey) * 0x9E37_79B9_7F4A_7C15UL;
        mixed = (mixed ^ (mixed >> 32)) * 0xD6E8_FEB8_6659_FD93UL;
        return (int)(mixed >> 32) & mask;
    }

    private int IndexOf(Slot[] slots, MacAddress mac)
    {
        var wanted = InUse | mac.Value;
        var mask = slots.Length - 1;
        for (var i = Home(wanted, mask); ; i = (i + 1) & mask)
        {
            var key = Volatile.Read(ref slots[i].Key);
            if (key == 0) return -1;
            if ((key & ~KindMask) == wanted) return i;
        }
    }

    private int FreeSlot(Slot[] slots, MacAddress mac)
    {
        var mask = slots.Length - 1;
        var i = Home(InUse | mac.Value, mask);
        while (slots[i].Key != 0) i = (i + 1) & mask;
        return i;
    }

    private static ulong KeyOf(MacAddress mac, EntryKind kind) => InUse | mac.Value | ((ulong)kind << KindShift);

    private static EntryKind KindOf(ulong key) => (EntryKind)((key & KindMask) >> KindShift);

    private struct Slot
    {
        /// <summary>0, or the MAC with <see cref="InUse"/> and the kind above it. Written last, read first and last.</summary>
        public ulong Key;
        public ReplicationList Destinations;
        public long SeenMilliseconds;
    }
}
