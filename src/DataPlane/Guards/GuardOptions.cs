namespace Sleeve.DataPlane.Guards;

/// <summary>The guard rails of a segment; null or false switches one off. A refusal is counted, told as an event, and logged once an interval.</summary>
public sealed record GuardOptions
{
    /// <summary>Flooded frames a second of one station, unless something else is said.</summary>
    public const int DefaultFloodPerStation = 10_000;

    /// <summary>Flooded frames a second of a segment, unless something else is said.</summary>
    public const int DefaultFloodPerSegment = 40_000;

    /// <summary>ARP requests and neighbour solicitations a second of one station, unless something else is said.</summary>
    public const int DefaultRequests = 2_000;

    /// <summary>Moves of a station within <see cref="MoveWatch.WindowMilliseconds"/>, unless something else is said (RFC 7432, section 15.1).</summary>
    public const int DefaultMoves = 5;

    /// <summary>Frames that come back within <see cref="LoopWatch.WindowMilliseconds"/>, unless something else is said.</summary>
    public const int DefaultReturns = 5;

    /// <summary>No guard rails at all.</summary>
    public static GuardOptions None { get; } = new();

    /// <summary>What <c>sleeve up</c> sets: limits that no host meets that is sane.</summary>
    public static GuardOptions Standard { get; } = new()
    {
        FloodPerStation = DefaultFloodPerStation,
        FloodPerSegment = DefaultFloodPerSegment,
        Requests = DefaultRequests,
        Moves = DefaultMoves,
        Returns = DefaultReturns,
        StationsPerVtep = 0,
    };

    /// <summary>Frames a second of one station that are flooded, and twice as many at once (--flood-limit), 1 to 100,000,000.</summary>
    public int? FloodPerStation { get; init; }

    /// <summary>Frames a second of all stations that are flooded, and twice as many at once (--flood-limit-segment), 1 to 100,000,000.</summary>
    public int? FloodPerSegment { get; init; }

    /// <summary>ARP requests and neighbour solicitations a second of one station, and twice as many at once (--request-limit), 1 to 100,000,000.</summary>
    public int? Requests { get; init; }

    /// <summary>Moves of one station in 180 s after which it is held where it is (--move-limit), 2 to 1,000.</summary>
    public int? Moves { get; init; }

    /// <summary>Frames flooded here that come back within 10 s before it is called a loop (--loop-limit), 1 to 1,000,000.</summary>
    public int? Returns { get; init; }

    /// <summary>Stations that one VTEP may have in the FDB as soon as there is another VTEP (--vtep-limit); 0 means half of what the FDB takes.</summary>
    public int? StationsPerVtep { get; init; }
}
