using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Networks;

/// <summary>Hosts whose wall clocks differ by minutes: nothing between them may go by the time of day.</summary>
public sealed class ClockSkewTests(ITestOutputHelper output) : ClusterTest(output)
{
    // Stands before libc (ld.so(8), LD_PRELOAD): the time of day is another, and no other clock is.
    private const string Clock = """
        #define _GNU_SOURCE
        #include <stdlib.h>
        #include <sys/syscall.h>
        #include <sys/time.h>
        #include <time.h>
        #include <unistd.h>
        int clock_gettime(clockid_t clock, struct timespec *at)
        {
            const char *skew = getenv("SKEW_SECONDS");
            long failed = syscall(SYS_clock_gettime, clock, at);
            if (!failed && skew && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) at->tv_sec += atol(skew);
            return failed;
        }
        int gettimeofday(struct timeval *restrict at, void *restrict zone)
        {
            struct timespec now;
            if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
            at->tv_sec = now.tv_sec;
            at->tv_usec = now.tv_nsec / 1000;
            return 0;
        }
        time_t time(time_t *at)
        {
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            if (at) *at = now.tv_sec;
            return now.tv_sec;
        }
        """;

    [SkippableFact]
    public void Hosts_whose_clocks_differ_by_minutes_join_attach_and_keep_what_is_theirs()
    {
        // Tokens and certificates come from a, whose clock is ahead of all others.
        var skews = new Dictionary<string, string> { ["a"] = "+300", ["b"] = "-420" };
        var (_, daemons) = GivenCluster(3, "reclaim-after: 120\n", daemon =>
        {
            if (skews.TryGetValue(daemon.Host.Name, out var skew)) daemon.Wrapper = ["env", $"LD_PRELOAD={WrongClock(daemon)}", $"SKEW_SECONDS={skew}"];
        });
        var starts = daemons[0].Get("peers").EnumerateArray().ToDictionary(static peer => peer.GetProperty("name").GetString()!, static peer => peer.GetProperty("since").GetDateTimeOffset());
        Assert.True(starts["a"] - starts["b"] > TimeSpan.FromMinutes(10), "the clocks do not differ");

        daemons[1].Run("net create blue --subnet 10.1.0.0/24").Ok();
        Wait.Until(() => daemons.All(static daemon => daemon.Run("net ls").Output.Contains("blue", StringComparison.Ordinal)), "all know the network", Patience);
        var containers = daemons.Select(daemon => Container(daemon)).ToArray();
        var addresses = daemons.Zip(containers).Select(static each => Attach(each.First, "blue", each.Second)[0]).ToArray();
        Assert.Equal(3, addresses.Distinct().Count());
        WaitForPing(containers[0], $"{addresses[1]}");
        WaitForPing(containers[1], $"{addresses[2]}");

        // Dead, and known to be: what it has is kept for the grace time by clocks that only go forward, though seven minutes passed between its clock and another's.
        daemons[1].Kill();
        Wait.Until(() => !IsAlive(daemons[0], "b"), "b gives no sign of life", Patience);
        var fresh = Container(daemons[0], 2);
        Assert.Equal(1, daemons[0].Run($"attach blue {fresh} {addresses[1]}").ExitCode);
        daemons[1].Start();
        Wait.Until(() => IsAlive(daemons[0], "b"), "b is back", Patience);
        WaitForPing(containers[2], $"{addresses[1]}");
        Assert.DoesNotContain("freed", daemons[0].Process.Error + daemons[2].Process.Error, StringComparison.Ordinal);
        AuditFindsNothing(daemons[1]);
    }

    private static bool IsAlive(SleeveDaemon daemon, string host) => daemon.Get($"peers/{host}").GetProperty("alive").GetBoolean();

    // libfaketime changes what condition variables wait for too, and .NET stands still with it.
    private static string WrongClock(SleeveDaemon daemon)
    {
        Requirements.Programs("cc");
        var folder = Path.GetDirectoryName(daemon.ConfigPath)!;
        var (source, library) = (Path.Combine(folder, "clock.c"), Path.Combine(folder, "clock.so"));
        File.WriteAllText(source, Clock);
        Command.Run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source]).Ok();
        return library;
    }
}
