using System.Net;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Networks;

/// <summary>An old backup of the store is put back: it takes changes back that hosts have seen, and they tell it again what they really have.</summary>
public sealed class RestoreTests(ITestOutputHelper output) : ClusterTest(output)
{
    [SkippableFact]
    public void Hosts_tell_a_store_that_was_restored_from_an_old_backup_what_they_have()
    {
        var (_, daemons) = GivenCluster(3);
        HostsTellWhatTheyHave(daemons, () =>
        {
            // A host that does not run has its store in one file.
            daemons[0].Stop();
            var store = Path.Combine(daemons[0].StateFolder, "cluster.db");
            var backup = Path.Combine(daemons[0].StateFolder, "cluster.backup");
            File.Copy(store, backup);
            daemons[0].Start();
            return () =>
            {
                daemons[0].Stop();
                foreach (var rest in new[] { "-wal", "-shm" }) File.Delete(store + rest);
                File.Move(backup, store, overwrite: true);
                daemons[0].Start();
            };
        });
    }

    [SkippableFact]
    public void Hosts_tell_an_etcd_that_was_restored_from_an_old_snapshot_what_they_have()
    {
        var lab = NewLab();
        var machines = new[] { "a", "b", "c", "store" }.Select(lab.AddHost).ToArray();
        lab.JoinBySwitch(machines);
        var etcd = RealEtcd.Start(machines[3], 1);
        var daemons = machines.Take(3).Select(host => SleeveDaemon.MakeMember(host, $"store: {etcd.Uri}\n")).ToArray();
        foreach (var daemon in daemons) daemon.Start();
        Wait.Until(() => daemons.All(static daemon => Peers(daemon).Count == 3), "all know each other", Patience);
        HostsTellWhatTheyHave(daemons, () =>
        {
            var snapshot = Path.Combine(etcd.Folder, "snapshot");
            Assert.Equal("", etcd.Control($"snapshot save {snapshot}").ExitCode == 0 ? "" : "no snapshot");
            return () => etcd.Restore(snapshot);
        });
    }

    private void HostsTellWhatTheyHave(IReadOnlyList<SleeveDaemon> daemons, Func<Action> backUp)
    {
        daemons[0].Run("net create blue --subnet 10.1.0.0/24 --vni 5000").Ok();
        Wait.Until(() => daemons.All(static daemon => daemon.Run("net ls").Output.Contains("blue", StringComparison.Ordinal)), "all know the network", Patience);
        // Of the backup: one that stays, two that go afterwards.
        var (stays, goes, goesToo) = (Container(daemons[0]), Container(daemons[1]), Container(daemons[2]));
        Attach(daemons[0], "blue", stays, "10.1.0.11");
        Attach(daemons[1], "blue", goes, "10.1.0.12");
        Attach(daemons[2], "blue", goesToo, "10.1.0.13");
        WaitForPing(stays, "10.1.0.13");
        var restore = backUp();
        Wait.Until(() => daemons[1].Run($"detach blue {goes}").ExitCode == 0, "detached", Patience);
        EndContainer(goesToo);
        // And what came afterwards, one at the address of one that went.
        var (came, cameToo) = (Container(daemons[1], 2), Container(daemons[2], 2));
        Wait.Until(() => daemons[1].Run($"attach blue {came}").ExitCode == 0, "attached", Patience);
        var address = AddressesOf(daemons[1], "blue", came)[0];
        Wait.Until(() => daemons[2].Run($"attach blue {cameToo} 10.1.0.12").ExitCode == 0, "the address of the one that went is given again", Patience);
        WaitForPing(stays, $"{address}");
        WaitForPing(stays, "10.1.0.12");
        // A network of which the backup knows nothing.
        daemons[1].Run("net create green --subnet 10.2.0.0/24 --vni 6000").Ok();
        Wait.Until(() => daemons[2].Run("net ls").Output.Contains("green", StringComparison.Ordinal), "it is known", Patience);
        Attach(daemons[1], "green", came, "10.2.0.11");
        Attach(daemons[2], "green", cameToo, "10.2.0.12");
        WaitForPing(came, "10.2.0.12");

        restore();
        Wait.Until(() => daemons.Skip(1).All(static daemon => daemon.Process.Error.Contains("was it restored from a backup?", StringComparison.Ordinal)), "hosts notice", Patience);
        // Until ghosts have gone and all is told again: an audit knows both.
        AuditFindsNothing(daemons[1]);
        string[] expected = ["10.1.0.11", "10.1.0.12", $"{address}"];
        Assert.Equal(expected.Append("10.2.0.11").Append("10.2.0.12").Order(), daemons.SelectMany(AddressesOfHost).Order());
        Assert.Equal(expected.Order(), AddressesGiven(daemons[0]).Order());
        WaitForPing(stays, $"{address}");
        WaitForPing(came, "10.1.0.12");
        WaitForPing(came, "10.2.0.12");
        // What is given from here on is nobody's.
        var after = daemons.Select((daemon, index) => Attach(daemon, "blue", Container(daemon, 3 + index))[0]).ToArray();
        Assert.Equal(6, after.Concat(expected.Select(IPAddress.Parse)).Distinct().Count());
        AuditFindsNothing(daemons[2]);
    }

    private static IEnumerable<string> AddressesOfHost(SleeveDaemon daemon) =>
        daemon.Get("endpoints").EnumerateArray().SelectMany(static each => each.GetProperty("addresses").EnumerateArray()).Select(static each => each.GetString()!.Split('/')[0]);

    // As the store has them.
    private static IEnumerable<string> AddressesGiven(SleeveDaemon daemon) => daemon.Get("networks/blue").GetProperty("endpoint_list").EnumerateArray()
        .SelectMany(static each => each.GetProperty("addresses").EnumerateArray()).Select(static each => each.GetString()!.Split('/')[0]);
}
