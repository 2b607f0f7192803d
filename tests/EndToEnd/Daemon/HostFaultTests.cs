using System.Diagnostics;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Daemon;

/// <summary>What others do to the host under a running daemon.</summary>
public sealed class HostFaultTests(ITestOutputHelper output) : DaemonTest(output)
{
    [SkippableFact]
    public void A_TAP_that_somebody_deleted_is_made_anew_with_what_it_knew()
    {
        var (daemon, a, b) = GivenSegments(2);
        daemon.Run("fdb add 02:00:00:00:00:77 dst 10.0.0.2 dev vx1").Ok();
        daemon.Run("neigh add 10.1.0.77 lladdr 02:00:00:00:00:77 dev vx1").Ok();
        var index = a.IndexOf("vx1");
        var (_, lost) = PingWhile(a, SleeveDaemon.PeerAddress(2), () =>
        {
            a.Run("ip link del vx1");
            daemon.WaitForText("made anew");
        });
        Assert.Equal(0, lost);
        Assert.NotEqual(index, a.IndexOf("vx1"));
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
        Assert.Contains(daemon.Fdb("vx1"), static entry => entry.Mac == "02:00:00:00:00:77");
        Assert.Equal(["10.1.0.77 02:00:00:00:00:77"], daemon.Neighbours("vx1"));
        Assert.Equal("running", daemon.StateOf("vx1"));
        // And what is changed from here on is saved.
        daemon.Run("fdb add 02:00:00:00:00:78 dst 10.0.0.2 dev vx1").Ok();
        daemon.Kill();
        daemon.Start();
        Assert.Equal(["02:00:00:00:00:77", "02:00:00:00:00:78"], daemon.Fdb("vx1").Select(static entry => entry.Mac).Where(static mac => mac.StartsWith("02:00:00:00:00", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }

    [SkippableFact]
    public void One_that_is_deleted_again_and_again_is_given_up_for_a_while_and_the_rest_goes_on()
    {
        var (daemon, a, b) = GivenSegments(2);
        // Six, or more: one that is gone before it is up does not count, it is tried again in its own time.
        bool isGivenUp() => daemon.Process.Error.Contains("again and again", StringComparison.Ordinal);
        for (var i = 0; i < 20 && !isGivenUp(); i++)
        {
            Wait.Until(() => a.HasDevice("vx1"), $"vx1 is there for the deletion no. {i}", Patience);
            var index = a.IndexOf("vx1");
            a.Run("ip link del vx1");
            Wait.Until(() => isGivenUp() || (a.HasDevice("vx1") && a.IndexOf("vx1") != index), $"something comes of the deletion no. {i}", Patience);
        }

        daemon.WaitForText("again and again");
        WaitForPing(a, SleeveDaemon.PeerAddress(2));
        Wait.Until(() => daemon.StateOf("vx1") == "running", "it is tried again", Patience);
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
    }

    [SkippableFact]
    public void A_TAP_that_somebody_renamed_gets_its_name_back()
    {
        var (daemon, a, _) = GivenSegments();
        var index = a.IndexOf("vx1");
        a.Run("ip link set vx1 name stolen0");
        daemon.WaitForText("renamed back");
        Assert.Equal(index, a.IndexOf("vx1"));
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
        // While it is down too.
        daemon.Stop();
        a.Run("ip link set vx1 down");
        a.Run("ip link set vx1 name stolen0");
        daemon.Start();
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
        PurgeLeavesNothing(daemon);
    }

    [SkippableFact]
    public void A_TAP_that_somebody_put_down_stays_so_and_carries_frames_when_it_is_up_again()
    {
        var (daemon, a, _) = GivenSegments();
        daemon.Run("fdb add 02:00:00:00:00:77 dst 10.0.0.2 dev vx1").Ok();
        for (var round = 0; round < 3; round++)
        {
            a.Run("ip link set vx1 down");
            daemon.WaitForText("vx1 is down");
            Assert.Equal(0, Traffic.Ping(a, SleeveDaemon.PeerAddress(1), count: 1));
            Assert.Contains(daemon.Fdb("vx1"), static entry => entry.Mac == "02:00:00:00:00:77");
            a.Run("ip link set vx1 up");
            WaitForPing(a, SleeveDaemon.PeerAddress(1));
        }

        Assert.Equal("running", daemon.StateOf("vx1"));
    }

    [SkippableTheory]
    [InlineData("udp-gso")]
    [InlineData("tunnel-gso")]
    public void Link_address_and_route_of_the_underlay_may_come_and_go(string offload)
    {
        if (offload == "tunnel-gso") Requirements.TunnelOffload();
        var (a, b) = GivenTwoHosts();
        var daemon = SleeveDaemon.Make(a);
        daemon.WriteText($"local: {a.Address}\nworkers: 1\ntx-offload: {offload}\nsegments:\n- {SleeveDaemon.Segment(1, b.Address)}\n");
        daemon.Start();
        SleeveDaemon.Peer(b, 1, a.Address);
        var peer = SleeveDaemon.PeerAddress(1);
        WaitForPing(a, peer);
        void Breaks(string breaking, string mending)
        {
            foreach (var line in breaking.Split(';')) a.Run(line);
            Assert.Equal(0, Traffic.Ping(a, peer, count: 1));
            foreach (var line in mending.Split(';')) a.Run(line);
            WaitForPing(a, peer);
            Traffic.TransferByTcp(a, b, peer, bytes: 5_000_000);
        }

        for (var flap = 0; flap < 3; flap++) Breaks("ip link set u0 down", "ip link set u0 up");
        Breaks("ip addr del 10.0.0.1/24 dev u0", "ip addr add 10.0.0.1/24 dev u0");
        Breaks("ip route add unreachable 10.0.0.2/32", "ip route del unreachable 10.0.0.2/32");
        Breaks("ip route add blackhole 10.0.0.2/32", "ip route del blackhole 10.0.0.2/32");

        // Another way to the same peer, on a link that was not there when the daemon started.
        a.Run($"ip link add u1 type veth peer name u1 netns {b.Namespace}");
        foreach (var (host, last) in new[] { (a, 1), (b, 2) })
        {
            host.Run($"ip addr add 10.9.0.{last}/24 dev u1");
            host.Run("ip link set u1 up");
        }

        a.Run("ip route add 10.0.0.2/32 via 10.9.0.2 src 10.0.0.1");
        b.Run("ip route add 10.0.0.1/32 via 10.9.0.1 src 10.0.0.2");
        a.Run("ip link set u0 down");
        WaitForPing(a, peer);
        Traffic.TransferByTcp(a, b, peer, bytes: 5_000_000);
        Assert.Equal("running", daemon.StateOf("vx1"));
        Assert.False(daemon.Process.HasExited);
    }

    /// <summary>A stranger sends as much as a core can, into a segment and to stations that nobody has.</summary>
    [SkippableFact]
    public void A_flood_of_a_stranger_leaves_an_operator_and_a_peer_their_turn()
    {
        var lab = NewLab();
        var (a, b, c) = (lab.AddHost("a"), lab.AddHost("b"), lab.AddHost("c"));
        lab.JoinBySwitch(a, b, c);
        var daemon = SleeveDaemon.Make(a, SleeveDaemon.Segment(1, b.Address)).Start();
        SleeveDaemon.Peer(b, 1, a.Address);
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
        var resident = daemon.Process.ResidentBytes();
        var stranger = lab.Own(new UnderlayPeer(c));
        using var end = new CancellationTokenSource();
        var sent = 0L;
        var flood = Task.Factory.StartNew(() =>
        {
            for (var i = 0; !end.IsCancellationRequested; i++, sent++)
            {
                // Of a segment that there is, and of others.
                var frame = Frames.Vxlan(i % 8 == 0 ? 999 : 101, Frames.Numbered(Frames.Mac(0x900), Frames.Mac(0x1000 + (i & 0xFFFFF)), i));
                stranger.SendAtOnce(frame, a.Address);
            }
        }, end.Token, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            Thread.Sleep(500);
            var slowest = TimeSpan.Zero;
            foreach (var line in new[] { "stats", "segment show", "fdb show dev vx1", "fdb add 02:00:00:00:00:77 dst 10.0.0.2 dev vx1", "segment add vx2 vni 102", "segment del vx2", "config reload" })
            {
                var clock = Stopwatch.StartNew();
                daemon.Run(line).Ok();
                if (clock.Elapsed > slowest) slowest = clock.Elapsed;
            }

            var answers = Traffic.Ping(a, SleeveDaemon.PeerAddress(1), count: 100);
            Output.WriteLine($"{sent} datagrams of the stranger; slowest command {slowest.TotalSeconds:0.0} s; {answers} of 100 pings answered");
            Assert.InRange(slowest, TimeSpan.Zero, TimeSpan.FromSeconds(15));
            Assert.InRange(answers, 50, 100);
        }
        finally
        {
            end.Cancel();
            flood.Wait(Patience);
        }

        // Nobody's stations were learned, and nothing grew with them.
        Assert.InRange(daemon.Fdb("vx1").Count, 1, 10);
        Assert.InRange(daemon.Process.ResidentBytes(), 0, resident + (64 << 20));
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
    }

    [SkippableFact]
    public void At_the_limit_of_descriptors_what_is_there_goes_on_and_nothing_is_half_there()
    {
        Requirements.Programs("prlimit");
        var (daemon, a, b) = GivenSegments();
        // What it has by now and some more; only the soft limit, which can be raised again.
        var open = Directory.GetFiles($"/proc/{daemon.Process.Id}/fd").Length;
        Command.Run(["prlimit", $"--pid={daemon.Process.Id}", $"--nofile={open + 192 + 20}:"]).Ok();
        ApiAnswer? refusal = null;
        var made = 0;
        for (; made < 200 && refusal is null; made++)
        {
            try
            {
                if (daemon.Put($"segments/k{made}", $$"""{"vni":{{1000 + made}}}""") is { IsDone: false } answer) refusal = answer;
            }
            catch (HttpRequestException)
            {
                // Not even a connection.
                break;
            }
        }

        Assert.InRange(made, 1, 100);
        Output.WriteLine($"refused after {made} segments: {refusal?.Body ?? "no connection"}");
        if (refusal is not null) Assert.Contains("oo many open files", refusal.Body, StringComparison.Ordinal);
        Assert.Equal(10, Traffic.Ping(a, SleeveDaemon.PeerAddress(1), count: 10));
        Assert.False(daemon.Process.HasExited);
        Command.Run(["prlimit", $"--pid={daemon.Process.Id}", "--nofile=1024:"]).Ok();
        Wait.Until(() => daemon.Run("segment show").ExitCode == 0, "commands are answered again", Patience);
        // Those that were acknowledged, and none else.
        Assert.Equal(TapsOf(a).Order(StringComparer.Ordinal), daemon.Segments.Order(StringComparer.Ordinal));
        daemon.Put("segments/more", """{"vni":5000}""").Ok();
        daemon.Kill();
        daemon.Start();
        Assert.Equal(TapsOf(a).Order(StringComparer.Ordinal), daemon.Segments.Order(StringComparer.Ordinal));
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
        PurgeLeavesNothing(daemon);
    }

    [SkippableFact]
    public void With_too_few_descriptors_to_start_it_says_so_and_leaves_nothing()
    {
        Requirements.Programs("prlimit");
        var (a, b) = GivenTwoHosts();
        var daemon = SleeveDaemon.Make(a, [.. Enumerable.Range(1, 300).Select(number => $"{{ifname: vx{number}, vni: {number}}}")]);
        foreach (var limit in new[] { 64, 100, 400 })
        {
            daemon.Wrapper = ["prlimit", $"--nofile={limit}:{limit}"];
            var process = daemon.Launch();
            Assert.True(process.WaitForExit(Patience));
            Assert.Equal(1, process.ExitCode);
            Assert.Contains($"{limit} open files are allowed, which is too few", Assert.Single(Lines(process.Error)), StringComparison.Ordinal);
            Assert.Empty(TapsOf(a));
        }

        // Some of them, and those that it could not have are told.
        daemon.Wrapper = ["prlimit", "--nofile=520:520"];
        daemon.Start();
        Assert.Contains("too many open files: 520 are allowed", daemon.Process.Error, StringComparison.Ordinal);
        Assert.Equal(300, daemon.Segments.Count);
        Assert.InRange(TapsOf(a).Count, 1, 299);
        Assert.Equal(1, daemon.Run("segment add one vni 5000").ExitCode);
        daemon.Kill();
        daemon.Wrapper = [];
        daemon.Start();
        Assert.Equal(300, TapsOf(a).Count);
        Assert.All(daemon.Get("segments").EnumerateArray(), static segment => Assert.Equal("running", segment.GetProperty("state").GetString()));
        PurgeLeavesNothing(daemon);
    }

    /// <summary>The managed heap is at its limit: requests fail, frames need none of it.</summary>
    [SkippableFact]
    public void At_the_limit_of_memory_commands_fail_and_frames_go_on()
    {
        var (a, b) = GivenTwoHosts();
        var daemon = SleeveDaemon.Make(a, SleeveDaemon.Segment(1, b.Address));
        daemon.Wrapper = ["env", "DOTNET_GCHeapHardLimit=0x2000000"];
        daemon.Start();
        SleeveDaemon.Peer(b, 1, a.Address);
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
        var refused = 0;
        for (var i = 0; i < 60 && refused < 5; i++)
        {
            try
            {
                // 4096 segments would take some hundred MB.
                var answer = daemon.Put($"segments/k{i}", $$"""{"vni":{{1000 + i}},"maxaddress":1048576}""");
                if (!answer.IsDone) refused++;
            }
            catch (HttpRequestException)
            {
                refused++;
            }
        }

        Output.WriteLine($"{refused} refused: {Lines(daemon.Process.Error)[^1]}");
        Assert.False(daemon.Process.HasExited, daemon.Process.Error);
        Assert.Equal(10, Traffic.Ping(a, SleeveDaemon.PeerAddress(1), count: 10));
        daemon.Kill();
        daemon.Wrapper = [];
        daemon.Start();
        WaitForPing(a, SleeveDaemon.PeerAddress(1));
        Assert.Equal(TapsOf(a).Order(StringComparer.Ordinal), daemon.Segments.Order(StringComparer.Ordinal));
        PurgeLeavesNothing(daemon);
    }
}
