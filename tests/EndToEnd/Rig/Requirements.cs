using System.Globalization;

namespace Sleeve.EndToEnd.Rig;

/// <summary>What a test needs of the machine it runs on. A missing thing skips the test and says what would bring it.</summary>
public static class Requirements
{
    private const int NetAdmin = 12;
    private const int SysAdmin = 21;

    private static readonly Dictionary<string, string> Packages = new(StringComparer.Ordinal)
    {
        ["ip"] = "iproute2",
        ["bridge"] = "iproute2",
        ["ping"] = "iputils-ping",
        ["ethtool"] = "ethtool",
        ["nft"] = "nftables",
        ["tshark"] = "tshark",
        ["cc"] = "gcc libc6-dev",
        ["unshare"] = "util-linux",
        ["nsenter"] = "util-linux",
        ["setpriv"] = "util-linux",
        ["prlimit"] = "util-linux",
        ["newuidmap"] = "uidmap",
        ["busybox"] = "busybox-static",
        ["promtool"] = "prometheus",
        ["dig"] = "bind9-dnsutils",
        ["dnsmasq"] = "dnsmasq-base",
        ["getent"] = "libc-bin",
        ["etcd"] = "etcd-server",
        ["etcdctl"] = "etcd-client",
        ["ctr"] = "containerd",
        ["tc"] = "iproute2",
        ["systemd-nspawn"] = "systemd-container",
        ["lxc-start"] = "lxc",
        ["qemu-system-x86_64"] = "qemu-system-x86",
        ["dockerd"] = "docker.io",
        ["docker"] = "docker.io",
        ["iptables"] = "iptables",
        ["pgrep"] = "procps",
    };

    private static readonly Lazy<string?> NamespaceProblem = new(FindNamespaceProblem);

    /// <summary>Skips unless network namespaces can be made and the basic programs are there.</summary>
    public static void Namespaces()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "needs Linux");
        Skip.If(NamespaceProblem.Value is not null, NamespaceProblem.Value);
        Programs("ip", "bridge", "ping");
    }

    /// <summary>Skips unless TAP devices can be made.</summary>
    public static void Tap()
    {
        try
        {
            using var handle = File.OpenHandle("/dev/net/tun", FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Skip.If(true, $"needs /dev/net/tun to be readable and writable by this user: {e.Message}");
        }
    }

    /// <summary>Skips unless TAPs take tunnel super-frames.</summary>
    public static void TunnelOffload() =>
        Skip.IfNot(Environment.OSVersion.Version >= new Version(6, 17), $"needs Linux 6.17, this is {Environment.OSVersion.Version}");

    /// <summary>Skips unless these programs are on the PATH.</summary>
    public static void Programs(params string[] names)
    {
        foreach (var name in names)
            Skip.IfNot(IsOnPath(name), $"needs the program {name}: apt-get install {Packages.GetValueOrDefault(name, name)}");
    }

    private static bool IsOnPath(string name) =>
        $"{Environment.GetEnvironmentVariable("PATH")}:/usr/sbin:/sbin".Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Any(folder => File.Exists(Path.Combine(folder, name)));

    private static string? FindNamespaceProblem()
    {
        var line = File.ReadLines("/proc/thread-self/status").First(l => l.StartsWith("CapEff:", StringComparison.Ordinal));
        var capabilities = ulong.Parse(line.AsSpan(7).Trim(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        const string needsRoot = "needs root: run ./test, which re-executes itself in unshare -Urnm";
        if ((capabilities & (1UL << NetAdmin)) == 0 || (capabilities & (1UL << SysAdmin)) == 0 || !IsOnPath("ip")) return needsRoot;
        var name = $"e2e{Environment.ProcessId}-probe";
        var made = Command.Run(["ip", "netns", "add", name]);
        if (made.ExitCode != 0) return $"{needsRoot} (ip netns add: {made.Error.Trim()})";
        Command.Run(["ip", "netns", "del", name]);
        return null;
    }
}
