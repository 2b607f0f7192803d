using System.Diagnostics;

namespace Sleeve.EndToEnd.Rig;

/// <summary>Waiting for something to become true, instead of sleeping and hoping.</summary>
public static class Wait
{
    /// <summary>Long enough for anything that happens at once, also on a busy machine.</summary>
    public static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    /// <summary>Polls until a condition holds; throws <see cref="TimeoutException"/> with <paramref name="what"/> if it never does.</summary>
    public static void Until(Func<bool> condition, string what, TimeSpan? timeout = null, int pollMilliseconds = 20)
    {
        var limit = timeout ?? Soon;
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            if (clock.Elapsed > limit) throw new TimeoutException($"not within {limit.TotalSeconds} s: {what}");
            Thread.Sleep(pollMilliseconds);
        }
    }
}
