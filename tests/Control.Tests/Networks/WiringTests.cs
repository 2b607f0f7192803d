using Sleeve.Control.Host;
using Sleeve.Control.Networks;
using Sleeve.Control.Tests.Host;
using static Sleeve.Control.Tests.Networks.Views;
using static Sleeve.Control.Tests.Store.Values;

namespace Sleeve.Control.Tests.Networks;

/// <summary>Real veth pairs between real namespaces, with iproute2 as the oracle.</summary>
public sealed class WiringTests
{
    private const string Bridge = "slbr-100";

    private static WirePlan Plan(string link = "slv1", int number = 5) => new()
    {
        Link = link, Bridge = Bridge, Mac = Mac(number), Addresses = [Prefix($"10.1.0.{number}/24"), Prefix($"fd00::{number}/64")], Mtu = 1450, Gateways = [Ip("10.1.0.1"), Ip("fd00::1")],
    };

    private static TestNetwork NewHost()
    {
        var host = TestNetwork.CreateOrSkip();
        var bridge = host.CreateOrSkip(static links => links.CreateQuietBridge(Bridge));
        host.Host.SetUp(bridge.Index, up: true);
        return host;
    }

    private static string[] AddressesOf(TestNetwork target, string name) =>
        [.. target.Json("ip", "addr", "show", "dev", name).Single()!["addr_info"]!.AsArray().Where(static each => (string?)each!["scope"] == "global").Select(static each => $"{each!["local"]}/{each["prefixlen"]}")];

    [SkippableFact]
    public void A_target_gets_an_interface_with_all_that_belongs_to_it()
    {
        using var host = NewHost();
        using var target = TestNetwork.CreateOrSkip();
        var far = Wiring.Connect(host.Host, target.Namespace, Plan());
        Assert.Equal("eth0", far.Name);
        var link = target.IpLink("eth0");
        Assert.Equal((Mac(5).ToString(), 1450), ((string?)link["address"], (int)link["mtu"]!));
        Assert.Contains("LOWER_UP", link["flags"]!.AsArray().Select(static flag => (string?)flag));
        Assert.Equal(["10.1.0.5/24", "fd00::5/64"], AddressesOf(target, "eth0"));
        Assert.DoesNotContain("tentative", target.Run("ip", "-6", "addr", "show", "dev", "eth0"), StringComparison.Ordinal);
        Assert.Contains("default via 10.1.0.1 dev eth0", target.Run("ip", "route"), StringComparison.Ordinal);
        Assert.Contains("default via fd00::1 dev eth0", target.Run("ip", "-6", "route"), StringComparison.Ordinal);
        Assert.Contains("UP", target.IpLink("lo")["flags"]!.AsArray().Select(static flag => (string?)flag));
        var near = host.IpLink("slv1");
        Assert.Equal((Bridge, 1450, "made by sleeve"), ((string?)near["master"], (int)near["mtu"]!, (string?)near["ifalias"]));
    }

    [SkippableFact]
    public void Wiring_and_unwiring_twice_is_as_once()
    {
        using var host = NewHost();
        using var target = TestNetwork.CreateOrSkip();
        var first = Wiring.Connect(host.Host, target.Namespace, Plan());
        var second = Wiring.Connect(host.Host, target.Namespace, Plan());
        Assert.Equal((first.Index, first.Name), (second.Index, second.Name));
        Assert.True(Wiring.Disconnect(host.Host, "slv1"));
        Assert.Null(target.Host.FindLink("eth0"));
        Assert.False(Wiring.Disconnect(host.Host, "slv1"));
    }

    [SkippableFact]
    public void What_was_changed_by_hand_is_put_right_by_wiring_again()
    {
        using var host = NewHost();
        using var target = TestNetwork.CreateOrSkip();
        var far = Wiring.Connect(host.Host, target.Namespace, Plan());
        target.Host.RemoveAddress(far.Index, Prefix("10.1.0.5/24"));
        target.Host.SetMtu(far.Index, 1300);
        target.Host.SetUp(far.Index, up: false);
        host.Host.SetMaster(host.Host.GetLink("slv1").Index, 0);
        Assert.Equal(far.Index, Wiring.Connect(host.Host, target.Namespace, Plan()).Index);
        Assert.Contains("10.1.0.5/24", AddressesOf(target, "eth0"));
        Assert.Contains("default via 10.1.0.1", target.Run("ip", "route"), StringComparison.Ordinal);
        Assert.Equal(Bridge, (string?)host.IpLink("slv1")["master"]);
    }

    [SkippableFact]
    public void The_first_free_name_is_taken_and_one_that_is_taken_is_refused()
    {
        using var host = NewHost();
        using var target = TestNetwork.CreateOrSkip();
        target.Host.CreateVethPair("eth0", "other");
        Assert.Equal("eth1", Wiring.Connect(host.Host, target.Namespace, Plan()).Name);
        var refusal = Assert.Throws<HostException>(() => Wiring.Connect(host.Host, target.Namespace, Plan("slv2", 6) with { InterfaceName = "eth0" }));
        Assert.StartsWith("ifname eth0: there is such an interface", refusal.Message, StringComparison.Ordinal);
        Assert.Null(host.Host.FindLink("slv2"));
        Assert.Equal("net7", Wiring.Connect(host.Host, target.Namespace, Plan("slv2", 6) with { InterfaceName = "net7" }).Name);
    }

    [SkippableFact]
    public void A_default_route_stays_and_who_insists_on_another_is_refused_and_nothing_is_left()
    {
        using var host = NewHost();
        using var target = TestNetwork.CreateOrSkip();
        target.Run("ip", "link", "add", "up0", "type", "bridge");
        target.Run("ip", "addr", "add", "192.0.2.2/24", "dev", "up0");
        target.Run("ip", "link", "set", "up0", "up");
        target.Run("ip", "route", "add", "default", "via", "192.0.2.1");
        var plan = Plan() with { InsistsOnGateways = true };
        var refusal = Assert.Throws<HostException>(() => Wiring.Connect(host.Host, target.Namespace, plan));
        Assert.Equal("gateway 10.1.0.1: there is a default route by up0 already, which stays; leave --gateway out, or remove it first: ip route del default", refusal.Message);
        Assert.Null(host.Host.FindLink("slv1"));
        Assert.Null(target.Host.FindLink("eth0"));
        Assert.DoesNotContain("UP", target.IpLink("lo")["flags"]!.AsArray().Select(static flag => (string?)flag));
        Wiring.Connect(host.Host, target.Namespace, Plan());
        Assert.Equal("default via 192.0.2.1 dev up0", target.Run("ip", "route", "show", "default").Trim());
        Assert.Contains("default via fd00::1 dev eth0", target.Run("ip", "-6", "route"), StringComparison.Ordinal);
    }

    [SkippableFact]
    public void Without_a_bridge_nothing_is_made()
    {
        using var host = NewHost();
        using var target = TestNetwork.CreateOrSkip();
        Assert.Throws<HostException>(() => Wiring.Connect(host.Host, target.Namespace, Plan() with { Bridge = "gone" }));
        Assert.Throws<HostException>(() => Wiring.Connect(host.Host, target.Namespace, Plan() with { Mtu = 20 }));
        Assert.Null(host.Host.FindLink("slv1"));
        Assert.Null(target.Host.FindLink("eth0"));
    }

    [SkippableFact]
    public void What_is_not_of_our_making_is_neither_taken_nor_removed()
    {
        using var host = NewHost();
        using var target = TestNetwork.CreateOrSkip();
        host.Run("ip", "link", "add", "slv1", "type", "bridge");
        Assert.Throws<HostException>(() => Wiring.Connect(host.Host, target.Namespace, Plan()));
        Assert.Throws<HostException>(() => Wiring.Disconnect(host.Host, "slv1"));
        Assert.NotNull(host.Host.FindLink("slv1"));
    }

    [SkippableFact]
    public void The_wire_goes_with_its_namespace()
    {
        using var host = NewHost();
        using (var target = TestNetwork.CreateOrSkip()) Wiring.Connect(host.Host, target.Namespace, Plan());
        for (var i = 0; i < 1000 && host.Host.FindLink("slv1") is not null; i++) Thread.Sleep(10);
        Assert.Null(host.Host.FindLink("slv1"));
    }

    [SkippableFact]
    public void Neighbours_that_knew_an_address_elsewhere_are_told()
    {
        using var host = NewHost();
        using var other = TestNetwork.CreateOrSkip();
        using var target = TestNetwork.CreateOrSkip();
        Wiring.Connect(host.Host, other.Namespace, Plan("slv2", 6));
        foreach (var address in (ReadOnlySpan<string>)["10.1.0.5", "fd00::5"]) other.Run("ip", "neigh", "replace", address, "lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "reachable");
        Wiring.Connect(host.Host, target.Namespace, Plan());
        var index = other.Host.GetLink("eth0").Index;
        foreach (var address in (string[])["10.1.0.5", "fd00::5"])
        {
            for (var i = 0; i < 1000 && other.Host.FindNeighbour(index, Ip(address)) != Mac(5); i++) Thread.Sleep(5);
            Assert.Equal(Mac(5), other.Host.FindNeighbour(index, Ip(address)));
        }
    }

    [SkippableFact]
    public async Task Targets_are_found_by_path_and_process()
    {
        using var target = TestNetwork.CreateOrSkip();
        using var sleeper = target.Namespace.Run(static () => System.Diagnostics.Process.Start("sleep", "60"));
        try
        {
            using var byProcess = await WireTarget.OpenAsync($"{sleeper.Id}", CancellationToken.None);
            using var byPath = await WireTarget.OpenAsync($"/proc/{sleeper.Id}/ns/net", CancellationToken.None);
            using var own = await WireTarget.OpenAsync("/proc/self/ns/net", CancellationToken.None);
            Assert.Equal(byProcess.Identity, byPath.Identity);
            Assert.StartsWith("net:[", byPath.Identity, StringComparison.Ordinal);
            Assert.NotEqual(own.Identity, byPath.Identity);
        }
        finally
        {
            sleeper.Kill();
        }

        foreach (var wrong in (string[])["no-such-container", "/proc/1/comm", "pid:x", "", "-v", "docker:"])
            Assert.StartsWith("target", (await Assert.ThrowsAsync<HostException>(() => WireTarget.OpenAsync(wrong, CancellationToken.None))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("web", "web", "web")]
    [InlineData("docker:web", "web", "web")]
    [InlineData("netns:c1", "c1", "c1")]
    [InlineData("4711", "pid-4711", "")]
    [InlineData("pid:4711", "pid-4711", "")]
    [InlineData("/proc/4711/ns/net", "pid-4711", "")]
    [InlineData("pid-4711", "pid-4711", "")]
    [InlineData("/run/netns/a b", "runnetnsab-", "")]
    public void An_endpoint_is_called_after_its_target(string target, string id, string name)
    {
        Assert.StartsWith(id, WireTarget.IdOf(target), StringComparison.Ordinal);
        Assert.True(Names.IsName(WireTarget.IdOf(target)));
        Assert.Equal(WireTarget.IdOf(target), WireTarget.IdOf(WireTarget.IdOf(target)));
        Assert.Equal(name, WireTarget.NameOf(target));
    }
}
