using Sleeve.Control.Api;
using Sleeve.Control.Daemon;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;
using Sleeve.Control.Tests.Store;
using static Sleeve.Control.Tests.Networks.TestHost;

namespace Sleeve.Control.Tests.Networks;

public sealed class NetworkDeskTests : IAsyncDisposable
{
    private readonly MemoryStore _store = new();

    [Fact]
    public async Task A_network_put_twice_is_as_put_once_and_another_one_is_refused()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var desk = new NetworkDesk(host.Line, host.Replica, host.Networks);
        var settings = new NetworkSettingsJson { Subnets = ["10.1.0.0/16"], Mtu = 1400, Labels = new Dictionary<string, string> { ["team"] = "a" } };
        var made = await desk.PutAsync("blue", settings, mustBeNew: true, CancellationToken.None);
        Assert.InRange(made.Vni, 4096, 16777215);
        Assert.Equal(["10.1.0.1"], made.Gateways);
        Assert.Equal(made.Id, (await desk.PutAsync("blue", settings, mustBeNew: false, CancellationToken.None)).Id);
        Assert.Equal(made.Id, (await desk.PutAsync("blue", settings with { Vni = made.Vni, Labels = null }, mustBeNew: false, CancellationToken.None)).Id);
        foreach (var (other, isNew) in new[] { (settings, true), (settings with { Mtu = 1300 }, false), (settings with { Vni = 17 }, false), (settings with { Subnets = ["10.2.0.0/16"] }, false) })
            Assert.Contains("File exists", (await Assert.ThrowsAsync<CommandRefusedException>(() => desk.PutAsync("blue", other, isNew, CancellationToken.None))).Message, StringComparison.Ordinal);
        Assert.Equal("b", (await desk.LabelAsync("blue", new Dictionary<string, string> { ["team"] = "b" }, CancellationToken.None)).Labels!["team"]);
        await desk.RemoveAsync("blue", force: false, CancellationToken.None);
        await desk.RemoveAsync("blue", force: false, CancellationToken.None);
        Assert.Empty(desk.List());
        Assert.Null(desk.Find("blue"));
    }

    [Fact]
    public async Task Every_wrong_setting_is_named_with_its_value_and_what_is_allowed()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var desk = new NetworkDesk(host.Line, host.Replica, host.Networks);
        var refusal = await Assert.ThrowsAsync<CommandRefusedException>(() => desk.PutAsync(
            "blue", new NetworkSettingsJson { Vni = 16777216, EncapPort = 0, Mode = "odd", Subnets = ["10.1.0.0/33"], Gateways = ["x"] }, mustBeNew: true, CancellationToken.None));
        Assert.Equal(RefusalKind.Invalid, refusal.Kind);
        Assert.Equal(["vni 16777216: must be 1 to 16777215", "encap_port 0: must be 1 to 65535", "mode odd: must be bridged or routed", $"subnets 10.1.0.0/33: must be {NetworkRules.SubnetAllowed}", "gateways x: must be an address of a subnet"], refusal.Errors);
        refusal = await Assert.ThrowsAsync<CommandRefusedException>(() => desk.PutAsync(
            "b/d", new NetworkSettingsJson { Subnets = ["10.1.0.5/24", "10.0.0.0/8"], Mtu = 10, Direct = true, Block = 40, Blocks = "rack" }, mustBeNew: true, CancellationToken.None));
        string[] expected = ["NAME b/d: must be", "--subnet 10.1.0.5/24: has host bits; the network is 10.1.0.0/24", "--subnet 10.0.0.0/8: overlaps", "--mtu 10: must be 68 to 65521", "--block 40: must be", "--blocks rack: must be levels", "--direct: goes with --mode routed only"];
        Assert.All(expected, each => Assert.Contains(refusal.Errors, error => error.StartsWith(each, StringComparison.Ordinal)));
        Assert.Empty(_store.Snapshot().Entries);
    }

    [Fact]
    public async Task The_use_of_a_pool_is_counted_by_block_and_host()
    {
        await using var one = await new TestHost(_store, "h1").ConnectedAsync();
        await using var two = await new TestHost(_store, "h2").ConnectedAsync();
        var desk = new NetworkDesk(one.Line, one.Replica, one.Networks);
        await desk.PutAsync("blue", new NetworkSettingsJson { Subnets = ["10.1.0.0/24", "fd00::/64"] }, mustBeNew: true, CancellationToken.None);
        await two.Replica.WaitForAsync(_store.Revision, CancellationToken.None);
        var network = two.Replica.View.Networks["blue"].Record!.Value;
        for (var i = 0; i < 3; i++) await one.PublishAsync(network, $"a{i}");
        await two.PublishAsync(network, "b", A("10.1.0.9"));
        await desk.ReserveAsync("blue", A("10.1.0.77"), "printer", CancellationToken.None);
        await one.Replica.WaitForAsync(_store.Revision, CancellationToken.None);

        var pools = desk.PoolsOf("blue")!;
        Assert.Equal(["10.1.0.0/24", "fd00::/64"], pools.Select(static pool => pool.Subnet));
        Assert.Equal((254, 4, 2, 28, 16, 1), (pools[0].Usable, pools[0].Used, pools[0].Reserved, pools[0].BlockLength, pools[0].Blocks, pools[0].Leased));
        Assert.Equal(("10.1.0.0/28", "h1", 4, 1, 1, 15L), (pools[0].BlockList![0].Block, pools[0].BlockList![0].Host, pools[0].BlockList![0].Used, pools[0].BlockList![0].Foreign, pools[0].BlockList![0].Reserved, pools[0].BlockList![0].Usable));
        Assert.Equal(("10.1.0.64/28", null, 0, 1), (pools[0].BlockList![1].Block, pools[0].BlockList![1].Host, pools[0].BlockList![1].Used, pools[0].BlockList![1].Reserved));
        Assert.Equal([("10.1.0.1", "gateway", null), ("10.1.0.77", "reserved", "printer")], pools[0].ReservedList!.Select(static each => (each.Address, each.Why, each.Note)));
        Assert.Equal(long.MaxValue, pools[1].Usable);
        Assert.Equal(pools.Select(static pool => pool.Used), desk.Pools().Select(static pool => pool.Used));
        Assert.Null(desk.PoolsOf("red"));

        var shown = desk.Find("blue")!;
        Assert.Equal(["a0", "a1", "a2", "b"], shown.EndpointList!.Select(static each => each.Id));
        Assert.Equal(["h1", "h2"], shown.MemberList!.Select(static each => each.Host));
        Assert.Equal((2, 4), (shown.Hosts, shown.Endpoints));
    }

    [Fact]
    public async Task While_the_store_is_away_what_was_known_is_shown_and_nothing_is_changed()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var desk = new NetworkDesk(host.Line, host.Replica, host.Networks);
        await desk.PutAsync("blue", new NetworkSettingsJson(), mustBeNew: true, CancellationToken.None);
        Assert.Null(desk.Fault);
        host.Line.Cut();
        await UntilAsync(() => desk.Fault is not null);
        Assert.Single(desk.List());
        await Assert.ThrowsAsync<StoreUnavailableException>(() => desk.PutAsync("red", new NetworkSettingsJson(), mustBeNew: true, CancellationToken.None));
        await Assert.ThrowsAsync<StoreUnavailableException>(() => desk.RemoveAsync("blue", force: false, CancellationToken.None));
    }

    public ValueTask DisposeAsync() => _store.DisposeAsync();
}
