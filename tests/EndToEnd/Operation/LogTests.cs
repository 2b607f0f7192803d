using System.Text.Json;
using Sleeve.EndToEnd.Overlay;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>The log of a running VTEP: its level at run time, its forms, its limit.</summary>
public sealed class LogTests(ITestOutputHelper output) : LabTest(output)
{
    // Gives a program a socket for stderr and names it as systemd does for what the journal reads.
    private const string Journal = """
        use Socket;
        socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die;
        my @stat = stat $theirs;
        my $child = fork;
        if (!$child) { $ENV{JOURNAL_STREAM} = "$stat[0]:$stat[1]"; open STDERR, ">&", $theirs; exec @ARGV }
        close $theirs;
        $SIG{TERM} = sub { kill TERM => $child };
        $| = 1;
        while (<$ours>) { print }
        waitpid $child, 0;
        exit $? >> 8;
        """;

    [SkippableFact]
    public void The_level_changes_while_it_runs_and_debug_tells_of_stations_and_changes()
    {
        var pair = Make();
        var sleeve = (SleeveVtep)pair.One;
        Traffic.WaitForPing(pair.One.Host, Pair.Overlay2);
        Assert.DoesNotContain("debug: ", sleeve.Process.Error, StringComparison.Ordinal);
        Assert.Equal("", Run(sleeve, $"log level debug dev {sleeve.Device}"));
        Assert.Contains("sleeve up: log level debug, was info\n", sleeve.Process.Error, StringComparison.Ordinal);
        sleeve.FdbDo("add", $"{Frames.Mac(0x77)} dev {sleeve.Device} dst 10.0.0.9");
        sleeve.Process.WaitForText($"sleeve up: debug: added: {Frames.Mac(0x77)} dev {sleeve.Device} dst 10.0.0.9 self permanent", Wait.Soon);
        sleeve.Process.WaitForText("sleeve up: debug: API: ", Wait.Soon);
        Assert.Contains("level debug, format text, lines error 0, warning 0, info ", Run(sleeve, $"log level --socket /run/sleeve/{sleeve.Device}.sock"), StringComparison.Ordinal);
        Run(sleeve, $"log level warning dev {sleeve.Device}");
        sleeve.Process.WaitForText("log level warning, was debug", Wait.Soon);
        sleeve.FdbDo("add", $"{Frames.Mac(0x78)} dev {sleeve.Device} dst 10.0.0.9");
        Assert.DoesNotContain($"{Frames.Mac(0x78)}", sleeve.Process.Error, StringComparison.Ordinal);
        using var json = JsonDocument.Parse(Run(sleeve, $"log level dev {sleeve.Device} --json"));
        Assert.Equal("warning", json.RootElement[0].GetProperty("level").GetString());
    }

    [SkippableTheory]
    [InlineData("text")]
    [InlineData("json")]
    public void The_journal_gets_priorities(string format)
    {
        Requirements.Programs("perl");
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "the kernel's device logs elsewhere");
        var host = NewLab().AddHost("a");
        host.Run("ip addr add 10.0.0.1/24 dev lo");
        var process = host.Start(["perl", "-e", Journal, .. SleeveProgram.Words, "up", "vx5-a", "--vni", "5", "--local", "10.0.0.1", "--remote", "10.0.0.9", "--mtu", "1400", "--log-format", format]);
        process.WaitForText(format == "json" ? "\"message\":\"ready\"}" : "<6>ready", TimeSpan.FromSeconds(20));
        host.Run("ip link set vx5-a down");
        process.WaitForText("vx5-a is down", Wait.Soon);
        // A stranger, who is worth a warning.
        host.Run("ip addr add 10.0.0.3/24 dev lo");
        host.InNamespace(() =>
        {
            using var stranger = new System.Net.Sockets.UdpClient(new System.Net.IPEndPoint(System.Net.IPAddress.Parse("10.0.0.3"), 0));
            stranger.Send(Frames.Vxlan(5, Frames.Unique(Frames.Mac(1), Frames.Mac(2))), "10.0.0.1", 4789);
        });
        process.WaitForText("dropping datagrams from 10.0.0.3", Wait.Soon);
        process.Signal();
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(10)));
        var lines = process.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.All(lines, static line => Assert.Matches("^<[46]>", line));
        Assert.Contains(lines, line => line.StartsWith(format == "json" ? "<4>{" : "<4>vx5-a: dropping datagrams from 10.0.0.3", StringComparison.Ordinal));
        if (format == "text") return;
        var warning = JsonDocument.Parse(Assert.Single(lines, static line => line.StartsWith("<4>", StringComparison.Ordinal))[3..]).RootElement;
        Assert.Equal(("warning", 1, "stranger-dropped", "vx5-a", "10.0.0.3", "5"), (warning.GetProperty("level").GetString(), warning.GetProperty("id").GetInt32(), warning.GetProperty("event").GetString(),
            warning.GetProperty("segment").GetString(), warning.GetProperty("sender").GetString(), warning.GetProperty("vni").GetString()));
    }

    [SkippableFact]
    public void A_link_that_flaps_is_told_of_ten_times_and_then_counted()
    {
        var pair = Make();
        var sleeve = (SleeveVtep)pair.One;
        for (var i = 0; i < 15; i++)
        {
            sleeve.Host.Run($"ip link set {sleeve.Device} down");
            sleeve.Host.Run($"ip link set {sleeve.Device} up");
        }

        // On a machine so slow that this took more than one window there may be more.
        sleeve.Process.WaitForText("more lines like the last LinkDown were left out", TimeSpan.FromSeconds(30));
        Assert.InRange(sleeve.Process.Error.Split($"{sleeve.Device} is down").Length - 1, 10, 14);
    }

    private static string Run(SleeveVtep vtep, string line) => SleeveProgram.Run(vtep.Host, line).Ok();

    private Pair Make()
    {
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "the kernel's device logs elsewhere");
        return Pair.Make(NewLab(), VtepKind.Sleeve);
    }
}
