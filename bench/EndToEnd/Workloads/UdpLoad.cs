using Sleeve.Bench.EndToEnd.Load;
using Sleeve.Bench.EndToEnd.Measure;
using Sleeve.Bench.EndToEnd.Rig;
using Sleeve.Bench.EndToEnd.Systems;

namespace Sleeve.Bench.EndToEnd.Workloads;

/// <summary>What became of datagrams sent as fast as the sender could.</summary>
/// <param name="Delivered">Datagrams a second that the receiver got, in the middle of the run.</param>
/// <param name="Sent">Datagrams a second that the sender's kernel took, over the whole run.</param>
/// <param name="Count">Datagrams that the receiver counted.</param>
/// <param name="Used">CPU that went by while it counted.</param>
internal readonly record struct UdpResult(double Delivered, double Sent, double Count, Cpu Used)
{
    /// <summary>Counted datagrams, in millions.</summary>
    public double Millions => Count / 1e6;
}

/// <summary>Sends datagrams from the left host to the right as fast as it can.</summary>
internal static class UdpLoad
{
    private const double WarmUp = 0.3;
    private const double CoolDown = 0.1;
    private const string Port = "5005";

    /// <summary>Seconds that a run takes beyond those that are counted.</summary>
    public const double Overhead = WarmUp + CoolDown + 0.3;

    /// <summary>Runs it.</summary>
    /// <param name="pair">Between what.</param>
    /// <param name="size">Bytes of payload.</param>
    /// <param name="flows">Flows, each with a destination address of its own; 0 for one flow to the overlay address.</param>
    /// <param name="seconds">How long datagrams are counted.</param>
    /// <exception cref="BenchFailure">Nothing arrived, or a generator hung.</exception>
    public static UdpResult Run(Pair pair, int size, int flows, double seconds)
    {
        var invariant = System.Globalization.CultureInfo.InvariantCulture;
        using var receiver = new Background(Host.Right.Inside(LoadWords.Of(
            "udp-receive", [Port, WarmUp.ToString(invariant), seconds.ToString(invariant), .. pair.Processes.Select(static id => $"{id}")])));
        receiver.WaitFor("ready", TimeSpan.FromSeconds(10));
        var length = WarmUp + seconds + CoolDown;
        using var sender = new Background(Host.Left.Inside(LoadWords.Of(
            "udp-send", Host.Right.Overlay, "unicast", Port, $"{size}", length.ToString(invariant), $"{flows}")));
        var received = LoadWords.Read(receiver.WaitFor("received ", TimeSpan.FromSeconds(length + 12)));
        var sent = LoadWords.Read(sender.WaitFor("sent ", TimeSpan.FromSeconds(length + 5)));
        pair.ThrowIfDead();
        if (received[0] == 0) throw new BenchFailure("udp: nothing arrived in the middle of the run");
        return new UdpResult(received[0] / received[1], sent[0] / sent[1], received[0], new Cpu(received[2], received[3]));
    }
}
