using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Events;

/// <summary>What a segment says about itself goes through here. Any thread; no lock, no wait, no allocation; one branch while nobody listens.</summary>
public sealed class EventSource
{
    private readonly EventRing _ring;

    /// <summary>Makes the source of a segment.</summary>
    /// <param name="ring">Where its events go.</param>
    /// <param name="vni">Its VNI.</param>
    /// <param name="name">Name of its TAP.</param>
    public EventSource(EventRing ring, Vni vni, string name)
    {
        _ring = ring;
        Vni = vni;
        Name = name;
    }

    /// <summary>VNI of the segment.</summary>
    public Vni Vni { get; }

    /// <summary>Name of its TAP.</summary>
    public string Name { get; }

    /// <summary>Whether anybody listens: what only serves an event need not be worked out otherwise.</summary>
    public bool IsHeard => _ring.IsHeard;

    /// <summary>Says what happened. Not once a frame: callers limit what a frame can cause.</summary>
    /// <param name="kind">What; it says which of the others are filled.</param>
    /// <param name="nowMilliseconds">The clock of the tables.</param>
    /// <param name="mac">A station.</param>
    /// <param name="address">An address in the overlay.</param>
    /// <param name="remote">A VTEP.</param>
    /// <param name="number">A number.</param>
    public void Publish(
        EventKind kind, long nowMilliseconds, MacAddress mac = default, InternetAddress address = default, InternetAddress remote = default, long number = 0)
    {
        if (_ring.IsHeard) _ring.Publish(new SegmentEvent(kind, this, mac, address, remote, number, nowMilliseconds));
    }
}
