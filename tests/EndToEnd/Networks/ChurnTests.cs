using System.Globalization;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Networks;

/// <summary>Many changes at once, and daemons that are killed meanwhile.</summary>
public sealed class ChurnTests(ITestOutputHelper output) : ClusterTest(output)
{
    /// <summary>
    /// 500 times a container is attached or detached over five hosts, several at a time, while daemons are killed and started again; every command may fail then. What is left at the end is what
    /// the kernel has, the store has, and each host believes.
    /// </summary>
    [SkippableFact]
    public void After_kills_during_500_changes_an_audit_finds_no_difference_no_leaked_address_and_no_stale_entry()
    {
        var changes = int.TryParse(Environment.GetEnvironmentVariable("SLEEVE_E2E_CHURN"), NumberStyles.None, CultureInfo.InvariantCulture, out var asked) ? asked : 500;
        var (_, daemons) = GivenCluster(5);
        daemons[0].Run("net create blue --subnet 10.1.0.0/24 --vni 5000").Ok();
        Wait.Until(() => daemons.All(static daemon => daemon.Run("net ls").Output.Contains("blue", StringComparison.Ordinal)), "all know the network", Patience);
        var containers = daemons.Select(daemon => Enumerable.Range(1, 4).Select(number => Container(daemon, number)).ToArray()).ToArray();
        var seed = Environment.TickCount;
        Output.WriteLine($"seed {seed}");
        var (done, refused, kills) = (0, 0, 0);
        using var stop = new CancellationTokenSource();
        // Two at a time are away.
        var killers = Enumerable.Range(1, 2).Select(number => Task.Run(() =>
        {
            var random = new Random(seed - number);
            while (!stop.IsCancellationRequested)
            {
                Thread.Sleep(random.Next(200, 1000));
                // The one that serves the store too.
                var victim = daemons[random.Next(daemons.Count)];
                lock (victim)
                {
                    victim.Kill();
                    Interlocked.Increment(ref kills);
                    victim.Start();
                }
            }
        })).ToArray();
        Parallel.For(0, changes, new ParallelOptions { MaxDegreeOfParallelism = 5 }, number =>
        {
            var random = new Random(seed + number);
            var host = random.Next(daemons.Count);
            var container = containers[host][random.Next(4)];
            if (TryChange(daemons[host], container, isAttached: random.Next(2) == 0)) Interlocked.Increment(ref done);
            else Interlocked.Increment(ref refused);
        });
        stop.Cancel();
        Task.WaitAll(killers);
        Output.WriteLine($"{done} done, {refused} refused, {kills} kills");
        Assert.True(done > changes / 4 && kills > changes / 125, $"{done} done, {refused} refused, {kills} kills: hardly anything happened");
        AuditFindsNothing(daemons[0]);

        // Every container that is attached has an address of its own, and reaches every other.
        var attached = new Dictionary<string, string>();
        for (var host = 0; host < daemons.Count; host++)
        {
            foreach (var endpoint in daemons[host].Run("endpoint ls blue --json").Ok() is var json ? System.Text.Json.JsonDocument.Parse(json).RootElement.EnumerateArray() : default)
                attached.Add(endpoint.GetProperty("addresses")[0].GetString()!.Split('/')[0], endpoint.GetProperty("id").GetString()!);
            foreach (var container in containers[host].Where(container => !attached.ContainsValue(container)))
                Assert.DoesNotContain("eth0", Command.Run(["ip", "netns", "exec", container, "ip", "-o", "link", "show"]).Output, StringComparison.Ordinal);
        }

        var (first, others) = (attached.First(), attached.Skip(1).ToArray());
        foreach (var (address, _) in others) WaitForPing(first.Value, address);
        foreach (var daemon in daemons)
            foreach (var container in containers[daemons.ToList().IndexOf(daemon)]) daemon.Run($"detach blue {container}");
        AuditFindsNothing(daemons[1]);
        Wait.Until(() => daemons.All(static daemon => daemon.Segments.Count == 0), "nothing is left on any host", Patience);
    }

    // What `sleeve attach` and `sleeve detach` send, without the start of a program each time.
    private static bool TryChange(SleeveDaemon daemon, string container, bool isAttached)
    {
        try
        {
            var path = $"networks/blue/endpoints/{container}";
            return (isAttached ? daemon.Put(path, $$"""{"target":"{{container}}"}""") : daemon.Delete(path)).IsDone;
        }
        catch (Exception gone) when (gone is HttpRequestException or IOException or OperationCanceledException)
        {
            // Killed just now; it is started again.
            Thread.Sleep(100);
            return false;
        }
    }
}
