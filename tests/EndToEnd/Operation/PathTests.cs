using System.Net.Sockets;
using System.Text.Json;
using Sleeve.EndToEnd.Overlay;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// `sleeve doctor REMOTE` and `sleeve bench REMOTE` over a path with one fault, which they must name.
/// <code>
///     a: Sleeve, asking ═══ (router ═══) b: Sleeve, or the kernel's vxlan, or nobody
/// </code>
/// </summary>
public sealed class PathTests(ITestOutputHelper output) : LabTest(output)
{
    [SkippableTheory]
    [InlineData(AddressFamily.InterNetwork, 1)]
    [InlineData(AddressFamily.InterNetwork, 2)]
    [InlineData(AddressFamily.InterNetworkV6, 1)]
    public void A_good_path_between_two_Sleeves_gives_no_complaint_and_the_right_numbers(AddressFamily family, int workers)
    {
        var pair = Given(VtepKind.Sleeve, family, options => options with { Workers = workers });
        var report = Doctor(pair);
        Assert.Equal([], report.Complaints);
        foreach (var check in new[] { "route", "reach", "rtt", "flows", "loss", "order", "mtu", "offload" }) Assert.Contains(report.Findings, each => each.Check == check);
        Assert.Equal(0, report.ExitCode);
        Assert.Contains("packets of 1500 bytes arrive whole", string.Concat(report.Findings), StringComparison.Ordinal);
        // Ordinary frames were not disturbed, and nothing was counted as lost.
        Assert.Equal(3, Traffic.Ping(pair.One.Host, Pair.Overlay2));
        Assert.Equal(0, ((SleeveVtep)pair.Other).Stats().Drops("EchoRefused"));
    }

    [SkippableTheory]
    [InlineData(AddressFamily.InterNetwork)]
    [InlineData(AddressFamily.InterNetworkV6)]
    public void A_kernel_VTEP_does_not_notice_and_what_can_be_known_is_told(AddressFamily family)
    {
        var pair = Given(VtepKind.Kernel, family);
        Traffic.WaitForPing(pair.One.Host, Pair.Overlay2);
        var before = Errors(pair.Other);
        var report = Doctor(pair);
        Assert.Equal([], report.Complaints);
        Assert.Contains("a VTEP of another make", report.The("reach", "ok").Text, StringComparison.Ordinal);
        Assert.Equal(before, Errors(pair.Other));
        Assert.Equal(3, Traffic.Ping(pair.One.Host, Pair.Overlay2));
    }

    [SkippableFact]
    public void Nobody_on_the_port_is_told_apart_from_a_filter_that_swallows_and_from_a_host_that_is_gone()
    {
        Requirements.Programs("nft");
        var lab = NewLab();
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "the kernel's device has no doctor");
        var (a, b) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(a, b);
        var one = Vtep.Start(VtepKind.Sleeve, a, new VtepOptions { Remotes = [b.Address] });
        DoctorReport Ask() => DoctorReport.Of(a, $"{b.Address} dev {one.Device}");
        Assert.Contains("nobody listens on its UDP port 4789", Ask().The("reach", "error").Text, StringComparison.Ordinal);

        Rule(b, "udp dport 4789 drop");
        Assert.Contains("answers pings, but no echo request", Ask().The("reach", "warning").Text, StringComparison.Ordinal);
        Rule(b, "meta l4proto icmp drop");
        Assert.Contains("answers nothing", Ask().The("reach", "error").Text, StringComparison.Ordinal);
        Assert.Equal(1, SleeveProgram.Run(a, $"bench {b.Address} dev {one.Device}").ExitCode);
    }

    [SkippableFact]
    public void A_Sleeve_that_does_not_know_us_or_has_echo_off_does_not_answer_and_counts_it()
    {
        var lab = NewLab();
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "the kernel's device has no doctor");
        var (a, b, c) = (lab.AddHost("a"), lab.AddHost("b"), lab.AddHost("c"));
        lab.JoinBySwitch(a, b, c);
        var one = Vtep.Start(VtepKind.Sleeve, a, new VtepOptions { Remotes = [b.Address] });
        var stern = (SleeveVtep)Vtep.Start(VtepKind.Sleeve, b, new VtepOptions { Remotes = [c.Address] });
        Assert.DoesNotContain(DoctorReport.Of(a, $"{b.Address} dev {one.Device}").Findings, static each => each.Check == "rtt");
        Assert.True(stern.Stats().Drops("EchoRefused") >= 24, stern.Stats().Summary);
        stern.Terminate();
        var silent = (SleeveVtep)Vtep.Start(VtepKind.Sleeve, b, new VtepOptions { Remotes = [a.Address], Device = "vxsilent", More = ["--echo", "off"] });
        Assert.DoesNotContain(DoctorReport.Of(a, $"{b.Address} dev {one.Device}").Findings, static each => each.Check == "rtt");
        Assert.True(silent.Stats().Drops("EchoRefused") >= 24, silent.Stats().Summary);
    }

    [SkippableFact]
    public void Loss_is_told_with_its_direction()
    {
        Requirements.Programs("nft");
        var pair = Given(VtepKind.Sleeve);
        Rule(pair.Other.Host, "udp dport 4789 numgen random mod 100 < 20 drop");
        var there = Doctor(pair).The("loss", "warning");
        Assert.Matches(@"\d+ on the way there, \d on the way back", there.Text);
        pair.Other.Host.Run("nft delete table inet f");
        Rule(pair.One.Host, "udp dport 4789 numgen random mod 100 < 20 drop");
        Assert.Matches(@": \d on the way there, \d\d+ on the way back", Doctor(pair).The("loss", "warning").Text);
    }

    [SkippableFact]
    public void A_source_port_that_a_filter_swallows_is_named()
    {
        Requirements.Programs("nft");
        var pair = Given(VtepKind.Sleeve);
        // Half of the source ports, as if one of two paths were dead.
        Rule(pair.Other.Host, "udp dport 4789 udp sport 49152-57343 drop");
        var report = Doctor(pair);
        var dead = report.Findings.Where(static each => each is { Check: "flows", Level: "error" }).ToArray();
        Assert.NotEmpty(dead);
        Assert.All(dead, static each => Assert.InRange(int.Parse(each.Subject.Split(' ')[2], System.Globalization.CultureInfo.InvariantCulture), 49152, 57343));
    }

    [SkippableFact]
    public void A_narrow_place_that_says_nothing_is_measured_to_the_byte_in_its_direction()
    {
        Requirements.Programs("nft");
        var pair = Given(VtepKind.Sleeve);
        Rule(pair.Other.Host, "iifname u0 meta length > 1300 drop");
        var report = Doctor(pair);
        var finding = report.Findings.First(static each => each is { Check: "mtu", Level: "warning" });
        Assert.Contains("more than 1300 bytes", finding.Text, StringComparison.Ordinal);
        Assert.Equal("the way there", finding.Subject);
        Assert.Contains($"ip link set {pair.One.Device} mtu 1250", finding.Advice, StringComparison.Ordinal);
        pair.Other.Host.Run("nft delete table inet f");
        Rule(pair.One.Host, "iifname u0 meta length > 1200 drop");
        finding = Doctor(pair).The("mtu", "warning");
        Assert.Equal("the way back", finding.Subject);
        Assert.Contains("more than 1200 bytes", finding.Text, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void A_remote_that_no_segment_has_and_bad_words_are_refused()
    {
        var pair = Given(VtepKind.Sleeve);
        var unknown = SleeveProgram.Run(pair.One.Host, $"doctor 10.0.0.77 dev {pair.One.Device}");
        Assert.Equal(1, unknown.ExitCode);
        Assert.Contains($"10.0.0.77: is no VTEP of {pair.One.Device}; must be one of 10.0.0.2", unknown.Error, StringComparison.Ordinal);
        Assert.Equal(2, SleeveProgram.Run(pair.One.Host, "bench 10.0.0.2 --rate 5000").ExitCode);
    }

    [SkippableFact]
    public void A_bench_between_two_Sleeves_says_where_the_time_goes()
    {
        var pair = Given(VtepKind.Sleeve);
        var report = Bench(pair, "--seconds 3 --rate 50");
        Assert.Equal(["tap", "pipeline", "socket", "far end", "wire"], report.GetProperty("round_trip").EnumerateArray().Select(static each => each.GetProperty("part").GetString()));
        Assert.InRange(report.GetProperty("round_trip").EnumerateArray().Sum(static each => each.GetProperty("percent").GetDouble()), 99, 101);
        foreach (var cost in new[] { "tap_read_ns", "tap_write_ns", "pipeline_out_ns", "pipeline_in_ns" })
            Assert.True(report.GetProperty("local").GetProperty(cost).GetDouble() > 0, cost);
        // A difference of two times: none is left of it where other tests have the cores.
        Assert.True(report.GetProperty("local").GetProperty("socket_receive_ns").GetDouble() >= 0);
        var steps = report.GetProperty("wire").GetProperty("steps").EnumerateArray().ToArray();
        Assert.Equal(4, steps.Length);
        Assert.All(steps, static step => Assert.True(step.GetProperty("arrived").GetInt32() > 0));
        var text = SleeveProgram.Run(pair.One.Host, $"bench {pair.Other.Host.Address} dev {pair.One.Device} --seconds 2 --rate 20").Ok();
        Assert.Contains("Of a round trip of", text, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void A_bench_over_a_path_with_a_rate_names_the_rate()
    {
        Requirements.Programs("tc");
        var pair = Given(VtepKind.Sleeve);
        Skip.If(pair.One.Host.Try("tc qdisc add dev u0 root tbf rate 10mbit burst 16kb latency 20ms").ExitCode != 0, "needs the tbf queueing discipline");
        var verdict = Bench(pair, "--seconds 4 --rate 40").GetProperty("verdict").GetString()!;
        Assert.Matches(@"passes (8|9|10|11)(\.\d+)? Mbit/s|takes no more than (8|9|10|11)(\.\d+)? Mbit/s", verdict);
    }

    [SkippableFact]
    public void A_bench_over_a_path_that_loses_says_that_it_is_no_matter_of_rate()
    {
        Requirements.Programs("nft");
        var pair = Given(VtepKind.Sleeve);
        Rule(pair.Other.Host, "udp dport 4789 numgen random mod 100 < 10 drop");
        Assert.Contains("whatever the rate", Bench(pair, "--seconds 3 --rate 20").GetProperty("verdict").GetString()!, StringComparison.Ordinal);
    }

    private Pair Given(VtepKind peer, AddressFamily family = AddressFamily.InterNetwork, Func<VtepOptions, VtepOptions>? with = null)
    {
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "the kernel's device has no doctor");
        return Pair.Make(NewLab(family), peer, with: with);
    }

    // Everything that its device counts of datagrams that it did not like.
    private static string Errors(Vtep kernel)
    {
        using var links = JsonDocument.Parse(kernel.Host.Run($"ip -s -s -j link show dev {kernel.Device}"));
        var received = links.RootElement[0].GetProperty("stats64").GetProperty("rx");
        return string.Join(' ', received.EnumerateObject().Where(static counter => counter.Name is not ("bytes" or "packets" or "multicast")).Select(static counter => $"{counter.Name} {counter.Value}"));
    }

    private static DoctorReport Doctor(Pair pair) => DoctorReport.Of(pair.One.Host, $"{pair.Other.Host.Address} dev {pair.One.Device}");

    private static JsonElement Bench(Pair pair, string words)
    {
        var result = SleeveProgram.Run(pair.One.Host, $"bench {pair.Other.Host.Address} dev {pair.One.Device} {words} --json");
        var report = JsonDocument.Parse(result.Ok()).RootElement;
        pair.Lab.Log(result.Output);
        return report;
    }

    private static void Rule(Host host, string rule)
    {
        host.Run("nft add table inet f");
        host.Run("nft add chain inet f in { type filter hook input priority 0 ; }");
        host.Run($"nft add rule inet f in {rule}");
    }
}
