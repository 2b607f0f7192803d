namespace Sleeve.DataPlane.Events;

/// <summary>
/// The last <see cref="Capacity"/> events of a VTEP. Whoever publishes takes a number by one locked instruction and writes its slot, whether or not
/// anybody has read what was there; each reader goes at its own pace and finds out by the numbers what it missed. Readers write nothing that a
/// publisher reads, but that there is one.
/// <code>
/// slot: │ version: number of the event + 1; -1 while written │ event │
/// </code>
/// </summary>
public sealed class EventRing
{
    /// <summary>Events kept; a power of two. 72 bytes each.</summary>
    public const int Capacity = 8192;

    private const long BeingWritten = -1;

    private readonly Slot[] _slots = new Slot[Capacity];
    private int _readers;
    private int _hearing;
    private long _next;

    /// <summary>Whether anybody listens.</summary>
    public bool IsHeard => Volatile.Read(ref _readers) > 0;

    /// <summary>
    /// How often somebody began to listen when nobody did. While it stays the same nothing that happened was left out of the numbers.
    /// </summary>
    public int Hearing => Volatile.Read(ref _hearing);

    /// <summary>Number of the event to come.</summary>
    internal long Next => Volatile.Read(ref _next);

    /// <summary>Starts to listen; what is published from here on will be read or counted as lost.</summary>
    public EventReader Listen()
    {
        if (Interlocked.Increment(ref _readers) == 1) Interlocked.Increment(ref _hearing);
        return new EventReader(this);
    }

    /// <summary>Starts to listen where another reader was; what is not kept any more counts as lost.</summary>
    /// <param name="number">Number of the first event to read; one that is not to come yet.</param>
    public EventReader ListenFrom(long number)
    {
        var reader = Listen();
        reader.GoTo(number);
        return reader;
    }

    /// <summary>Keeps an event; any thread.</summary>
    internal void Publish(in SegmentEvent happened)
    {
        var number = Interlocked.Increment(ref _next) - 1;
        ref var slot = ref _slots[number & (Capacity - 1)];
        var before = Volatile.Read(ref slot.Version);
        // Somebody who was stopped in the midst of writing a whole round ago, or is a round ahead, has the slot: this event is lost, and readers see it.
        if (before == BeingWritten || before > number || Interlocked.CompareExchange(ref slot.Version, BeingWritten, before) != before) return;
        slot.Event = happened;
        Volatile.Write(ref slot.Version, number + 1);
    }

    /// <summary>Reads the event of a number.</summary>
    internal EventPresence TryGet(long number, out SegmentEvent happened)
    {
        ref var slot = ref _slots[number & (Capacity - 1)];
        var version = Volatile.Read(ref slot.Version);
        happened = default;
        if (version > number + 1) return EventPresence.Gone;
        if (version != number + 1) return EventPresence.Missing;
        happened = slot.Event;
        Interlocked.MemoryBarrier();
        return Volatile.Read(ref slot.Version) == version ? EventPresence.There : EventPresence.Gone;
    }

    internal void StopListening() => Interlocked.Decrement(ref _readers);

    private struct Slot
    {
        public long Version;
        public SegmentEvent Event;
    }
}

/// <summary>Whether an event stands in the ring.</summary>
internal enum EventPresence
{
    /// <summary>It does.</summary>
    There,

    /// <summary>Not yet: it is being written, or its writer gave it up.</summary>
    Missing,

    /// <summary>No more: a later one stands there.</summary>
    Gone,
}
