using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Daemon;

/// <summary>Segments of the file and of commands: made, changed, removed while others carry frames.</summary>
public sealed class SegmentTests(ITestOutputHelper output) : DaemonTest(output)
{
    [SkippableFact]
    public void A_segment_of_a_command_carries_frames_beside_one_of_the_file()
    {
        var (daemon, a, b) = GivenSegments();
        SleeveDaemon.Peer(b, 2, a.Address);
        Assert.Equal("vx2 added: vni 102", daemon.Run($"segment add vx2 vni 102 remote {b.Address} address 10.2.0.1/24").Ok().Trim());
        WaitForPing(a, SleeveDaemon.PeerAddress(2));
        Assert.Equal(["vx1", "vx2"], daemon.Segments);
        Assert.True(File.Exists("/run/sleeve/vx2.sock"));

        var index = a.IndexOf("vx2");
        var changed = daemon.Run($"segment replace vx2 vni 102 remote {b.Address} address 10.2.0.1/24 mtu 1400 ageing 60").Ok();
        Assert.Contains("MTU 1450 changed to 1400", changed, StringComparison.Ordinal);
        Assert.Equal(index, a.IndexOf("vx2"));
        Assert.Contains("unchanged", daemon.Run($"segment replace vx2 vni 102 remote {b.Address} address 10.2.0.1/24 mtu 1400 ageing 60").Ok(), StringComparison.Ordinal);
        WaitForPing(a, SleeveDaemon.PeerAddress(2));

        var table = daemon.Run("segment show").Ok();
        Assert.Contains("vx1", table, StringComparison.Ordinal);
        Assert.Contains("mtu 1400", table, StringComparison.Ordinal);
        daemon.Run("segment del vx2").Ok();
        Assert.False(a.HasDevice("vx2"));
        Assert.False(File.Exists("/run/sleeve/vx2.sock"));
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
        PurgeLeavesNothing(daemon);
    }

    [SkippableTheory]
    [InlineData("segment add vx1 vni 109", 1, "File exists")]
    [InlineData("segment replace vx1 vni 101", 1, "sleeve config reload")]
    [InlineData("segment del vx1", 1, "sleeve config reload")]
    [InlineData("segment del vx9", 1, "vx9")]
    [InlineData("segment add vx9 vni 101", 1, "vni 101: is that of vx1; must be another")]
    [InlineData("segment add vx9 vni 0x", 2, "vni 0x: must be 0 to 16777215")]
    [InlineData("segment add vx9", 2, "--vni: missing")]
    [InlineData("segment add vx9 vni 109 remote 10.0.0.1", 1, "is the local address")]
    [InlineData("segment add vx9 vni 109 remote fd00::2", 1, "must be IPv4")]
    [InlineData("segment add vx9 vni 109 bridge nosuch0", 1, "nosuch0: there is no such interface")]
    [InlineData("segment add vx9 vni 109 netns nosuch0", 1, "nosuch0")]
    [InlineData("segment add lo vni 109", 1, "lo is taken")]
    public void What_cannot_be_is_refused_in_a_line_and_changes_nothing(string line, int exitCode, string mention)
    {
        var (a, b) = GivenTwoHosts();
        var daemon = SleeveDaemon.Make(a, SleeveDaemon.Segment(1, b.Address)).Start();
        var (before, links) = (daemon.Send(HttpMethod.Get, "segments").Ok(), a.Run("ip -o link show"));
        var result = daemon.Run(line);
        Assert.Equal(exitCode, result.ExitCode);
        Assert.Contains(mention, Assert.Single(Lines(result.Error), said => !said.StartsWith("Try", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.Equal(before, daemon.Send(HttpMethod.Get, "segments").Ok());
        Assert.Equal(links, a.Run("ip -o link show"));
        // Nor is it there after the next start.
        daemon.Kill();
        daemon.Start();
        Assert.Equal(["vx1"], daemon.Segments);
    }

    [SkippableFact]
    public void A_reload_touches_only_what_differs_and_loses_nothing()
    {
        var (daemon, a, b) = GivenSegments(2);
        var (one, two) = (SleeveDaemon.Segment(1, b.Address), SleeveDaemon.Segment(2, b.Address));
        var indices = (a.IndexOf("vx1"), a.IndexOf("vx2"));
        Assert.Equal("nothing differs", daemon.Run("config reload").Ok().Trim());
        (int Sent, int Lost) ofSecond = default;
        var ofFirst = PingWhile(a, SleeveDaemon.PeerAddress(1), () => ofSecond = PingWhile(a, SleeveDaemon.PeerAddress(2), () =>
        {
            // A third comes; the second has other options, and another remote.
            daemon.Write(one, SleeveDaemon.Segment(2, b.Address, "ageing: 77, proxy: true"), SleeveDaemon.Segment(3, b.Address));
            var changes = Lines(daemon.Run("config reload").Ok());
            Assert.Equal(["vx2 changed: options", "vx3 added: vni 103"], changes);
            Assert.True(a.HasDevice("vx3"));
            daemon.Write(one, SleeveDaemon.Segment(2, b.Address).Replace($"[{b.Address}]", $"[{b.Address}, 10.0.0.77]", StringComparison.Ordinal));
            daemon.Process.Signal(1);
            daemon.WaitForText("vx3 removed");
            daemon.WaitForText("vx2 changed: options, remote 10.0.0.77 added");
            Assert.False(a.HasDevice("vx3"));
            daemon.Write(one, two);
            Assert.Equal("vx2 changed: remote 10.0.0.77 removed", daemon.Run("config reload").Ok().Trim());
        }));
        Output.WriteLine($"untouched: {ofFirst}, changed: {ofSecond}");
        Assert.Equal((0, 0), (ofFirst.Lost, ofSecond.Lost));
        Assert.Equal(indices, (a.IndexOf("vx1"), a.IndexOf("vx2")));
    }

    [SkippableFact]
    public void Two_segments_exchange_their_networks_in_one_reload()
    {
        var (daemon, a, b) = GivenSegments(2);
        daemon.Write(SleeveDaemon.Segment(1, b.Address).Replace("vx1", "vx2", StringComparison.Ordinal), SleeveDaemon.Segment(2, b.Address).Replace("vx2", "vx1", StringComparison.Ordinal));
        Assert.Equal(["vx1 changed: made anew, vni 102", "vx2 changed: made anew, vni 101"], Lines(daemon.Run("config reload").Ok()).Order());
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
        WaitForPing(a, SleeveDaemon.PeerAddress(2));
        Assert.Contains("dev vx2", a.Run($"ip route get {SleeveDaemon.PeerAddress(1)}"), StringComparison.Ordinal);
        // One takes what the other gives up.
        daemon.Write(SleeveDaemon.Segment(2, b.Address));
        Assert.Equal(["vx1 removed", "vx2 changed: made anew, vni 102"], Lines(daemon.Run("config reload").Ok()).Order());
        WaitForPing(a, SleeveDaemon.PeerAddress(2));
        Assert.Equal(["vx2"], daemon.Segments);
    }

    [SkippableTheory]
    [InlineData("foo: 1\n", "foo")]
    [InlineData("segments:\n- {ifname: vx1, vni: 1000000000}\n", "vni")]
    [InlineData("dstport: 4790\n", "dstport 4789 to 4790: is taken at the start only")]
    [InlineData("segments: [\n", "sleeve.yaml")]
    [InlineData(null, "sleeve.yaml")]
    public void A_bad_reload_changes_nothing(string? text, string mention)
    {
        var (daemon, a, b) = GivenSegments();
        daemon.Run("fdb add 02:00:00:00:00:77 dst 10.0.0.2 dev vx1").Ok();
        var (fdb, configuration) = (daemon.Fdb("vx1"), daemon.Run("config show").Ok());
        var (_, lost) = PingWhile(a, SleeveDaemon.PeerAddress(1), () =>
        {
            if (text is null) File.Delete(daemon.ConfigPath);
            else daemon.WriteText($"local: {a.Address}\nworkers: 1\n{(text.Contains("segments", StringComparison.Ordinal) ? "" : $"segments:\n- {SleeveDaemon.Segment(2, b.Address)}\n")}{text}");
            var result = daemon.Run("config reload");
            Assert.NotEqual(0, result.ExitCode);
            Assert.Contains(mention, result.Error, StringComparison.Ordinal);
            daemon.Process.Signal(1);
            daemon.WaitForText("the configuration is refused and nothing is changed");
        });
        Assert.Equal(0, lost);
        Assert.Equal(fdb.Select(static entry => entry.Mac), daemon.Fdb("vx1").Select(static entry => entry.Mac));
        Assert.Equal(configuration, daemon.Run("config show").Ok());
        Assert.False(a.HasDevice("vx2"));
    }

    [SkippableFact]
    public void What_cannot_be_had_does_not_keep_the_others_and_comes_by_itself()
    {
        var (a, b) = GivenTwoHosts();
        var daemon = SleeveDaemon.Make(a, SleeveDaemon.Segment(1, b.Address), "{ifname: vx2, vni: 102, remote: [10.0.0.2], bridge: br7}").Start();
        SleeveDaemon.Peer(b, 1, a.Address);
        SleeveDaemon.Peer(b, 2, a.Address);
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
        Assert.StartsWith("failed: --bridge br7: there is no such interface", daemon.StateOf("vx2"), StringComparison.Ordinal);
        Assert.Contains("failed", daemon.Run("segment show").Ok(), StringComparison.Ordinal);
        a.Run("ip link add br7 type bridge");
        a.Run("ip addr add 10.2.0.1/24 dev br7");
        a.Run("ip link set br7 up");
        Wait.Until(() => daemon.StateOf("vx2") == "running", "vx2 runs once there is its bridge", Patience);
        WaitForPing(a, SleeveDaemon.PeerAddress(2));
        Assert.Contains("vx2 is there now", daemon.Process.Error, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void A_change_that_cannot_be_had_whole_is_finished_by_itself()
    {
        var (daemon, a, b) = GivenSegments();
        daemon.Write(SleeveDaemon.Segment(1, b.Address, "bridge: br7, ageing: 77"));
        var result = daemon.Run("config reload");
        Assert.Equal(1, result.ExitCode);
        Assert.Contains("br7: there is no such interface", result.Output, StringComparison.Ordinal);
        Assert.StartsWith("running: --bridge br7", daemon.StateOf("vx1"), StringComparison.Ordinal);
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
        a.Run("ip link add br7 type bridge");
        Wait.Until(() => daemon.StateOf("vx1") == "running", "vx1 is as it is to be once there is its bridge", Patience);
        Assert.Contains("master br7", a.Run("ip -o link show dev vx1"), StringComparison.Ordinal);
    }

    [SkippableFact]
    public void What_the_file_lost_while_it_was_down_goes_and_the_rest_stays()
    {
        var (daemon, a, b) = GivenSegments(3);
        var index = a.IndexOf("vx1");
        daemon.Run("fdb add 02:00:00:00:00:77 dst 10.0.0.2 dev vx2").Ok();
        daemon.Stop();
        Assert.Equal(["vx1", "vx2", "vx3"], TapsOf(a));
        // The second is another segment by now: what its tables held was another's.
        daemon.Write(SleeveDaemon.Segment(1, b.Address), SleeveDaemon.Segment(2, b.Address).Replace("vni: 102", "vni: 202", StringComparison.Ordinal));
        daemon.Start();
        Assert.Contains("vx3 is no longer configured: removed", daemon.Process.Error, StringComparison.Ordinal);
        Assert.Equal(["vx1", "vx2"], TapsOf(a));
        Assert.Equal(index, a.IndexOf("vx1"));
        Assert.DoesNotContain(daemon.Fdb("vx2"), static entry => entry.Mac == "02:00:00:00:00:77");
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
        daemon.Kill();
        daemon.Start();
        Assert.DoesNotContain(daemon.Fdb("vx2"), static entry => entry.Mac == "02:00:00:00:00:77");
    }

    [SkippableFact]
    public void Purge_leaves_nothing_and_not_before_the_daemon_is_ended()
    {
        var (daemon, a, _) = GivenSegments(2);
        a.Run("ip tuntap add other0 mode tap");
        var refused = daemon.Run($"purge --state {daemon.StateFolder}");
        Assert.Equal(1, refused.ExitCode);
        Assert.Contains("another sleeve daemon uses it", refused.Error, StringComparison.Ordinal);
        Assert.Equal(["vx1", "vx2"], TapsOf(a));
        daemon.Kill();
        daemon.Run($"purge --state {daemon.StateFolder} --keep-state").Ok();
        Assert.Empty(TapsOf(a));
        Assert.True(File.Exists(Path.Combine(daemon.StateFolder, "state.db")));
        daemon.Start();
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
        Assert.True(a.HasDevice("other0"));
        a.Run("ip tuntap del other0 mode tap");
        PurgeLeavesNothing(daemon);
    }
}
