using System.Globalization;
using System.Text.Json.Nodes;
using Sleeve.Control.Cli;
using Sleeve.Control.Tests.Cli;
using Sleeve.Control.Tests.Up;
using Xunit.Sdk;

namespace Sleeve.Control.Tests.Api;

/// <summary>The same commands to <c>sleeve fdb</c> and <c>bridge fdb</c>, to <c>sleeve neigh</c> and <c>ip neigh</c>: refused alike, shown alike.</summary>
[Collection(ConsoleTests.Name)]
public class OracleTests
{
    private static readonly string[] FdbScript =
    [
        "add 02:00:00:00:00:02 dst 192.0.2.2",
        "add 02:00:00:00:00:02 dst 192.0.2.2",
        "add 02:00:00:00:00:02 dst 192.0.2.3",
        "append 02:00:00:00:00:02 dst 192.0.2.3",
        "append 02:00:00:00:00:12 dst 192.0.2.3",
        "add 00:00:00:00:00:00 dst 192.0.2.2",
        "add 00:00:00:00:00:00 dst 192.0.2.3",
        "append 00:00:00:00:00:00 dst 192.0.2.3",
        "append 00:00:00:00:00:00 dst 192.0.2.3",
        "append 00:00:00:00:00:00 dst 192.0.2.4 port 5000",
        "append 00:00:00:00:00:00 dst 192.0.2.4 port 5000 vni 7",
        "append 00:00:00:00:00:00 dst 192.0.2.4 vni 7",
        "replace 00:00:00:00:00:00 dst 192.0.2.5",
        "del 00:00:00:00:00:00 dst 192.0.2.4 port 5000 vni 7",
        "del 00:00:00:00:00:00 dst 192.0.2.2",
        "add 02:00:00:00:00:03 dst 192.0.2.2 static",
        "add 02:00:00:00:00:04 dst 192.0.2.2 dynamic",
        "add 02:00:00:00:00:04 dst 192.0.2.3 dynamic",
        "replace 02:00:00:00:00:04 dst 192.0.2.4 static",
        "replace 02:00:00:00:00:05 dst 192.0.2.4",
        "replace 02:00:00:00:00:05 dst 192.0.2.4 port 4789 vni 100",
        "replace 02:00:00:00:00:05 dst 192.0.2.4 port 8472",
        "add 02:00:00:00:00:06 dst 2001:db8::1",
        "append 00:00:00:00:00:00 dst 2001:db8::1",
        "replace 02:00:00:00:00:02 dst 2001:db8::1",
        "add 02:00:00:00:00:07 dst 0.0.0.0",
        "del 02:00:00:00:00:99",
        "del 02:00:00:00:00:99 dst 192.0.2.2",
        "add 01:00:5e:00:00:01 dst 192.0.2.2",
        "append 01:00:5e:00:00:01 dst 192.0.2.3",
        "replace 01:00:5e:00:00:01 dst 192.0.2.4",
        "add ff:ff:ff:ff:ff:ff dst 192.0.2.2",
        "append ff:ff:ff:ff:ff:ff dst 192.0.2.3",
        "del ff:ff:ff:ff:ff:ff dst 192.0.2.2",
        "add 33:33:00:00:00:01 dst 192.0.2.2",
        "del 33:33:00:00:00:01 dst 192.0.2.2",
        "del 33:33:00:00:00:01",
        "add 02:00:00:00:00:08 dst 192.0.2.2",
        "del 02:00:00:00:00:08",
    ];

    private static readonly string[] NeighbourScript =
    [
        "add 10.0.0.1 lladdr 02:00:00:00:00:02",
        "add 10.0.0.1 lladdr 02:00:00:00:00:02",
        "add 10.0.0.1 lladdr 02:00:00:00:00:03",
        "replace 10.0.0.1 lladdr 02:00:00:00:00:03",
        "replace 10.0.0.2 lladdr 02:00:00:00:00:04",
        "add fd00::1 lladdr 02:00:00:00:00:03",
        "add fe80::5 lladdr 02:00:00:00:00:09",
        "del 10.0.0.9",
        "del fd00::9",
        "add 10.0.0.3 lladdr 02:00:00:00:00:05",
        "del 10.0.0.3",
    ];

    [SkippableFact]
    public void Fdb_does_what_bridge_fdb_does()
    {
        using var up = UpNetwork.CreateOrSkip();
        AddKernel(up);
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        foreach (var line in FdbScript) Compare(up, "fdb", "bridge", line);
        // Not the kernel's own entries: what its device sent of itself came back over loopback.
        var theirs = Lines(up.Network.Run("bridge", "fdb", "show", "dev", "kv")).Where(static line => !line.Contains("dst 127.0.0.1", StringComparison.Ordinal) && !line.Contains("dst 192.0.2.1 ", StringComparison.Ordinal));
        Assert.Equal(theirs, Lines(Run(up, "fdb show").Output));
        var json = up.Network.Json("bridge", "fdb", "show", "dev", "kv").Where(static entry => (string?)entry!["dst"] is not ("127.0.0.1" or "192.0.2.1"));
        Assert.Equal(Rows(json), Rows((JsonArray)JsonNode.Parse(Run(up, "fdb show --json").Output)!));
        Assert.Equal(0, Run(up, "fdb flush --all").Code);
        Assert.All(Lines(Run(up, "fdb show").Output), static line => Assert.StartsWith("00:00:00:00:00:00 ", line, StringComparison.Ordinal));
    }

    [SkippableFact]
    public void Neigh_does_what_ip_neigh_does()
    {
        using var up = UpNetwork.CreateOrSkip();
        AddKernel(up);
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        foreach (var line in NeighbourScript) Compare(up, "neigh", "ip", line);
        Assert.Equal(Lines(up.Network.Run("ip", "neigh", "show", "dev", "kv", "nud", "permanent")), Lines(Run(up, "neigh show").Output));
        var json = up.Network.Json("ip", "neigh", "show", "dev", "kv", "nud", "permanent");
        Assert.Equal(Rows(json), Rows((JsonArray)JsonNode.Parse(Run(up, "neigh show --json").Output)!));
    }

    [SkippableFact]
    public void A_full_table_has_no_space_left()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0", "--maxaddress", "2"));
        Assert.Equal(0, Run(up, "fdb append 00:00:00:00:00:00 dst 192.0.2.2").Code);
        Assert.Equal(0, Run(up, "fdb add 02:00:00:00:00:02 dst 192.0.2.2").Code);
        Assert.Equal(new Outcome(ExitCode.Failed, "", "sleeve fdb add: No space left on device\n"), Run(up, "fdb add 02:00:00:00:00:03 dst 192.0.2.2"));
        Assert.Equal(0, Run(up, "fdb append 00:00:00:00:00:00 dst 192.0.2.3").Code);
        Assert.Equal(0, Run(up, "fdb replace 02:00:00:00:00:02 dst 192.0.2.3").Code);
    }

    /// <summary>The kernel leaves everything as it is and says nothing; a typing error deserves a word.</summary>
    [SkippableFact]
    public void Deleting_a_destination_that_is_not_there_is_an_error_where_the_kernel_is_silent()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        Assert.Equal(0, Run(up, "fdb add 02:00:00:00:00:02 dst 192.0.2.2").Code);
        Assert.Equal("sleeve fdb del: No such file or directory\n", Run(up, "fdb del 02:00:00:00:00:02 dst 192.0.2.9").Errors);
        Assert.Single(Lines(Run(up, "fdb show").Output));
    }

    [SkippableFact]
    public void Stats_names_the_segment_and_refuses_another()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0", "--remote", "192.0.2.2"));
        Assert.Contains("vx0: vni 100 UP", Outcome.Of($"stats --socket {up.Socket}").Output, StringComparison.Ordinal);
        var json = (JsonArray)JsonNode.Parse(Outcome.Of($"stats dev vx0 --json --socket {up.Socket}").Output)!;
        var segment = Assert.Single((JsonArray)Assert.Single(json)!["segments"]!);
        Assert.Equal(("vx0", 100, vtep.Id), ((string?)segment!["ifname"], (int)segment["vni"]!, (int)json[0]!["pid"]!));
        Assert.Equal(
            new Outcome(ExitCode.Failed, "", "sleeve stats: No such device: dev vx1: has no segment in this VTEP\n"), Outcome.Of($"stats dev vx1 --socket {up.Socket}"));
        Assert.Equal("sleeve fdb show: dev vx1: has no segment in this VTEP\n", Outcome.Of($"fdb show dev vx1 --socket {up.Socket}").Errors);
        Assert.Equal("sleeve fdb show: dev a?b#c: has no segment in this VTEP\n", Outcome.Of($"fdb show dev a?b#c --socket {up.Socket}").Errors);
    }

    [SkippableFact]
    public void Stats_counts_what_the_runtime_collected_and_allocated()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        var before = Runtime();
        var after = Runtime();
        Assert.True((long)after["allocated_bytes"]! >= (long)before["allocated_bytes"]! && (long)before["allocated_bytes"]! > 0, before.ToJsonString());
        // A collection of a generation counts for those below it.
        Assert.True((int)after["gen0_collections"]! >= (int)after["gen1_collections"]! && (int)after["gen1_collections"]! >= (int)after["gen2_collections"]!, after.ToJsonString());
        Assert.Matches(@"runtime: \d+ collections \(gen1 \d+, gen2 \d+\), \d+ bytes allocated", Outcome.Of($"stats --socket {up.Socket}").Output);

        JsonNode Runtime() => ((JsonArray)JsonNode.Parse(Outcome.Of($"stats --json --socket {up.Socket}").Output)!)[0]!["runtime"]!;
    }

    [SkippableFact]
    public void Show_without_a_device_shows_all_that_answer()
    {
        using var up = UpNetwork.CreateOrSkip();
        var id = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        var (live, dead) = ($"l{id}", $"d{id}");
        using var killed = RunningVtep.Begin(up.Network, dead, "--vni", "1", "--local", "192.0.2.1", "--dstport", "5001");
        Eventually.Holds(() => killed.Lines.Contains("sleeve up: ready") || killed.HasExited);
        Skip.If(killed.HasExited && killed.Lines[^1].Contains("denied", StringComparison.Ordinal), "needs to write to /run/sleeve");
        killed.Signal("KILL");
        killed.End();
        using var vtep = RunningVtep.Start(up.Network, live, "--vni", "1", "--local", "192.0.2.1", "--remote", "192.0.2.2");
        try
        {
            var outcome = Outcome.Of("fdb show");
            Assert.Contains($"00:00:00:00:00:00 dev {live} dst 192.0.2.2 self permanent", Lines(outcome.Output));
            Assert.Contains($"nobody serves /run/sleeve/{dead}.sock: sleeve up was killed; start it again", outcome.Errors, StringComparison.Ordinal);
            Assert.Equal(ExitCode.Failed, outcome.Code);
            Assert.Contains($"{live}: vni 1 UP", Outcome.Of("stats").Output, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete($"/run/sleeve/{dead}.sock");
        }

        Assert.Equal(ExitCode.Done, vtep.Stop().Code);
    }

    private static void AddKernel(UpNetwork up)
    {
        Kernel.AddVxlanOrSkip(up.Network, "kv", "id", "100", "dstport", "4790", "local", "192.0.2.1");
        up.Network.Run("ip", "link", "set", "kv", "up");
    }

    private static void Compare(UpNetwork up, string table, string program, string line)
    {
        var words = line.Split(' ');
        string? refusal = null;
        try
        {
            up.Network.Run(program, [table, words[0], words[1], "dev", "kv", .. words[2..]]);
        }
        catch (XunitException refused)
        {
            refusal = refused.Message;
        }

        var ours = Run(up, $"{table} {line}");
        Assert.True(ours.Code == (refusal is null ? 0 : 1), $"{line}: the kernel said {refusal ?? "yes"}, we {ours}");
        var reason = refusal is null ? -1 : refusal.IndexOf("RTNETLINK answers: ", StringComparison.Ordinal);
        if (reason >= 0) Assert.Equal($"sleeve {table} {words[0]}: {refusal![(reason + 19)..].Trim()}\n", ours.Errors);
    }

    private static Outcome Run(UpNetwork up, string line) => Outcome.Of($"{line} dev vx0 socket {up.Socket}");

    private static string[] Lines(string text) =>
        [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line => line.Trim().Replace("port 4790 ", "", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    // "updated" of a dynamic entry is ours alone: bridge has it only with -s.
    // Who said so is told here only.
    private static string[] Rows(IEnumerable<JsonNode?> rows) =>
    [
        .. rows.Select(static row => string.Join(' ', row!.AsObject().Where(static field => field.Key is not ("updated" or "origin")).Select(static field => $"{field.Key}={field.Value?.ToJsonString()}")))
            .Order(StringComparer.Ordinal),
    ];
}
