using System.Diagnostics;

namespace Sleeve.Bench.EndToEnd.Rig;

/// <summary>
/// Two hosts joined by a veth pair with its offloads on, the default:
/// <code>
///   namespace L                           namespace R
///   overlay 10.1.1.1/24                   overlay 10.1.1.2/24     (and 10.2.0.0/16, for many flows)
///   eth0 10.0.0.1/24  ═════ veth ═════  eth0 10.0.0.2/24
/// </code>
/// Made anew for every system and round, so that nothing of one is left for the next.
/// </summary>
internal sealed class Lab : IDisposable
{
    /// <summary>Network of destinations behind R, all local there: one address a flow.</summary>
    public const string FlowNetwork = "10.2.0.0/16";

    /// <summary>Network of remote VTEPs that do not exist: R is the way there and drops what comes.</summary>
    public const string RemoteNetwork = "10.64.0.0/16";

    private static readonly Host[] Hosts = [Host.Left, Host.Right];

    /// <summary>Makes both hosts and the underlay.</summary>
    /// <param name="mtu">Of the underlay, bytes.</param>
    public Lab(int mtu)
    {
        Mtu = mtu;
        Remove();
        foreach (var host in Hosts)
        {
            Command.Run("ip", "netns", "add", host.Name);
            host.Ip("link", "set", "lo", "up");
        }

        Command.Run("ip", "link", "add", "eth0", "netns", Host.Left.Name, "type", "veth", "peer", "name", "eth0", "netns", Host.Right.Name);
        foreach (var host in Hosts)
        {
            host.Ip("link", "set", "eth0", "mtu", $"{mtu}", "up");
            host.Ip("addr", "add", $"{host.Underlay}/24", "dev", "eth0");
        }

        Host.Left.Ip("route", "add", RemoteNetwork, "via", Host.Right.Underlay);
        Host.Right.Ip("route", "add", "local", FlowNetwork, "dev", "lo");
    }

    /// <summary>MTU of the underlay, bytes.</summary>
    public int Mtu { get; }

    /// <summary>Waits until L's ping over the overlay is answered.</summary>
    /// <exception cref="BenchFailure">It is not, within the limit.</exception>
    public static void Ping(TimeSpan limit)
    {
        var started = Stopwatch.StartNew();
        while (true)
        {
            // Until the overlay device has its address ping ends at once; later it asks a hundred times a second and ends with the first answer.
            var outcome = Command.Try(TimeSpan.FromSeconds(10), Host.Left.Inside("ping", "-n", "-q", "-i", "0.01", "-c", "1", "-w", "1", Host.Right.Overlay));
            if (outcome.Code == 0) return;
            if (started.Elapsed > limit) throw new BenchFailure($"set up, but no ping over it is answered within {limit.TotalSeconds:0} s: {outcome.LastWords}");
            Thread.Sleep(1);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Remove();

    private static void Remove()
    {
        foreach (var host in Hosts) Command.Try(TimeSpan.FromSeconds(20), "ip", "netns", "del", host.Name);
    }
}
