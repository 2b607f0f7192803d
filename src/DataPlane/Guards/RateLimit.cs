namespace Sleeve.DataPlane.Guards;

/// <summary>
/// A token bucket in one number (the generic cell rate algorithm, ITU-T I.371): the time at which the bucket will be full again. It can be kept in
/// an array, shared by threads without a lock, and one whose time is past holds nothing worth keeping.
/// </summary>
internal readonly struct RateLimit
{
    private const long NanosecondsPerMillisecond = 1_000_000;
    private const int MaxTries = 8;
    private readonly long _interval;
    private readonly int _burst;

    /// <summary>Makes a limit.</summary>
    /// <param name="perSecond">Frames a second in the long run, 1 to 100,000,000.</param>
    /// <param name="burst">Frames at once after a silence, 1 or more.</param>
    public RateLimit(int perSecond, int burst)
    {
        _interval = 1_000_000_000L / perSecond;
        _burst = burst;
    }

    /// <summary>A limit with twice the rate at once.</summary>
    public static RateLimit? Of(int? perSecond) => perSecond is { } rate ? new RateLimit(rate, (int)Math.Min(rate * 2L, int.MaxValue)) : null;

    /// <summary>Whether a bucket is full: that of somebody who has been silent for long enough, or never spoke.</summary>
    public static bool IsIdle(long bucket, long nowMilliseconds) => bucket <= nowMilliseconds * NanosecondsPerMillisecond;

    /// <summary>Takes tokens for all of some frames, or none.</summary>
    /// <param name="bucket">0 at first.</param>
    /// <param name="frames">Of more than a burst only a burst is charged, so that a long super-frame is not refused for ever.</param>
    /// <param name="nowMilliseconds">The clock.</param>
    /// <returns>False if there are not enough.</returns>
    public bool TryTake(ref long bucket, int frames, long nowMilliseconds)
    {
        var now = nowMilliseconds * NanosecondsPerMillisecond;
        var charge = Math.Min(frames, _burst) * _interval;
        for (var tries = 0; tries < MaxTries; tries++)
        {
            var full = Volatile.Read(ref bucket);
            var next = Math.Max(full, now) + charge;
            if (next - now > _burst * _interval) return false;
            if (Interlocked.CompareExchange(ref bucket, next, full) == full) return true;
        }

        // Others were faster eight times over, and they paid: this one goes free.
        return true;
    }
}
