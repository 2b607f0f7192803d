using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// What is known about the way of super-frames to one remote. The kernel routes them, so a firewall, rp_filter or a policy can eat them without
/// a word: a way is proven by a super-frame that is seen leaving, and proven again about once a second.
/// </summary>
internal sealed class TunnelPath
{
    /// <summary>How long a proof is good for.</summary>
    internal const int ProofMilliseconds = 1000;

    /// <summary>How long a blocked way is left alone.</summary>
    internal const int BlockedMilliseconds = 5000;

    // A queue of the device may hold one back for longer than anybody waits; two in a row are no accident.
    private const int MissesUntilBlocked = 2;

    private int _misses;
    private long _nextCheck = long.MinValue;

    /// <summary>The address to send from.</summary>
    internal InternetAddress Source { get; set; }

    /// <summary>True if the last one that was watched was seen leaving.</summary>
    internal bool IsProven { get; private set; }

    /// <summary>True if super-frames do not leave.</summary>
    internal bool IsBlocked => _misses >= MissesUntilBlocked;

    /// <summary>Whether the next super-frame must be watched.</summary>
    internal bool IsCheckDue(long nowMilliseconds) => nowMilliseconds >= _nextCheck;

    /// <summary>It was seen leaving.</summary>
    internal void Prove(long nowMilliseconds)
    {
        IsProven = true;
        _misses = 0;
        _nextCheck = nowMilliseconds + ProofMilliseconds;
    }

    /// <summary>It was not seen leaving: so is the next one watched, and after that the way is blocked for a while.</summary>
    internal void Miss(long nowMilliseconds)
    {
        IsProven = false;
        _misses = Math.Min(_misses + 1, MissesUntilBlocked);
        _nextCheck = IsBlocked ? nowMilliseconds + BlockedMilliseconds : nowMilliseconds;
    }

    /// <summary>Nothing could be found out: later.</summary>
    internal void Postpone(long nowMilliseconds)
    {
        IsProven = false;
        _nextCheck = nowMilliseconds + ProofMilliseconds;
    }
}
