using Sleeve.Control.Cli;

namespace Sleeve.Control.Tests.Cli;

/// <summary>The commands against a running VTEP, the root, and the help of them all.</summary>
[Collection(ConsoleTests.Name)]
public class CommandLineTests
{
    private const string Name = "an interface name of 1 to 15 bytes without '/', ':', '%', white space or control characters";
    private const string Mac = "six hexadecimal bytes with colons, such as 02:00:00:00:00:01";
    private const string Dst = "an IPv4 or IPv6 unicast address, not link-local (or 0.0.0.0, ::)";
    private const string Entry = "02:00:00:00:00:02 dev vx0 dst 192.0.2.2";
    private const string StationMac = "a unicast MAC such as 02:00:00:00:00:01";

    [Theory]
    [InlineData("", "sleeve: a command is missing: one of up, daemon, segment, token, join, leave, peer, net, ipam, attach, detach, endpoint, cni, names, audit, fdb, neigh, stats, top, monitor, log, explain, capture, web, doctor, bench, config, handover, purge, demo, completion")]
    [InlineData("bogus", "sleeve: bogus: unknown command; must be one of up, daemon, segment, token, join, leave, peer, net, ipam, attach, detach, endpoint, cni, names, audit, fdb, neigh, stats, top, monitor, log, explain, capture, web, doctor, bench, config, handover, purge, demo, completion")]
    [InlineData("--bogus", "sleeve: --bogus: unknown command; must be one of up, daemon, segment, token, join, leave, peer, net, ipam, attach, detach, endpoint, cni, names, audit, fdb, neigh, stats, top, monitor, log, explain, capture, web, doctor, bench, config, handover, purge, demo, completion")]
    [InlineData("@/etc/hostname", "sleeve: @/etc/hostname: unknown command; must be one of up, daemon, segment, token, join, leave, peer, net, ipam, attach, detach, endpoint, cni, names, audit, fdb, neigh, stats, top, monitor, log, explain, capture, web, doctor, bench, config, handover, purge, demo, completion")]
    [InlineData("fdb", "sleeve fdb: a command is missing: one of show, add, append, replace, del, flush, audit")]
    [InlineData("fdb list", "sleeve fdb: list: unknown command; must be one of show, add, append, replace, del, flush, audit")]
    [InlineData("neigh", "sleeve neigh: a command is missing: one of show, add, replace, del")]
    [InlineData("fdb show extra", "sleeve fdb show: Unrecognized command or argument 'extra'")]
    [InlineData("fdb show --json=yes", "sleeve fdb show: --json=yes: --json takes no value")]
    [InlineData("fdb show --json -j", "sleeve fdb show: --json: given more than once; only one is allowed")]
    [InlineData("fdb show dev a/b", "sleeve fdb show: --dev a/b: must be " + Name)]
    [InlineData("fdb show dev", "sleeve fdb show: --dev: a value is missing: " + Name)]
    [InlineData("fdb show dev a dev b", "sleeve fdb show: --dev a b: given more than once; only one is allowed")]
    [InlineData("fdb show --socket /x", "sleeve fdb show: --dev: missing; it must be " + Name)]
    [InlineData("fdb show -jx", "sleeve fdb show: -jx: unknown option; sleeve fdb show --help lists them")]
    [InlineData("fdb add dev vx0 dst 192.0.2.2", "sleeve fdb add: MAC: missing; it must be " + Mac)]
    [InlineData("fdb add 2 dev vx0 dst 192.0.2.2", "sleeve fdb add: MAC 2: must be " + Mac)]
    [InlineData("fdb add 02:00:00:00:00:02 dst 192.0.2.2", "sleeve fdb add: --dev: missing; it must be " + Name)]
    [InlineData("fdb add 02:00:00:00:00:02 dev vx0", "sleeve fdb add: --dst: missing; it must be " + Dst)]
    [InlineData("fdb add 02:00:00:00:00:02 dev vx0 dst 224.0.0.1", "sleeve fdb add: --dst 224.0.0.1: must be " + Dst)]
    [InlineData("fdb add 02:00:00:00:00:02 dev vx0 dst fe80::1", "sleeve fdb add: --dst fe80::1: must be " + Dst)]
    [InlineData("fdb add " + Entry + " port 0", "sleeve fdb add: --port 0: must be 1 to 65535")]
    [InlineData("fdb add " + Entry + " port 65536", "sleeve fdb add: --port 65536: must be 1 to 65535")]
    [InlineData("fdb add " + Entry + " vni 16777216", "sleeve fdb add: --vni 16777216: must be 0 to 16777215")]
    [InlineData("fdb add " + Entry + " static dynamic", "sleeve fdb add: static dynamic: contradict each other; only one is allowed")]
    [InlineData("fdb add " + Entry + " surplus", "sleeve fdb add: surplus: not expected here")]
    [InlineData("fdb add " + Entry + " --json", "sleeve fdb add: --json: unknown option; sleeve fdb add --help lists them")]
    [InlineData("fdb append " + Entry + " dst 192.0.2.3", "sleeve fdb append: --dst 192.0.2.2 192.0.2.3: given more than once; only one is allowed")]
    [InlineData("fdb replace", "sleeve fdb replace: --dev: missing; it must be " + Name + "\nsleeve fdb replace: MAC: missing; it must be " + Mac + "\nsleeve fdb replace: --dst: missing; it must be " + Dst)]
    [InlineData("fdb del 02:00:00:00:00:02 dev vx0 port 5", "sleeve fdb del: --port, --vni and --via need --dst")]
    [InlineData("fdb del 02:00:00:00:00:02 dev vx0 via eth0", "sleeve fdb del: --port, --vni and --via need --dst")]
    [InlineData("fdb add " + Entry + " via a/b", "sleeve fdb add: --via a/b: must be " + Name)]
    [InlineData("fdb delete 02:00:00:00:00:02", "sleeve fdb del: --dev: missing; it must be " + Name)]
    [InlineData("fdb flush", "sleeve fdb flush: --dev: missing; it must be " + Name)]
    [InlineData("fdb flush dev vx0 02:00:00:00:00:02", "sleeve fdb flush: Unrecognized command or argument '02:00:00:00:00:02'")]
    [InlineData("neigh add 10.0.0.1 dev vx0", "sleeve neigh add: --lladdr: missing; it must be " + StationMac)]
    [InlineData("neigh add 10.0.0.1 lladdr 01:00:5e:00:00:01 dev vx0", "sleeve neigh add: --lladdr 01:00:5e:00:00:01: must be " + StationMac)]
    [InlineData("neigh add 224.0.0.1 lladdr 02:00:00:00:00:02 dev vx0", "sleeve neigh add: IP 224.0.0.1: must be an IPv4 or IPv6 unicast address")]
    [InlineData("neigh replace 0.0.0.0 lladdr 02:00:00:00:00:02 dev vx0", "sleeve neigh replace: IP 0.0.0.0: must be an IPv4 or IPv6 unicast address")]
    [InlineData("neigh del dev vx0", "sleeve neigh del: IP: missing; it must be an IPv4 or IPv6 unicast address")]
    [InlineData("neigh del 10.0.0.1 10.0.0.2 dev vx0", "sleeve neigh del: 10.0.0.2: not expected here")]
    [InlineData("names", "sleeve names: NETWORK: missing; it must be 1 to 63 of A-Z a-z 0-9 - _ . and begin with a letter or a digit")]
    [InlineData("names a/b", "sleeve names: NETWORK a/b: must be 1 to 63 of A-Z a-z 0-9 - _ . and begin with a letter or a digit")]
    [InlineData("names prod web extra", "sleeve names: extra: not expected here")]
    [InlineData("stats vx0", "sleeve stats: Unrecognized command or argument 'vx0'")]
    [InlineData("log", "sleeve log: a command is missing: one of level")]
    [InlineData("top --interval 0", "sleeve top: --interval 0: must be 1 to 3600 (seconds)")]
    [InlineData("top --sort size", "sleeve top: --sort size: must be rate, frames, drops or name")]
    [InlineData("top vx0", "sleeve top: Unrecognized command or argument 'vx0'")]
    [InlineData("log level loud", "sleeve log level: LEVEL loud: must be error, warning, info or debug")]
    [InlineData("log level info debug", "sleeve log level: debug: not expected here")]
    [InlineData("demo now", "sleeve demo: Unrecognized command or argument 'now'")]
    public void Bad_words_end_with_2_and_a_line_each(string words, string errors)
    {
        var outcome = Outcome.Of(words);
        Assert.Equal(errors.Split('\n'), outcome.ErrorLines);
        Assert.Equal((ExitCode.BadInput, ""), (outcome.Code, outcome.Output));
    }

    [Theory]
    [InlineData("[parse] up vx0")]
    [InlineData("[diagram] up vx0")]
    [InlineData("[env:SLEEVE=1] up vx0")]
    public void Directives_of_the_parser_are_off(string words) => Assert.Equal(ExitCode.BadInput, Outcome.Of(words).Code);

    [Fact]
    public void Completion_names_the_options()
    {
        var outcome = Outcome.OfWords("[suggest:5]", "up --");
        Assert.Equal(ExitCode.Done, outcome.Code);
        Assert.Contains("--vni", outcome.Output.Split('\n'));
        Assert.Contains("up", Outcome.OfWords("[suggest:0]", "").Output.Split('\n'));
    }

    [Theory]
    [InlineData("fdb show dev sleeve-none", "sleeve fdb show: no /run/sleeve/sleeve-none.sock: is sleeve up running for this device? (--socket names another)")]
    [InlineData("fdb show dev vx0 --socket /etc/passwd", "sleeve fdb show: /etc/passwd is not a socket")]
    [InlineData("stats --socket /sleeve-none", "sleeve stats: no /sleeve-none: is sleeve up running for this device? (--socket names another)")]
    [InlineData("neigh add fe80::1 lladdr 02:00:00:00:00:02 dev vx0 socket /sleeve-none", "sleeve neigh add: no /sleeve-none: is sleeve up running for this device? (--socket names another)")]
    public void Without_a_VTEP_there_is_a_line_that_says_so(string words, string error)
    {
        var outcome = Outcome.Of(words);
        Assert.Equal([error], outcome.ErrorLines);
        Assert.Equal(ExitCode.Failed, outcome.Code);
    }

    public static TheoryData<string> Commands =>
        ["", "up", "fdb", "fdb show", "fdb add", "fdb append", "fdb replace", "fdb del", "fdb flush", "fdb audit", "attach", "detach", "endpoint", "endpoint ls", "cni", "cni install", "neigh", "neigh show", "neigh add", "neigh replace", "neigh del", "names", "stats", "top", "log", "log level", "demo", "completion"];

    [Theory]
    [MemberData(nameof(Commands))]
    public void Help_of_every_command_has_what_one_needs(string command)
    {
        var outcome = Outcome.Of(command + " --help");
        Assert.Equal((ExitCode.Done, ""), (outcome.Code, outcome.Errors));
        Assert.Equal(outcome.Output, Outcome.Of(command + " -h").Output);
        Assert.Contains("Usage:\n", outcome.Output, StringComparison.Ordinal);
        if (command != "demo") Assert.Contains($"  {$"sleeve {command}".TrimEnd()} ", outcome.Output.Split("Examples:")[1], StringComparison.Ordinal);
        Assert.All(outcome.Output.Split('\n'), static line => Assert.InRange(line.Length, 0, 130));
    }

    [Fact]
    public void Help_names_defaults_with_dashes_before_the_options()
    {
        var help = Outcome.Of("up --help").Output;
        Assert.All(["--id, --vni <N>", "--dstport <PORT>", "[4789]", "[49152-65535]", "<SECONDS>", "[300]", "<BYTES>", "[/run/sleeve/DEV.sock]", "[peers]", "[on]", "[off]"],
            expected => Assert.Contains(expected, help, StringComparison.Ordinal));
    }

    [Fact]
    public void The_version_is_one_line() => Assert.Matches(@"\A\d+\.\d+\.\d+\S*\n\z", Outcome.Of("--version").Output);
}
