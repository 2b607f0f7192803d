using System.Text.Json;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Cni;

/// <summary>
/// The plugin under real container runtimes, each on two hosts.
/// <code>
///    app1                        app2
///     │ eth0                      │ eth0
///    a: podman, sleeve ── b: podman, sleeve
/// </code>
/// </summary>
public sealed class RuntimeTests(ITestOutputHelper output) : CniTest(output)
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(90);
    private readonly List<Action> _undo = [];

    [SkippableFact]
    public void Podman_containers_on_two_hosts_ping_each_other_by_name()
    {
        Requirements.Programs("podman", "runc", "busybox", "nsenter", "iptables");
        RequirePlugins("portmap");
        var (_, daemons) = GivenCluster(2);
        daemons[0].Run("net create blue --subnet 10.1.0.0/24").Ok();
        daemons[0].Run("net create green --subnet 10.2.0.0/24").Ok();
        WaitForNetwork("green", daemons[1]);
        daemons[0].Host.InNamespace(static () => File.WriteAllText("/proc/sys/net/ipv4/ip_forward", "1"));
        string[][] podmen = [Podman(daemons[0]), Podman(daemons[1])];
        var rootfs = BusyboxRoot();
        var networks = On(daemons[0], [.. podmen[0], "network", "ls", "--format", "{{.Name}}={{.Driver}}"]).Ok();
        Assert.Contains("blue=sleeve", networks, StringComparison.Ordinal);
        Start(daemons[0], podmen[0], "app1", rootfs, "-p", "8088:80", "--network", "blue:mac=02:aa:bb:cc:dd:01", "--network", "green");
        Start(daemons[1], podmen[1], "app2", rootfs, "--network", "blue");
        using var document = JsonDocument.Parse(On(daemons[0], [.. podmen[0], "inspect", "app1"]).Ok());
        Output.WriteLine(document.RootElement[0].GetProperty("NetworkSettings").GetRawText());
        Assert.Equal("02:aa:bb:cc:dd:01", document.RootElement[0].GetProperty("NetworkSettings").GetProperty("Networks").GetProperty("blue").GetProperty("MacAddress").GetString());
        Wait.Until(() => On(daemons[1], [.. podmen[1], "exec", "app2", "ping", "-c", "1", "-W", "2", "app1"]).ExitCode == 0, "app2 pings app1 by name", Patience, 200);
        // app1 is in two networks, and podman lists their name servers in any order: each has the names of both.
        Wait.Until(() => On(daemons[0], [.. podmen[0], "exec", "app1", "ping", "-c", "1", "-W", "2", "app2"]).ExitCode == 0, "app1 pings app2 by name", Patience, 200);
        var servers = On(daemons[0], [.. podmen[0], "exec", "app1", "cat", "/etc/resolv.conf"]).Ok().Split('\n').Where(static line => line.StartsWith("nameserver 10.1.0.", StringComparison.Ordinal) || line.StartsWith("nameserver 10.2.0.", StringComparison.Ordinal)).Select(static line => line[11..]).ToArray();
        Assert.Equal(2, servers.Length);
        var there = On(daemons[1], [.. podmen[1], "inspect", "app2", "--format", "{{.NetworkSettings.Networks.blue.IPAddress}}"]).Ok().Trim();
        foreach (var server in servers) Assert.Contains($" {there}\n", On(daemons[0], [.. podmen[0], "exec", "app1", "nslookup", "-type=a", "app2.blue.sleeve", server]).Ok(), StringComparison.Ordinal);
        Assert.Contains("eth1", On(daemons[0], [.. podmen[0], "exec", "app1", "ip", "-o", "addr"]).Ok(), StringComparison.Ordinal);
        Wait.Until(() => Serves(daemons[1], 8088), "the port is published", Patience, 200);
        string[] chosen = [.. podmen[1], "run", "--rm", "--network", "blue", "--ip", "10.1.0.77", "--rootfs", rootfs, "busybox", "ip", "-o", "addr", "show", "eth0"];
        Assert.Contains(" 10.1.0.77/24 ", On(daemons[1], chosen).Ok(), StringComparison.Ordinal);
        // Started again it is wired anew; ended, nothing is left.
        On(daemons[1], [.. podmen[1], "restart", "-t", "0", "app2"]).Ok();
        Wait.Until(() => On(daemons[1], [.. podmen[1], "exec", "app2", "ping", "-c", "1", "-W", "2", "app1"]).ExitCode == 0, "app2 pings app1 after its restart", Patience, 200);
        for (var i = 0; i < 2; i++) On(daemons[i], [.. podmen[i], "rm", "-f", "-t", "0", $"app{i + 1}"]).Ok();
        Assert.All(daemons, static daemon => Assert.Equal(0, EndpointsOf(daemon)));
        AuditFindsNothing(daemons[0]);
    }

    [SkippableFact]
    public void Containers_of_containerd_are_wired_by_ctr()
    {
        Requirements.Programs("containerd", "ctr", "runc", "busybox", "nsenter", "unshare");
        var (_, daemons) = GivenCluster(2);
        daemons[0].Run("net create blue --subnet 10.1.0.0/24").Ok();
        WaitForNetwork("blue", daemons[1]);
        var container = Container(daemons[1]);
        var far = Attach(daemons[1], "blue", container)[0];
        var (folder, rootfs) = (NewFolder(), BusyboxRoot());
        var (binaries, configurations) = Install(daemons[0]);
        // Its folders are fixed: /opt/cni/bin and /etc/cni/net.d.
        var script = $"mkdir -p /etc/cni && mount -t tmpfs tmpfs /opt && mount -t tmpfs tmpfs /etc/cni && mkdir -p /opt/cni/bin /etc/cni/net.d && mount --bind {binaries} /opt/cni/bin && mount --bind {configurations} /etc/cni/net.d && exec \"$@\"";
        File.WriteAllText($"{folder}/config.toml", $"version = 2\nroot = \"{folder}/root\"\nstate = \"{folder}/state\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"{folder}/sock\"\n");
        string[] inside = ["nsenter", $"--net=/run/netns/{daemons[0].Host.Namespace}", "unshare", "--mount", "--propagation", "slave", "sh", "-c", script, "sh"];
        foreach (var plugin in (string[])["portmap"])
            if (File.Exists($"{ReferencePlugins}/{plugin}")) File.CreateSymbolicLink($"{binaries}/{plugin}", $"{ReferencePlugins}/{plugin}");
        var containerd = new BackgroundProcess([.. inside, "containerd", "-c", $"{folder}/config.toml"]);
        _undo.Add(() =>
        {
            containerd.Signal();
            containerd.WaitForExit(Long);
            containerd.Dispose();
        });
        Wait.Until(() => Command.Run(["ctr", "-a", $"{folder}/sock", "version"]).ExitCode == 0, "containerd answers", Patience, 200);
        var run = Command.Run([.. inside, "ctr", "-a", $"{folder}/sock", "run", "--rm", "--rootfs", "--cni", "--cap-add", "CAP_NET_RAW", rootfs, "c1", "/bin/sh", "-c", $"PATH=/bin; ip -o addr show eth0; ping -c 2 -W 5 {far}"], timeout: Long);
        Output.WriteLine($"{run.ExitCode} {run.Output} {run.Error}");
        Skip.If(run.ExitCode != 0 && (run.Error.Contains("cgroup", StringComparison.Ordinal) || run.Error.Contains("runc", StringComparison.Ordinal)), $"needs containers of containerd to work here: {run.Error.Trim()}");
        Assert.Contains(" 10.1.0.", run.Output, StringComparison.Ordinal);
        Assert.Contains(" 0% packet loss", run.Output, StringComparison.Ordinal);
        Assert.Equal(0, EndpointsOf(daemons[0]));
    }

    private static CommandResult On(SleeveDaemon daemon, IReadOnlyList<string> words)
    {
        string[] all = ["nsenter", $"--net=/run/netns/{daemon.Host.Namespace}", .. words];
        var result = Command.Run(all, timeout: Long);
        daemon.Host.Lab.Log($"[{daemon.Host.Name}] {string.Join(' ', words.SkipWhile(static word => word != "runc"))} → {result.ExitCode} {result.Error.Trim()}");
        return result;
    }

    // podman with a storage, a configuration and networks of its own.
    private string[] Podman(SleeveDaemon daemon)
    {
        var folder = NewFolder();
        var (binaries, configurations) = Install(daemon, "--network blue");
        daemon.Run($"cni install --bin-dir {binaries} --conf-dir {configurations} --network green").Ok();
        File.WriteAllText($"{folder}/containers.conf", $"""
            [network]
            network_backend = "cni"
            network_config_dir = "{configurations}"
            cni_plugin_dirs = ["{binaries}", "{ReferencePlugins}"]
            """);
        string[] words = ["env", $"CONTAINERS_CONF={folder}/containers.conf", "podman", "--root", $"{folder}/root", "--runroot", $"{folder}/run", "--tmpdir", $"{folder}/tmp", "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--storage-driver", "vfs", "--runtime", "runc"];
        _undo.Add(() => On(daemon, [.. words, "rm", "-f", "-a", "-t", "0"]));
        return words;
    }

    private void Start(SleeveDaemon daemon, string[] podman, string name, string rootfs, params string[] more)
    {
        var copy = $"{NewFolder()}/root";
        Command.Run(["cp", "-a", rootfs, copy]).Ok();
        var run = On(daemon, [.. podman, "run", "-d", "--name", name, "--cap-add", "net_raw", .. more, "--rootfs", copy, "busybox", "httpd", "-f", "-p", "80", "-h", "/www"]);
        Skip.If(run.ExitCode != 0 && (run.Error.Contains("overlay", StringComparison.Ordinal) || run.Error.Contains("cgroup", StringComparison.Ordinal) || run.Error.Contains("OCI runtime", StringComparison.Ordinal)), $"needs podman to work here: {run.Error.Trim()}");
        run.Ok();
    }

    private string BusyboxRoot()
    {
        var root = $"{NewFolder()}/root";
        foreach (var folder in (string[])["bin", "etc", "proc", "sys", "dev", "tmp", "www"]) Directory.CreateDirectory($"{root}/{folder}");
        Command.Run(["sh", "-c", $"cp $(command -v busybox) {root}/bin/busybox && for a in sh sleep ping ip nc echo cat nslookup; do ln -s busybox {root}/bin/$a; done"]).Ok();
        File.WriteAllText($"{root}/www/index.html", "published\n");
        return root;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        foreach (var undo in _undo) undo();
        base.Dispose(disposing);
    }
}
