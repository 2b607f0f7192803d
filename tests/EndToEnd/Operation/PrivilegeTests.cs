using System.Globalization;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// With how little Sleeve works on the host's own network, and what it gives up by itself.
/// <code>
///     a: sleeve up, as some user ═══ veth pair ═══ b: the kernel's vxlan
///        10.1.1.1                                     10.1.1.2
/// </code>
/// </summary>
public sealed class PrivilegeTests(ITestOutputHelper output) : LabTest(output)
{
    private const ulong NetBindService = 1UL << 10;
    private const ulong NetAdmin = 1UL << 12;
    private const ulong NetRaw = 1UL << 13;
    private const ulong SysAdmin = 1UL << 21;
    private const ulong Bpf = 1UL << 39;

    [SkippableTheory]
    [InlineData("--workers 2", NetAdmin | NetRaw | Bpf)]
    [InlineData("--workers 1", NetAdmin | NetRaw)]
    [InlineData("--workers 1 --tx-offload udp-gso", NetAdmin)]
    [InlineData("--workers 1 --tx-offload udp-gso --srcport 700-800", NetAdmin | NetBindService)]
    public void Root_becomes_another_user_and_keeps_what_is_needed(string more, ulong expected)
    {
        ArgumentNullException.ThrowIfNull(more);
        var (user, peer) = GivenUserAndKernel();
        var vtep = StartAsRoot(user, ["--address", "10.1.1.1/24", "--user", user.Name, .. Options(user, peer), .. Command.Split(more)]);
        AssertPings(user, peer);
        Assert.Contains($"runs as {user.Name} (uid {user.Id}) with CAP_", vtep.Error, StringComparison.Ordinal);
        foreach (var task in Tasks(vtep).Where(task => !task.Name.StartsWith("sleeve-worker", StringComparison.Ordinal)))
        {
            Assert.Equal($"{user.Id}\t{user.Id}\t{user.Id}\t{user.Id}", task["Uid"]);
            foreach (var set in (string[])["CapPrm", "CapEff", "CapInh", "CapAmb"]) Assert.Equal(expected, Hex(task[set]));
            Assert.Equal(0UL, Hex(task["CapBnd"]));
            Assert.Equal("1", task["NoNewPrivs"]);
            Assert.Equal("", task["Groups"].Replace($"{user.Id}", "", StringComparison.Ordinal).Trim());
        }

        Assert.True(user.Try(["test", "-w", "/run/sleeve/vx0.sock"]).ExitCode == 0);
        Assert.Contains("\"vx0\"", user.Sleeve("stats dev vx0 --json").Ok(), StringComparison.Ordinal);
        vtep.Signal();
        Assert.True(vtep.WaitForExit(Wait.Soon));
        Assert.True(vtep.ExitCode == 0, vtep.Error);
        Assert.False(user.Host.HasDevice("vx0"));
    }

    [SkippableFact]
    public void The_daemon_gives_up_root_too_and_finds_its_state_again()
    {
        var (user, peer) = GivenUserAndKernel();
        user.Host.Try([.. user.Within, "sh", "-c", $"mkdir -p /run/state && mount --bind /run/state /var/lib && printf 'local: {user.Host.Address}\nuser: {user.Name}\nworkers: 1\ntx-offload: udp-gso\n' > /run/sleeve.yaml"]).Ok();
        for (var run = 0; run < 2; run++)
        {
            var daemon = user.Host.Start([.. user.Within, .. SleeveProgram.Words, "daemon", "--config", "/run/sleeve.yaml"]);
            daemon.WaitForText("sleeve daemon: ready", TimeSpan.FromSeconds(30));
            Assert.Equal(NetAdmin, Hex(Tasks(daemon)[0]["CapPrm"]));
            Assert.Equal(0UL, Hex(Tasks(daemon)[0]["CapBnd"]));
            // The socket is the user's, so commands are too; in the second run the segment is there already.
            if (run == 0) user.Sleeve($"segment add vx0 vni 100 remote {peer.Host.Address} address 10.1.1.1/24").Ok();
            AssertPings(user, peer);
            daemon.Signal();
            Assert.True(daemon.WaitForExit(Wait.Soon));
            Assert.True(daemon.ExitCode == 0, daemon.Error);
        }

        foreach (var wrong in (string[])["root", "sleeve-no-such-user"])
        {
            var refused = user.Host.Try([.. user.Within, .. SleeveProgram.Words, "daemon", "--config", "/run/sleeve.yaml", "--user", wrong]);
            Assert.Equal($"sleeve daemon: --user {wrong}: must be the name of an ordinary user of this host (getent passwd)\n", refused.Error);
            Assert.Equal(2, refused.ExitCode);
        }
    }

    [SkippableFact]
    public void A_TAP_in_another_namespace_takes_the_right_to_go_there()
    {
        var (user, peer) = GivenUserAndKernel();
        var inner = user.Host.Lab.AddHost("inner");
        var path = $"{OrdinaryUser.Home}/inner";
        user.Host.Try([.. user.Within, "touch", path]).Ok();
        user.Host.Try([.. user.Within, "mount", "--bind", $"/proc/{Environment.ProcessId}/root/run/netns/{inner.Namespace}", path]).Ok();
        var vtep = StartAsRoot(user, ["--address", "10.1.1.1/24", "--user", user.Name, "--workers", "1", "--tx-offload", "udp-gso", "--netns", path, .. Options(user, peer)]);
        Assert.Equal(NetAdmin | SysAdmin, Hex(Tasks(vtep)[0]["CapEff"]));
        Assert.Equal(3, Traffic.Ping(inner, System.Net.IPAddress.Parse("10.1.1.2")));
    }

    [SkippableTheory]
    [InlineData("auto", NetAdmin | NetRaw)]
    [InlineData("udp-gso", NetAdmin)]
    public void Workers_have_no_capability_but_while_they_open_something(string offload, ulong kept)
    {
        var (user, peer) = GivenUserAndKernel();
        if (offload == "auto") Requirements.TunnelOffload();
        var vtep = StartAsRoot(user, ["--address", "10.1.1.1/24", "--workers", "2", "--tx-offload", offload, .. Options(user, peer)]);
        AssertPings(user, peer);
        // Many flows, so that sockets are opened by the workers; with buffers that only CAP_NET_ADMIN can have.
        Traffic.TransferByTcp(user.Host, peer.Host, System.Net.IPAddress.Parse("10.1.1.2"), bytes: 20_000_000);
        var workers = Tasks(vtep).Where(task => task.Name.StartsWith("sleeve-worker", StringComparison.Ordinal)).ToArray();
        Assert.Equal(2, workers.Length);
        Assert.All(workers, worker =>
        {
            Assert.Equal(0UL, Hex(worker["CapEff"]));
            Assert.Equal(kept, Hex(worker["CapPrm"]));
            Assert.Equal(0UL, Hex(worker["CapInh"]));
            Assert.Equal(0UL, Hex(worker["CapAmb"]));
        });
        var sockets = user.Host.Try([.. user.Within, "ss", "-uanm"]).Ok().Split('\n').Where(line => line.Contains("skmem:", StringComparison.Ordinal)).ToArray();
        Assert.NotEmpty(sockets);
        Assert.All(sockets, line => Assert.True(line.Contains(",tb8388608,", StringComparison.Ordinal) || line.Contains(",rb33554432,", StringComparison.Ordinal), line));
        if (offload == "auto") Assert.Contains("tunnel-gso", user.Host.Try([.. user.Within, .. SleeveProgram.Words, "stats", "dev", "vx0"]).Ok(), StringComparison.Ordinal);
    }

    [SkippableFact]
    public void An_ordinary_user_with_nothing_but_CAP_NET_ADMIN_can_run_it()
    {
        var (user, peer) = GivenUserAndKernel();
        var vtep = user.Host.Start([.. user.As("--inh-caps", "+net_admin", "--ambient-caps", "+net_admin"), .. SleeveProgram.Words, "up", "vx0", "--address", "10.1.1.1/24", "--workers", "2", .. Options(user, peer)]);
        vtep.WaitForText("ready", TimeSpan.FromSeconds(30));
        Assert.Contains($"runs as {user.Name} (uid {user.Id}) with CAP_NET_ADMIN\n", vtep.Error, StringComparison.Ordinal);
        Assert.Contains("no tunnel-gso: CAP_NET_RAW is missing", vtep.Error, StringComparison.Ordinal);
        Assert.Contains("loading BPF was refused (CAP_BPF)", vtep.Error, StringComparison.Ordinal);
        Assert.Contains("receive buffer 16384 KiB\n", vtep.Error, StringComparison.Ordinal);
        AssertPings(user, peer);
    }

    [SkippableFact]
    public void A_TAP_that_root_made_for_a_user_takes_no_capability_at_all()
    {
        var (user, peer) = GivenUserAndKernel();
        user.Host.Run($"ip tuntap add vx0 mode tap multi_queue vnet_hdr user {user.Id}");
        var vtep = user.Up(["vx0", "--workers", "2", .. Options(user, peer)]);
        Assert.Contains($"runs as {user.Name} (uid {user.Id}) with no capability\n", vtep.Error, StringComparison.Ordinal);
        Assert.Contains("vx0 (found, will be left as it was) carries vni 100: MTU 1500, MAC ", vtep.Error, StringComparison.Ordinal);
        Assert.Contains("vx0: its MTU stays 1500: ip link set vx0 mtu 1450 (CAP_NET_ADMIN is missing)\n", vtep.Error, StringComparison.Ordinal);
        Assert.Contains("vx0: it is down: ip link set vx0 up (CAP_NET_ADMIN is missing)\n", vtep.Error, StringComparison.Ordinal);
        // What it says to type is what helps.
        user.Host.Run("ip link set vx0 mtu 1450");
        user.Host.Run("ip link set vx0 up");
        user.Host.Run("ip address add 10.1.1.1/24 dev vx0");
        AssertPings(user, peer);
        vtep.Signal();
        Assert.True(vtep.WaitForExit(Wait.Soon));
        Assert.True(vtep.ExitCode == 0, vtep.Error);
        Assert.Contains("mtu 1450", user.Host.Run("ip link show dev vx0"), StringComparison.Ordinal);
    }

    [SkippableTheory]
    [InlineData("--mtu 1400", "cannot set the MTU of vx0 to 1400")]
    [InlineData("--address 10.1.1.1/24", "10.1.1.1/24")]
    [InlineData("--mac 02:00:00:00:00:01", "cannot set the MAC address of vx0")]
    public void What_was_asked_for_and_cannot_be_had_is_an_error(string words, string expected)
    {
        var (user, peer) = GivenUserAndKernel();
        user.Host.Run($"ip tuntap add vx0 mode tap multi_queue vnet_hdr user {user.Id}");
        var refused = user.Try([.. SleeveProgram.Words, "up", "vx0", .. Options(user, peer), .. Command.Split(words)]);
        Assert.Equal(1, refused.ExitCode);
        Assert.Contains(expected, refused.Error, StringComparison.Ordinal);
        Assert.Contains("needs CAP_NET_ADMIN in this network namespace (run as root)", refused.Error, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void Only_root_can_start_as_somebody_else()
    {
        var (user, peer) = GivenUserAndKernel();
        var refused = user.Try([.. SleeveProgram.Words, "up", "vx0", .. Options(user, peer), "--user", "nobody"]);
        Assert.Equal($"sleeve up: --user nobody: only root can start as another user; this is {user.Name} (uid {user.Id})\n", refused.Error);
        Assert.Equal(1, refused.ExitCode);
        foreach (var name in (string[])["root", "sleeve-no-such-user"])
        {
            var wrong = user.Try([.. SleeveProgram.Words, "up", "vx0", .. Options(user, peer), "--user", name]);
            Assert.Equal($"sleeve up: --user {name}: must be the name of an ordinary user of this host (getent passwd)\n", wrong.Error);
            Assert.Equal(2, wrong.ExitCode);
        }
    }

    private (OrdinaryUser User, Vtep Peer) GivenUserAndKernel()
    {
        var lab = NewLab();
        var (a, b) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(a, b);
        return (new OrdinaryUser(a), Vtep.Start(VtepKind.Kernel, b, new VtepOptions { Remotes = [a.Address], Addresses = ["10.1.1.2/24"] }));
    }

    private static string[] Options(OrdinaryUser user, Vtep peer) => ["--vni", "100", "--local", $"{user.Host.Address}", "--remote", $"{peer.Host.Address}"];

    private static BackgroundProcess StartAsRoot(OrdinaryUser user, IReadOnlyList<string> words)
    {
        var process = user.Host.Start([.. user.Within, .. SleeveProgram.Words, "up", "vx0", .. words]);
        process.WaitForText("ready", TimeSpan.FromSeconds(30));
        return process;
    }

    private static void AssertPings(OrdinaryUser user, Vtep peer)
    {
        Traffic.WaitForPing(user.Host, System.Net.IPAddress.Parse("10.1.1.2"));
        Assert.Equal(3, Traffic.Ping(peer.Host, System.Net.IPAddress.Parse("10.1.1.1"), size: 8000));
    }

    private static ulong Hex(string text) => ulong.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    private static IReadOnlyList<Task> Tasks(BackgroundProcess process) =>
        [.. Directory.EnumerateDirectories($"/proc/{process.Id}/task").Select(static folder => new Task(File.ReadAllText(folder + "/comm").Trim(), File.ReadAllLines(folder + "/status")))];

    private sealed record Task(string Name, string[] Status)
    {
        public string this[string key] => Status.First(line => line.StartsWith(key + ":", StringComparison.Ordinal))[(key.Length + 1)..].Trim();
    }
}
