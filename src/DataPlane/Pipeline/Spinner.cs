namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// Decides how long a worker looks again before it sleeps. To wake a sleeper takes longer than to carry a frame, so while frames come one at a time and soon,
/// looking again halves the round trip; in bulk, on a busy machine, and when nothing comes it only burns what others need.
/// <para>
/// The rule is that of the kernel's halt polling: a sleep that looking longer would have spared doubles the time, up to <see cref="MostMicroseconds"/>; a sleep longer than that ends it.
/// Bulk ends it for the next sleep; the scheduler's taking the core away ends it for <see cref="PenaltyMilliseconds"/>.
/// </para>
/// </summary>
public sealed class Spinner
{
    /// <summary>The longest look, in microseconds: some round trips on one rack.</summary>
    public const int MostMicroseconds = 50;

    /// <summary>Bytes taken since the last sleep from which on it was bulk and not single frames.</summary>
    public const int BulkBytes = 8 << 10;

    /// <summary>How long it stays off after the core was taken away, in milliseconds.</summary>
    public const int PenaltyMilliseconds = 100;

    private const int LeastMicroseconds = 6;

    private long _budget;
    private long _preemptions;
    private long _offUntil;

    /// <summary>How long to look before the next sleep, in microseconds.</summary>
    /// <param name="bytes">Taken since the last sleep.</param>
    /// <param name="now">The time, in microseconds.</param>
    public long Budget(long bytes, long now) => bytes >= BulkBytes || now < _offUntil ? 0 : _budget;

    /// <summary>Tells how a sleep went.</summary>
    /// <param name="microseconds">How long it was.</param>
    public void Slept(long microseconds) =>
        _budget = microseconds > MostMicroseconds ? 0 : Math.Min(Math.Max(_budget * 2, LeastMicroseconds), MostMicroseconds);

    /// <summary>Tells how often the scheduler took the core away from this thread so far (getrusage(2), ru_nivcsw); asked after looking in vain.</summary>
    /// <param name="count">Since the thread began.</param>
    /// <param name="now">The time, in microseconds.</param>
    public void Preempted(long count, long now)
    {
        if (count != _preemptions) _offUntil = now + (PenaltyMilliseconds * 1000);
        _preemptions = count;
    }
}
