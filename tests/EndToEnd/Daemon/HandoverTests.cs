using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Daemon;

/// <summary>`sleeve handover`: another program in the same process, and frames that wait for it in the kernel.</summary>
public sealed class HandoverTests(ITestOutputHelper output) : DaemonTest(output)
{
    [SkippableFact]
    public void Nothing_is_lost_and_all_is_known()
    {
        var (daemon, a, b) = GivenSegments(2);
        daemon.Run("fdb add 02:00:00:00:00:77 dst 10.0.0.2 dev vx1").Ok();
        daemon.Run("neigh add 10.1.0.77 lladdr 02:00:00:00:00:77 dev vx1").Ok();
        daemon.Run($"segment add vx9 vni 109 remote {b.Address} address 10.9.0.1/24").Ok();
        var (mac, links, before) = (b.MacOf("vx101-b"), a.Run("ip -o link show type tun"), daemon.Segments);
        var (sent, lost) = PingWhile(a, SleeveDaemon.PeerAddress(1), () => Assert.Equal("handed over: 3 segments\n", daemon.Run("handover").Ok()));
        Assert.True(sent > 20 && lost == 0, $"{lost} of {sent} pings lost");
        // The same process: whoever started it did not notice. The carrier of the TAPs never went, or their flags would differ.
        Assert.False(daemon.Process.HasExited);
        Assert.Contains("took over from the run before", daemon.Process.Error, StringComparison.Ordinal);
        Assert.Equal(WithoutUnderlayTap(links), WithoutUnderlayTap(a.Run("ip -o link show type tun")));
        Assert.Equal(before, daemon.Segments);
        Assert.Contains(daemon.Fdb("vx1"), static entry => entry is { Mac: "02:00:00:00:00:77", IsDynamic: false });
        Assert.Contains(daemon.Fdb("vx1"), entry => entry.Mac == mac && entry.IsDynamic);
        Assert.Equal(["10.1.0.77 02:00:00:00:00:77"], daemon.Neighbours("vx1"));
        // And again: what was handed over can be handed over.
        daemon.Run("handover").Ok();
        daemon.Run("segment del vx9").Ok();
        WaitForPing(b, System.Net.IPAddress.Parse("10.2.0.1"));
        PurgeLeavesNothing(daemon);
    }

    [SkippableFact]
    public void TCP_goes_on_both_ways()
    {
        var (daemon, a, b) = GivenSegments();
        var transfers = new[]
        {
            Task.Run(() => Traffic.TransferByTcp(a, b, SleeveDaemon.PeerAddress(1), timeoutSeconds: 120)),
            Task.Run(() => Traffic.TransferByTcp(b, a, System.Net.IPAddress.Parse("10.1.0.1"), timeoutSeconds: 120)),
        };
        Thread.Sleep(100);
        daemon.Run("handover").Ok();
        Task.WaitAll(transfers);
    }

    [SkippableFact]
    public void A_program_that_would_not_start_is_not_handed_over_to()
    {
        var (daemon, a, b) = GivenSegments();
        daemon.Write(SleeveDaemon.Segment(1, b.Address, "bogus: 1"));
        var (_, lost) = PingWhile(a, SleeveDaemon.PeerAddress(1), () =>
        {
            var refused = daemon.Run("handover");
            Assert.Equal(1, refused.ExitCode);
            Assert.Contains("bogus: unknown key", refused.Error, StringComparison.Ordinal);
        });
        Assert.Equal(0, lost);
        Assert.DoesNotContain("handing over", daemon.Process.Error, StringComparison.Ordinal);
    }

    // The one towards the underlay is made anew each time, and nothing is ever queued in it for long.
    private static string WithoutUnderlayTap(string links) => string.Join('\n', Lines(links).Where(static line => !line.Contains(": sleeve", StringComparison.Ordinal)));
}
