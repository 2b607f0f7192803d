using System.Security.Cryptography;
using Sleeve.DataPlane.Events;
using Sleeve.DataPlane.Guards;
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

    /// <summary>Its VTEP has as many stations as it may: not learned, but the frame goes on.</summary>
    Limited,

    /// <summary>The station moved too often and is held behind another VTEP: the frame must be dropped.</summary>
    Held,
}

/// <summary>
/// The FDB of a segment: which VTEPs a MAC is behind. Its rules, as of Linux 6.15:
/// a frame received from a VTEP puts its source there (dynamic), at once overriding where it was; only reception keeps an entry young;
/// silence for the ageing time removes it; static and permanent entries neither move nor age, and a frame that contradicts one is dropped;
/// 00:00:00:00:00:00 holds the default destinations of whatever has no entry; only it and group addresses may have more than one.
/// <para>
/// Look-ups and refreshes take no lock and come from any thread. A change takes the lock; the data plane waits for it a little, since another
/// worker is done in a microsecond, and then skips the change, since a listing of a million entries is not. Entries stand in <see cref="StationSlots"/>; deletion moves later ones back, under a version that readers check before they
/// believe that something is absent.
/// </para>
/// </summary>
public sealed partial class ForwardingTable
{
    private const int FirstCapacity = 64;
    private const int MaxRetries = 8;
    private const int SweepSlots = 1 << 16;
    // Less than the socket's buffer holds at full rate.
    private const int PatienceMilliseconds = 10;

    private readonly Lock _writers = new();
    private readonly SegmentOptions _options;
    private readonly RemoteTable _remotes;
    private readonly VtepAddress _self;
    private readonly EventSource _events;
    private readonly SegmentGuards _guards;

    private readonly DestinationLists _lists = new();

    // When an entry was seen takes 32 bits: of milliseconds, or of coarser units if the ageing time is more than twelve days.
    private readonly int _seenShift;
    private StationSlots _slots = new(FirstCapacity, BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)));
    private ReplicationList _default = ReplicationList.Empty;
    private EntryKind _defaultKind;
    private long _defaultSeenMilliseconds;
    private int _count;
    private int _version;

    // Nobody waits a second time for the same holder of the lock: a flood of new stations would stand still as long as it.
    private volatile bool _impatient;

    internal ForwardingTable(SegmentOptions options, RemoteTable remotes, VtepAddress self, EventSource events, SegmentGuards guards)
    {
        _options = options;
        _remotes = remotes;
        _self = self;
        _events = events;
        _guards = guards;
        while (options.AgeingMilliseconds >> _seenShift >= 1 << 30) _seenShift++;
    }

    /// <summary>Told the MAC of a static or permanent entry that is added, changed or removed; under the table's lock, so it must be quick and not ask the table.</summary>
    public Action<MacAddress>? OnConfigured { get; set; }

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
        var version = Volatile.Read(ref _version);
        var listsVersion = _lists.Version;
        if (Volatile.Read(ref _slots).Find(destination, out _) is not 0 and var number)
        {
            var destinations = _lists.ListOf(number);
            if (_lists.Version == listsVersion) return destinations;
        }
        else if ((version & 1) == 0 && Volatile.Read(ref _version) == version)
        {
            return null;
        }

        return FindAgain(destination);
    }

    // The table changed during the look-up.
    private ReplicationList? FindAgain(MacAddress destination)
    {
        for (var retry = 0; retry < MaxRetries; retry++)
        {
            var version = Volatile.Read(ref _version);
            var listsVersion = _lists.Version;
            if (Volatile.Read(ref _slots).Find(destination, out _) is not 0 and var number)
            {
                var destinations = _lists.ListOf(number);
                if (_lists.Version == listsVersion) return destinations;
            }
            else if ((version & 1) == 0 && Volatile.Read(ref _version) == version)
            {
                return null;
            }
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
        var listsVersion = _lists.Version;
        var slots = Volatile.Read(ref _slots);
        if (slots.Find(source, out var index) is not 0 and var number)
        {
            var destinations = _lists.ListOf(number);
            var kind = _lists.KindOf(number);
            // Only if that is still the entry's list: a conflict drops the frame, so it must not be imagined.
            if (_lists.Version == listsVersion)
            {
                var isThere = IsBehind(destinations, sender);
                if (kind != EntryKind.Dynamic) return isThere ? LearnResult.Known : LearnResult.Conflict;
                if (isThere)
                {
                    // A write a frame would keep the cache line travelling between cores; a tenth of the age is precise enough.
                    if (IdleAt(slots, index, nowMilliseconds) >= _options.AgeingMilliseconds / 10) slots.SeenAt(index) = SeenOf(nowMilliseconds);
                    return LearnResult.Known;
                }
            }
        }

        return LearnNew(source, sender, nowMilliseconds);
    }

    private LearnResult LearnNew(MacAddress source, InternetAddress sender, long nowMilliseconds)
    {
        if (!_writers.TryEnter(_impatient ? 0 : PatienceMilliseconds))
        {
            _impatient = true;
            return LearnResult.Skipped;
        }

        try
        {
            _impatient = false;
            var number = _slots.Find(source, out var index);
            var before = number == 0 ? ReplicationList.Empty : _lists.ListOf(number);
            // Another worker may have been faster.
            var verdict = Judge(number, before, sender);
            if (verdict is not (LearnResult.Learned or LearnResult.Moved)) return verdict;
            if (!_remotes.TryGetLearned(sender, nowMilliseconds, out var remote) || !_lists.HasRoomFor(remote.Alone, EntryKind.Dynamic)) return LearnResult.Skipped;
            if (IsHeldBack(source, number != 0, remote, nowMilliseconds) is { } result) return result;
            if (number == 0) Insert(source, EntryKind.Dynamic, remote.Alone, nowMilliseconds);
            else Overwrite(index, EntryKind.Dynamic, remote.Alone, nowMilliseconds);
            var previous = number == 0 ? default : before.First!.Address.Address;
            _events.Publish(number == 0 ? EventKind.Learned : EventKind.Moved, nowMilliseconds, source, previous, sender);
            return verdict;
        }
        finally
        {
            _writers.Exit();
        }
    }

    // One VTEP alone may fill the table: there is nobody to leave room for.
    private LearnResult? IsHeldBack(MacAddress source, bool isMove, Remote remote, long nowMilliseconds)
    {
        if (_options.VtepLimit is { } limit && remote.Stations >= limit && _remotes.Count > 1)
        {
            _guards.Tell(GuardLimit.Stations, 1, nowMilliseconds, source, remote.Address.Address);
            return LearnResult.Limited;
        }

        if (!isMove || _guards.Moves is not { } moves) return null;
        var mayMove = moves.MayMove(source, nowMilliseconds, out var isLast);
        if (!mayMove || isLast) _guards.Tell(GuardLimit.Moves, mayMove ? 0 : 1, nowMilliseconds, source, remote.Address.Address);
        return mayMove ? null : LearnResult.Held;
    }

    /// <summary>What <see cref="Learn"/> would come to, without learning; what only a busy or full table would spoil is left out.</summary>
    public LearnResult Judge(MacAddress source, InternetAddress sender)
    {
        if (!_options.Learning) return LearnResult.Skipped;
        lock (_writers)
        {
            var number = _slots.Find(source, out _);
            return Judge(number, number == 0 ? ReplicationList.Empty : _lists.ListOf(number), sender);
        }
    }

    private LearnResult Judge(int number, ReplicationList before, InternetAddress sender)
    {
        if (IsBehind(before, sender)) return LearnResult.Known;
        if (number != 0) return _lists.KindOf(number) == EntryKind.Dynamic ? LearnResult.Moved : LearnResult.Conflict;
        return Count >= _options.EntryLimit ? LearnResult.Skipped : LearnResult.Learned;
    }

    /// <summary>The entry of one MAC, zero for the default destinations; null if there is none.</summary>
    public ForwardingEntry? Show(MacAddress mac, long nowMilliseconds)
    {
        lock (_writers)
        {
            var destinations = DestinationsOf(mac, out var kind);
            if (destinations.Remotes.IsEmpty) return null;
            var idle = 0L;
            if (!mac.IsZero && kind == EntryKind.Dynamic && _slots.Find(mac, out var index) != 0) idle = Math.Max(0, IdleAt(_slots, index, nowMilliseconds));
            return new ForwardingEntry(mac, kind, destinations, idle);
        }
    }

    private static bool IsBehind(ReplicationList destinations, InternetAddress sender) =>
        destinations.First is { } first && first.Address.Address == sender;

    private uint SeenOf(long nowMilliseconds) => (uint)(nowMilliseconds >> _seenShift);

    // Below zero if another worker's clock was ahead.
    private long IdleAt(StationSlots slots, int index, long nowMilliseconds) =>
        (long)(int)(SeenOf(nowMilliseconds) - slots.SeenAt(index)) << _seenShift;

    // ---- commands, as of bridge(8) "fdb" ----

    /// <summary>Adds an entry for a MAC that has none (bridge fdb add).</summary>
    public TableResult Add(MacAddress mac, VtepAddress destination, Vni vni, EntryKind kind, long nowMilliseconds, int interfaceIndex = 0)
    {
        lock (_writers)
        {
            if (Refuse(destination.Address) is { } refusal) return refusal;
            if (!DestinationsOf(mac, out _).Remotes.IsEmpty) return TableResult.Exists;
            return Put(mac, kind, ReplicationList.Empty.With(_remotes.Get(destination, vni, interfaceIndex)), nowMilliseconds);
        }
    }

    /// <summary>
    /// Adds a destination to a group address or to the default destinations, making the entry if need be (bridge fdb append). A destination
    /// that is there already, or a second one for a unicast address, is silently left out, as in the kernel.
    /// </summary>
    public TableResult Append(MacAddress mac, VtepAddress destination, Vni vni, EntryKind kind, long nowMilliseconds, int interfaceIndex = 0)
    {
        lock (_writers)
        {
            if (Refuse(destination.Address) is { } refusal) return refusal;
            var before = DestinationsOf(mac, out var kindBefore);
            var remote = _remotes.Get(destination, vni, interfaceIndex);
            if (before.Remotes.IsEmpty) return Put(mac, kind, remote.Alone, nowMilliseconds);
            if ((!mac.IsGroup && !mac.IsZero) || before.Remotes.Contains(remote)) return TableResult.Done;
            if (before.Remotes.Length >= ReplicationList.MaxRemotes) return TableResult.Full;
            return Put(mac, kindBefore, before.With(remote), nowMilliseconds);
        }
    }

    /// <summary>Sets the one destination of a unicast address, making the entry if need be (bridge fdb replace).</summary>
    public TableResult Replace(MacAddress mac, VtepAddress destination, Vni vni, EntryKind kind, long nowMilliseconds, int interfaceIndex = 0)
    {
        lock (_writers)
        {
            if (Refuse(destination.Address) is { } refusal) return refusal;
            if (mac.IsGroup || mac.IsZero) return TableResult.NotSupported;
            return Put(mac, kind, _remotes.Get(destination, vni, interfaceIndex).Alone, nowMilliseconds);
        }
    }

    /// <summary>Removes an entry, or one destination of it (bridge fdb del).</summary>
    /// <param name="mac">The station.</param>
    /// <param name="destination">Null for the whole entry.</param>
    /// <param name="vni">With a destination: the VNI used towards it.</param>
    /// <param name="nowMilliseconds">The clock.</param>
    /// <param name="interfaceIndex">With a destination: the interface that it is reached by; 0 for none.</param>
    public TableResult Delete(MacAddress mac, VtepAddress? destination, Vni vni, long nowMilliseconds, int interfaceIndex = 0)
    {
        lock (_writers)
        {
            var before = DestinationsOf(mac, out var kind);
            if (before.Remotes.IsEmpty) return TableResult.NotFound;
            if (destination is not { } wanted) return Put(mac, kind, ReplicationList.Empty, nowMilliseconds);
            foreach (var remote in before.Remotes)
                if (remote.Address == wanted && remote.Vni == vni && remote.InterfaceIndex == interfaceIndex) return Put(mac, kind, before.Without(remote), nowMilliseconds);
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
            for (var i = 0; i < _slots.Capacity;)
            {
                // A removal moves a later entry into this slot, so look at it again.
                var (mac, number) = _slots[i];
                if (number == 0 || (!all && _lists.KindOf(number) != EntryKind.Dynamic))
                {
                    i++;
                    continue;
                }

                Put(mac, _lists.KindOf(number), ReplicationList.Empty, nowMilliseconds);
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
                length = _slots.Capacity;
                var end = Math.Min(from + SweepSlots, length);
                for (var i = from; i < end;)
                {
                    var number = _slots[i].Number;
                    if (number != 0 && _lists.KindOf(number) == EntryKind.Dynamic)
                    {
                        if (IdleAt(_slots, i, nowMilliseconds) >= _options.AgeingMilliseconds)
                        {
                            _events.Publish(EventKind.Aged, nowMilliseconds, _slots[i].Mac, remote: _lists.ListOf(number).First!.Address.Address);
                            Remove(i);
                            removed++;
                            continue;
                        }

                        _lists.ListOf(number).First!.LastUsedMilliseconds = nowMilliseconds;
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
            for (var i = 0; i < _slots.Capacity; i++)
            {
                var (mac, number) = _slots[i];
                if (number == 0) continue;
                var kind = _lists.KindOf(number);
                var idle = kind == EntryKind.Dynamic ? Math.Max(0, IdleAt(_slots, i, nowMilliseconds)) : 0;
                entries.Add(new ForwardingEntry(mac, kind, _lists.ListOf(number), idle));
            }

            return entries;
        }
    }

    // ---- under the lock ----

    private ReplicationList DestinationsOf(MacAddress mac, out EntryKind kind)
    {
        kind = _defaultKind;
        if (mac.IsZero) return _default;
        var number = _slots.Find(mac, out _);
        if (number == 0) return ReplicationList.Empty;
        kind = _lists.KindOf(number);
        return _lists.ListOf(number);
    }

    private TableResult Put(MacAddress mac, EntryKind kind, ReplicationList destinations, long nowMilliseconds)
    {
        var before = DestinationsOf(mac, out var kindBefore);
        if (before.Remotes.IsEmpty && Count >= _options.EntryLimit) return TableResult.Full;
        if (!destinations.Remotes.IsEmpty && !_lists.HasRoomFor(destinations, kind)) return TableResult.Full;
        Reconfigure(kindBefore == EntryKind.Dynamic ? [] : before.Remotes.AsSpan(), kind == EntryKind.Dynamic ? [] : destinations.Remotes.AsSpan(), nowMilliseconds);
        foreach (var remote in destinations.Remotes) remote.LastUsedMilliseconds = nowMilliseconds;
        Volatile.Write(ref _changes, _changes + 1);
        if (kind != EntryKind.Dynamic || (kindBefore != EntryKind.Dynamic && !before.Remotes.IsEmpty)) OnConfigured?.Invoke(mac);
        TableEvents.PublishChange(_events, mac, kind, before, destinations, nowMilliseconds);

        if (mac.IsZero)
        {
            _defaultKind = kind;
            _defaultSeenMilliseconds = nowMilliseconds;
            Volatile.Write(ref _default, destinations);
            return TableResult.Done;
        }

        var number = _slots.Find(mac, out var index);
        if (destinations.Remotes.IsEmpty) Remove(index);
        else if (number == 0) Insert(mac, kind, destinations, nowMilliseconds);
        else Overwrite(index, kind, destinations, nowMilliseconds);
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

    private void Overwrite(int index, EntryKind kind, ReplicationList destinations, long nowMilliseconds)
    {
        var (mac, before) = _slots[index];
        _slots.SeenAt(index) = SeenOf(nowMilliseconds);
        CountStation(before, -1);
        // Held before the other is let go, which may be the same.
        var number = _lists.Hold(destinations, kind);
        _slots.SetNumber(index, mac, number);
        CountStation(number, 1);
        _lists.Release(before);
    }

    private void Insert(MacAddress mac, EntryKind kind, ReplicationList destinations, long nowMilliseconds)
    {
        if ((_count + 1) * 2 > _slots.Capacity) Volatile.Write(ref _slots, _slots.Doubled());
        var number = _lists.Hold(destinations, kind);
        _slots.Insert(mac, number, SeenOf(nowMilliseconds));
        CountStation(number, 1);
        Volatile.Write(ref _count, _count + 1);
    }

    private void Remove(int index)
    {
        Volatile.Write(ref _version, _version + 1);
        Interlocked.MemoryBarrier();
        var number = _slots[index].Number;
        _slots.Remove(index);
        Volatile.Write(ref _count, _count - 1);
        Volatile.Write(ref _version, _version + 1);
        CountStation(number, -1);
        _lists.Release(number);
    }

    private void CountStation(int number, int by)
    {
        if (_lists.KindOf(number) == EntryKind.Dynamic && _lists.ListOf(number).First is { } first) first.Stations += by;
    }
}
