using Sleeve.DataPlane.Events;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Guards;

/// <summary>The guard rails of one segment, shared by all workers: each asks before it floods, resolves or moves. Any thread; no lock; tables are made when they are first needed.</summary>
public sealed class SegmentGuards
{
    private const int MissesPerSecond = 1000;
    private const long EventIntervalMilliseconds = 1000;
    private static readonly int Limits = Enum.GetValues<GuardLimit>().Length;

    private readonly EventSource _events;
    private readonly RateLimit? _floodPerStation;
    private readonly RateLimit? _floodPerSegment;
    private readonly RateLimit? _requests;
    private readonly int? _returns;
    private readonly long[] _refused = new long[Limits];
    private readonly long[] _toldAt = new long[Limits];
    private readonly ulong[] _lastStation = new ulong[Limits];
    private StationBuckets? _floodOf;
    private StationBuckets? _requestsOf;
    private StationBuckets? _missesOf;
    private LoopWatch? _loops;
    private long _flood;
    private long _misses;

    /// <summary>Makes the guards of a segment.</summary>
    public SegmentGuards(GuardOptions options, EventSource events)
    {
        ArgumentNullException.ThrowIfNull(options);
        _events = events;
        _floodPerStation = RateLimit.Of(options.FloodPerStation);
        _floodPerSegment = RateLimit.Of(options.FloodPerSegment);
        _requests = RateLimit.Of(options.Requests);
        _returns = options.Returns;
        Moves = options.Moves is { } moves ? new MoveWatch(moves) : null;
        _toldAt.AsSpan().Fill(long.MinValue / 2);
    }

    /// <summary>Whether ARP requests and neighbour solicitations are counted.</summary>
    public bool LimitsRequests => _requests is not null;

    /// <summary>Whether frames are watched for that come back.</summary>
    public bool WatchesLoops => _returns is not null;

    /// <summary>Counts moves, under the lock of the forwarding table; null if nobody does.</summary>
    internal MoveWatch? Moves { get; }

    /// <summary>Whether a station may flood some frames now.</summary>
    public bool AdmitsFlood(MacAddress source, int frames, long nowMilliseconds)
    {
        if (_floodPerStation is { } perStation && !Table(ref _floodOf, perStation).TryTake(source.Value, frames, nowMilliseconds))
        {
            Tell(GuardLimit.FloodStation, frames, nowMilliseconds, source);
            return false;
        }

        if (_floodPerSegment is not { } perSegment || perSegment.TryTake(ref _flood, frames, nowMilliseconds)) return true;
        Tell(GuardLimit.FloodSegment, frames, nowMilliseconds, source);
        return false;
    }

    /// <summary>Whether a station may ask for an address now.</summary>
    public bool AdmitsRequest(MacAddress source, long nowMilliseconds)
    {
        if (_requests is not { } limit || Table(ref _requestsOf, limit).TryTake(source.Value, 1, nowMilliseconds)) return true;
        Tell(GuardLimit.Requests, 1, nowMilliseconds, source);
        return false;
    }

    /// <summary>Whether a miss is worth an event: one a second of each thing that is missed, and at most 1,000 in all.</summary>
    /// <param name="missed">A MAC, or a hash of an address; not 0.</param>
    /// <param name="nowMilliseconds">The clock.</param>
    public bool AdmitsMiss(ulong missed, long nowMilliseconds) =>
        Table(ref _missesOf, new RateLimit(1, 1)).TryTake(missed, 1, nowMilliseconds)
        && new RateLimit(MissesPerSecond, MissesPerSecond).TryTake(ref _misses, 1, nowMilliseconds);

    /// <summary>Remembers a group frame that is flooded.</summary>
    public void NoteFlooded(ReadOnlySpan<byte> frame, long nowMilliseconds)
    {
        if (_returns is { } returns) Loops(returns).Note(frame, nowMilliseconds);
    }

    /// <summary>Whether a group frame that was received was flooded from here a moment ago; tells of a loop.</summary>
    public bool IsBack(ReadOnlySpan<byte> frame, MacAddress source, InternetAddress sender, long nowMilliseconds)
    {
        if (_returns is not { } returns) return false;
        var loops = Loops(returns);
        if (!loops.IsBack(frame, nowMilliseconds)) return false;
        if (loops.IsLoop(nowMilliseconds)) Tell(GuardLimit.Loop, 1, nowMilliseconds, source, sender);
        return true;
    }

    /// <summary>Tells that a limit was met: counts for the log, and an event a second.</summary>
    public void Tell(GuardLimit limit, int frames, long nowMilliseconds, MacAddress station, InternetAddress remote = default)
    {
        Interlocked.Add(ref _refused[(int)limit], frames);
        Volatile.Write(ref _lastStation[(int)limit], station.Value);
        var told = Volatile.Read(ref _toldAt[(int)limit]);
        if (nowMilliseconds - told < EventIntervalMilliseconds || Interlocked.CompareExchange(ref _toldAt[(int)limit], nowMilliseconds, told) != told) return;
        _events.Publish(EventKind.Guard, nowMilliseconds, station, remote: remote, number: (long)limit);
    }

    /// <summary>How many frames a limit has met so far, and the last station it was; for whoever logs.</summary>
    public (long Refused, MacAddress Last) Read(GuardLimit limit) =>
        (Interlocked.Read(ref _refused[(int)limit]), MacAddress.FromValue(Volatile.Read(ref _lastStation[(int)limit])));

    private static StationBuckets Table(ref StationBuckets? table, RateLimit limit) =>
        Volatile.Read(ref table) ?? Interlocked.CompareExchange(ref table, new StationBuckets(limit), null) ?? table;

    private LoopWatch Loops(int returns) => Volatile.Read(ref _loops) ?? Interlocked.CompareExchange(ref _loops, new LoopWatch(returns), null) ?? _loops;
}
