using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Networks;

/// <summary>Networks over hosts: joined, made, used and gone, by the commands that people type.</summary>
public sealed class NetworkTests(ITestOutputHelper output) : ClusterTest(output)
{
    /// <summary>The lab of Docker's overlay with a key-value store: two hosts, an address pool, a container on each, ping by address and by name.</summary>
    [SkippableFact]
    public void Two_containers_on_two_hosts_ping_each_other_by_address_and_by_name()
    {
        var (_, daemons) = GivenCluster(2);
        daemons[0].Run("net create blue --subnet 10.1.0.0/24").Ok();
        var (one, other) = (Container(daemons[0]), Container(daemons[1]));
        Wait.Until(() => daemons[1].Run("net ls").Output.Contains("blue", StringComparison.Ordinal), "the other host knows the network", Patience);
        var address = Attach(daemons[0], "blue", one, "--name app1")[0];
        var otherAddress = Attach(daemons[1], "blue", other, "--name app2")[0];
        Assert.NotEqual(address, otherAddress);
        WaitForPing(other, $"{address}");
        WaitForPing(one, $"{otherAddress}");
        Wait.Until(() => Pings(other, "app1"), "app2 pings app1 by name", Patience);
        Wait.Until(() => Pings(one, "app2.blue.sleeve"), "app1 pings app2 by its full name", Patience);
        AuditFindsNothing(daemons[0]);
        // Colours and pictures are for terminals.
        foreach (var words in (string[])["net ls", "net inspect blue", "ipam show blue", "peer ls", "endpoint ls", "token ls", "names blue"])
            Assert.DoesNotContain('\u001b', daemons[0].Run(words).Ok());

        // Once more is as once.
        Assert.Equal(address, Attach(daemons[0], "blue", one, "--name app1")[0]);
        daemons[1].Run($"detach blue {other}").Ok();
        daemons[1].Run($"detach blue {other}");
        Wait.Until(() => !Pings(one, $"{otherAddress}"), "the one that was detached does not answer", Patience);
        Assert.DoesNotContain("sl-", daemons[1].Host.Run("ip -o link show type tun"), StringComparison.Ordinal);
        AuditFindsNothing(daemons[1]);
    }

    [SkippableFact]
    public void With_a_complete_table_there_is_no_broadcast_on_the_underlay()
    {
        Requirements.Programs("tcpdump");
        var (_, daemons) = GivenCluster(2, "log-level: debug\n");
        daemons[0].Run("net create blue --subnet 10.1.0.0/24 --subnet fd00:1::/64 --vni 5000").Ok();
        var (one, other) = (Container(daemons[0]), Container(daemons[1]));
        var capture = daemons[1].Host.Start("tcpdump", "-n", "-e", "-l", "-i", Host.UnderlayDevice, "udp and port 4789");
        capture.WaitForText("listening on", Patience);
        Wait.Until(() => daemons[1].Run("net ls").Output.Contains("blue", StringComparison.Ordinal), "the other host knows the network", Patience);
        var addresses = Attach(daemons[0], "blue", one);
        Attach(daemons[1], "blue", other);
        Assert.Equal(2, addresses.Count);
        foreach (var address in addresses) WaitForPing(other, $"{address}");
        Thread.Sleep(2000);
        Assert.False(Pings(other, "10.1.0.200"));
        foreach (var address in addresses) Assert.True(Pings(other, $"{address}", 3));
        capture.Signal();
        Assert.True(capture.WaitForExit(Patience));
        var inner = capture.Output.Split('\n').Where(static line => line.Contains("VXLAN", StringComparison.Ordinal)).ToArray();
        Output.WriteLine(capture.Output);
        Assert.Contains("ICMP echo request", capture.Output, StringComparison.Ordinal);
        Assert.Contains("ICMP6, echo request", capture.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("ARP", capture.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("neighbor solicitation", capture.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("ff:ff:ff:ff:ff:ff", string.Join('\n', inner), StringComparison.Ordinal);
        Assert.DoesNotContain("33:33:", capture.Output, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void The_same_subnet_in_two_networks_does_not_leak()
    {
        var (_, daemons) = GivenCluster(2);
        daemons[0].Run("net create blue --subnet 10.1.0.0/24").Ok();
        daemons[0].Run("net create green --subnet 10.1.0.0/24").Ok();
        Wait.Until(() => daemons[1].Run("net ls").Output.Contains("green", StringComparison.Ordinal), "the other host knows both", Patience);
        string[] containers = [Container(daemons[0], 1), Container(daemons[1], 1), Container(daemons[0], 2), Container(daemons[1], 2)];
        Attach(daemons[0], "blue", containers[0], "10.1.0.11 --name web");
        Attach(daemons[1], "blue", containers[1], "10.1.0.12");
        Attach(daemons[0], "green", containers[2], "10.1.0.11 --name db");
        Attach(daemons[1], "green", containers[3], "10.1.0.13");
        WaitForPing(containers[1], "10.1.0.11");
        WaitForPing(containers[3], "10.1.0.11");
        Assert.False(Pings(containers[0], "10.1.0.13"));
        Assert.False(Pings(containers[2], "10.1.0.12"));
        Assert.True(Pings(containers[1], "web"));
        Assert.False(Pings(containers[3], "web"));
        AuditFindsNothing(daemons[1]);
    }

    [SkippableFact]
    public void A_network_is_on_a_host_only_while_it_is_used_there()
    {
        var (_, daemons) = GivenCluster(3);
        daemons[0].Run("net create blue --subnet 10.1.0.0/24 --vni 5000").Ok();
        Wait.Until(() => daemons.All(static daemon => daemon.Run("net ls").Output.Contains("blue", StringComparison.Ordinal)), "all know the network", Patience);
        Assert.All(daemons, static daemon => Assert.Empty(daemon.Segments));
        var (one, other) = (Container(daemons[0]), Container(daemons[1]));
        Attach(daemons[0], "blue", one);
        Attach(daemons[1], "blue", other);
        Assert.Empty(daemons[2].Segments);
        // The replication lists are exactly the others that have it.
        Wait.Until(() => Replicas(daemons[0]).SequenceEqual([$"{daemons[1].Host.Address}"]), "a floods to b alone", Patience);
        Wait.Until(() => Replicas(daemons[1]).SequenceEqual([$"{daemons[0].Host.Address}"]), "b floods to a alone", Patience);
        Assert.NotEqual(0, daemons[2].Run("net rm blue").ExitCode);
        EndContainer(other);
        Wait.Until(() => daemons[1].Segments.Count == 0, "with its last container the network leaves the host", Patience);
        Wait.Until(() => Replicas(daemons[0]).Count == 0, "a floods to nobody", Patience);
        daemons[0].Run($"detach blue {one}").Ok();
        daemons[2].Run("net rm blue").Ok();
        Wait.Until(() => !daemons[0].Run("net ls").Output.Contains("blue", StringComparison.Ordinal), "it is gone everywhere", Patience);
        AuditFindsNothing(daemons[0]);
    }

    [SkippableFact]
    public void Tables_are_audited_against_what_is_published_and_a_difference_is_an_exit_code()
    {
        var (_, daemons) = GivenCluster(2);
        daemons[0].Run("net create blue --subnet 10.1.0.0/24 --vni 5000").Ok();
        Wait.Until(() => daemons[1].Run("net ls").Output.Contains("blue", StringComparison.Ordinal), "the other host knows the network", Patience);
        Attach(daemons[0], "blue", Container(daemons[0]));
        Attach(daemons[1], "blue", Container(daemons[1]));
        string? station = null;
        Wait.Until(() => (station = daemons[0].Fdb("sl-5000").FirstOrDefault(static entry => entry.Mac != "00:00:00:00:00:00")?.Mac) is not null, "a knows the station of b", Patience);
        Assert.Contains("as published", daemons[0].Run("fdb audit").Ok(), StringComparison.Ordinal);
        daemons[0].Run($"fdb replace {station} dev sl-5000 dst 10.0.0.77").Ok();
        var audit = daemons[0].Run("fdb audit");
        Output.WriteLine(audit.Output + audit.Error);
        Assert.Equal(1, audit.ExitCode);
        Assert.Contains($"{station}: different, leads to 10.0.0.77", audit.Output, StringComparison.Ordinal);
        Assert.Equal(1, daemons[0].Run("fdb audit --json").ExitCode);
    }

    private static IReadOnlyList<string> Replicas(SleeveDaemon daemon) =>
        [.. daemon.Fdb("sl-5000").Where(static entry => entry.Mac == "00:00:00:00:00:00").Select(static entry => $"{entry.Destination}").Order(StringComparer.Ordinal)];
}
