using System.Globalization;
using Sleeve.EndToEnd.Networks;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Guests;

/// <summary>
/// Two hosts with a network, and on them what is no container of docker or podman: as docs/containers.md says it.
/// <code>
///    a: sleeve daemon ── switch ── b: sleeve daemon
///       └ guest                       └ guest
/// </code>
/// </summary>
public abstract class GuestTest(ITestOutputHelper output) : ClusterTest(output)
{
    private static readonly string[] Applets = ["sh", "sleep", "ping", "ip", "echo"];
    private readonly List<string> _roots = [];

    /// <summary>The network of these tests: 10.1.0.0/24.</summary>
    protected const string Network = "blue";

    /// <summary>Two hosts, and the network on both.</summary>
    protected IReadOnlyList<SleeveDaemon> GivenNetwork()
    {
        var (_, daemons) = GivenCluster(2);
        daemons[0].Run($"net create {Network} subnet 10.1.0.0/24").Ok();
        Wait.Until(() => daemons[1].Run("net ls").Output.Contains(Network, StringComparison.Ordinal), "the other host knows the network", Patience);
        return daemons;
    }

    /// <summary>A file system of busybox alone.</summary>
    protected string GivenRoot()
    {
        Requirements.Programs("busybox");
        var root = Directory.CreateTempSubdirectory("sleeve-guest-").FullName;
        _roots.Add(root);
        foreach (var folder in new[] { "bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "var" }) Directory.CreateDirectory(Path.Combine(root, folder));
        File.WriteAllText(Path.Combine(root, "etc/os-release"), "ID=busybox\n");
        var program = new[] { "/usr/bin/busybox", "/bin/busybox" }.First(File.Exists);
        File.Copy(program, Path.Combine(root, "bin/busybox"));
        foreach (var applet in Applets) File.CreateSymbolicLink(Path.Combine(root, "bin", applet), "busybox");
        // As the folder of a machine is: others may look in.
        File.SetUnixFileMode(root, (UnixFileMode)Convert.ToInt32("755", 8));
        return root;
    }

    /// <summary>Runs a command on a host; unlike what `ip netns exec` shows, with the control groups of this machine.</summary>
    protected static CommandResult RunOn(Host host, params IReadOnlyList<string> words) => Command.Run([.. On(host), .. words]);

    /// <summary>Starts a program on a host that runs until it is stopped, at the latest with the lab.</summary>
    protected static BackgroundProcess StartOn(Host host, params IReadOnlyList<string> words)
    {
        ArgumentNullException.ThrowIfNull(host);
        host.Lab.Log($"[{host.Name}] {string.Join(' ', words)} &");
        return host.Lab.Own(new BackgroundProcess([.. On(host), .. words]));
    }

    /// <summary>The youngest descendant of a process, which is what a container runs.</summary>
    protected static int Innermost(int process)
    {
        while (File.ReadAllText($"/proc/{process}/task/{process}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries) is [.., var child])
            process = int.Parse(child, CultureInfo.InvariantCulture);
        return process;
    }

    /// <summary>Pings from inside a guest, by its own program, until an answer comes.</summary>
    protected static void WaitForPingFrom(int process, string target) =>
        Wait.Until(() => Command.Run(["nsenter", "-t", $"{process}", "-m", "-n", "/bin/ping", "-c", "1", "-W", "1", target]).ExitCode == 0, $"process {process} pings {target}", Patience);

    /// <summary>The only address of an endpoint.</summary>
    protected static string AddressOf(SleeveDaemon daemon, string endpoint) => AddressesOf(daemon, Network, endpoint).Single().ToString();

    /// <summary>Waits until an endpoint is gone whose guest has ended.</summary>
    protected static void WaitForWithdrawal(SleeveDaemon daemon, string endpoint)
    {
        ArgumentNullException.ThrowIfNull(daemon);
        Wait.Until(() => !daemon.Run($"endpoint ls {Network} --json").Ok().Contains($"\"{endpoint}\"", StringComparison.Ordinal), $"{endpoint} is withdrawn", Patience);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        foreach (var root in _roots) Directory.Delete(root, recursive: true);
    }

    private static string[] On(Host host) => ["nsenter", $"--net=/run/netns/{host.Namespace}"];
}
