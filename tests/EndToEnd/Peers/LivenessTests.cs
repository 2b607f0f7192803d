using System.Diagnostics;
using System.Text.Json;
using Sleeve.EndToEnd.Networks;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Peers;

/// <summary>Who is alive, by the data path: daemons that are killed, stopped for a while, or heard by nobody. What takes how long is printed and judged generously.</summary>
public sealed class LivenessTests(ITestOutputHelper output) : ClusterTest(output)
{
    [SkippableFact]
    public void A_host_that_is_killed_is_down_and_out_of_the_lists_at_once_and_back_by_itself()
    {
        var (a, b, _) = GivenNetwork();
        var start = Stopwatch.GetTimestamp();
        b.Kill();
        Await(a, "b", "down");
        Output.WriteLine($"down after {Stopwatch.GetElapsedTime(start).TotalMilliseconds:0} ms: {Peer(a, "b").GetProperty("reason")}");
        Wait.Until(() => !Floods(a, b), "b is in no list", Patience);
        Output.WriteLine($"out of the lists after {Stopwatch.GetElapsedTime(start).TotalMilliseconds:0} ms");
        start = Stopwatch.GetTimestamp();
        b.Start();
        Await(a, "b", "up");
        Wait.Until(() => Floods(a, b), "b is in the list again", Patience);
        Output.WriteLine($"ready and up after {Stopwatch.GetElapsedTime(start).TotalMilliseconds:0} ms");
        Output.WriteLine(a.Run("peer ls").Ok());
        Assert.Contains("b ", a.Run("peer ls").Output, StringComparison.Ordinal);
        Assert.Equal(1, Peer(a, "b").GetProperty("flaps").GetInt32());
    }

    [SkippableFact]
    public void A_way_that_is_dead_in_one_direction_takes_both_sides_down_and_no_third()
    {
        var (a, b, c) = GivenNetwork();
        // What b sends to a goes to a station that is not there.
        b.Host.Run($"ip neigh replace {a.Host.Address} lladdr 02:00:00:00:0d:ed nud permanent dev {Host.UnderlayDevice}");
        Await(a, "b", "down");
        Await(b, "a", "down");
        Assert.StartsWith("silent for", Peer(a, "b").GetProperty("reason").GetString(), StringComparison.Ordinal);
        Assert.Equal("it does not hear us", Peer(b, "a").GetProperty("reason").GetString());
        Assert.Equal(("up", "up"), (Peer(a, "c").GetProperty("state").GetString(), Peer(c, "b").GetProperty("state").GetString()));
        b.Host.Run($"ip neigh del {a.Host.Address} dev {Host.UnderlayDevice}");
        Await(a, "b", "up");
        Await(b, "a", "up");
    }

    [SkippableFact]
    public void One_that_flaps_is_held_down_and_the_reason_is_shown()
    {
        var (a, b, _) = GivenNetwork();
        for (var round = 0; round < 3; round++)
        {
            b.Process.Signal(LibC.SIGSTOP);
            Await(a, "b", "down");
            b.Process.Signal(LibC.SIGCONT);
            if (round > 0) Await(a, "b", "held");
            if (round > 0) Assert.Contains($"went down {round + 1} times; held down for {round} s", Peer(a, "b").GetProperty("reason").GetString(), StringComparison.Ordinal);
            Await(a, "b", "up");
        }

        Assert.Contains("peer", a.Run("peer --help").Ok(), StringComparison.Ordinal);
        Assert.Contains("flaps       3", a.Run("peer show b").Ok(), StringComparison.Ordinal);
    }

    [SkippableFact]
    public void A_handover_asks_the_others_for_patience()
    {
        var (a, b, _) = GivenNetwork();
        b.Run("handover").Ok();
        Await(a, "b", "up");
        Thread.Sleep(2000);
        Await(b, "a", "up");
        Assert.Equal(0, Peer(a, "b").GetProperty("flaps").GetInt32());
    }

    [SkippableFact]
    public void A_path_is_tested_beside_the_hellos()
    {
        var (a, b, _) = GivenNetwork();
        var test = a.Host.Try(["env", $"SLEEVE_API={a.SocketPath}", .. SleeveProgram.Words, "doctor", $"{b.Host.Address}", "--socket", a.SocketPath, "--dev", a.Segments[0], "--json"], Patience);
        Output.WriteLine(test.Output + test.Error);
        Assert.Contains("\"rtt\"", test.Output, StringComparison.Ordinal);
        Assert.Equal(("up", 0), (Peer(a, "b").GetProperty("state").GetString(), Peer(a, "b").GetProperty("flaps").GetInt32()));
    }

    private (SleeveDaemon A, SleeveDaemon B, SleeveDaemon C) GivenNetwork()
    {
        var (_, daemons) = GivenCluster(3);
        daemons[0].Run("net create blue --subnet 10.1.0.0/24 --vni 5000").Ok();
        Wait.Until(() => daemons.All(static daemon => daemon.Run("net ls").Output.Contains("blue", StringComparison.Ordinal)), "all know the network", Patience);
        foreach (var daemon in daemons) Attach(daemon, "blue", Container(daemon));
        foreach (var daemon in daemons)
            foreach (var other in daemons.Where(other => other != daemon)) Await(daemon, other.Host.Name, "up");
        return (daemons[0], daemons[1], daemons[2]);
    }

    private static bool Floods(SleeveDaemon from, SleeveDaemon to) =>
        from.Fdb("sl-5000").Any(entry => entry.Mac == "00:00:00:00:00:00" && $"{entry.Destination}" == $"{to.Host.Address}");

    private static JsonElement Peer(SleeveDaemon daemon, string name) => daemon.Get("peers").EnumerateArray().Single(peer => peer.GetProperty("name").GetString() == name);

    private static void Await(SleeveDaemon daemon, string name, string state)
    {
        var seen = "";
        try
        {
            Wait.Until(() => (seen = $"{Peer(daemon, name)}").Contains($"\"state\":\"{state}\"", StringComparison.Ordinal), $"{name} is {state}", Patience, 5);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"{daemon.Host.Name} does not see {name} {state} but {seen}");
        }
    }
}
