using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Events;

/// <summary>Something that happened on a segment. What the fields mean is said by <see cref="EventKind"/>; an address that is unspecified (:: or 0.0.0.0) is unset.</summary>
/// <param name="Kind">What happened.</param>
/// <param name="Source">The segment.</param>
/// <param name="Mac">A station.</param>
/// <param name="Address">An address in the overlay, or the VTEP before.</param>
/// <param name="Remote">Underlay address of a VTEP.</param>
/// <param name="Number">A number.</param>
/// <param name="AtMilliseconds">When, on the clock of the tables.</param>
public readonly record struct SegmentEvent(
    EventKind Kind, EventSource Source, MacAddress Mac, InternetAddress Address, InternetAddress Remote, long Number, long AtMilliseconds);
