namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// Decides how long a worker looks again before it sleeps. To wake a sleeper takes longer than to carry a frame, so while frames come one at a time and soon,
/// looking again halves the round trip; in bulk, and when nothing comes, it only burns what others need.
/// <para>
/// The rule is that of the kernel's halt polling: a sleep that looking longer would have spared doubles the time, up to
/// <see cref="MostMicroseconds"/>; a longer sleep ends it. Between two looks the worker gives its core to whoever waits for it, so that the station it serves is
/// not kept waiting on a machine with few cores.
/// </para>
/// </summary>
public sealed class Spinner
{
    /// <summary>The longest look, in microseconds: some round trips on one rack.</summary>
    public const int MostMicroseconds = 50;

    /// <summary>Bytes taken since the last sleep from which on it was bulk and not single frames.</summary>
    public const int BulkBytes = 8 << 10;

    private const int LeastMicroseconds = 6;

    private long _budget;

    /// <summary>How long to look before the next sleep, in microseconds.</summary>
    /// <param name="bytes">Taken since the last sleep or look.</param>
    public long Budget(long bytes) => bytes >= BulkBytes ? 0 : _budget;

    /// <summary>Tells how a sleep went.</summary>
    /// <param name="microseconds">How long it was.</param>
    public void Slept(long microseconds) =>
        _budget = microseconds > MostMicroseconds ? 0 : Math.Min(Math.Max(_budget * 2, LeastMicroseconds), MostMicroseconds);
}
