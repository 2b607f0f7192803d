using Sleeve.Bench.EndToEnd.Load;
using Sleeve.Bench.EndToEnd.Rig;
using Sleeve.Bench.EndToEnd.Systems;

namespace Sleeve.Bench.EndToEnd.Workloads;

/// <summary>
/// Head-end replication: broadcasts as fast as the sender can, each to be copied to every remote of the list. The remotes do not exist: the right
/// host is the way to them and drops what comes, so that only the sending VTEP is measured.
/// </summary>
internal static class RemotesWorkload
{
    private const int Payload = 64;
    private const int DatagramPayload = 8 + 14 + 20 + 8 + Payload;
    private const double WarmUp = 0.4;

    /// <summary>Measures a VTEP with so many remotes.</summary>
    /// <param name="end">A <see cref="KernelEnd"/> or <see cref="SleeveEnd"/> on the left host, not started; stays the caller's.</param>
    /// <param name="remotes">How many.</param>
    /// <param name="seconds">How long copies are counted.</param>
    /// <param name="recorder">Where to.</param>
    /// <exception cref="BenchFailure">There is no result.</exception>
    public static void Run(TunnelEnd end, int remotes, int seconds, Recorder recorder)
    {
        Start(end, [.. Enumerable.Range(0, remotes).Select(AddressOf)]);
        var invariant = System.Globalization.CultureInfo.InvariantCulture;
        using var sender = new Background(Host.Left.Inside(LoadWords.Of(
            "udp-send", "10.1.1.255", "broadcast", "5005", $"{Payload}", (WarmUp + seconds + 0.6).ToString(invariant), "0")));
        Thread.Sleep(TimeSpan.FromSeconds(WarmUp));
        using var counter = new Background(Host.Right.Inside(LoadWords.Of(
            "wire-count", ["eth0", $"{DatagramPayload}", seconds.ToString(invariant), .. end.Processes.Select(static id => $"{id}")])));
        var counted = LoadWords.Read(counter.WaitFor("counted ", TimeSpan.FromSeconds(seconds + 10)));
        if (counted[0] < 1) throw new BenchFailure("remotes: no copy arrived");
        var millions = counted[0] / 1e6;
        recorder.Add("remotes", counted[0] / counted[1] / 1e3, remotes);
        recorder.Add("remotes-cpu-machine", counted[3] / millions, remotes);
        if (end.Processes.Count > 0) recorder.Add("remotes-cpu-vtep", counted[2] / millions, remotes);
        sender.WaitForEnd(TimeSpan.FromSeconds(20));
    }

    private static void Start(TunnelEnd end, string[] remotes)
    {
        switch (end)
        {
            case SleeveEnd sleeve:
                // It is a flood, which is what is to be measured; the kernel has no limit of it.
                sleeve.StartAndWait([
                    sleeve.Device, "--vni", "100", "--flood-limit", "off", "--flood-limit-segment", "off", "--local", end.Host.Underlay, "--address", $"{end.Host.Overlay}/24",
                    .. remotes.SelectMany(static remote => (string[])["--remote", remote])]);
                break;
            case KernelEnd kernel:
                kernel.StartAlone();
                kernel.Append(remotes);
                break;
            default:
                throw new BenchFailure("remotes: only for VTEPs with a replication list");
        }
    }

    private static string AddressOf(int index) => $"10.64.{index / 250}.{(index % 250) + 1}";
}
