using Sleeve.Control.Api;
using Sleeve.Control.Doctor;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Tests.Doctor;

/// <summary>Each check against a host with the one fault that it is about.</summary>
public sealed class CheckTests
{
    private static readonly DropJson Held = new("in", "move_held", 3, "held");

    [Fact]
    public void A_healthy_host_gives_no_complaint_and_each_check_a_word()
    {
        var findings = Examiner.Examine(Patients.Healthy);
        Assert.All(findings, static each => Assert.Equal(Level.Ok, each.Finding.Level));
        Assert.Equal(Examiner.Checks.Count - 1, findings.Select(static each => each.Check).Distinct().Count()); // via has nothing to look at
        Assert.Equal(Level.Ok, DoctorScreen.Worst(findings));
    }

    [Fact]
    public void Checks_have_names_of_their_own_and_none_fails_on_an_empty_host()
    {
        Assert.Equal(Examiner.Checks.Count, Examiner.Checks.Select(static check => check.Name).Distinct().Count());
        var bare = new Patient(new HostFacts { Read = static _ => null }, []);
        Assert.NotEmpty(Examiner.Examine(bare));
    }

    [Theory]
    [InlineData(LibC.ENOENT, "modprobe tun")]
    [InlineData(LibC.EACCES, "chmod 666")]
    [InlineData(LibC.EPERM, "--device /dev/net/tun")]
    [InlineData(LibC.ENXIO, "modprobe tun")]
    public void A_tun_device_that_cannot_be_opened_is_an_error_with_what_to_type(int errno, string advice) =>
        Has(Patients.Healthy with { Host = Patients.Healthy.Host with { TunErrno = errno } }, "tun", Level.Error, "tun", advice);

    [Fact]
    public void Who_lacks_CAP_NET_ADMIN_is_told_so_before_the_start_and_a_VTEP_without_it_is_fine()
    {
        var poor = Patients.WithFile("/proc/self/status", "CapEff:\t0000000000000000\n");
        Has(poor with { Vteps = [] }, "capabilities", Level.Error, "CAP_NET_ADMIN", "ip tuntap add");
        Has(Patients.WithFile("/proc/77/status", "CapEff:\t0000000000000000\n"), "capabilities", Level.Ok, "runs without CAP_NET_ADMIN", null);
    }

    [Fact]
    public void A_kernel_device_of_our_port_is_a_warning()
    {
        var host = Patients.Healthy.Host;
        var down = Patients.Healthy with { Host = host with { Links = [.. host.Links, new LinkFact(9, "vxlan1", 1450, false, false, 0, 4789)] } };
        Has(down, "kernel-vxlan", Level.Warning, "cannot be set up", "ip link del vxlan1");
        var up = down with { Vteps = [], Host = down.Host with { Links = [.. host.Links, new LinkFact(9, "vxlan1", 1450, true, true, 0, 4789)] } };
        Has(up, "kernel-vxlan", Level.Warning, "would not get it", "ip link set vxlan1 down");
        Assert.DoesNotContain(Complaints(down with { Host = down.Host with { Links = [.. host.Links, new LinkFact(9, "vxlan1", 1450, true, true, 0, 8472)] } }), static each => each.Check == "kernel-vxlan");
    }

    [Fact]
    public void A_cluster_is_looked_at_as_a_whole()
    {
        Has(Member(static cluster => cluster with { StoreFault = "no answer" }), "cluster", Level.Warning, "the store is not followed: no answer; frames go on", "to etcd");
        Has(Member(static cluster => cluster with { CertificateEnds = DateTimeOffset.UtcNow.AddDays(2) }), "cluster", Level.Warning, "was not renewed", "sleeve join");
        Has(Member(static cluster => cluster with { SilentNames = [new SilentNamesJson("blue", "10.1.0.1 port 53 is taken")] }), "cluster", Level.Error, "10.1.0.1 port 53 is taken", "ss -lunp");
        Has(Peer(new PeerJson("h2", "down", true) { Local = "192.0.2.2", Reason = "3 hellos missed" }), "cluster", Level.Warning, "is down: 3 hellos missed", "sleeve doctor 192.0.2.2");
        Has(Peer(new PeerJson("h2", "up", false)), "cluster", Level.Warning, "no sign of life", "reaches the store");

        static Patient Member(Func<ClusterStateJson, ClusterStateJson> change) => Patients.With(vtep => vtep with { Details = vtep.Details! with { Cluster = change(Patients.Cluster) } });
        static Patient Peer(PeerJson peer) => Patients.With(vtep => vtep with { Peers = [peer] });
    }

    [Fact]
    public void A_port_that_is_taken_and_one_that_is_deaf_are_errors()
    {
        Has(Patients.Healthy with { Vteps = [], Host = Patients.Healthy.Host with { PortHolder = static _ => "process dnsmasq (pid 1)" } }, "port", Level.Error, "held by process dnsmasq (pid 1)", "--dstport");
        Has(Patients.With(static vtep => vtep with { PortHeard = false }), "port", Level.Error, "did not arrive", "nft list ruleset");
    }

    [Fact]
    public void Strict_filtering_is_told_by_what_it_has_done()
    {
        var files = Patients.Files;
        files["/proc/sys/net/ipv4/conf/all/rp_filter"] = "1";
        files["/proc/sys/net/ipv4/conf/eth0/rp_filter"] = "0";
        Has(Patients.Healthy with { Host = Patients.HostOf(files) }, "rp-filter", Level.Ok, "strict on eth0, and has dropped nothing", null);
        files["/proc/net/netstat"] = "TcpExt: SyncookiesSent IPReversePathFilter\nTcpExt: 0 12\n";
        Has(Patients.Healthy with { Host = Patients.HostOf(files) }, "rp-filter", Level.Warning, "dropped 12 packets", "rp_filter=2");
        var silent = Patients.WithRemote(static remote => remote with { RxDatagrams = 0 });
        Has(silent with { Host = Patients.HostOf(files) }, "rp-filter", Level.Error, "nothing ever came from 192.0.2.2", "rp_filter=2");

        // The larger counts: loose on the interface makes strict for all harmless.
        files["/proc/sys/net/ipv4/conf/eth0/rp_filter"] = "2";
        Has(Patients.Healthy with { Host = Patients.HostOf(files) }, "rp-filter", Level.Ok, "no interface filters strictly", null);
    }

    [Fact]
    public void An_overlay_that_does_not_fit_its_path_is_a_warning_with_the_number_that_does()
    {
        Has(Patients.WithRemote(static remote => remote with { Pmtu = 1400, PmtuFrom = "learned" }), "mtu", Level.Warning, "a router said so by ICMP", "ip link set vx0 mtu 1350");
        Has(Patients.WithRemote(static remote => remote with { Pmtu = 1400, PmtuFrom = "probe", PmtuProbe = "black-hole" }), "mtu", Level.Warning, "vanish on the way without a word", "ICMP");
        Has(Patients.WithRemote(static remote => remote with { Pmtu = null, PmtuFrom = "default" }), "mtu", Level.Error, "no route", "ip route get 192.0.2.2");
        Assert.Empty(Complaints(Patients.WithSegment(static segment => segment with { Mtu = 1400 })));
    }

    [Fact]
    public void Offloads_that_cannot_be_had_are_warnings_and_those_that_were_not_wanted_are_not()
    {
        Has(Patients.WithStats(static stats => stats with { TxOffload = "none", TxOffloadReason = "UDP checksums are off" }), "offload", Level.Warning, "UDP checksums are off", "--noudpcsum");
        Has(Patients.WithStats(static stats => stats with { RxOffload = "none", RxOffloadReason = "this kernel has no UDP_GRO" }), "offload", Level.Warning, "has no UDP_GRO", "5.0");
        Has(Patients.WithStats(static stats => stats with { TxTunnelEaten = 4 }), "offload", Level.Warning, "4 super-frames", "iifname \"sleeve*\" accept");
        Assert.Empty(Complaints(Patients.WithStats(static stats => stats with { TxOffload = "none", TxOffloadReason = "switched off" })));
    }

    [Fact]
    public void A_buffer_that_is_small_or_overflows_is_told_with_the_limit_to_raise()
    {
        Has(Patients.WithStats(static stats => stats with { ReceiveBufferBytes = 106496 }), "buffer", Level.Warning, "104 KiB, not 16384 KiB: net.core.rmem_max is 212992", "sysctl -w net.core.rmem_max=16777216");
        Has(Patients.WithStats(static stats => stats with { SocketDrops = 7 }), "buffer", Level.Error, "7 datagrams did not fit", "--workers");
        var past = Patients.With(static vtep => vtep with { Before = vtep.Before! with { SocketDrops = 7 }, Now = vtep.Now! with { SocketDrops = 7 } });
        Has(past, "buffer", Level.Warning, "7 datagrams have not fit the receive buffer since the start", "--workers");
    }

    [Fact]
    public void Checksum_errors_of_UDP_count_when_they_are_many()
    {
        static Patient Of(int errors) => Patients.WithFile("/proc/net/snmp", $"Udp: InDatagrams RcvbufErrors InCsumErrors\nUdp: 1000000 0 {errors}\n");
        Has(Of(500), "udp-errors", Level.Warning, "500 UDP datagrams came with a wrong checksum", "ethtool -K");
        Assert.Empty(Complaints(Of(2)));
        Has(Patients.WithFile("/proc/net/snmp6", "Udp6InDatagrams 10\nUdp6InCsumErrors 4\n"), "udp-errors", Level.Warning, "4 UDP datagrams", "--udp6zerocsumrx");
        Has(Patients.WithFile("/proc/net/snmp", ""), "udp-errors", Level.Skipped, "cannot be read", null);
    }

    [Fact]
    public void A_table_of_connections_that_fills_up_is_told_and_tracking_is_only_a_remark()
    {
        var files = Patients.Files;
        files["/proc/sys/net/netfilter/nf_conntrack_max"] = "1000";
        files["/proc/sys/net/netfilter/nf_conntrack_count"] = "950";
        Has(Patients.Healthy with { Host = Patients.HostOf(files) }, "conntrack", Level.Error, "950 of 1000", "nf_conntrack_max=4000");
        files["/proc/sys/net/netfilter/nf_conntrack_count"] = "750";
        Has(Patients.Healthy with { Host = Patients.HostOf(files) }, "conntrack", Level.Warning, "750 of 1000", "notrack");
        files["/proc/sys/net/netfilter/nf_conntrack_count"] = "5";
        files["/proc/net/nf_conntrack"] = "ipv4     2 udp      17 29 src=192.0.2.2 dst=192.0.2.1 sport=50000 dport=4789 [UNREPLIED] src=192.0.2.1\n";
        Has(Patients.Healthy with { Host = Patients.HostOf(files) }, "conntrack", Level.Ok, "gains nothing", "notrack");
    }

    [Fact]
    public void A_worker_that_does_not_move_is_an_error()
    {
        Has(Patients.With(static vtep => vtep with { Details = vtep.Details! with { Workers = [new WorkerStateJson(0, true), new WorkerStateJson(1, false)] } }), "workers", Level.Error, "worker 1 has not moved", "top -H -p 77");
        Has(Patients.WithStats(static stats => stats with { Steering = "kernel" }), "workers", Level.Warning, "may reorder", "CAP_BPF");
    }

    [Fact]
    public void Peers_that_know_one_direction_only_are_warnings()
    {
        Has(Patients.WithRemote(static remote => remote with { RxDatagrams = 0 }), "peers", Level.Warning, "has never sent one", "sleeve doctor 192.0.2.2");
        Assert.Empty(Complaints(Patients.WithRemote(static remote => remote with { RxDatagrams = 0, TxDatagrams = 4 })));
        Has(Patients.With(static vtep => vtep with { Details = vtep.Details! with { Strangers = [new StrangerJson("vx0", "192.0.2.9")] } }), "peers", Level.Warning, "is not one of our VTEPs", "dst 192.0.2.9");
        Assert.Empty(Complaints(Patients.With(static vtep => vtep with { Details = vtep.Details! with { Strangers = [new StrangerJson("vx0", "192.0.2.2")] } })));
        var learned = Patients.WithSegment(static segment => segment with { Remotes = [segment.Remotes[0], segment.Remotes[0] with { Dst = "192.0.2.7", Configured = false }] });
        Has(learned, "peers", Level.Warning, "is not in our list", "sleeve fdb append");
        Assert.Empty(Complaints(Patients.WithRemote(static remote => remote with { Configured = false })));
    }

    [Fact]
    public void Drops_and_moves_count_when_they_happen_now()
    {
        Has(Patients.WithSegment(static segment => segment with { Drops = [new DropJson("out", "no_route", 5, "there is no route")] }), "drops", Level.Warning, "5 frames dropped out within a second", "sleeve capture vx0 drop");
        Has(Patients.WithSegment(static segment => segment with { Drops = [Held] }), "stations", Level.Warning, "one MAC twice", "sleeve monitor vx0");
        var past = Patients.With(static vtep => vtep with
        {
            Before = vtep.Before! with { Segments = [vtep.Before.Segments[0] with { Drops = [Held] }] },
            Now = vtep.Now! with { Segments = [vtep.Now.Segments[0] with { Drops = [Held] }] },
        });
        Assert.Empty(Complaints(past));
        Has(Patients.WithSegment(static segment => segment with { Up = false }), "drops", Level.Warning, "the TAP is down", "ip link set vx0 up");
        Has(Patients.With(static vtep => vtep with { Neighbours = [new NeighbourJson("10.1.1.9", "vx0", "02:00:00:00:00:09", null, ["FAILED"])] }), "stations", Level.Warning, "10.1.1.9 is claimed by two stations", "duplicate-address");
    }

    [Fact]
    public void What_is_gone_from_under_a_VTEP_is_an_error()
    {
        var entry = new FdbEntryJson("02:00:00:00:00:02", "vx0", "192.0.2.2", null, null, null, null, "static") { ViaIf = "if5" };
        Has(Patients.With(vtep => vtep with { Fdb = [entry] }), "via", Level.Error, "via if5", "sleeve fdb del 02:00:00:00:00:02 dev vx0 dst 192.0.2.2 via if5");
        Has(Patients.With(vtep => vtep with { Fdb = [entry with { ViaIf = "eth0" }] }), "via", Level.Ok, "it is there", null);
        Has(Patients.With(static vtep => vtep with { Details = vtep.Details! with { Dev = "eth7" } }), "via", Level.Error, "--dev eth7", "start it again");
        var host = Patients.Healthy.Host;
        Has(Patients.Healthy with { Host = host with { Route = static (_, _, _) => new RouteFact(2, false) } }, "underlay", Level.Error, "no longer an address", "ip address add");
        Has(Patients.Healthy with { Host = host with { Links = [new LinkFact(2, "eth0", 1500, true, false)] } }, "underlay", Level.Error, "no carrier", "ip link show eth0");
    }

    [Fact]
    public void A_clock_that_runs_backwards_is_an_error_and_one_that_was_set_a_remark()
    {
        var host = Patients.Healthy.Host;
        Has(Patients.Healthy with { Host = host with { Clock = new ClockFacts(true, 0, true) } }, "clock", Level.Error, "ran backwards", "clocksource");
        Has(Patients.Healthy with { Host = host with { Clock = new ClockFacts(false, 0, false) } }, "clock", Level.Ok, "not kept right by NTP", null);
        Assert.Contains(Examiner.Examine(Patients.With(static vtep => vtep with { Details = vtep.Details! with { ClockStepSeconds = -3600 } })), static each => each is { Check: "clock", Finding.Level: Level.Ok } && each.Finding.Text.Contains("-3600 s", StringComparison.Ordinal));
    }

    private static IReadOnlyList<(string Check, Finding Finding)> Complaints(Patient patient) => [.. Examiner.Examine(patient).Where(static each => each.Finding.Level is Level.Warning or Level.Error)];

    private static void Has(Patient patient, string check, Level level, string text, string? advice)
    {
        var all = Examiner.Examine(patient);
        Assert.True(all.Any(each => each.Check == check && each.Finding.Level == level && each.Finding.Text.Contains(text, StringComparison.Ordinal) && (advice is null || each.Finding.Advice?.Contains(advice, StringComparison.Ordinal) == true)),
            $"no {level} of {check} with \"{text}\" and \"{advice}\" among:\n{string.Join('\n', all)}");
        if (level is not (Level.Warning or Level.Error)) return;
        // Who is not heard because of a filter is also one-sided.
        Assert.All(Complaints(patient), each => Assert.True(each.Check == check || (check, each.Check) == ("rp-filter", "peers"), each.ToString()));
    }
}
