using System.Text.Json;
using Sleeve.Control.Api;
using Sleeve.Control.Doctor;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Tests.Doctor;

/// <summary>Hosts and VTEPs in perfect health, for tests to spoil one thing of.</summary>
internal static class Patients
{
    private const string Stats = """
        { "pid": 77, "local": "192.0.2.1", "dstport": 4789, "receive_buffer_bytes": 16777216, "socket_drops": 0,
          "tx_offload": "udp-gso", "tx_offload_reason": "self-test passed", "rx_offload": "udp-gro", "rx_offload_reason": "self-test passed",
          "workers": [ { "worker": 0 } ], "steering": "one-worker", "drops": [], "runtime": {},
          "segments": [ { "ifname": "vx0", "vni": 100, "up": true, "mtu": 1450, "mac": "02:00:00:00:00:01", "tap_offload": "tcp udp", "tap_offload_reason": "accepted",
              "counters": { "datagrams_received": 1000, "returned": 0 }, "drops": [],
              "remotes": [ { "dst": "192.0.2.2", "port": 4789, "vni": 100, "configured": true, "tx_datagrams": 900, "rx_datagrams": 1000, "pmtu": 1500, "pmtu_from": "link" } ] } ] }
        """;

    /// <summary>What the files of a healthy host say.</summary>
    public static Dictionary<string, string> Files => new(StringComparer.Ordinal)
    {
        ["/proc/self/status"] = "Name:\tsleeve\nCapEff:\t000001ffffffffff\n",
        ["/proc/77/status"] = "Name:\tsleeve\nCapEff:\t000001ffffffffff\n",
        ["/proc/net/snmp"] = "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors\nUdp: 1000000 0 0 900000 0 0 0 0 0\n",
        ["/proc/net/snmp6"] = "Udp6InDatagrams 5\nUdp6InCsumErrors 0\n",
        ["/proc/net/netstat"] = "TcpExt: SyncookiesSent IPReversePathFilter\nTcpExt: 0 0\n",
        ["/proc/sys/net/core/rmem_max"] = "212992\n",
        ["/proc/sys/net/ipv4/conf/all/rp_filter"] = "0\n",
        ["/proc/sys/net/ipv4/conf/eth0/rp_filter"] = "2\n",
    };

    public static Patient Healthy { get; } = new(HostOf(Files), [Vtep]);

    /// <summary>A host whose files say this.</summary>
    public static HostFacts HostOf(Dictionary<string, string> files) => new()
    {
        Read = path => files.GetValueOrDefault(path),
        Links = [new LinkFact(1, "lo", 65536, true, true), new LinkFact(2, "eth0", 1500, true, true)],
        Route = static (destination, _, _) => new RouteFact(2, destination.ToString() == "192.0.2.1"),
        Firewall = new FirewallFacts("{\"nftables\":[]}", null, null, null),
        Clock = new ClockFacts(true, 500, false),
    };

    public static VtepFacts Vtep => new()
    {
        Socket = "/run/sleeve/vx0.sock",
        Before = StatsOf(),
        Now = StatsOf(),
        Details = new VtepDetailsJson(77, "net:[1]", null, [new WorkerStateJson(0, true)], [], 60, 0) { Cluster = Cluster },
        Peers = [new PeerJson("h1", "self", true), new PeerJson("h2", "up", true) { Local = "192.0.2.2" }],
        PortHeard = true,
    };

    public static ClusterStateJson Cluster => new("h1", null, DateTimeOffset.UtcNow.AddDays(300), []);

    public static VtepStatsJson StatsOf() => JsonSerializer.Deserialize(Stats, ApiJson.Default.VtepStatsJson)!;

    public static Patient WithFile(string path, string text)
    {
        var files = Files;
        files[path] = text;
        return Healthy with { Host = HostOf(files) };
    }

    public static Patient With(Func<VtepFacts, VtepFacts> change) => Healthy with { Vteps = [change(Vtep)] };

    public static Patient WithStats(Func<VtepStatsJson, VtepStatsJson> change) => With(vtep => vtep with { Now = change(vtep.Now!) });

    public static Patient WithSegment(Func<SegmentStatsJson, SegmentStatsJson> change) => WithStats(stats => stats with { Segments = [change(stats.Segments[0])] });

    public static Patient WithRemote(Func<RemoteJson, RemoteJson> change) => WithSegment(segment => segment with { Remotes = [change(segment.Remotes[0])] });

    public static InternetAddress Address(string text)
    {
        Assert.True(InternetAddress.TryParse(text, out var address));
        return address;
    }
}
