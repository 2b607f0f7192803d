using System.Globalization;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Docker;

/// <summary>dockerd and the sleeve daemon, killed and started again in any order.</summary>
public sealed class DockerFaultTests(ITestOutputHelper output) : DockerTest(output)
{
    [SkippableFact]
    public void Either_side_is_killed_and_all_goes_on_when_it_is_back()
    {
        var hosts = GivenDockers();
        var (a, b) = (hosts[0], hosts[1]);
        a.RunLine("network create -d sleeve --ipam-driver sleeve --subnet 10.11.0.0/24 blue");
        b.WaitForNetwork("blue");
        a.RunContainer("one", "blue", "--restart", "always");
        b.RunContainer("two", "blue");
        a.WaitForPing("one", "two");

        // The driver is killed, which carries the frames too: when it is back they go on, and what it knew of Docker it knows again.
        a.Sleeve.Kill();
        a.Sleeve.Start();
        a.WaitForPing("one", AddressOf(b, "two", "blue"));
        a.RunContainer("three", "blue");
        b.WaitForPing("two", "three");
        a.WaitForPing("one", "two");
        // Also what was written into the resolv.conf of a container, so that it goes when that leaves.
        const string Mark = "# sleeve: network blue";
        Assert.Contains(Mark, a.RunLine("exec one cat /etc/resolv.conf"), StringComparison.Ordinal);
        a.RunLine("network disconnect blue one");
        Wait.Until(() => !a.RunLine("exec one cat /etc/resolv.conf").Contains(Mark, StringComparison.Ordinal), "the name server is gone with the network", Patience, 100);
        a.RunLine("network connect blue one");
        a.WaitForPing("one", "two");

        // dockerd is killed: those that are to run always run again, the others are gone, on all hosts.
        var address = AddressOf(a, "one", "blue");
        a.KillDaemon();
        Assert.True(b.Pings("two", address));
        a.StartDaemon();
        Wait.Until(() => a.Inspect("one", "{{.State.Running}}") == "true", "one runs again", Patience, 100);
        b.WaitForPing("two", "one");
        Wait.Until(() => a.Sleeve.Get("endpoints").GetArrayLength() == 1, "only one is left", Patience, 100);

        // Both, the driver first to be back, and then last.
        a.KillDaemon();
        a.Sleeve.Kill();
        a.Sleeve.Start();
        a.StartDaemon();
        b.WaitForPing("two", "one");
        a.Sleeve.Stop();
        a.StopDaemon();
        var dockerd = Task.Run(() => a.StartDaemon());
        a.Sleeve.Start();
        dockerd.GetAwaiter().GetResult();
        // dockerd waits for a driver for some seconds only, and then leaves it to whoever starts the container.
        Wait.Until(() => a.Inspect("one", "{{.State.Running}}") == "true" || a.Try("start", "one").ExitCode == 0, "one runs again", Patience, 500);
        b.WaitForPing("two", "one");
        AuditFindsNothing(a.Sleeve);
        a.RunLine("rm -f one three");
        b.RunLine("rm -f two");
        a.RunLine("network rm blue");
        NothingIsLeft(hosts);
    }

    [SkippableFact]
    public void Containers_that_die_while_dockerd_is_away_leave_nothing()
    {
        var hosts = GivenDockers("--live-restore");
        var (a, b) = (hosts[0], hosts[1]);
        a.RunLine("network create -d sleeve --subnet 10.12.0.0/24 blue");
        b.WaitForNetwork("blue");
        a.RunContainer("one", "blue");
        a.RunContainer("two", "blue");
        b.RunContainer("three", "blue");
        b.WaitForPing("three", "two");
        var process = a.Inspect("one", "{{.State.Pid}}");
        a.KillDaemon();
        Assert.True(b.Pings("three", "two"));
        a.Enter("kill", "-9", process).Ok();
        // dockerd says nothing of it, and holds its namespace.
        a.StartDaemon();
        Wait.Until(() => a.Sleeve.Get("endpoints").GetArrayLength() == 1, "the endpoint of the dead container goes by itself", Patience, 100);
        Assert.Equal("true", a.Inspect("two", "{{.State.Running}}"));
        b.WaitForPing("three", "two");
        AuditFindsNothing(b.Sleeve);

        // A network that is removed while its driver is away stays in the cluster, and so comes back.
        a.RunLine("rm -f one two");
        a.Sleeve.Stop();
        a.Try("network", "rm", "blue");
        a.Sleeve.Start();
        a.WaitForNetwork("blue");
        a.RunContainer("four", "blue");
        b.WaitForPing("three", "four");
        a.RunLine("rm -f four");
        b.RunLine("rm -f three");
        b.RunLine("network rm blue");
        Wait.Until(() => a.Try("network", "inspect", "blue").ExitCode != 0, "it is gone on both", Patience, 100);
        NothingIsLeft(hosts);
    }

    // SLEEVE_CHURN=200 for the whole of it: a container takes dockerd most of a second.
    [SkippableFact]
    public void Containers_that_come_and_go_while_daemons_are_killed_leave_nothing()
    {
        var count = int.Parse(Environment.GetEnvironmentVariable("SLEEVE_CHURN") ?? "24", CultureInfo.InvariantCulture);
        var hosts = GivenDockers();
        hosts[0].RunLine("network create -d sleeve --ipam-driver sleeve --subnet 10.13.0.0/24 blue");
        hosts[0].RunLine("network create -d sleeve --ipam-driver sleeve --subnet 10.14.0.0/24 green");
        foreach (var network in (string[])["blue", "green"]) hosts[1].WaitForNetwork(network);
        var seed = Random.Shared.Next();
        Output.WriteLine($"seed {seed}");
        var running = hosts.Select(static _ => new List<(string Name, string Network)>()).ToArray();
        Parallel.For(0, hosts.Length, at =>
        {
            var (host, random, mine) = (hosts[at], new Random(seed + at), running[at]);
            for (var i = 0; i < count / hosts.Length; i++)
            {
                var (name, network) = ($"c{at}-{i}", random.Next(2) == 0 ? "blue" : "green");
                if (i % 9 == 4)
                {
                    host.Sleeve.Kill();
                    host.Sleeve.Start();
                }

                // What fails while a daemon is away fails with a reason, and leaves nothing.
                if (host.Try("run", "-d", "--name", name, "--network", network, "--stop-timeout", "0", DockerHost.Image, "sleep", "100000").ExitCode == 0) mine.Add((name, network));
                else host.Try("rm", "-f", name);
                if (i % 9 == 8)
                {
                    host.KillDaemon();
                    host.StartDaemon();
                    // Those of the dockerd before are not started again.
                    foreach (var (gone, _) in mine) host.Try("rm", "-f", gone);
                    mine.Clear();
                }
                else if (mine.Count > 3)
                {
                    var (victim, _) = mine[random.Next(mine.Count)];
                    mine.RemoveAll(each => each.Name == victim);
                    host.Try("rm", "-f", victim).Ok();
                }
            }
        });

        Wait.Until(() => hosts.Select(static host => host.Sleeve.Get("endpoints").GetArrayLength()).SequenceEqual(running.Select(static each => each.Count)), "endpoints are those of the containers that run", Patience, 200);
        AuditFindsNothing(hosts[0].Sleeve);
        for (var at = 0; at < hosts.Length; at++)
        {
            foreach (var (name, network) in running[at])
            {
                for (var other = 0; other < hosts.Length; other++)
                    foreach (var (target, there) in running[other].Where(each => each.Name != name))
                    {
                        var address = AddressOf(hosts[other], target, there);
                        if (there == network) hosts[at].WaitForPing(name, address);
                        else Assert.False(hosts[at].Pings(name, address), $"{name} of {network} reaches {target} of {there}");
                    }
            }
        }

        for (var at = 0; at < hosts.Length; at++)
            if (running[at].Count > 0) hosts[at].Run(["rm", "-f", .. running[at].Select(static each => each.Name)]);
        foreach (var network in (string[])["blue", "green"]) hosts[0].Run("network", "rm", network);
        NothingIsLeft(hosts);
    }
}
