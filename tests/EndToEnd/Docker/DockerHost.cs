using System.Globalization;
using Sleeve.EndToEnd.Rig;

namespace Sleeve.EndToEnd.Docker;

/// <summary>
/// The real dockerd on a host of the lab, in namespaces of its own (mounts, processes) beside the host's network, so that several are on one machine. Its folder of plugins is shared with the host's sleeve daemon.
/// Disposing kills it with all its containers.
/// </summary>
internal sealed class DockerHost : IDisposable
{
    /// <summary>The image of its containers: busybox.</summary>
    public const string Image = "bb:1";

    // That of the same package as dockerd: a newer one has options that this one does not.
    private static readonly string Client = File.Exists("/usr/bin/docker") ? "/usr/bin/docker" : "docker";
    private const int Attempts = 600;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly Lazy<string> RootFilesystem = new(MakeRootFilesystem);

    // As a machine's own /run and /sys are; the loop reaps what loses its parent, as init does.
    private const string Init = """
        set -e
        control=$(mktemp -d); mount --rbind /sys/fs/cgroup "$control"
        mount -t proc proc /proc
        mount -t sysfs sysfs /sys; mount --rbind "$control" /sys/fs/cgroup; umount -l "$control"; rmdir "$control"
        mount -t tmpfs -o mode=755 tmpfs /run
        mkdir -p /run/docker/plugins /run/docker-exec
        mount --bind "$0" /run/docker/plugins
        sysctl -qw net.ipv4.ip_forward=1
        if [ $# = 2 ]; then
          hostname "$2"
          mount -t tmpfs tmpfs /var/lib; mkdir -p /var/lib/docker "$1/data" "$1/etc" "$1/state"; mount --bind "$1/data" /var/lib/docker
          mount --make-rshared /
        fi
        echo up
        while sleep 1; do :; done
        """;

    private readonly SleeveDaemon? _sleeve;
    private readonly string _folder;
    private readonly BackgroundProcess _init;
    private readonly int _initId;
    private readonly string[] _enter;
    private string[] _words = [];
    private BackgroundProcess? _daemon;

    private DockerHost(Host host, SleeveDaemon? sleeve, string folder)
    {
        (Host, _sleeve, _folder) = (host, sleeve, folder);
        _init = new BackgroundProcess(
            ["nsenter", $"--net=/run/netns/{host.Namespace}", "unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--propagation", "private", "bash", "-c", Init, PluginsOf(folder), .. sleeve is null ? (string[])[folder, host.Name] : []]);
        _init.WaitForText("up", Patience);
        _initId = int.Parse(Command.Run(["pgrep", "-P", $"{_init.Id}"]).Ok().Trim(), CultureInfo.InvariantCulture);
        _enter = ["nsenter", "-t", $"{_initId}", "-n", "-m", "-p", "-u", "-i"];
    }

    /// <summary>The host.</summary>
    public Host Host { get; }

    /// <summary>Where its socket and its data are.</summary>
    public string Folder => _folder;

    /// <summary>The sleeve daemon of the host.</summary>
    public SleeveDaemon Sleeve => _sleeve ?? throw new InvalidOperationException("it has none beside it");

    private string Socket => Path.Combine(_folder, "docker.sock");

    /// <summary>Skips what needs dockerd where it is not installed, or control groups cannot be had.</summary>
    public static void Require()
    {
        Requirements.Programs("dockerd", "docker", "busybox", "nsenter", "unshare", "iptables", "pgrep");
        Skip.IfNot(Directory.Exists("/sys/fs/cgroup") && Directory.EnumerateFileSystemEntries("/sys/fs/cgroup").Any(), "needs control groups at /sys/fs/cgroup");
    }

    /// <summary>Prepares a host before its sleeve daemon starts: tells that where Docker is.</summary>
    /// <returns>The folder of <see cref="Start"/>.</returns>
    public static string Prepare(SleeveDaemon sleeve)
    {
        var folder = Directory.CreateTempSubdirectory("sleeve-docker-").FullName;
        Directory.CreateDirectory(PluginsOf(folder));
        File.AppendAllText(sleeve.ConfigPath, $"docker: on\ndocker-plugins: {PluginsOf(folder)}\ndocker-socket: {Path.Combine(folder, "docker.sock")}\n");
        return folder;
    }

    private static string PluginsOf(string folder) => Path.Combine(folder, "plugins");

    /// <summary>Starts a dockerd on a host.</summary>
    /// <param name="sleeve">Its sleeve daemon.</param>
    /// <param name="folder">What <see cref="Prepare"/> said.</param>
    /// <param name="more">More words for dockerd.</param>
    public static DockerHost Start(SleeveDaemon sleeve, string folder, params string[] more)
    {
        return Begin(new DockerHost(sleeve.Host, sleeve, folder), more);
    }

    /// <summary>Starts a dockerd on a host without a sleeve daemon beside it.</summary>
    public static DockerHost StartAlone(Host host)
    {
        var folder = Directory.CreateTempSubdirectory("sleeve-docker-").FullName;
        Directory.CreateDirectory(PluginsOf(folder));
        return Begin(new DockerHost(host, null, folder), []);
    }

    private static DockerHost Begin(DockerHost docker, string[] more)
    {
        try
        {
            docker.StartDaemon(more);
            docker.Run("import", RootFilesystem.Value, Image);
            return docker;
        }
        catch
        {
            docker.Dispose();
            throw;
        }
    }

    /// <summary>What its plugins have said.</summary>
    public string SaidByPlugins => string.Join('\n', _daemon!.Error.Split('\n').Where(static line => line.Contains(" plugin=", StringComparison.Ordinal)));

    /// <summary>Starts dockerd, and waits until it answers.</summary>
    public void StartDaemon(params string[] more)
    {
        if (more.Length > 0) _words = more;
        _daemon?.Dispose();
        _daemon = new BackgroundProcess(
            [.. _enter, "env", "DOCKER_RAMDISK=true", "dockerd", "-H", $"unix://{Socket}", "--data-root", _sleeve is null ? "/var/lib/docker" : Path.Combine(_folder, "data"), "--exec-root", "/run/docker-exec", "--pidfile", "/run/dockerd.pid", "--bridge=none",
                // Where nobody answers, and that is said at once: names that are not of a network are not waited for.
                "--dns", $"{Host.Address}", .. _words]);
        for (var attempt = 0; Try("version").ExitCode != 0; attempt++)
        {
            if (_daemon.HasExited || attempt == Attempts) throw new CommandFailedException($"dockerd does not start: {_daemon.Error}");
            Thread.Sleep(50);
        }
    }

    /// <summary>Ends dockerd at once; its containers go on under their shims until the next one looks.</summary>
    public void KillDaemon()
    {
        Enter("pkill", "-9", "-x", "dockerd");
        Assert.True(_daemon!.WaitForExit(Patience));
        // Its own containerd is its child, and would be in the way of the next one's.
        Enter("pkill", "-9", "-x", "containerd");
    }

    /// <summary>Ends dockerd as a service manager would.</summary>
    public void StopDaemon()
    {
        Enter("pkill", "-x", "dockerd");
        Assert.True(_daemon!.WaitForExit(Patience), "dockerd ends");
    }

    /// <summary>Runs a command of docker; throws if it fails.</summary>
    public string Run(params string[] words) => Try(words).Ok();

    /// <summary>Runs a command of docker, in words.</summary>
    public string RunLine(string line) => Run(Command.Split(line));

    /// <summary>Runs a command of docker.</summary>
    public CommandResult Try(params string[] words)
    {
        var result = Command.Run([Client, "-H", $"unix://{Socket}", .. words], timeout: Patience);
        if (words is not ["version"]) Host.Lab.Log($"[{Host.Name}] docker {string.Join(' ', words)}{(result.ExitCode == 0 ? "" : $"  → {result.ExitCode} {result.Error.Trim()}")}");
        return result;
    }

    /// <summary>Starts a container that does nothing.</summary>
    public void RunContainer(string name, string network, params string[] more) => Run(["run", "-d", "--name", name, "--network", network, "--stop-timeout", "0", .. more, Image, "sleep", "100000"]);

    /// <summary>Whether a container gets an answer from another.</summary>
    public bool Pings(string container, string target) => Try("exec", container, "ping", "-c", "1", "-W", "1", target).ExitCode == 0;

    /// <summary>Pings until an answer comes.</summary>
    public void WaitForPing(string container, string target) => Wait.Until(() => Pings(container, target), $"{container} pings {target}", Patience, 100);

    /// <summary>Waits until docker has a network of that name.</summary>
    public void WaitForNetwork(string name) => Wait.Until(() => Try("network", "inspect", name).ExitCode == 0, $"docker of {Host.Name} has the network {name}", Patience, 100);

    /// <summary>The value of a template for a container or network.</summary>
    public string Inspect(string what, string template) => Run("inspect", "-f", template, what).Trim();

    /// <summary>Runs a program in dockerd's namespaces.</summary>
    public CommandResult Enter(params string[] words) => Command.Run([.. _enter, .. words]);

    public void Dispose()
    {
        _daemon?.Dispose();
        // The first process of its namespace takes all others with it.
        _ = LibC.kill(_initId, LibC.SIGKILL);
        _init.WaitForExit(Patience);
        _init.Dispose();
        Wait.Until(() => TryDelete(_folder), $"{_folder} goes", Patience, 100);
    }

    private static bool TryDelete(string folder)
    {
        // What its mounts were, a plain remover sees as folders; some are read-only.
        return Command.Run(["rm", "-rf", "--one-file-system", folder], timeout: Patience).ExitCode == 0;
    }

    private static string MakeRootFilesystem()
    {
        var folder = Directory.CreateTempSubdirectory("sleeve-rootfs-").FullName;
        var archive = folder + ".tar";
        Command.Run(
            ["bash", "-euc", """
                mkdir -p "$0"/bin "$0"/etc "$0"/proc "$0"/sys "$0"/dev "$0"/tmp "$0"/root
                cp "$(command -v busybox)" "$0/bin/busybox"
                for applet in $("$0/bin/busybox" --list); do [ "$applet" = busybox ] || ln -sf busybox "$0/bin/$applet"; done
                echo 'root:x:0:0:root:/root:/bin/sh' > "$0/etc/passwd"; echo 'root:x:0:' > "$0/etc/group"
                tar -C "$0" -cf "$1" .
                rm -rf "$0"
                """, folder, archive], timeout: Patience).Ok();
        AppDomain.CurrentDomain.ProcessExit += (_, _) => File.Delete(archive);
        return archive;
    }
}
