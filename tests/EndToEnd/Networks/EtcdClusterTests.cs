using System.Diagnostics;
using System.Text.RegularExpressions;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Networks;

/// <summary>
/// Hosts whose store is a real etcd, on a machine of its own in the underlay.
/// <code>
///    a: sleeve daemon ── switch ── b: sleeve daemon
///       └ container a-1    │          └ container b-1
///                        store: etcd, one or three members
/// </code>
/// </summary>
public sealed partial class EtcdClusterTests(ITestOutputHelper output) : ClusterTest(output)
{
    // The commands of the documentation, as they stand there.
    [GeneratedRegex("<!-- roles -->\\s*```sh\\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Roles { get; }

    [SkippableFact]
    public void Members_may_go_and_a_majority_too_traffic_goes_on_and_all_is_reconciled_when_it_is_back()
    {
        var (etcd, daemons, _) = GivenClusterOnEtcd(members: 3);
        var (one, other) = GivenTwoContainers(daemons);
        Wait.Until(() => Pings(other, "app1"), "by name too", Patience);
        AuditFindsNothing(daemons[0]);

        // Without its leader it chooses another: work waits for that at most.
        var first = etcd.AwaitLeader();
        etcd.Kill(first);
        var second = Container(daemons[1], 2);
        Wait.Until(() => daemons[1].Run($"attach blue {second} 10.1.0.22").ExitCode == 0, "new work is done without the first leader", Patience);
        WaitForPing(one, "10.1.0.22");

        // Without a majority there is no store.
        var said = daemons.Select(static daemon => daemon.Process.Error.Length).ToArray();
        etcd.Kill(etcd.AwaitLeader());
        Wait.Until(() => daemons.Zip(said).All(static each => each.First.Process.Error[each.Second..].Contains("nothing new can be published", StringComparison.Ordinal)), "the loss of the store is told", Patience);
        Assert.True(Pings(other, "10.1.0.11", 3));
        Assert.True(Pings(one, "10.1.0.22"));
        var third = Container(daemons[1], 3);
        var watch = Stopwatch.StartNew();
        var refused = daemons[1].Run($"attach blue {third}");
        Output.WriteLine($"refused after {watch.Elapsed}: {refused.Error}");
        Assert.Equal(1, refused.ExitCode);
        Assert.Contains("nothing was attached, try again", refused.Error, StringComparison.Ordinal);
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(30));
        // What goes is gone here at once; a VTEP that dies is found dead as with any store.
        daemons[1].Run($"detach blue {second}").Ok();
        daemons[0].Kill();
        Wait.Until(() => Stations(daemons[1]) == 0, "its station is out of the FDB", Patience);
        daemons[0].Start();
        Wait.Until(() => Stations(daemons[1]) == 1, "it is back, though nobody could ask the store", Patience);
        WaitForPing(other, "10.1.0.11");

        for (var i = 0; i < 3; i++) if (!etcd.Runs(i)) etcd.StartMember(i);
        var fourth = Container(daemons[0], 2);
        Wait.Until(() => daemons[0].Run($"attach blue {fourth} 10.1.0.22").ExitCode == 0, "its address is free again, and new work is done", Patience, 500);
        WaitForPing(other, "10.1.0.22");
        AuditFindsNothing(daemons[1]);
    }

    [SkippableFact]
    public void With_TLS_and_the_roles_of_the_documentation_hosts_work_and_tell_no_password()
    {
        var (etcd, daemons, _) = GivenClusterOnEtcd(members: 1, isSecured: true);
        var (one, other) = GivenTwoContainers(daemons);
        AuditFindsNothing(daemons[1]);

        // With another password nothing can be said to the store, and all goes on; the file is read again when it is refused.
        var generation = daemons[0].Get("peers/b").GetProperty("generation").GetInt64();
        Write(etcd, "b.password", "not-the-secret");
        daemons[1].Stop();
        daemons[1].Start();
        daemons[1].WaitForText("authentication failed");
        Assert.True(Pings(one, "10.1.0.12"));
        var refused = daemons[1].Run($"attach blue {Container(daemons[1], 2)}");
        Output.WriteLine(refused.Error);
        Assert.Equal(1, refused.ExitCode);
        Assert.Contains("sleeve-b", refused.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("not-the-secret", daemons[1].Process.Error + refused.Error, StringComparison.Ordinal);
        Write(etcd, "b.password", "secret-of-b");
        WaitForPing(other, "10.1.0.11");
        AuditFindsNothing(daemons[0]);

        // Whoever may, forgets a host that is alive; etcd still lets that one write, so it enters itself again with all it has, and both sides say so.
        // The sign of life of the run before may be there for a moment yet.
        Wait.Until(() => daemons[0].Get("peers/b") is var peer && peer.GetProperty("alive").GetBoolean() && peer.GetProperty("generation").GetInt64() > generation, "b is alive", Patience);
        var without = daemons[0].Run("peer forget b --force");
        Assert.Equal(1, without.ExitCode);
        Assert.Contains("sleeve-reclaim", without.Error, StringComparison.Ordinal);
        etcd.Control("--user root:secret-of-root user grant-role sleeve-a sleeve-reclaim").Ok();
        Assert.Equal(1, daemons[0].Run("peer forget b").ExitCode);
        var forgotten = daemons[0].Run("peer forget b --force");
        Assert.Equal(0, forgotten.ExitCode);
        Assert.Contains("enters itself again", forgotten.Error, StringComparison.Ordinal);
        daemons[1].WaitForText("somebody removed host b from the store");
        Wait.Until(() => Peers(daemons[0]).Count == 2, "it is back", Patience);
        WaitForPing(one, "10.1.0.12");
        AuditFindsNothing(daemons[0]);
        foreach (var daemon in daemons)
        {
            Assert.DoesNotContain("secret-of-", daemon.Process.Error, StringComparison.Ordinal);
            Assert.DoesNotContain("secret-of-", File.ReadAllText($"/proc/{daemon.Process.Id}/cmdline"), StringComparison.Ordinal);
            Assert.DoesNotContain("secret-of-", File.ReadAllText($"/proc/{daemon.Process.Id}/environ"), StringComparison.Ordinal);
        }
    }

    [SkippableFact]
    public void An_etcd_that_others_write_to_all_the_time_is_audited_without_a_difference()
    {
        var (etcd, daemons, _) = GivenClusterOnEtcd(members: 1);
        GivenTwoContainers(daemons);
        var others = etcd.Host.Start(["env", .. etcd.Environment(), "bash", "-c", "while etcdctl put /other/key $((n++)); do :; done"]);
        Wait.Until(() => others.Output.Length > 20, "somebody else writes", Patience);
        var watch = Stopwatch.StartNew();
        var audit = daemons[0].Run("audit --wait 30");
        Output.WriteLine($"{watch.Elapsed}: {audit.Output}{audit.Error}");
        Assert.Equal(0, audit.ExitCode);
        Assert.False(others.HasExited, others.Error);
    }

    // Daemons a and b, with an etcd on a third machine.
    private (RealEtcd Etcd, IReadOnlyList<SleeveDaemon> Daemons, Host Switch) GivenClusterOnEtcd(int members, bool isSecured = false)
    {
        var lab = NewLab();
        var machines = new[] { "a", "b", "store" }.Select(lab.AddHost).ToArray();
        var middle = lab.JoinBySwitch(machines);
        var etcd = RealEtcd.Start(machines[2], members, isSecured);
        if (isSecured) GiveRoles(etcd);
        var daemons = machines.Take(2).Select(host => SleeveDaemon.MakeMember(host, isSecured ? SettingsOf(etcd, host.Name, $"{host.Name}.password") : $"store: {etcd.Uri}\n")).ToArray();
        foreach (var daemon in daemons) daemon.Start();
        Wait.Until(() => daemons.All(static daemon => Peers(daemon).Count == 2), "the two know each other", Patience);
        return (etcd, daemons, middle);
    }

    private static string SettingsOf(RealEtcd etcd, string host, string password) =>
        $"store: {etcd.Uri}\nstore-ca: {etcd.AuthorityPath}\nstore-user: sleeve-{host}\nstore-password-file: {Path.Combine(etcd.Folder, password)}\n";

    private static void GiveRoles(RealEtcd etcd)
    {
        foreach (var name in new[] { "root", "a", "b" }) Write(etcd, $"{name}.password", $"secret-of-{name}");
        var script = Roles.Match(File.ReadAllText(Path.Combine(Checkout.Root, "docs", "store.md"))).Groups[1].Value;
        Assert.Contains("etcdctl auth enable", script, StringComparison.Ordinal);
        etcd.Host.Try(["env", "-C", etcd.Folder, .. etcd.Environment(), "bash", "-euo", "pipefail", "-c", script]).Ok();
    }

    private static void Write(RealEtcd etcd, string file, string secret)
    {
        var path = Path.Combine(etcd.Folder, file);
        File.WriteAllText(path, secret + "\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    // One on each, with addresses 10.1.0.11 and 10.1.0.12 and names app1 and app2; they reach each other.
    private (string One, string Other) GivenTwoContainers(IReadOnlyList<SleeveDaemon> daemons)
    {
        daemons[0].Run("net create blue --subnet 10.1.0.0/24 --vni 5000").Ok();
        Wait.Until(() => daemons[1].Run("net ls").Output.Contains("blue", StringComparison.Ordinal), "the other host knows the network", Patience);
        var (one, other) = (Container(daemons[0]), Container(daemons[1]));
        Attach(daemons[0], "blue", one, "10.1.0.11 --name app1");
        Attach(daemons[1], "blue", other, "10.1.0.12 --name app2");
        WaitForPing(other, "10.1.0.11");
        return (one, other);
    }

    private static int Stations(SleeveDaemon daemon) => daemon.Fdb("sl-5000").Count(static entry => entry.Mac != "00:00:00:00:00:00");
}
