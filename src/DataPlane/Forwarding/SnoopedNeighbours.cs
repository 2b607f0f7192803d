using Sleeve.DataPlane.Events;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Forwarding;

/// <summary>An address that a station was heard to claim.</summary>
/// <param name="Address">The address.</param>
/// <param name="Mac">Who claimed it last.</param>
/// <param name="IsLocal">It is behind our TAP, and not behind a VTEP.</param>
/// <param name="IsDuplicate">Two stations claim it in turns: nobody is answered with it for a while.</param>
/// <param name="IsRouter">It says that it is a router (RFC 4861, section 4.4).</param>
/// <param name="IdleMilliseconds">Since it was last heard, to a tenth of the ageing time.</param>
public readonly record struct SnoopedNeighbour(InternetAddress Address, MacAddress Mac, bool IsLocal, bool IsDuplicate, bool IsRouter = false, long IdleMilliseconds = 0);

/// <summary>
/// Addresses heard in ARP and neighbour advertisements, so that the proxy can answer without being told (RFC 9161). At most <see cref="Capacity"/>; of a
/// crowded place the oldest goes, and all that was not heard for the ageing time. Entries of the operator are not touched and go first. One address
/// that changes its station five times in 180 s is a duplicate (RFC 9161, section 3.7): told as an event, and not answered for as long.
/// Read without a lock; a change takes one, or is left out if another thread has it. Nothing is allocated after the first claim.
/// </summary>
public sealed class SnoopedNeighbours
{
    /// <summary>Addresses kept, at most: 64 bytes each, from the first claim on.</summary>
    public const int Capacity = Sets * Ways;

    /// <summary>Time within which changes of station are counted, and for which a duplicate is not answered, in milliseconds.</summary>
    public const long WindowMilliseconds = 180_000;

    private const int Sets = 1024;
    private const int Ways = 4;
    private const int ChangesOfDuplicate = 5;
    private const int MaxRetries = 8;

    private readonly Lock _writers = new();
    private readonly long _lifetime;
    private readonly NeighbourTable _configured;
    private readonly ForwardingTable _fdb;
    private readonly EventSource _events;
    private Slot[]? _slots;

    internal SnoopedNeighbours(SegmentOptions options, NeighbourTable configured, ForwardingTable fdb, EventSource events)
    {
        _lifetime = options.AgeingMilliseconds;
        _configured = configured;
        _fdb = fdb;
        _events = events;
    }

    /// <summary>Notes what a station claims.</summary>
    /// <param name="claim">What.</param>
    /// <param name="isLocal">It came from our TAP.</param>
    /// <param name="nowMilliseconds">The clock.</param>
    public void Note(in AddressClaim claim, bool isLocal, long nowMilliseconds)
    {
        // A tenth of the lifetime is precise enough, and most claims are old news.
        if (TryRead(claim.Address, out var known) && known.Mac == claim.Mac && known.IsLocal == isLocal && known.IsRouter == claim.IsRouter
            && nowMilliseconds - known.SeenAt < _lifetime / 10) return;
        if (_configured.TryGet(claim.Address, out _) || !_writers.TryEnter()) return;
        try
        {
            Put(ref Place(_slots ??= new Slot[Capacity], claim.Address), claim, isLocal, nowMilliseconds);
        }
        finally
        {
            _writers.Exit();
        }
    }

    /// <summary>What to answer a local station with: a station behind a VTEP, heard of late, still in the FDB, and the only one with its address.</summary>
    public bool TryGet(InternetAddress address, long nowMilliseconds, out Neighbour neighbour)
    {
        neighbour = default;
        if (!TryRead(address, out var slot) || slot.IsLocal || nowMilliseconds - slot.SeenAt >= _lifetime || nowMilliseconds < slot.DuplicateUntil) return false;
        if (_fdb.Find(slot.Mac) is null) return false;
        neighbour = new Neighbour(address, slot.Mac, slot.IsRouter);
        return true;
    }

    /// <summary>A copy of all that is not too old, in no order.</summary>
    public IReadOnlyList<SnoopedNeighbour> Snapshot(long nowMilliseconds)
    {
        lock (_writers)
        {
            var neighbours = new List<SnoopedNeighbour>();
            foreach (var slot in _slots ?? [])
            {
                if (slot.Mac.IsZero || nowMilliseconds - slot.SeenAt >= _lifetime || _configured.TryGet(slot.Address, out _)) continue;
                neighbours.Add(new SnoopedNeighbour(slot.Address, slot.Mac, slot.IsLocal, nowMilliseconds < slot.DuplicateUntil, slot.IsRouter, nowMilliseconds - slot.SeenAt));
            }

            return neighbours;
        }
    }

    private void Put(ref Slot slot, in AddressClaim claim, bool isLocal, long nowMilliseconds)
    {
        var next = slot;
        var isOther = slot.Address != claim.Address || slot.Mac.IsZero || nowMilliseconds - slot.SeenAt >= _lifetime;
        if (isOther) next = default;
        else if (slot.Mac != claim.Mac) CountChange(ref next, claim, nowMilliseconds);
        (next.Address, next.Mac, next.IsLocal, next.IsRouter, next.SeenAt) = (claim.Address, claim.Mac, isLocal, claim.IsRouter, nowMilliseconds);
        next.Version = slot.Version + 1;
        Volatile.Write(ref slot.Version, next.Version);
        Interlocked.MemoryBarrier();
        slot = next;
        Volatile.Write(ref slot.Version, next.Version + 1);
    }

    private void CountChange(ref Slot slot, in AddressClaim claim, long nowMilliseconds)
    {
        if (slot.Changes == 0 || nowMilliseconds - slot.ChangesSince >= WindowMilliseconds) (slot.Changes, slot.ChangesSince) = (0, nowMilliseconds);
        if (++slot.Changes < ChangesOfDuplicate) return;
        slot.Changes = 0;
        slot.DuplicateUntil = nowMilliseconds + WindowMilliseconds;
        _events.Publish(EventKind.DuplicateAddress, nowMilliseconds, claim.Mac, claim.Address, number: (long)slot.Mac.Value);
    }

    // While a slot is written its version is odd.
    private bool TryRead(InternetAddress address, out Slot found)
    {
        found = default;
        if (Volatile.Read(ref _slots) is not { } slots) return false;
        var first = FirstOf(address);
        for (var way = first; way < first + Ways; way++)
        {
            for (var retry = 0; retry < MaxRetries; retry++)
            {
                var version = Volatile.Read(ref slots[way].Version);
                found = slots[way];
                Interlocked.MemoryBarrier();
                if ((version & 1) != 0 || Volatile.Read(ref slots[way].Version) != version) continue;
                if (found.Address == address && !found.Mac.IsZero) return true;
                break;
            }
        }

        return false;
    }

    // The address's own slot, else the one that was not heard for longest.
    private static ref Slot Place(Slot[] slots, InternetAddress address)
    {
        var first = FirstOf(address);
        var oldest = first;
        for (var way = first; way < first + Ways; way++)
        {
            if (slots[way].Address == address && !slots[way].Mac.IsZero) return ref slots[way];
            if (slots[way].Mac.IsZero || (!slots[oldest].Mac.IsZero && slots[way].SeenAt < slots[oldest].SeenAt)) oldest = way;
        }

        return ref slots[oldest];
    }

    private static int FirstOf(InternetAddress address) => (int)((uint)address.GetHashCode() % Sets) * Ways;

    private struct Slot
    {
        public int Version;
        public int Changes;
        public bool IsLocal;
        public bool IsRouter;
        public InternetAddress Address;
        public MacAddress Mac;
        public long SeenAt;
        public long ChangesSince;
        public long DuplicateUntil;
    }
}
