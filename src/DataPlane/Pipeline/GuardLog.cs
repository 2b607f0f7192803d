using Sleeve.DataPlane.Events;
using Sleeve.DataPlane.Guards;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>Remembers what has been logged of a segment's guard rails, so that each speaks at most once an interval. One thread, housekeeping's.</summary>
internal sealed class GuardLog
{
    /// <summary>Milliseconds between two lines about one limit.</summary>
    public const long IntervalMilliseconds = 10_000;

    private static readonly GuardLimit[] Limits = Enum.GetValues<GuardLimit>();
    private readonly long[] _logged = new long[Limits.Length];
    private readonly long[] _at = [.. Limits.Select(static _ => long.MinValue / 2)];

    /// <summary>The limits that were met since they were last logged, how many frames met them, and the last station it was.</summary>
    public IEnumerable<(GuardLimit Limit, long Frames, MacAddress Last)> TakeNew(SegmentGuards guards, long nowMilliseconds)
    {
        foreach (var limit in Limits)
        {
            var (refused, last) = guards.Read(limit);
            var index = (int)limit;
            if (refused == _logged[index] || nowMilliseconds - _at[index] < IntervalMilliseconds) continue;
            var news = refused - _logged[index];
            (_logged[index], _at[index]) = (refused, nowMilliseconds);
            yield return (limit, news, last);
        }
    }

    /// <summary>What a limit did.</summary>
    public static string What(GuardLimit limit) => limit switch
    {
        GuardLimit.FloodSegment => "dropped, the segment floods more than its limit",
        GuardLimit.FloodStation => "dropped, a station floods more than its limit",
        GuardLimit.Requests => "dropped, a station asks for more addresses than its limit",
        GuardLimit.Moves => "dropped, a station moved too often and is held where it is: a loop, or one MAC twice",
        GuardLimit.Stations => "not learned from, a VTEP has as many stations as it may",
        _ => "came back from the underlay: there is a loop around this VTEP",
    };

    /// <summary>The option that changes it.</summary>
    public static string Option(GuardLimit limit) => limit switch
    {
        GuardLimit.FloodSegment => "--flood-limit-segment",
        GuardLimit.FloodStation => "--flood-limit",
        GuardLimit.Requests => "--request-limit",
        GuardLimit.Moves => "--move-limit",
        GuardLimit.Stations => "--vtep-limit",
        _ => "--loop-limit",
    };
}
