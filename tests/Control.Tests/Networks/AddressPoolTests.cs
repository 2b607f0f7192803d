using Sleeve.Control.Host;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Wire;
using static Sleeve.Control.Tests.Networks.TestHost;

namespace Sleeve.Control.Tests.Networks;

public sealed class AddressPoolTests
{
    private static readonly Dictionary<string, StoreEntry?> Nothing = [];

    [Theory]
    [InlineData("10.0.0.0/8", 24)]
    [InlineData("10.1.0.0/16", 24)]
    [InlineData("10.1.0.0/20", 26)]
    [InlineData("10.1.0.0/24", 28)]
    [InlineData("10.1.0.0/28", 30)]
    [InlineData("10.1.0.0/30", 30)]
    [InlineData("2001:db8::/32", 112)]
    [InlineData("2001:db8::/64", 112)]
    [InlineData("2001:db8::/112", 120)]
    [InlineData("2001:db8::/126", 127)]
    public void Blocks_are_chosen_by_the_size_of_the_subnet(string subnet, int length) => Assert.Equal(length, AddressPool.BlockLength(Network("n", subnet), P(subnet)));

    [Fact]
    public void Network_and_broadcast_addresses_are_never_given_out()
    {
        Assert.False(AddressPool.IsUsable(P("10.1.0.0/24"), A("10.1.0.0")));
        Assert.True(AddressPool.IsUsable(P("10.1.0.0/24"), A("10.1.0.1")));
        Assert.True(AddressPool.IsUsable(P("10.1.0.0/24"), A("10.1.0.254")));
        Assert.False(AddressPool.IsUsable(P("10.1.0.0/24"), A("10.1.0.255")));
        Assert.False(AddressPool.IsUsable(P("10.1.0.0/24"), A("10.1.1.1")));
        Assert.False(AddressPool.IsUsable(P("2001:db8::/64"), A("2001:db8::")));
        Assert.True(AddressPool.IsUsable(P("2001:db8::/64"), A("2001:db8::ffff:ffff:ffff:ffff")));
    }

    [Fact]
    public void Numbers_and_addresses_are_the_same_thing()
    {
        var random = new Random(1);
        for (var i = 0; i < 2000; i++)
        {
            var isIPv4 = random.Next(2) == 0;
            var bytes = new byte[16];
            random.NextBytes(bytes);
            var address = isIPv4 ? InternetAddress.ReadIPv4(bytes) : InternetAddress.ReadIPv6(bytes);
            Assert.Equal(address, PrefixArithmetic.FromNumber(address.ToNumber(), isIPv4));
            var prefix = new AddressPrefix(address, random.Next(0, (isIPv4 ? 32 : 128) + 1)).Network();
            Assert.True(prefix.IsNetwork());
            Assert.True(prefix.Contains(address));
            Assert.Equal(prefix.Address.ToNumber(), prefix.First());
            Assert.True(prefix.Contains(PrefixArithmetic.FromNumber(prefix.Last(), isIPv4)));
            if (prefix.Length > 0 && prefix.Last() != (isIPv4 ? uint.MaxValue : UInt128.MaxValue)) Assert.False(prefix.Contains(PrefixArithmetic.FromNumber(prefix.Last() + 1, isIPv4)));
        }
    }

    [Fact]
    public void A_host_is_given_every_address_of_a_pool_once_and_then_none()
    {
        foreach (var (subnet, usable) in new[] { ("10.0.0.0/24", 254), ("10.0.0.0/30", 2), ("10.0.0.0/27", 30), ("2001:db8::/120", 255) })
        {
            var (network, chooser, view) = (Network("n", subnet), new AddressChooser("h"), NetworkView.Nobody);
            var given = new HashSet<InternetAddress>();
            while (chooser.Choose(network, P(subnet), view, Nothing, "", null) is { } choice)
            {
                Assert.True(given.Add(choice.Address));
                Assert.True(AddressPool.IsUsable(P(subnet), choice.Address));
                view = Claim(view, "h", choice);
            }

            Assert.Equal(usable, given.Count);
        }
    }

    [Fact]
    public void A_released_address_is_the_last_to_be_given_out_again()
    {
        var (network, chooser) = (Network("n", "10.0.0.0/28"), new AddressChooser("h"));
        network = network with { BlockLength = 28 };
        var view = NetworkView.Nobody;
        var first = chooser.Choose(network, network.Subnets[0], view, Nothing, "", null)!.Value;
        view = view with { Blocks = view.Blocks.SetItem("10.0.0.0/28", new Published<BlockRecord>(new BlockRecord("h"), "h", 1)) };
        var order = new List<InternetAddress> { first.Address };
        chooser.Release(first.Address);
        for (var i = 0; i < 13; i++)
        {
            var next = chooser.Choose(network, network.Subnets[0], view, Nothing, "", null)!.Value.Address;
            Assert.DoesNotContain(next, order);
            order.Add(next);
            chooser.Release(next);
        }

        Assert.Equal(first.Address, chooser.Choose(network, network.Subnets[0], view, Nothing, "", null)!.Value.Address);
    }

    [Fact]
    public void Without_a_free_block_addresses_are_taken_from_those_of_other_hosts()
    {
        var (network, view) = (Network("n", "10.0.0.0/24"), NetworkView.Nobody);
        for (var i = 0; i < 16; i++)
            view = view with { Blocks = view.Blocks.SetItem($"10.0.0.{i * 16}/28", new Published<BlockRecord>(new BlockRecord($"other{i}"), $"other{i}", 1)) };
        var choice = new AddressChooser("h").Choose(network, P("10.0.0.0/24"), view, Nothing, "", null);
        Assert.NotNull(choice);
        Assert.Null(choice.Value.Lease);
        Assert.Null(new AddressChooser("h").Choose(network with { Mode = NetworkMode.Routed }, P("10.0.0.0/24"), view, Nothing, "", null));
    }

    [Fact]
    public void A_routed_host_keeps_network_gateway_and_broadcast_address_of_its_own_subnet()
    {
        var (network, chooser, view) = (Network("n", "10.0.0.0/24") with { Mode = NetworkMode.Routed }, new AddressChooser("h"), NetworkView.Nobody);
        var given = new List<string>();
        while (chooser.Choose(network, P("10.0.0.0/24"), view, Nothing, "", null) is { } choice)
        {
            given.Add(choice.Address.ToString());
            view = Claim(view, "h", choice);
        }

        Assert.Equal(Enumerable.Range(2, 13).Select(static i => $"10.0.0.{i}"), given);
    }

    [Theory]
    [InlineData("zone:rack:host", true)]
    [InlineData("host", true)]
    [InlineData("", true)]
    [InlineData("zone/2:rack/8:host", true)]
    [InlineData("zone:rack", false)]
    [InlineData("zone/9:host", false)]
    [InlineData("zone/0:host", false)]
    [InlineData(":host", false)]
    [InlineData("a:b:c:d:e:f:g:h:host", false)]
    public void Plans_end_with_the_host(string text, bool isPlan) => Assert.Equal(isPlan, AddressPlan.TryParse(text, out _));

    [Fact]
    public void A_plan_gives_a_zone_one_prefix_and_a_rack_one_within_it()
    {
        Assert.True(AddressPlan.TryParse("zone/2:rack/4:host", out var plan));
        Assert.Equal(["10.3.20.0/22", "10.3.0.0/18", "10.3.0.0/16"], Shown(plan.Parts(P("10.3.0.0/16"), 24, "0/5")).Select(static part => part));
        Assert.Equal(["10.3.192.0/18", "10.3.0.0/16"], Shown(plan.Parts(P("10.3.0.0/16"), 24, "3")));
        Assert.Equal(["10.3.0.0/16"], Shown(plan.Parts(P("10.3.0.0/16"), 24, "")));
    }

    [Fact]
    public void Every_part_of_a_plan_lies_in_the_next_and_holds_whole_blocks()
    {
        var random = new Random(2);
        string[] plans = ["zone:rack:host", "zone/3:rack/5:row/8:host", "host", "a:b:c:d:e:f:g:host"];
        for (var i = 0; i < 2000; i++)
        {
            var pool = random.Next(2) == 0 ? P($"10.0.0.0/{random.Next(8, 31)}") : P($"2001:db8::/{random.Next(32, 127)}");
            var length = AddressPool.BlockLength(Network("n"), pool);
            Assert.True(AddressPlan.TryParse(plans[random.Next(plans.Length)], out var plan));
            var parts = plan.Parts(pool, length, string.Join('/', Enumerable.Range(0, random.Next(9)).Select(_ => random.Next(3) == 0 ? $"{random.Next(300)}" : $"label{random.Next(5)}")));
            Assert.Equal(pool, parts[^1]);
            Assert.All(parts, part => Assert.True(part.IsNetwork() && part.Length <= length));
            for (var at = 1; at < parts.Count; at++) Assert.True(parts[at].Contains(parts[at - 1]));
        }
    }

    [Fact]
    public void Hosts_of_a_rack_take_blocks_of_its_part_until_that_is_full()
    {
        var network = Network("n", "10.3.0.0/16") with { Plan = "zone/2:rack/4:host" };
        var view = NetworkView.Nobody;
        for (var i = 0; i < 5; i++)
        {
            var choice = new AddressChooser($"h{i}").Choose(network, P("10.3.0.0/16"), view, Nothing, "0/5", null)!.Value;
            Assert.Equal(i < 4, P("10.3.20.0/22").Contains(choice.Address));
            Assert.True(P("10.3.0.0/18").Contains(choice.Address));
            view = Claim(view, $"h{i}", choice);
        }
    }

    [Theory]
    [InlineData("10.0.0.1/24", "host bits")]
    [InlineData("10.0.0.0/31", "must be")]
    [InlineData("224.0.0.0/24", "must be")]
    [InlineData("127.0.0.0/16", "must be")]
    [InlineData("fe80::/64", "must be")]
    [InlineData("2001:db8::/127", "must be")]
    public void A_subnet_that_cannot_be_one_is_refused(string subnet, string reason) =>
        Assert.Contains(NetworkRules.Errors(Network("n", subnet) with { Vni = new Vni(1) }), error => error.Contains(reason, StringComparison.Ordinal) && error.Contains(subnet, StringComparison.Ordinal));

    [Fact]
    public void Subnets_of_one_network_must_not_overlap() =>
        Assert.Contains(NetworkRules.Errors(Network("n", "10.0.0.0/8", "10.1.0.0/16") with { Vni = new Vni(1) }), static error => error.Contains("overlaps 10.0.0.0/8", StringComparison.Ordinal));

    private static NetworkView Claim(NetworkView view, string host, AddressChoice choice) => view with
    {
        Addresses = view.Addresses.SetItem(choice.Address.ToString(), new Published<AddressRecord>(new AddressRecord(host, "e", AddressRecord.OfEndpoint), host, view.Addresses.Count + 1)),
        Blocks = choice.Lease is { } lease ? view.Blocks.SetItem(lease.ToString(), new Published<BlockRecord>(new BlockRecord(host), host, 1)) : view.Blocks,
    };

    private static IEnumerable<string> Shown(IEnumerable<AddressPrefix> parts) => parts.Select(static part => part.ToString());
}
