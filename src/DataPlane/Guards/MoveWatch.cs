using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Guards;

/// <summary>
/// Counts the moves of stations between VTEPs (RFC 7432, section 15.1): one that moved N times within 180 s is in two places, or loops, and stays
/// where it is for <see cref="HoldMilliseconds"/>. A migration is one move. At most <see cref="Capacity"/> stations are watched, those that moved last.
/// Used under the lock of the forwarding table.
/// </summary>
public sealed class MoveWatch(int limit)
{
    /// <summary>Time within which moves are counted, in milliseconds.</summary>
    public const long WindowMilliseconds = 180_000;

    /// <summary>Time for which a station is held, in milliseconds.</summary>
    public const long HoldMilliseconds = 30_000;

    /// <summary>Stations watched, at most: 32 bytes each, from the first move on.</summary>
    public const int Capacity = Sets * Ways;

    private const int Sets = 256;
    private const int Ways = 4;
    private Watched[]? _watched;

    /// <summary>Whether a station may move now; counts the move if so.</summary>
    /// <param name="mac">The station.</param>
    /// <param name="nowMilliseconds">The clock.</param>
    /// <param name="isLast">True if it moved as often as it may: from here on it is held.</param>
    public bool MayMove(MacAddress mac, long nowMilliseconds, out bool isLast)
    {
        isLast = false;
        _watched ??= new Watched[Capacity];
        ref var watched = ref Find(_watched, mac);
        if (watched.Mac != mac) watched = new Watched { Mac = mac, Since = nowMilliseconds };
        if (nowMilliseconds < watched.HeldUntil) return false;
        if (watched.HeldUntil != 0 || nowMilliseconds - watched.Since >= WindowMilliseconds) watched = new Watched { Mac = mac, Since = nowMilliseconds };
        if (++watched.Moves < limit) return true;
        watched.HeldUntil = nowMilliseconds + HoldMilliseconds;
        isLast = true;
        return true;
    }

    // The station's own slot, else the one whose window began first.
    private static ref Watched Find(Watched[] all, MacAddress mac)
    {
        var first = (int)(StationBuckets.Mix(mac.Value) % Sets) * Ways;
        var oldest = first;
        for (var way = first; way < first + Ways; way++)
        {
            if (all[way].Mac == mac) return ref all[way];
            if (all[way].Mac.IsZero || (!all[oldest].Mac.IsZero && all[way].Since < all[oldest].Since)) oldest = way;
        }

        return ref all[oldest];
    }

    private struct Watched
    {
        public MacAddress Mac;
        public long Since;
        public long HeldUntil;
        public int Moves;
    }
}
