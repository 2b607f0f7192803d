using System.Globalization;
using System.Net;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Daemon;

/// <summary>
/// A daemon on one host, the kernel's vxlan devices on another.
/// <code>
///     a: sleeve daemon ═══ veth pair ═══ b: kernel's vxlan, one device a segment
///        vx0 10.0.0.1 … in overlay 10.N.0.0/24
/// </code>
/// </summary>
public abstract class DaemonTest(ITestOutputHelper output) : LabTest(output)
{
    /// <summary>For what takes a turn of the daemon's own, which comes every 5 s.</summary>
    protected static readonly TimeSpan Patience = TimeSpan.FromSeconds(40);

    /// <summary>Two hosts, nothing on them yet.</summary>
    protected (Host A, Host B) GivenTwoHosts()
    {
        var lab = NewLab();
        var (a, b) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(a, b);
        return (a, b);
    }

    /// <summary>A daemon that runs segments 1 to <paramref name="segments"/> of its file, each with a peer that answers.</summary>
    protected (SleeveDaemon Daemon, Host A, Host B) GivenSegments(int segments = 1)
    {
        var (a, b) = GivenTwoHosts();
        var daemon = SleeveDaemon.Make(a, [.. Enumerable.Range(1, segments).Select(number => SleeveDaemon.Segment(number, b.Address))]).Start();
        for (var number = 1; number <= segments; number++)
        {
            SleeveDaemon.Peer(b, number, a.Address);
            WaitForPing(a, SleeveDaemon.PeerAddress(number));
        }

        return (daemon, a, b);
    }

    /// <summary>Pings until an answer comes, for as long as a busy machine may take.</summary>
    protected static void WaitForPing(Host from, IPAddress to) => Wait.Until(() => Traffic.Ping(from, to, 1) == 1, $"{from.Name} pings {to}", Patience);

    /// <summary>Pings 50 times a second while something is done, and returns how many had no answer.</summary>
    protected static (int Sent, int Lost) PingWhile(Host from, IPAddress to, Action deed)
    {
        var ping = from.Start("ping", "-n", "-i", "0.02", "-W", "3", $"{to}");
        ping.WaitForText("bytes from", Patience);
        deed();
        Thread.Sleep(300);
        ping.Signal(LibC.SIGINT);
        Assert.True(ping.WaitForExit(Patience));
        // "123 packets transmitted, 123 received, 0% packet loss"
        var words = Command.Split(ping.Output.Split('\n').Single(static line => line.Contains("transmitted", StringComparison.Ordinal)).Replace(',', ' '));
        var sent = int.Parse(words[0], CultureInfo.InvariantCulture);
        var received = int.Parse(words[Array.IndexOf(words, "received") - 1], CultureInfo.InvariantCulture);
        // The last one's answer may have been under way.
        return (sent, Math.Max(0, sent - received - 1));
    }

    /// <summary>Lines of an output.</summary>
    protected static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Devices that say that they are Sleeve's.</summary>
    protected static IReadOnlyList<string> TapsOf(Host host) =>
        [.. Lines(host.Run("ip -o link show type tun")).Where(static line => line.Contains("made by sleeve", StringComparison.Ordinal)).Select(static line => Command.Split(line)[1].TrimEnd(':'))];

    /// <summary>Ends the daemon, purges, and sees that nothing is left: no TAP, no socket, no file.</summary>
    protected static void PurgeLeavesNothing(SleeveDaemon daemon)
    {
        ArgumentNullException.ThrowIfNull(daemon);
        if (!daemon.Process.HasExited) daemon.Stop();
        daemon.Run($"purge --state {daemon.StateFolder}").Ok();
        Assert.Empty(TapsOf(daemon.Host));
        Assert.DoesNotContain("tun", daemon.Host.Run("ip -d link show type tun"), StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries("/run/sleeve"));
        Assert.True(!Directory.Exists(daemon.StateFolder) || Directory.GetFileSystemEntries(daemon.StateFolder).Length == 0);
    }
}
