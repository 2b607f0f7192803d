using System.Globalization;

namespace Sleeve.Bench.EndToEnd.Report;

/// <summary>The sentences that go with every report, so that no figure travels without them.</summary>
internal static class Prose
{
    /// <summary>How to read the figures.</summary>
    public static IReadOnlyList<string> HowToRead(RunResult run)
    {
        List<string> lines =
        [
            $"Every system is set up anew and measured in its turn, A B C … A B C …, {run.Rounds} rounds, {run.Seconds} s a measurement. Figures are medians, in parentheses the smallest and the largest.",
            "× is the ratio to the kernel's vxlan device in the same round, then the median of the rounds. Machines differ and are noisy: read the ratios, and measure your own.",
            $"Both hosts, both VTEPs and the load generators share {run.Machine.Cores} cores of one machine, over a veth pair that neither drops nor delays. A VTEP that needs more CPU therefore also slows its own load, and the veth pair carries super-packets of 64 KiB between kernels.",
            "TCP by iperf3. UDP by a generator that sends as fast as it can, every datagram a packet of its own (no UDP_SEGMENT), which keeps one core busy by itself: what is delivered is what gets through under overload. Payload sizes; a frame is 42 bytes more. Request and response by sockperf, the whole round trip.",
            "CPU: \"whole machine\" is everything that was not idle, the load generators included, and the only fair figure, because the kernel works for everybody; \"VTEP processes\" is what the user-space VTEPs were charged with. Per gigabyte (10⁹ bytes) of TCP payload received, per million datagrams delivered.",
            "Set-up is from the left end's first command to its first answered ping, the right end being there already; it includes starting daemons and runtimes.",
        ];
        if (run.Machine.BusyBefore > 0.05)
            lines.Add(string.Create(CultureInfo.InvariantCulture, $"The machine was {run.Machine.BusyBefore:P0} busy with something else in the second before this run: do not trust it too far."));
        if (run.Quick) lines.Add("This was a quick run: two rounds or so, short, with parts left out. It shows that the tool works, not how fast anything is.");
        return lines;
    }

    /// <summary>When and where, in lines.</summary>
    public static IReadOnlyList<string> Where(RunResult run) =>
    [
        string.Create(CultureInfo.InvariantCulture, $"{run.Started:d MMMM yyyy, HH:mm} UTC, took {TimeSpan.FromSeconds(run.DurationSeconds).TotalMinutes:0.#} minutes, commit {run.Machine.Commit}"),
        run.Machine.ToString(),
        string.Join(", ", run.Machine.Versions.Select(static version => $"{version.Key} {version.Value}")),
    ];
}
