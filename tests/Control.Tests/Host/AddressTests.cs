using Sleeve.Control.Host;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Tests.Host;

/// <summary>Addresses, routes, neighbours and forwarding entries against `ip` and `bridge`; the overlay's MTU from routes.</summary>
public class AddressTests
{
    [SkippableFact]
    public void Adds_lists_and_removes_addresses_of_both_families()
    {
        using var network = Up(out var index);
        var host = network.Host;
        Assert.True(host.AddAddress(index, Prefix("10.1.0.1/24")));
        Assert.False(host.AddAddress(index, Prefix("10.1.0.1/24")));
        Assert.True(host.AddAddress(index, Prefix("fd00:1::1/64"), noDad: true));

        var ip = network.Json("ip", "addr", "show", "dev", "a0")[0]!["addr_info"]!.AsArray();
        Assert.Contains(ip, static a => (string?)a!["local"] == "10.1.0.1" && (int)a["prefixlen"]! == 24);
        Assert.Contains(ip, static a => (string?)a!["local"] == "fd00:1::1" && (int)a["prefixlen"]! == 64 && (bool?)a["nodad"] == true);

        var ours = host.ListAddresses(index);
        Assert.Contains(ours, static a => a.Prefix == Prefix("10.1.0.1/24"));
        Assert.False(Assert.Single(ours, static a => a.Prefix == Prefix("fd00:1::1/64")).IsTentative);
        Assert.Equal(ip.Count, ours.Count);
        Assert.All(host.ListAddresses(host.GetLink("lo").Index), a => Assert.NotEqual(index, a.LinkIndex));

        Assert.True(host.RemoveAddress(index, Prefix("10.1.0.1/24")));
        Assert.False(host.RemoveAddress(index, Prefix("10.1.0.1/24")));
        Assert.True(host.RemoveAddress(index, Prefix("fd00:1::1/64")));
        Assert.DoesNotContain(host.ListAddresses(), static a => a.Prefix.Address == Address("fd00:1::1"));
    }

    [SkippableFact]
    public void Adds_routes_and_asks_the_kernel_for_the_way()
    {
        using var network = Up(out var index);
        var host = network.Host;
        host.AddAddress(index, Prefix("10.1.0.1/24"));
        host.AddRoute(new RouteOptions
        {
            Destination = Prefix("10.2.3.4/16"), Gateway = Address("10.1.0.254"), Mtu = 1400, Source = Address("10.1.0.1"),
        });
        host.AddRoute(new RouteOptions { Destination = Prefix("10.3.0.0/24"), LinkIndex = index });
        host.AddRoute(new RouteOptions { Destination = Prefix("10.4.0.0/24"), LinkIndex = index, Gateway = Address("10.9.9.9"), OnLink = true });

        var ip = Assert.Single(network.Json("ip", "route", "show", "10.2.0.0/16"))!;
        Assert.Equal(
            ("10.1.0.254", "a0", "10.1.0.1", 1400),
            ((string?)ip["gateway"], (string?)ip["dev"], (string?)ip["prefsrc"], (int)ip["metrics"]![0]!["mtu"]!));
        Assert.Equal("link", (string?)Assert.Single(network.Json("ip", "route", "show", "10.3.0.0/24"))!["scope"]);
        var onLink = Assert.Single(network.Json("ip", "route", "show", "10.4.0.0/24"))!;
        Assert.Contains("onlink", onLink["flags"]!.AsArray().Select(static flag => (string?)flag));

        Assert.Equal(new RouteInfo(index, Address("10.1.0.254"), Address("10.1.0.1"), 1400, false), host.GetRoute(Address("10.2.9.9")));
        Assert.Equal(new RouteInfo(index, null, Address("10.1.0.1"), 0, false), host.GetRoute(Address("10.1.0.7"), Address("10.1.0.1")));
        Assert.True(host.GetRoute(Address("10.1.0.1")).IsLocal);
        Assert.Equal(
            "cannot find a route to 192.0.2.1: Network is unreachable",
            Assert.Throws<HostException>(() => host.GetRoute(Address("192.0.2.1"))).Message);
        network.Run("ip", "route", "add", "prohibit", "10.6.0.0/16");
        Assert.Equal(
            "cannot find a route to 10.6.0.1: Permission denied: a route prohibits it",
            Assert.Throws<HostException>(() => host.GetRoute(Address("10.6.0.1"))).Message);
        Assert.Equal(
            "cannot find a route to 10.1.0.7 from 10.1.0.66: Network is unreachable: 10.1.0.66 is not an address of this host",
            Assert.Throws<HostException>(() => host.GetRoute(Address("10.1.0.7"), Address("10.1.0.66"))).Message);
        var again = new RouteOptions { Destination = Prefix("10.3.0.0/24"), LinkIndex = index };
        Assert.Equal("cannot add a route to 10.3.0.0/24: File exists", Assert.Throws<HostException>(() => host.AddRoute(again)).Message);
    }

    [SkippableFact]
    public void Finds_routes_of_IPv6()
    {
        using var network = Up(out var index);
        var host = network.Host;
        host.AddAddress(index, Prefix("fd00:1::1/64"), noDad: true);
        host.AddRoute(new RouteOptions { Destination = Prefix("fd00:2::/64"), Gateway = Address("fd00:1::fe"), LinkIndex = index, Mtu = 1380 });
        var route = host.GetRoute(Address("fd00:2::9"));
        Assert.Equal((index, 1380, Address("fd00:1::fe")), (route.LinkIndex, route.MtuMetric, route.Gateway!.Value));
        Assert.Equal(index, host.GetRoute(Address("fe80::5"), linkIndex: index).LinkIndex);
        Assert.Null(host.TryGetRoute(Address("2001:db8::1"), null, 0, out var outcome));
        Assert.Equal(LibC.ENETUNREACH, outcome.Errno);
    }

    [SkippableFact]
    public void Sets_permanent_neighbours()
    {
        using var network = Up(out var index);
        var host = network.Host;
        host.AddAddress(index, Prefix("10.1.0.1/24"));
        host.ReplaceNeighbour(index, Address("10.1.0.9"), MacAddress.FromValue(0x02_00_00_00_00_09));
        host.ReplaceNeighbour(index, Address("10.1.0.9"), MacAddress.FromValue(0x02_00_00_00_00_0A));
        host.ReplaceNeighbour(index, Address("fd00:1::9"), MacAddress.FromValue(0x02_00_00_00_00_0B));
        var four = Assert.Single(network.Json("ip", "neigh", "show", "10.1.0.9"))!;
        Assert.Equal(("02:00:00:00:00:0a", "PERMANENT"), ((string?)four["lladdr"], (string?)four["state"]![0]));
        Assert.Equal("02:00:00:00:00:0b", (string?)Assert.Single(network.Json("ip", "neigh", "show", "fd00:1::9"))!["lladdr"]);
    }

    [SkippableFact]
    public void Asks_for_a_neighbour_and_forgets_it()
    {
        using var here = TestNetwork.CreateOrSkip();
        using var there = TestNetwork.CreateOrSkip();
        var index = here.CreateOrSkip(host => host.CreateVethPair("a", "b", there.Namespace)).Index;
        var other = there.Host.GetLink("b");
        here.Host.AddAddress(index, Prefix("10.1.0.1/24"));
        there.Host.AddAddress(other.Index, Prefix("10.1.0.2/24"));
        here.Host.SetUp(index, up: true);
        there.Host.SetUp(other.Index, up: true);
        Assert.True(here.Host.WaitUntilRunning(index, TimeSpan.FromSeconds(5)));

        Assert.Null(here.Host.FindNeighbour(index, Address("10.1.0.2")));
        here.Host.AskForNeighbour(index, Address("10.1.0.2"));
        Assert.True(SpinWait.SpinUntil(() => here.Host.FindNeighbour(index, Address("10.1.0.2")) == other.Mac, TimeSpan.FromSeconds(5)));
        Assert.Null(here.Host.FindNeighbour(index, Address("10.1.0.3")));
        Assert.True(here.Host.RemoveNeighbour(index, Address("10.1.0.2")));
        Assert.Null(here.Host.FindNeighbour(index, Address("10.1.0.2")));
        Assert.False(here.Host.RemoveNeighbour(index, Address("10.1.0.2")));
    }

    [SkippableFact]
    public void Appends_to_the_kernels_forwarding_table()
    {
        using var network = TestNetwork.CreateOrSkip();
        var host = network.Host;
        var index = network.CreateOrSkip(static host => host.CreateVxlan("vx0", new VxlanOptions { Id = new Vni(1) })).Index;
        host.AppendForwarding(index, MacAddress.Zero, Address("10.0.0.2"));
        host.AppendForwarding(index, MacAddress.Zero, Address("10.0.0.3"), 8472);
        host.AppendForwarding(index, MacAddress.FromValue(0x02_00_00_00_00_09), Address("10.0.0.2"));
        var entries = network.Json("bridge", "fdb", "show", "dev", "vx0")
            .Select(static e => ((string?)e!["mac"], (string?)e["dst"], (int?)e["port"], (string?)e["state"])).ToHashSet();
        Assert.Equal(
            [
                ("00:00:00:00:00:00", "10.0.0.2", null, "permanent"),
                ("00:00:00:00:00:00", "10.0.0.3", 8472, "permanent"),
                ("02:00:00:00:00:09", "10.0.0.2", null, "permanent"),
            ], entries);
        Assert.True(host.RemoveForwarding(index, MacAddress.Zero, Address("10.0.0.2")));
        Assert.Equal(2, network.Json("bridge", "fdb", "show", "dev", "vx0").Count);
        Assert.False(host.RemoveForwarding(index, MacAddress.FromValue(0x02_00_00_00_00_0A), Address("10.0.0.2")));
    }

    [SkippableFact]
    public void The_overlays_MTU_is_the_least_over_the_remotes()
    {
        using var network = Up(out var index);
        var host = network.Host;
        host.SetMtu(index, 9000);
        host.AddAddress(index, Prefix("10.1.0.1/24"));
        host.AddAddress(index, Prefix("fd00:1::1/64"), noDad: true);
        host.AddRoute(new RouteOptions { Destination = Prefix("10.2.0.0/16"), Gateway = Address("10.1.0.254"), Mtu = 1400 });
        host.AddRoute(new RouteOptions { Destination = Prefix("10.5.0.0/16"), Gateway = Address("10.1.0.254"), Mtu = 20_000 });

        var wide = OverlayMtu.Find(host, Address("10.1.0.1"), [Address("10.1.0.2"), Address("10.5.0.1")]);
        Assert.Equal((8950, "a0 (MTU 9000 on the way to 10.1.0.2, less 50)", "a0"), (wide.Mtu, wide.Source, wide.LinkName));
        var narrow = OverlayMtu.Find(host, null, [Address("10.1.0.2"), Address("192.0.2.1"), Address("10.2.0.9")]);
        Assert.Equal((1350, "a0 (MTU 1400 on the way to 10.2.0.9, less 50)"), (narrow.Mtu, narrow.Source));
        Assert.Equal("no route to 192.0.2.1: Network is unreachable", Assert.Single(narrow.Unreachable).ToString());
        Assert.Equal(8930, OverlayMtu.Find(host, Address("fd00:1::1"), [Address("fd00:1::2")]).Mtu);
    }

    [SkippableFact]
    public void The_overlays_MTU_without_remotes_is_that_of_the_local_address_or_Ethernets()
    {
        using var network = Up(out var index);
        var host = network.Host;
        host.SetMtu(index, 4000);
        host.AddAddress(index, Prefix("10.1.0.1/24"));
        var local = OverlayMtu.Find(host, Address("10.1.0.1"), []);
        Assert.Equal((3950, "a0 (MTU 4000 with the local address 10.1.0.1, less 50)"), (local.Mtu, local.Source));
        var blind = OverlayMtu.Find(host, Address("10.1.0.1"), [Address("192.0.2.1")]);
        Assert.Equal((3950, 1), (blind.Mtu, blind.Unreachable.Count));
        Assert.Equal((1450, null), (OverlayMtu.Find(host, InternetAddress.AnyIPv4, []).Mtu, OverlayMtu.Find(host, null, []).LinkName));
        Assert.Equal(1430, OverlayMtu.Find(host, InternetAddress.AnyIPv6, []).Mtu);
        Assert.Equal("Ethernet's MTU 1500, less 70", OverlayMtu.Find(host, Address("fd00::9"), []).Source);
        // A local address that is not ours is for binding to complain about; the remotes are no less reachable.
        Assert.Equal(3950, OverlayMtu.Find(host, Address("10.1.0.66"), [Address("10.1.0.2")]).Mtu);
        Assert.True(host.HasAddress(Address("10.1.0.1")) && !host.HasAddress(Address("10.1.0.66")) && !host.HasAddress(Address("fd00::9")));
    }

    [Theory]
    [InlineData("10.1.2.3/8", "10.1.2.3/8", "10.0.0.0/8")]
    [InlineData("10.1.2.3", "10.1.2.3/32", "10.1.2.3/32")]
    [InlineData("10.1.2.255/31", "10.1.2.255/31", "10.1.2.254/31")]
    [InlineData("fd00::1:1/113", "fd00::1:1/113", "fd00::1:0/113")]
    [InlineData("0.0.0.0/0", "0.0.0.0/0", "0.0.0.0/0")]
    public void Reads_prefixes_as_ip_does(string text, string expected, string network)
    {
        Assert.True(AddressPrefix.TryParse(text, out var prefix));
        Assert.Equal((expected, network), (prefix.ToString(), prefix.Network().ToString()));
    }

    [Theory]
    [InlineData("10.0.0.1/33")]
    [InlineData("fd00::1/129")]
    [InlineData("10.0.0.1/")]
    [InlineData("10.0.0.1/-1")]
    [InlineData("10.0.0.1/255.0.0.0")]
    [InlineData("10.0.1/8")]
    [InlineData("")]
    public void Refuses_what_is_no_prefix(string text) => Assert.False(AddressPrefix.TryParse(text, out _));

    private static TestNetwork Up(out int index)
    {
        var network = TestNetwork.CreateOrSkip();
        index = network.Host.CreateVethPair("a0", "b0").Index;
        network.Host.SetUp(index, true);
        network.Host.SetUp(network.Host.GetLink("b0").Index, true);
        Assert.True(network.Host.WaitUntilRunning(index, TimeSpan.FromSeconds(10)));
        return network;
    }

    private static InternetAddress Address(string text) => InternetAddress.TryParse(text, out var address) ? address : throw new FormatException(text);

    private static AddressPrefix Prefix(string text) => AddressPrefix.TryParse(text, out var prefix) ? prefix : throw new FormatException(text);
}
