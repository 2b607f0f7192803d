using System.Collections.Immutable;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Tests.Networks;

/// <summary>What a routed network comes to on a host.</summary>
public sealed class RoutedPlanTests
{
    private const int Underlay = 7;

    [Fact]
    public void Each_remote_host_is_one_route_one_neighbour_and_one_station()
    {
        var plan = Plan(Network(Member("a", 1, "10.244.1.0/24"), Member("b", 2, "10.244.2.0/24"), Member("c", 3, "10.244.3.0/24")));
        Assert.Equal(["10.244.2.0/24 via 10.244.2.0 dev 0", "10.244.3.0/24 via 10.244.3.0 dev 0"], Routes(plan));
        Assert.Equal(Mac(2), plan.Neighbours[Address("10.244.2.0")]);
        Assert.Equal(Address("192.0.2.3"), plan.Stations[Mac(3)].Address);
        Assert.Equal(2, plan.Neighbours.Count);
        Assert.Equal(2, plan.Stations.Count);
        Assert.Empty(plan.Faults);
    }

    [Fact]
    public void A_dead_host_has_no_route()
    {
        var plan = Plan(Network(Member("a", 1, "10.244.1.0/24"), Member("b", 2, "10.244.2.0/24"), Member("c", 3, "10.244.3.0/24")), static host => host != "b");
        Assert.Equal(["10.244.3.0/24 via 10.244.3.0 dev 0"], Routes(plan));
        Assert.Single(plan.Stations);
    }

    [Fact]
    public void Hosts_without_a_router_between_them_are_sent_to_directly_if_asked()
    {
        var members = new[] { Member("a", 1, "10.244.1.0/24"), Member("b", 2, "10.244.2.0/24"), Member("c", 3, "10.244.3.0/24") };
        var plan = RoutedPlan.Of(Network(isDirect: true, members), "a", static _ => true, static vtep => vtep.ToString() == "192.0.2.2" ? Underlay : 0);
        Assert.Equal(["10.244.2.0/24 via 192.0.2.2 dev 7", "10.244.3.0/24 via 10.244.3.0 dev 0"], Routes(plan));
        // The way by VXLAN is there all the same, for what comes by it and for the day when the other ends.
        Assert.Equal(2, plan.Stations.Count);
        Assert.Equal(2, plan.Neighbours.Count);
        // Not asked, the same neighbour gets VXLAN.
        Assert.All(RoutedPlan.Of(Network(isDirect: false, members), "a", static _ => true, static _ => Underlay).Routes.Values, static route => Assert.Equal(0, route.LinkIndex));
    }

    [Fact]
    public void Of_two_hosts_that_claim_one_subnet_whoever_leased_it_counts()
    {
        var network = Network(Member("a", 1, "10.244.1.0/24"), Member("c", 9, "10.244.2.0/24"), Member("b", 3, "10.244.2.0/24"));
        var plan = Plan(network with { Blocks = network.Blocks.SetItem("10.244.2.0/24", new Published<BlockRecord>(new BlockRecord("b"), "", 1)) });
        Assert.Equal(Mac(3), plan.Neighbours[Address("10.244.2.0")]);
        Assert.Equal("c: its subnet 10.244.2.0/24 is not leased to it", Assert.Single(plan.Faults));
    }

    [Theory]
    [InlineData("0.0.0.0/0")]
    [InlineData("10.0.0.0/8")]
    [InlineData("192.0.2.0/24")]
    public void Nobody_gets_a_route_beyond_the_pool(string subnet)
    {
        var plan = Plan(Network(Member("a", 1, "10.244.1.0/24"), Member("b", 2, subnet)));
        Assert.Empty(plan.Routes);
        Assert.Equal($"b: its subnet {subnet} is not of 10.244.0.0/16, fd00::/16", Assert.Single(plan.Faults));
    }

    [Fact]
    public void Hosts_without_Sleeve_are_routed_to_though_they_give_no_sign_of_life()
    {
        var foreign = Member("k", 7, "10.244.7.0/26");
        var plan = Plan(Network(Member("a", 1, "10.244.1.0/24"), Member("b", 2, "10.244.2.0/24")) with { Foreign = ImmutableDictionary<string, Published<MemberRecord>>.Empty.Add("k", foreign) }, static _ => false);
        Assert.Equal(["10.244.7.0/26 via 10.244.7.0 dev 0"], Routes(plan));
        Assert.Equal(("k", 7L), plan.Sources[Mac(7)]);
        Assert.Empty(plan.Faults);
    }

    [Fact]
    public void A_member_to_which_nothing_can_be_sent_is_told_and_left_out()
    {
        var network = Network(Member("a", 1, "10.244.1.0/24"), Member("b", 2, "10.244.2.0/24"));
        var plan = RoutedPlan.Of(network, "a", static _ => true, static _ => 0, static member => $"{member.Vtep} is no VTEP's");
        Assert.Empty(plan.Routes);
        Assert.Equal("b: nothing is sent to it: 192.0.2.2 is no VTEP's", Assert.Single(plan.Faults));
    }

    [Theory]
    [InlineData("10.244.1.0/24")]
    [InlineData("10.244.0.0/16")]
    [InlineData("10.244.1.128/25")]
    public void A_subnet_that_overlaps_ours_is_not_routed_away(string subnet)
    {
        var plan = Plan(Network(Member("a", 1, "10.244.1.0/24"), Member("b", 2, subnet)));
        Assert.Empty(plan.Routes);
        Assert.StartsWith("b: its subnet", Assert.Single(plan.Faults), StringComparison.Ordinal);
    }

    [Fact]
    public void A_member_that_does_not_say_its_mac_is_told_and_left_out()
    {
        var member = Member("b", 2, "10.244.2.0/24");
        var plan = Plan(Network(Member("a", 1, "10.244.1.0/24"), member with { Value = member.Value with { Mac = null } }));
        Assert.Empty(plan.Routes);
        Assert.Contains("b: ", Assert.Single(plan.Faults), StringComparison.Ordinal);
    }

    [Fact]
    public void Both_families_go_side_by_side()
    {
        var plan = Plan(Network(Member("a", 1, "10.244.1.0/24", "fd00:1::/64"), Member("b", 2, "10.244.2.0/24", "fd00:2::/64")));
        Assert.Equal(["10.244.2.0/24 via 10.244.2.0 dev 0", "fd00:2::/64 via fd00:2:: dev 0"], Routes(plan));
        Assert.Single(plan.Stations);
    }

    private static RoutedPlan Plan(NetworkView network, Func<string, bool>? isUp = null) => RoutedPlan.Of(network, "a", isUp ?? (static _ => true), static _ => 0);

    private static IEnumerable<string> Routes(RoutedPlan plan) => plan.Routes.Values.Select(static route => $"{route.Destination} via {route.Gateway} dev {route.LinkIndex}").Order(StringComparer.Ordinal);

    private static NetworkView Network(params Published<MemberRecord>[] members) => Network(isDirect: false, members);

    private static NetworkView Network(bool isDirect, params Published<MemberRecord>[] members) => new()
    {
        Record = new Published<NetworkRecord>(new NetworkRecord("pods", "0123456789abcdef", new Vni(1)) { Mode = NetworkMode.Routed, IsDirect = isDirect, Subnets = [Prefix("10.244.0.0/16"), Prefix("fd00::/16")] }, "", 1),
        Members = members.ToImmutableDictionary(static member => member.Host),
        Blocks = members.SelectMany(static member => member.Value.Subnets.Select(subnet => (subnet, member.Host))).GroupBy(static each => each.subnet)
            .ToImmutableDictionary(static each => $"{each.Key}", static each => new Published<BlockRecord>(new BlockRecord(each.First().Host), each.First().Host, 1)),
    };

    private static Published<MemberRecord> Member(string host, byte number, params string[] subnets) =>
        new(new MemberRecord(Address($"192.0.2.{number}"), 8472) { Mac = Mac(number), Subnets = [.. subnets.Select(Prefix)] }, host, number);

    private static InternetAddress Address(string text) => InternetAddress.TryParse(text, out var address) ? address : throw new ArgumentException(text);

    private static AddressPrefix Prefix(string text) => AddressPrefix.TryParse(text, out var prefix) ? prefix : throw new ArgumentException(text);

    private static MacAddress Mac(byte number) => MacAddress.TryParse($"02:00:00:00:00:{number:x2}", out var mac) ? mac : default;
}
