using Sleeve.DataPlane.Guards;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// What all workers of a VTEP share about echo messages (<see cref="Wire.EchoMessage"/>): whether they are answered, how often, and who asks now. The limits that keep
/// it from being of use to an attacker: an answer goes only to a VTEP that the segment knows, to its VXLAN port and never to another; it is never longer than the
/// request; there are at most <see cref="RepliesPerSecond"/> a second whoever asks; and an answer that this VTEP did not ask for is dropped by its nonce.
/// </summary>
public sealed class EchoDesk
{
    /// <summary>Answers a second, at most.</summary>
    public const int RepliesPerSecond = 5000;

    // At once after a silence: a burst of a test, and not a second more of it.
    private const int Burst = 2500;

    private readonly RateLimit _limit = new(RepliesPerSecond, Burst);
    private long _bucket;
    private long _answered;
    private long _refused;
    private EchoRun? _run;

    /// <summary>Whether requests are answered (--echo). Default true.</summary>
    public bool IsOn { get; init; } = true;

    /// <summary>Signs of life, which are exchanged while <see cref="IsOn"/>.</summary>
    public HelloDesk Hellos { get; } = new();

    /// <summary>Requests answered.</summary>
    public long Answered => Interlocked.Read(ref _answered);

    /// <summary>Requests of others than known VTEPs, or beyond the limit, or while it is off.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    /// <summary>Whose answers are noted from now on; from any thread.</summary>
    /// <returns>False if somebody else's are.</returns>
    public bool TryBegin(EchoRun run) => Interlocked.CompareExchange(ref _run, run, null) is null;

    /// <summary>Notes them no more.</summary>
    public void End(EchoRun run) => Interlocked.CompareExchange(ref _run, null, run);

    internal EchoRun? Run => Volatile.Read(ref _run);

    internal bool TryTake(long nowMilliseconds)
    {
        if (!_limit.TryTake(ref _bucket, 1, nowMilliseconds)) return false;
        Interlocked.Increment(ref _answered);
        return true;
    }

    internal void CountRefused() => Interlocked.Increment(ref _refused);
}
