using System.Diagnostics;

namespace Sleeve.EndToEnd.Rig;

/// <summary>Waiting for something to become true, instead of sleeping and hoping.</summary>
public static class Wait
{
    /// <summary>Long enough for anything that happens at once, also on a machine that is busy with other tests.</summary>
    public static readonly TimeSpan Soon = TimeSpan.FromSeconds(15);

    /// <summary>Polls until a condition holds, half of the time at most, since asking may mean starting a program; throws <see cref="TimeoutException"/> with <paramref name="what"/> if it never does.</summary>
    public static void Until(Func<bool> condition, string what, TimeSpan? timeout = null, int pollMilliseconds = 20)
    {
        var limit = timeout ?? Soon;
        var clock = Stopwatch.StartNew();
        for (var asked = clock.ElapsedMilliseconds; !condition(); asked = clock.ElapsedMilliseconds)
        {
            if (clock.Elapsed > limit) throw new TimeoutException($"not within {limit.TotalSeconds} s: {what}");
            Thread.Sleep((int)Math.Clamp(clock.ElapsedMilliseconds - asked, pollMilliseconds, 1000));
        }
    }
}
