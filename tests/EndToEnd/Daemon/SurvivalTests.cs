using Microsoft.Data.Sqlite;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Daemon;

/// <summary>What is there after an end, whatever end it was.</summary>
public sealed class SurvivalTests(ITestOutputHelper output) : DaemonTest(output)
{
    [SkippableTheory]
    [InlineData(LibC.SIGKILL)]
    [InlineData(LibC.SIGTERM)]
    public void Every_change_of_a_command_survives(int signal)
    {
        var (a, b) = GivenTwoHosts();
        var daemon = SleeveDaemon.Make(a, SleeveDaemon.Segment(1, b.Address, "fdb: 02:00:00:00:00:05 dst 10.0.0.2, neigh: [10.1.0.5 lladdr 02:00:00:00:00:05]")).Start();
        foreach (var line in new[]
        {
            $"segment add vx2 vni 102 remote {b.Address} address 10.2.0.1/24",
            "fdb add 02:00:00:00:00:77 dst 10.0.0.2 dev vx1",
            "fdb append 00:00:00:00:00:00 dst 10.0.0.9 dev vx2",
            "neigh add 10.1.0.77 lladdr 02:00:00:00:00:77 dev vx1",
            // What the file says may be changed by commands too.
            "fdb del 02:00:00:00:00:05 dev vx1",
            "neigh replace 10.1.0.5 lladdr 02:00:00:00:00:55 dev vx1",
        }) daemon.Run(line).Ok();
        var (before, second, neighbours) = (Show(daemon, "vx1"), Show(daemon, "vx2"), daemon.Neighbours("vx1"));
        Assert.Equal(["10.1.0.5 02:00:00:00:00:55", "10.1.0.77 02:00:00:00:00:77"], neighbours);
        daemon.Process.Signal(signal);
        Assert.True(daemon.Process.WaitForExit(Patience));
        daemon.Start();
        Assert.Equal((before, second), (Show(daemon, "vx1"), Show(daemon, "vx2")));
        Assert.Equal(neighbours, daemon.Neighbours("vx1"));
        Assert.DoesNotContain("02:00:00:00:00:05", before, StringComparison.Ordinal);
        SleeveDaemon.Peer(b, 2, a.Address);
        WaitForPing(a, SleeveDaemon.PeerAddress(2));
    }

    [SkippableFact]
    public void What_was_learned_survives_an_end()
    {
        var (daemon, a, b) = GivenSegments();
        var mac = b.MacOf("vx101-b");
        Assert.Contains(daemon.Fdb("vx1"), entry => entry.Mac == mac && entry.IsDynamic);
        daemon.Stop();
        // Nothing may teach it anew.
        b.Run("ip link set vx101-b down");
        daemon.Start();
        Assert.Contains("learned stations are known from before", daemon.Process.Error, StringComparison.Ordinal);
        Assert.Contains(daemon.Fdb("vx1"), entry => entry.Mac == mac && entry.IsDynamic && entry.Destination == $"{b.Address}");
    }

    /// <summary>CLOCK_REALTIME of the machine is not ours to set; that the last snapshot seems to be of another time is the same to the daemon.</summary>
    [SkippableTheory]
    [InlineData(+7_200, true)]
    [InlineData(-7_200, false)]
    [InlineData(-2_000_000_000, false)]
    [InlineData(+2_000_000_000, true)]
    public void A_clock_that_jumped_meanwhile_costs_at_most_what_was_learned(long snapshotSeemsLaterBySeconds, bool isKept)
    {
        var (daemon, a, b) = GivenSegments();
        var mac = b.MacOf("vx101-b");
        daemon.Run("fdb add 02:00:00:00:00:77 dst 10.0.0.2 dev vx1").Ok();
        daemon.Stop();
        using (var connection = new SqliteConnection($"Data Source={Path.Combine(daemon.StateFolder, "state.db")};Pooling=False"))
        {
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = $"UPDATE learned SET taken = taken + {snapshotSeemsLaterBySeconds * 1000}";
            Assert.Equal(1, command.ExecuteNonQuery());
        }

        b.Run("ip link set vx101-b down");
        daemon.Start();
        Assert.Equal(isKept, daemon.Fdb("vx1").Any(entry => entry.Mac == mac));
        Assert.Contains(daemon.Fdb("vx1"), static entry => entry.Mac == "02:00:00:00:00:77");
        b.Run("ip link set vx101-b up");
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
    }

    /// <summary>The monotonic clock begins anew with each boot; here it is another one by a time namespace.</summary>
    [SkippableFact]
    public void Another_monotonic_clock_changes_nothing()
    {
        Requirements.Programs("unshare");
        var (daemon, a, b) = GivenSegments();
        Skip.IfNot(a.Try("unshare --time --monotonic 1000000 --fork true").ExitCode == 0, "needs time namespaces (CONFIG_TIME_NS)");
        var mac = b.MacOf("vx101-b");
        daemon.Stop();
        b.Run("ip link set vx101-b down");
        daemon.Wrapper = ["unshare", "--time", "--monotonic", "1000000", "--boottime", "1000000", "--fork", "--kill-child"];
        daemon.Start();
        Assert.Contains(daemon.Fdb("vx1"), entry => entry.Mac == mac && entry.IsDynamic);
        b.Run("ip link set vx101-b up");
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
        daemon.Kill();
        Wait.Until(() => !daemon.Run("segment show").Error.Equals("", StringComparison.Ordinal), "the daemon is gone with unshare", Patience);
        daemon.Wrapper = [];
        daemon.Start();
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
    }

    [SkippableTheory]
    [InlineData(LibC.SIGKILL)]
    [InlineData(LibC.SIGTERM)]
    public void A_TCP_connection_survives_an_end_and_a_start(int signal)
    {
        var (daemon, a, b) = GivenSegments();
        // Far more than is through when the last end has happened.
        var transfer = Task.Run(() => Traffic.TransferByTcp(a, b, SleeveDaemon.PeerAddress(1), timeoutSeconds: 120));
        for (var round = 0; round < 2; round++)
        {
            Thread.Sleep(100);
            Assert.False(transfer.IsCompleted && round == 0, "over before the end");
            daemon.Process.Signal(signal);
            Assert.True(daemon.Process.WaitForExit(Patience));
            daemon.Start();
        }

        transfer.GetAwaiter().GetResult();
    }

    private static string Show(SleeveDaemon daemon, string segment) => string.Join('\n', daemon.Fdb(segment).Where(static entry => !entry.IsDynamic).Select(static entry => $"{entry}").Order(StringComparer.Ordinal));
}
