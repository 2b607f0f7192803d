namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// Decides how long a worker looks again before it sleeps. To wake a sleeper takes longer than to carry a frame, so while frames come one at a time and soon,
/// looking again halves the round trip; in bulk, and when nothing comes, it only burns what others need.
/// <para>
/// The rule is that of the kernel's halt polling: a sleep that looking longer would have spared doubles the time, up to
/// <see cref="MostMicroseconds"/>; a longer sleep ends it. Between two looks the worker gives its core to whoever waits for it, so that the station it serves is
/// not kept waiting on a machine with few cores. Where that does not help, and what comes waits until the look is over, looks are in vain and become rare.
/// </para>
/// </summary>
public sealed class Spinner
{
    /// <summary>The longest look, in microseconds: the kernel's own default for halt polling, and longer than a virtual machine takes to wake an idle core.</summary>
    public const int MostMicroseconds = 200;

    /// <summary>Bytes taken since the last sleep from which on it was bulk and not single frames.</summary>
    public const int BulkBytes = 8 << 10;

    private const int LeastMicroseconds = 25;

    // After two looks in vain in a row it sleeps at once so many times, twice as many the next time.
    private const int VainLooks = 2;
    private const int LeastRest = 16;
    private const int MostRest = 4096;
    private const int GoodLooks = 64;

    private long _budget;
    private int _vain;
    private int _good;
    private int _rest = LeastRest;
    private int _resting;

    /// <summary>How long to look before the next sleep, in microseconds.</summary>
    /// <param name="bytes">Taken since the last sleep or look.</param>
    public long Budget(long bytes) => bytes >= BulkBytes || _resting > 0 ? 0 : _budget;

    /// <summary>Tells how a look went.</summary>
    /// <param name="inVain">Nothing came before it ended.</param>
    public void Looked(bool inVain)
    {
        if (!inVain)
        {
            _vain = 0;
            if (++_good == GoodLooks) _rest = LeastRest;
            return;
        }

        _good = 0;
        if (++_vain < VainLooks) return;
        _vain = 0;
        _resting = _rest;
        _rest = Math.Min(_rest * 2, MostRest);
    }

    /// <summary>Tells how a sleep went.</summary>
    /// <param name="microseconds">How long it was.</param>
    public void Slept(long microseconds)
    {
        if (_resting > 0) _resting--;
        _budget = microseconds > MostMicroseconds ? 0 : Math.Min(Math.Max(_budget * 2, LeastMicroseconds), MostMicroseconds);
    }
}
