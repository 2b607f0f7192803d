using System.Diagnostics;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Networks;

/// <summary>What hosts and the store between them may suffer.</summary>
public sealed class ClusterFaultTests(ITestOutputHelper output) : ClusterTest(output)
{
    [SkippableFact]
    public void Without_the_store_traffic_goes_on_new_work_fails_at_once_and_all_is_reconciled_when_it_is_back()
    {
        var (middle, daemons) = GivenCluster(3);
        var (one, other) = GivenTwoContainers(daemons[1], daemons[2]);
        // The host that serves the store is cut off; the other two are not.
        middle.Run("ip link set p1 down");
        Wait.Until(() => daemons[2].Process.Error.Contains("nothing new can be published", StringComparison.Ordinal), "the loss of the store is told", Patience);
        Assert.True(Pings(other, "10.1.0.11", 5));
        var third = Container(daemons[2], 2);
        var watch = Stopwatch.StartNew();
        var refused = daemons[2].Run($"attach blue {third}");
        Output.WriteLine($"refused after {watch.Elapsed}: {refused.Error}");
        Assert.Equal(1, refused.ExitCode);
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(30));
        Assert.DoesNotContain("eth0", Command.Run(["ip", "netns", "exec", third, "ip", "-o", "link", "show"]).Output, StringComparison.Ordinal);
        // What goes is gone here at once; the store is told when it is back.
        daemons[2].Run($"detach blue {other}").Ok();
        middle.Run("ip link set p1 up");
        Wait.Until(() => !Pings(one, "10.1.0.12"), "the other side learns that it is gone", Patience);
        Wait.Until(() => daemons[2].Run($"attach blue {third} 10.1.0.12").ExitCode == 0, "its address is free again, and new work is done", Patience);
        WaitForPing(one, "10.1.0.12");
        AuditFindsNothing(daemons[1]);
    }

    [SkippableFact]
    public void A_dead_VTEP_leaves_the_tables_of_the_others_and_comes_back_by_itself()
    {
        var (_, daemons) = GivenCluster(3);
        var (_, other) = GivenTwoContainers(daemons[1], daemons[2]);
        Wait.Until(() => Stations(daemons[1]) == 1, "b knows the station of c", Patience);
        Wait.Until(() => daemons[1].Run("peer ls").Output.Contains(" up ", StringComparison.Ordinal), "b has heard c", Patience);
        var watch = Stopwatch.StartNew();
        daemons[2].Kill();
        Wait.Until(() => Stations(daemons[1]) == 0, "its station is out of the FDB", Patience, 5);
        Output.WriteLine($"gone from the FDB {watch.ElapsedMilliseconds} ms after kill -9 was called");
        daemons[2].Start();
        Wait.Until(() => Stations(daemons[1]) == 1, "it is back", Patience);
        WaitForPing(other, "10.1.0.11");
        AuditFindsNothing(daemons[0]);
    }

    [SkippableFact]
    public void Both_sides_of_a_split_go_on_and_agree_when_it_heals()
    {
        var (middle, daemons) = GivenCluster(4);
        var (one, other) = GivenTwoContainers(daemons[0], daemons[1]);
        var (three, four) = (Container(daemons[2]), Container(daemons[3]));
        Attach(daemons[2], "blue", three, "10.1.0.13");
        Attach(daemons[3], "blue", four, "10.1.0.14");
        WaitForPing(four, "10.1.0.11");
        // a and b on one side, c and d on the other.
        middle.Run("nft add table bridge split");
        middle.Run("nft add chain bridge split forward { type filter hook forward priority 0 ; }");
        foreach (var (from, to) in new[] { ("p1", "p3"), ("p1", "p4"), ("p2", "p3"), ("p2", "p4") })
        {
            middle.Run($"nft add rule bridge split forward iifname {from} oifname {to} drop");
            middle.Run($"nft add rule bridge split forward iifname {to} oifname {from} drop");
        }

        Wait.Until(() => !Pings(one, "10.1.0.13"), "the sides do not reach each other", Patience);
        Wait.Until(() => Pings(four, "10.1.0.13") && Pings(other, "10.1.0.11"), "each side goes on", Patience);
        // The side with the store works on.
        var fifth = Container(daemons[1], 2);
        Attach(daemons[1], "blue", fifth, "10.1.0.15");
        Assert.Equal(1, daemons[2].Run($"attach blue {Container(daemons[2], 2)} 10.1.0.15").ExitCode);
        middle.Run("nft delete table bridge split");
        WaitForPing(one, "10.1.0.13");
        WaitForPing(three, "10.1.0.15");
        AuditFindsNothing(daemons[3]);
    }

    [SkippableFact]
    public void Two_hosts_that_claim_one_address_or_MAC_do_not_both_get_it()
    {
        var (_, daemons) = GivenCluster(2);
        GivenTwoContainers(daemons[0], daemons[1]);
        var (one, other) = (Container(daemons[0], 2), Container(daemons[1], 2));
        var results = new CommandResult[2];
        Parallel.Invoke(() => results[0] = daemons[0].Run($"attach blue {one} 10.1.0.50"), () => results[1] = daemons[1].Run($"attach blue {other} 10.1.0.50"));
        Assert.Equal([0, 1], results.Select(static result => result.ExitCode).Order());
        Assert.Contains("10.1.0.50", results.Single(static result => result.ExitCode != 0).Error, StringComparison.Ordinal);
        var (third, fourth) = (Container(daemons[0], 3), Container(daemons[1], 3));
        Parallel.Invoke(
            () => results[0] = daemons[0].Run($"attach blue {third} --mac 02:00:00:00:00:77"), () => results[1] = daemons[1].Run($"attach blue {fourth} --mac 02:00:00:00:00:77"));
        Assert.Equal([0, 1], results.Select(static result => result.ExitCode).Order());
        AuditFindsNothing(daemons[0]);
    }

    // One on each, with addresses 10.1.0.11 and 10.1.0.12; they reach each other.
    private (string One, string Other) GivenTwoContainers(SleeveDaemon first, SleeveDaemon second)
    {
        first.Run("net create blue --subnet 10.1.0.0/24 --vni 5000").Ok();
        Wait.Until(() => second.Run("net ls").Output.Contains("blue", StringComparison.Ordinal), "the other host knows the network", Patience);
        var (one, other) = (Container(first), Container(second));
        Attach(first, "blue", one, "10.1.0.11");
        Attach(second, "blue", other, "10.1.0.12");
        WaitForPing(other, "10.1.0.11");
        return (one, other);
    }

    private static int Stations(SleeveDaemon daemon) => daemon.Fdb("sl-5000").Count(static entry => entry.Mac != "00:00:00:00:00:00");
}
