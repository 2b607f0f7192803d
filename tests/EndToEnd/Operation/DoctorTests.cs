using System.Net.Sockets;
using Sleeve.EndToEnd.Overlay;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// `sleeve doctor` on a host with one fault, which it must name, and on one without.
/// <code>
///     a: Sleeve, examined ═══ veth pair ═══ b: Sleeve or the kernel's vxlan
/// </code>
/// </summary>
public sealed class DoctorTests(ITestOutputHelper output) : LabTest(output)
{
    [SkippableTheory]
    [InlineData(AddressFamily.InterNetwork, VtepKind.Sleeve)]
    [InlineData(AddressFamily.InterNetworkV6, VtepKind.Sleeve)]
    [InlineData(AddressFamily.InterNetwork, VtepKind.Kernel)]
    public void A_healthy_pair_gives_no_warning(AddressFamily family, VtepKind peer)
    {
        var pair = Given(peer, family);
        Traffic.WaitForPing(pair.One.Host, Pair.Overlay2);
        Assert.Equal(5, Traffic.Ping(pair.One.Host, Pair.Overlay2, 5));
        var report = DoctorReport.Of(pair.One.Host, $"dev {pair.One.Device}");
        Assert.Equal([], report.Complaints);
        Assert.Equal((0, "ok"), (report.ExitCode, report.Verdict));
        foreach (var check in new[] { "vteps", "tun", "capabilities", "port", "firewall", "mtu", "offload", "buffer", "udp-errors", "workers", "peers", "drops", "underlay" })
            Assert.Contains(report.Findings, each => each.Check == check && each.Level == "ok");
        var text = SleeveProgram.Run(pair.One.Host, $"doctor dev {pair.One.Device}");
        Assert.Contains("All is well", text.Ok(), StringComparison.Ordinal);
        Assert.DoesNotContain('\e', text.Output);
    }

    [SkippableFact]
    public void A_host_without_a_VTEP_is_told_whether_one_could_run()
    {
        var lab = NewLab();
        var host = lab.AddHost("a");
        Requirements.Tap();
        var fine = DoctorReport.Of(host, "");
        Assert.Equal([], fine.Complaints);
        using var taken = new UnderlayPeer(host, address: System.Net.IPAddress.Any);
        var report = DoctorReport.Of(host, "");
        var finding = report.The("port", "error");
        Assert.Contains("UDP port 4789 is held by process", finding.Text, StringComparison.Ordinal);
        Assert.Contains($"pid {Environment.ProcessId}", finding.Text, StringComparison.Ordinal);
        Assert.Equal((1, "error"), (report.ExitCode, report.Verdict));
    }

    [SkippableFact]
    public void A_firewall_that_drops_the_port_is_named_with_its_rule_and_by_the_self_test()
    {
        var pair = GivenWithRules("add rule inet f in udp dport 4789 counter drop");
        var report = DoctorReport.Of(pair.One.Host, $"dev {pair.One.Device}");
        var finding = report.The("firewall", "error");
        Assert.Contains("udp dport 4789", finding.Text, StringComparison.Ordinal);
        Assert.Contains("inet f in", finding.Text, StringComparison.Ordinal);
        Assert.Contains("from 10.0.0.2", finding.Subject, StringComparison.Ordinal);
        Assert.Contains("did not arrive", report.The("port", "error").Text, StringComparison.Ordinal);

        // What it says to type helps.
        pair.One.Host.Run(finding.Advice);
        report = DoctorReport.Of(pair.One.Host, $"dev {pair.One.Device}");
        Assert.DoesNotContain(report.Complaints, each => each.Check is "firewall" or "port");
    }

    [SkippableFact]
    public void A_firewall_that_drops_one_VTEP_on_one_interface_is_named_though_the_port_is_open()
    {
        var pair = GivenWithRules("add rule inet f in iifname u0 ip saddr 10.0.0.2 meta l4proto udp drop");
        var report = DoctorReport.Of(pair.One.Host, $"dev {pair.One.Device}");
        Assert.Contains("ip saddr 10.0.0.2", report.The("firewall", "error").Text, StringComparison.Ordinal);
        Assert.DoesNotContain(report.Complaints, static each => each.Check == "port");
    }

    [SkippableFact]
    public void A_firewall_whose_policy_drops_what_no_rule_accepts_is_named()
    {
        var pair = GivenWithRules("add rule inet f in tcp dport 22 accept", "add rule inet f in ct state established,related accept", "add rule inet f in iifname lo accept", "chain inet f in { policy drop; }");
        var report = DoctorReport.Of(pair.One.Host, $"dev {pair.One.Device}");
        Assert.Contains("the policy of chain in", report.The("firewall", "error").Text, StringComparison.Ordinal);
        pair.One.Host.Run("nft add rule inet f in udp dport { 53, 4789 } accept");
        Assert.DoesNotContain(DoctorReport.Of(pair.One.Host, $"dev {pair.One.Device}").Complaints, static each => each.Check == "firewall");
    }

    [SkippableFact]
    public void A_rule_that_drops_by_chance_is_told_as_perhaps()
    {
        var pair = GivenWithRules("add rule inet f in udp dport 4789 numgen random mod 100 < 20 drop");
        Assert.Contains("perhaps dropped", DoctorReport.Of(pair.One.Host, $"dev {pair.One.Device}").The("firewall", "warning").Text, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void Strict_filtering_by_the_way_back_that_drops_a_VTEP_is_named()
    {
        var pair = Given(VtepKind.Sleeve);
        var host = pair.One.Host;
        // What b sends comes in by u0, but the route to it leads elsewhere.
        host.Run("ip link add away type veth peer name nowhere");
        host.Run("ip link set away up");
        host.Run("ip link set nowhere up");
        host.Run("ip address add 10.9.9.1/24 dev away");
        host.Run("ip route add 10.0.0.2/32 dev away");
        host.Run("sysctl -q -w net.ipv4.conf.all.rp_filter=1");
        Traffic.Ping(pair.Other.Host, Pair.Overlay1, 10);
        Traffic.Ping(host, Pair.Overlay2, 5);
        var report = DoctorReport.Of(host, $"dev {pair.One.Device}");
        var finding = Assert.Single(report.Complaints, static each => each.Check == "rp-filter");
        Assert.Contains("strict on", finding.Text, StringComparison.Ordinal);
        Assert.Contains("rp_filter=2", finding.Advice, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void An_underlay_that_is_too_narrow_for_the_overlay_is_named_with_the_MTU_that_fits()
    {
        var pair = Given(VtepKind.Sleeve);
        pair.One.Host.Run("ip link set u0 mtu 1400");
        Wait.Until(() => Remote(pair).Contains("\"pmtu\":1400", StringComparison.Ordinal), "the path MTU is noticed");
        var finding = DoctorReport.Of(pair.One.Host, $"dev {pair.One.Device}").The("mtu", "warning");
        Assert.Contains($"ip link set {pair.One.Device} mtu 1350", finding.Advice, StringComparison.Ordinal);
        pair.One.Host.Run($"ip link set {pair.One.Device} mtu 1350");
        Assert.DoesNotContain(DoctorReport.Of(pair.One.Host, $"dev {pair.One.Device}").Complaints, static each => each.Check == "mtu");
    }

    [SkippableFact]
    public void A_kernel_device_of_the_same_port_is_named_before_it_gets_in_the_way()
    {
        var pair = Given(VtepKind.Sleeve);
        pair.One.Host.Run("ip link add kvx type vxlan id 7 dstport 4789 local 10.0.0.1 remote 10.0.0.2");
        Assert.Equal("kvx", DoctorReport.Of(pair.One.Host, $"dev {pair.One.Device}").The("kernel-vxlan", "warning").Subject);
    }

    [SkippableFact]
    public void One_sided_peers_a_silent_one_and_a_stranger_are_named()
    {
        var lab = NewLab();
        var (a, b, c) = (lab.AddHost("a"), lab.AddHost("b"), lab.AddHost("c"));
        lab.JoinBySwitch(a, b, c);
        var vtep = Vtep.Start(VtepKind.Sleeve, a, new VtepOptions { Remotes = [b.Address], Addresses = ["192.168.100.1/24"] });
        using var stranger = new UnderlayPeer(c);
        stranger.Send(Frames.Vxlan(100, Frames.Unique(Sleeve.DataPlane.Wire.MacAddress.Broadcast, Frames.Mac(0xC1))), a.Address);
        var port = vtep.OpenPort();
        for (var i = 0; i < 8; i++) port.Send(Frames.Unique(Sleeve.DataPlane.Wire.MacAddress.Broadcast, Frames.Mac(0xA1)));
        Wait.Until(() => ((SleeveVtep)vtep).Stats().Counter("datagrams_sent") >= 5, "five questions are sent", pollMilliseconds: 50, timeout: TimeSpan.FromSeconds(20));
        var report = DoctorReport.Of(a, $"dev {vtep.Device}");
        var findings = report.Findings.Where(static each => each is { Check: "peers", Level: "warning" }).ToArray();
        Assert.Contains(findings, each => each.Subject.EndsWith($"← {c.Address}", StringComparison.Ordinal) && each.Advice.Contains("sleeve fdb append", StringComparison.Ordinal));
        Assert.Contains(findings, each => each.Subject.EndsWith($"↔ {b.Address}", StringComparison.Ordinal) && each.Text.Contains("has never sent one", StringComparison.Ordinal));
    }

    [SkippableFact]
    public void A_TAP_that_is_down_an_interface_without_carrier_and_one_that_is_gone_are_named()
    {
        var pair = Given(VtepKind.Sleeve);
        var host = pair.One.Host;
        host.Run("ip link add extra type veth peer name extra1");
        host.Run("ip link set extra up");
        Assert.Equal(0, SleeveProgram.Run(host, $"fdb add 02:00:00:00:00:99 dev {pair.One.Device} dst 10.0.0.2 via extra").ExitCode);
        host.Run("ip link del extra");
        host.Run($"ip link set {pair.One.Device} down");
        pair.Other.Host.Run("ip link set u0 down");
        // The kernel tells the other end of it a little later.
        Wait.Until(() => host.Run("ip -o link show dev u0").Contains("NO-CARRIER", StringComparison.Ordinal), "the carrier is gone");
        var report = DoctorReport.Of(host, $"dev {pair.One.Device}");
        Assert.Contains("the TAP is down", report.The("drops", "warning").Text, StringComparison.Ordinal);
        Assert.Contains("is gone", report.The("via", "error").Text, StringComparison.Ordinal);
        Assert.Equal("u0", report.The("underlay", "error").Subject);
    }

    [SkippableFact]
    public void A_VTEP_that_was_killed_or_lives_elsewhere_is_named()
    {
        var pair = Given(VtepKind.Sleeve);
        var away = DoctorReport.Of(pair.One.Host, $"dev {pair.Other.Device}").The("vteps", "skipped");
        Assert.Contains($"nsenter -t {((SleeveVtep)pair.Other).Process.Id} -n sleeve doctor", away.Advice, StringComparison.Ordinal);
        var lone = SleeveProgram.Up(pair.One.Host, ["vxk", "--vni", "9", "--local", "10.0.0.1", "--dstport", "4790"]);
        lone.Signal(LibC.SIGKILL);
        Assert.True(lone.WaitForExit(Wait.Soon));
        Assert.Contains("was killed", DoctorReport.Of(pair.One.Host, "dev vxk").The("vteps", "error").Text, StringComparison.Ordinal);
        File.Delete("/run/sleeve/vxk.sock");
    }

    [SkippableFact]
    public void Datagrams_that_the_receive_buffer_does_not_hold_are_told()
    {
        var pair = Given(VtepKind.Kernel);
        var sleeve = (SleeveVtep)pair.One;
        Traffic.WaitForPing(pair.One.Host, Pair.Overlay2);
        var port = pair.Other.OpenPort();
        sleeve.Process.Signal(LibC.SIGSTOP);
        for (var i = 0; i < 60_000; i++) port.SendAtOnce(Frames.Numbered(Sleeve.DataPlane.Wire.MacAddress.Broadcast, Frames.Mac(0x51), i, 100));
        sleeve.Process.Signal(LibC.SIGCONT);
        Wait.Until(() => sleeve.Stats().SocketDrops > 0, "datagrams are lost");
        Assert.Contains("have not fit the receive buffer", DoctorReport.Of(pair.One.Host, $"dev {pair.One.Device}").The("buffer", "warning").Text, StringComparison.Ordinal);
    }

    private Pair Given(VtepKind peer, AddressFamily family = AddressFamily.InterNetwork)
    {
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "the kernel's device has no doctor");
        return Pair.Make(NewLab(family), peer);
    }

    private Pair GivenWithRules(params string[] rules)
    {
        Requirements.Programs("nft");
        var pair = Given(VtepKind.Sleeve);
        pair.One.Host.Run("nft add table inet f");
        pair.One.Host.Run("nft add chain inet f in { type filter hook input priority 0 ; }");
        foreach (var rule in rules) pair.One.Host.Run($"nft {rule}");
        return pair;
    }

    private static string Remote(Pair pair) => ControlSocket.Get(pair.One.Device, "stats");
}
