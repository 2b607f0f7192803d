using Sleeve.Control.Doctor.Firewall;

namespace Sleeve.Control.Tests.Doctor;

/// <summary>What becomes of a VXLAN datagram under rules, in the JSON of nft(8) and the words of iptables-save(8).</summary>
public sealed class FirewallTests
{
    private const string Dport = """{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":4789}}""";
    private const string Drop = """{"drop":null}""";
    private const string Accept = """{"accept":null}""";

    private static readonly FirewallPacket In = new(true, 4789, Patients.Address("192.0.2.2"), Patients.Address("192.0.2.1"), "eth0");
    private static readonly FirewallPacket Out = In with { IsInward = false };

    [Theory]
    [InlineData(nameof(FirewallOutcome.Pass))]
    [InlineData(nameof(FirewallOutcome.Drop), Dport, Drop)]
    [InlineData(nameof(FirewallOutcome.Drop), Dport, """{"counter":{"packets":0,"bytes":0}}""", """{"reject":{"type":"icmpx","expr":"port-unreachable"}}""")]
    [InlineData(nameof(FirewallOutcome.Pass), """{"match":{"op":"!=","left":{"payload":{"protocol":"udp","field":"dport"}},"right":4789}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Drop), """{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":{"set":[53,{"range":[4000,5000]}]}}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Drop), """{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":{"range":[4000,5000]}}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Drop), """{"match":{"op":">=","left":{"payload":{"protocol":"th","field":"dport"}},"right":1024}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Drop), """{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":{"prefix":{"addr":"192.0.2.0","len":24}}}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Pass), """{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":{"prefix":{"addr":"192.0.3.0","len":24}}}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Drop), """{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":"@vteps"}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Drop), """{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":{"range":["192.0.2.0","192.0.2.9"]}}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Perhaps), """{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":"@unknown"}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Pass), """{"match":{"op":"==","left":{"payload":{"protocol":"ip6","field":"saddr"}},"right":"2001:db8::1"}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Drop), """{"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"eth*"}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Pass), """{"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"lo"}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Pass), """{"match":{"op":"==","left":{"meta":{"key":"oifname"}},"right":"eth0"}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Pass), """{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":4789}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Drop), """{"match":{"op":"==","left":{"meta":{"key":"l4proto"}},"right":{"set":["tcp","udp"]}}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Pass), """{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":"invalid"}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Drop), """{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":["new","invalid"]}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Perhaps), """{"match":{"op":"<","left":{"numgen":{"mode":"random","mod":10,"offset":0}},"right":1}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Perhaps), """{"match":{"op":"==","left":{"meta":{"key":"mark"}},"right":7}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Perhaps), Dport, """{"limit":{"rate":5,"per":"second"}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Perhaps), """{"xt":{"type":"match","name":"u32"}}""", Drop)]
    [InlineData(nameof(FirewallOutcome.Drop), """{"jump":{"target":"other"}}""")]
    [InlineData(nameof(FirewallOutcome.Pass), """{"jump":{"target":"nowhere"}}""")]
    [InlineData(nameof(FirewallOutcome.Pass), Dport, """{"return":null}""")]
    [InlineData(nameof(FirewallOutcome.Drop), """{"vmap":{"key":{"payload":{"protocol":"udp","field":"dport"}},"data":{"set":[[53,{"accept":null}],[4789,{"drop":null}]]}}}""")]
    [InlineData(nameof(FirewallOutcome.Pass), """{"vmap":{"key":{"ct":{"key":"state"}},"data":{"set":[["invalid",{"drop":null}],["established",{"accept":null}]]}}}""")]
    public void A_rule_does_what_nftables_would(string expected, params string[] expressions) => Assert.Equal(expected, Judge(In, "accept", expressions).Outcome.ToString());

    [Fact]
    public void A_policy_drops_what_no_rule_accepts()
    {
        Assert.Equal(FirewallOutcome.Drop, Judge(In, "drop").Outcome);
        Assert.Equal(FirewallOutcome.Pass, Judge(In, "drop", Dport, Accept).Outcome);
        Assert.Equal(FirewallOutcome.Perhaps, Judge(In, "drop", Dport, """{"limit":{"rate":5,"per":"second"}}""", Accept).Outcome);
        Assert.Equal(FirewallOutcome.Pass, Judge(Out, "drop").Outcome);
        Assert.Contains("the policy of chain input", Judge(In, "drop").Rule, StringComparison.Ordinal);
        Assert.Equal("inet filter input", Judge(In, "drop").Place);
    }

    [Fact]
    public void What_is_not_known_of_the_packet_matches_perhaps()
    {
        var unknown = new FirewallPacket(true, 4789, null, null, null);
        Assert.Equal(FirewallOutcome.Perhaps, Judge(unknown, "accept", """{"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"eth0"}}""", Drop).Outcome);
        Assert.Equal(FirewallOutcome.Drop, Judge(unknown, "accept", Dport, Drop).Outcome);
    }

    [Fact]
    public void The_rule_is_named_so_that_it_can_be_found() =>
        Assert.Equal("the rule \"udp dport 4789 drop\" (nft -a list chain inet filter input, handle 7)", Judge(In, "accept", Dport, Drop).Rule);

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("{\"nftables\":7}")]
    [InlineData("{\"nftables\":[7]}")]
    public void What_is_no_ruleset_is_refused(string json)
    {
        Assert.False(NftRuleset.TryParse(json, out _, out var problem));
        Assert.NotNull(problem);
    }

    [Theory]
    [InlineData(nameof(FirewallOutcome.Pass), "ACCEPT")]
    [InlineData(nameof(FirewallOutcome.Drop), "DROP")]
    [InlineData(nameof(FirewallOutcome.Pass), "DROP", "-A INPUT -p udp -m udp --dport 4789 -j ACCEPT")]
    [InlineData(nameof(FirewallOutcome.Drop), "ACCEPT", "-A INPUT -p udp -m multiport --dports 53,4000:5000 -j DROP")]
    [InlineData(nameof(FirewallOutcome.Drop), "ACCEPT", "-A INPUT -s 192.0.2.0/24 -i eth+ -p udp -j REJECT --reject-with icmp-port-unreachable")]
    [InlineData(nameof(FirewallOutcome.Pass), "ACCEPT", "-A INPUT ! -s 192.0.2.0/24 -p udp -j DROP")]
    [InlineData(nameof(FirewallOutcome.Pass), "ACCEPT", "-A INPUT -p tcp -j DROP")]
    [InlineData(nameof(FirewallOutcome.Pass), "ACCEPT", "-A INPUT -o eth0 -j DROP")]
    [InlineData(nameof(FirewallOutcome.Perhaps), "ACCEPT", "-A INPUT -p udp -m mark --mark 0x7 -j DROP")]
    [InlineData(nameof(FirewallOutcome.Pass), "ACCEPT", "-A INPUT -m conntrack --ctstate INVALID -j DROP")]
    [InlineData(nameof(FirewallOutcome.Drop), "DROP", "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-A INPUT -i lo -j ACCEPT")]
    [InlineData(nameof(FirewallOutcome.Drop), "ACCEPT", "-A INPUT -j OWN", "-A OWN -p udp -m comment --comment \"no vxlan here\" -j DROP")]
    [InlineData(nameof(FirewallOutcome.Pass), "ACCEPT", "-A INPUT -j OWN", "-A OWN -s 198.51.100.1/32 -j DROP", "-A OWN -j RETURN", "-A OWN -j DROP")]
    public void A_rule_does_what_iptables_would(string expected, string policy, params string[] rules) =>
        Assert.Equal(expected, IptablesRules.Judge($"*filter\n:INPUT {policy} [0:0]\n:OUTPUT ACCEPT [0:0]\n:OWN - [0:0]\n{string.Join('\n', rules)}\nCOMMIT\n", In).Outcome.ToString());

    private static FirewallVerdict Judge(FirewallPacket packet, string policy, params string[] expressions)
    {
        var json = $$$"""
            {"nftables":[{"metainfo":{"version":"1.0.6"}},{"table":{"family":"inet","name":"filter","handle":1}},
              {"set":{"family":"inet","name":"vteps","table":"filter","type":"ipv4_addr","handle":3,"elem":["192.0.2.1",{"elem":{"val":"192.0.2.2","timeout":9}}]}},
              {"chain":{"family":"inet","table":"filter","name":"input","handle":1,"type":"filter","hook":"input","prio":0,"policy":"{{{policy}}}"} },
              {"chain":{"family":"inet","table":"filter","name":"other","handle":2}},
              {"chain":{"family":"ip","table":"nat","name":"pre","handle":2,"type":"nat","hook":"prerouting","prio":-100,"policy":"drop"}},
              {"rule":{"family":"inet","table":"filter","chain":"other","handle":9,"expr":[{{{Dport}}},{{{Drop}}}] } },
              {"rule":{"family":"inet","table":"filter","chain":"input","handle":7,"expr":[{{{string.Join(',', expressions)}}}] } }] }
            """;
        Assert.True(NftRuleset.TryParse(json, out var rules, out var problem), problem);
        return rules.Judge(packet);
    }
}
