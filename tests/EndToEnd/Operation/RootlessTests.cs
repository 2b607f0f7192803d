using System.Globalization;
using System.Net;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// Sleeve as an ordinary user: the TAP in a user namespace of the user's, the sockets on the host.
/// <code>
///        container            container
///     10.1.1.1 on vx0       10.1.1.2 on vx0
///            ║ TAP                ║ TAP
///     a: sleeve up ═══ u0 ═══ b: sleeve up, or the kernel's vxlan
///        user 4243             user 4244
/// </code>
/// </summary>
public sealed class RootlessTests(ITestOutputHelper output) : LabTest(output)
{
    private static readonly string[] Podman = ["podman", "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--storage-driver", "vfs", "--runtime", "crun"];

    [SkippableFact]
    public void Rootless_containers_on_two_hosts_ping_each_other()
    {
        Requirements.Programs("podman", "crun", "newuidmap", "busybox");
        var (one, two) = GivenTwoUsers();
        var containers = new[] { StartContainer(one), StartContainer(two) };
        try
        {
            Join(one, containers[0], two.Host.Address);
            Join(two, containers[1], one.Host.Address);
            Assert.Contains(" 0% packet loss", Exec(one, "ping -c 3 -W 5 10.1.1.2"), StringComparison.Ordinal);
            Assert.Contains(" 0% packet loss", Exec(two, "ping -c 3 -W 5 -s 8000 10.1.1.1"), StringComparison.Ordinal);
            Assert.Contains($"dst {two.Host.Address} self", one.Sleeve("fdb show dev vx0").Ok(), StringComparison.Ordinal);
        }
        finally
        {
            foreach (var user in new[] { one, two }) user.Try([.. Podman, "rm", "-f", "-t", "0", "c1"]);
        }
    }

    [SkippableFact]
    public void Containers_of_rootless_podman_come_and_go_while_the_daemons_of_two_users_run()
    {
        Requirements.Programs("podman", "crun", "newuidmap", "busybox");
        var (one, two) = GivenTwoUsers();
        foreach (var user in new[] { one, two })
        {
            user.Try(["sh", "-c", $"echo local: {user.Host.Address} > daemon.yaml"]).Ok();
            user.Start([.. SleeveProgram.Words, "daemon", "--config", "daemon.yaml", "--state", $"{OrdinaryUser.Home}/state"]).WaitForText("\nsleeve daemon: ready", TimeSpan.FromSeconds(30));
        }

        try
        {
            Join(StartContainer(one), one, two);
            Join(StartContainer(two), two, one);
            Assert.Contains(" 0% packet loss", Exec(one, "ping -c 1 -W 5 10.1.1.2"), StringComparison.Ordinal);
            Assert.Contains(" 0% packet loss", Exec(two, "ping -c 1 -W 5 -s 8000 10.1.1.1"), StringComparison.Ordinal);
            // The next container is another process: the segment follows by the same command. With the same MAC neighbours need not notice.
            one.Sleeve("segment del vx0").Ok();
            one.Try([.. Podman, "rm", "-f", "-t", "0", "c1"], TimeSpan.FromSeconds(60)).Ok();
            Join(Run(one), one, two);
            Assert.Contains(" 0% packet loss", Exec(two, "ping -c 1 -W 5 10.1.1.1"), StringComparison.Ordinal);
        }
        finally
        {
            foreach (var user in new[] { one, two }) user.Try([.. Podman, "rm", "-f", "-t", "0", "c1"], TimeSpan.FromSeconds(60));
        }

        static void Join(int container, OrdinaryUser user, OrdinaryUser other) =>
            user.Sleeve($"segment add vx0 vni 100 remote {other.Host.Address} rootless {container} address 10.1.1.{user.Host.Number}/24 mac 02:00:00:00:01:0{user.Host.Number}").Ok();
    }

    [SkippableTheory]
    [InlineData("--rootless {0}")]
    [InlineData("--rootless /proc/{0}/ns/net")]
    [InlineData("--netns {0}")]
    [InlineData("--config up.yaml")]
    public void An_ordinary_user_joins_the_segment_of_a_kernel_VTEP(string how)
    {
        ArgumentNullException.ThrowIfNull(how);
        var (one, peer) = GivenUserAndKernel();
        var inside = one.NewNamespace();
        one.Try(["sh", "-c", $"printf 'segments:\\n  - ifname: vx0\\n    vni: 100\\n    rootless: {inside.Process}\\n    address: 10.1.1.1/24\\n' > up.yaml"]).Ok();
        var where = string.Format(CultureInfo.InvariantCulture, how, inside.Process);
        string[] device = how.StartsWith("--config", StringComparison.Ordinal) ? [] : ["vx0", "--vni", "100", "--address", "10.1.1.1/24"];
        var vtep = one.Up([.. device, "--local", $"{one.Host.Address}", "--remote", $"{peer.Host.Address}", .. Command.Split(where)]);

        Assert.Contains(" 0% packet loss", inside.Run("ping -c 3 -i 0.3 -W 5 10.1.1.2"), StringComparison.Ordinal);
        Assert.Contains(" 0% packet loss", peer.Host.Run("ping -c 3 -i 0.3 -W 5 -s 8000 10.1.1.1"), StringComparison.Ordinal);
        Assert.False(one.Host.HasDevice("vx0"));
        Assert.Contains("mtu 1450", inside.Run("ip link show dev vx0"), StringComparison.Ordinal);

        vtep.Signal();
        Assert.True(vtep.WaitForExit(Wait.Soon));
        Assert.True(vtep.ExitCode == 0, vtep.Error);
        Assert.NotEqual(0, inside.Try("ip link show dev vx0").ExitCode);
    }

    [SkippableFact]
    public void An_ordinary_users_daemon_joins_the_segment_of_a_kernel_VTEP()
    {
        var (one, peer) = GivenUserAndKernel();
        var inside = one.NewNamespace();
        one.Try(["sh", "-c", $"printf 'local: {one.Host.Address}\\nsegments:\\n  - ifname: vx0\\n    vni: 100\\n    remote: {peer.Host.Address}\\n    rootless: {inside.Process}\\n    address: 10.1.1.1/24\\n' > daemon.yaml"]).Ok();
        var daemon = one.Start([.. SleeveProgram.Words, "daemon", "--config", "daemon.yaml"]);
        daemon.WaitForText("\nsleeve daemon: ready", TimeSpan.FromSeconds(30));
        Assert.Contains(" 0% packet loss", inside.Run("ping -c 3 -i 0.3 -W 5 10.1.1.2"), StringComparison.Ordinal);
        Assert.Contains(" 0% packet loss", peer.Host.Run("ping -c 3 -i 0.3 -W 5 -s 8000 10.1.1.1"), StringComparison.Ordinal);
        Assert.False(one.Host.HasDevice("vx0"));
        Assert.Contains("vx0", one.Sleeve("segment show").Ok(), StringComparison.Ordinal);
        // What it leaves is the user's, and the next run goes on with it.
        daemon.Signal(LibC.SIGKILL);
        Assert.True(daemon.WaitForExit(Wait.Soon));
        daemon = one.Start([.. SleeveProgram.Words, "daemon", "--config", "daemon.yaml"]);
        daemon.WaitForText("\nsleeve daemon: ready", TimeSpan.FromSeconds(30));
        Assert.Contains(" 0% packet loss", inside.Run("ping -c 3 -i 0.3 -W 5 10.1.1.2"), StringComparison.Ordinal);
        daemon.Signal();
        Assert.True(daemon.WaitForExit(TimeSpan.FromSeconds(20)));
        Assert.True(daemon.ExitCode == 0, daemon.Error);
    }

    [SkippableFact]
    public void What_an_ordinary_user_cannot_have_is_said_with_what_to_do()
    {
        var (one, peer) = GivenUserAndKernel();
        var inside = one.NewNamespace();
        var vtep = one.Up(["vx0", "--vni", "100", "--local", $"{one.Host.Address}", "--remote", $"{peer.Host.Address}", "--rootless", $"{inside.Process}", "--workers", "2"]);
        Assert.Contains("without CAP_NET_ADMIN on the host raise it: sysctl net.core.rmem_max=", vtep.Error, StringComparison.Ordinal);
        Assert.Contains("no tunnel-gso: CAP_NET_ADMIN is missing, without which there is no underlay TAP", vtep.Error, StringComparison.Ordinal);
        Assert.Contains($"commands on {one.RuntimeFolder}/sleeve/vx0.sock", vtep.Error, StringComparison.Ordinal);
        Assert.Contains("\"vx0\"", one.Sleeve("stats --json").Ok(), StringComparison.Ordinal);
        // Whoever opened things inside has gone when nothing was opened for a while.
        Wait.Until(() => ChildrenOf(vtep.Id).Length == 0, "no process is left inside", TimeSpan.FromSeconds(20));
    }

    [SkippableFact]
    public void A_TAP_that_is_put_down_or_deleted_inside_is_noticed()
    {
        var (one, peer) = GivenUserAndKernel();
        var inside = one.NewNamespace();
        var vtep = one.Up(["vx0", "--vni", "100", "--local", $"{one.Host.Address}", "--remote", $"{peer.Host.Address}", "--rootless", $"{inside.Process}"]);
        inside.Run("ip link set vx0 down");
        vtep.WaitForText("vx0 is down", Wait.Soon);
        inside.Run("ip link set vx0 up");
        vtep.WaitForText("vx0 is up", Wait.Soon);
        inside.Run("ip link del vx0");
        Assert.True(vtep.WaitForExit(Wait.Soon));
        Assert.Equal(1, vtep.ExitCode);
    }

    [SkippableFact]
    public void A_namespace_of_somebody_else_is_refused()
    {
        var (one, peer) = GivenUserAndKernel();
        string[] words = ["up", "vx0", "--vni", "100", "--local", $"{one.Host.Address}", "--remote", $"{peer.Host.Address}", "--rootless"];
        var own = one.Try(["sh", "-c", string.Join(' ', [.. SleeveProgram.Words, .. words, "$$"])]);
        Assert.Equal(1, own.ExitCode);
        Assert.Matches("^sleeve up: cannot enter network namespace of process [0-9]+: needs CAP_SYS_ADMIN \\(run as root\\), unless it is in a user namespace of this user's own \\(unshare -Urn, a rootless container\\)\n$", own.Error);
        var others = one.Try([.. SleeveProgram.Words, .. words, $"{Environment.ProcessId}"]);
        Assert.Equal(1, others.ExitCode);
        Assert.StartsWith($"sleeve up: cannot open network namespace of process {Environment.ProcessId}: Permission denied", others.Error, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void Where_a_user_may_not_open_tun_the_error_says_what_to_type()
    {
        var lab = NewLab();
        var (a, b) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(a, b);
        var one = new OrdinaryUser(a, tunMode: "600");
        var inside = one.NewNamespace();
        var refused = one.Sleeve($"up vx0 --vni 100 --local {a.Address} --remote {b.Address} --rootless {inside.Process}");
        Assert.Equal("sleeve up: cannot open /dev/net/tun: Permission denied: run as root, or let the user have it (chmod 0666 /dev/net/tun)\n", refused.Error);
        Assert.Equal(1, refused.ExitCode);
    }

    private (OrdinaryUser One, OrdinaryUser Two) GivenTwoUsers()
    {
        var lab = NewLab();
        var (a, b) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(a, b);
        return (new OrdinaryUser(a), new OrdinaryUser(b));
    }

    private (OrdinaryUser One, Vtep Peer) GivenUserAndKernel()
    {
        var lab = NewLab();
        var (a, b) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(a, b);
        return (new OrdinaryUser(a), Vtep.Start(VtepKind.Kernel, b, new VtepOptions { Remotes = [a.Address], Addresses = ["10.1.1.2/24"] }));
    }

    private static void Join(OrdinaryUser user, int container, IPAddress remote) =>
        user.Up(["vx0", "--vni", "100", "--local", $"{user.Host.Address}", "--remote", $"{remote}", "--address", $"10.1.1.{user.Host.Number}/24", "--rootless", $"{container}"]);

    // An image of busybox alone, from no registry.
    private static int StartContainer(OrdinaryUser user)
    {
        user.Try(["sh", "-c", "mkdir -p root/bin && cp $(command -v busybox) root/bin/busybox && for a in sh sleep ping ip; do ln -sf busybox root/bin/$a; done && tar -C root -cf image.tar ."]).Ok();
        user.Try([.. Podman, "import", "image.tar", "busybox:1"], TimeSpan.FromSeconds(60)).Ok();
        return Run(user);
    }

    private static int Run(OrdinaryUser user)
    {
        var run = user.Try([.. Podman, "run", "-d", "--name", "c1", "--network", "none", "--cgroups", "disabled", "--cap-add", "net_raw", "busybox:1", "sleep", "1000"], TimeSpan.FromSeconds(60));
        Skip.If(run.ExitCode != 0, $"needs rootless podman to work here: {run.Error.Trim()}");
        return int.Parse(user.Try([.. Podman, "inspect", "-f", "{{.State.Pid}}", "c1"]).Ok(), CultureInfo.InvariantCulture);
    }

    private static string Exec(OrdinaryUser user, string line) => user.Try([.. Podman, "exec", "c1", .. Command.Split(line)], TimeSpan.FromSeconds(60)).Ok();

    private static string[] ChildrenOf(int process) => File.ReadAllText($"/proc/{process}/task/{process}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries);
}
