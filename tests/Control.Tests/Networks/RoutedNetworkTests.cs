using System.Collections.Concurrent;
using System.Collections.Immutable;
using Sleeve.Control.Api;
using Sleeve.Control.Daemon;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;
using Sleeve.Control.Tests.Store;
using Sleeve.DataPlane.Wire;
using static Sleeve.Control.Tests.Networks.TestHost;

namespace Sleeve.Control.Tests.Networks;

/// <summary>Routed networks with hosts that run no Sleeve: those entered by hand, and those of flannel's keys.</summary>
public sealed class RoutedNetworkTests : IAsyncDisposable
{
    private const string FlannelConfig = """{"Network":"10.244.0.0/16","SubnetLen":24,"Backend":{"Type":"vxlan","VNI":1,"DirectRouting":true}}""";

    private readonly MemoryStore _store = new();
    private readonly MemoryStore _etcd = new();

    [Fact]
    public async Task What_is_entered_by_hand_is_a_member_and_its_subnet_nobody_elses()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var desk = Desk(host);
        await desk.PutAsync("pods", new NetworkSettingsJson { Subnets = ["10.244.0.0/16"], Mode = "routed", Block = 24 }, mustBeNew: true, CancellationToken.None);
        var entered = new NetworkHostJson("192.0.2.99", "02:00:00:00:00:07", ["10.244.0.0/26", "10.244.1.128/26"]);
        await desk.PutHostAsync("pods", "k", entered, CancellationToken.None);
        await desk.PutHostAsync("pods", "k", entered, CancellationToken.None);
        var member = Assert.Single(desk.Find("pods")!.MemberList!);
        Assert.Equal(("k", "192.0.2.99", 8472, "hand"), (member.Host, member.Vtep, member.Port, member.By));
        // Neither of the parts in which some of it lies.
        var network = host.Replica.View.Networks["pods"].Record!.Value;
        var registry = new EndpointRegistry(host.Line, host.Replica, () => host.Self) { Complete = Complete };
        Assert.Equal(A("10.244.2.2"), (await registry.PublishAsync(network, Draft("c"), CancellationToken.None)).Value.Addresses[0]);
        Assert.Contains("is host h1's", await RefusedAsync(() => desk.PutHostAsync("pods", "k2", entered with { Subnets = ["10.244.2.64/26"] }, CancellationToken.None)), StringComparison.Ordinal);
        Assert.Contains("overlaps that of member k", await RefusedAsync(() => desk.PutHostAsync("pods", "k2", entered with { Subnets = ["10.244.1.0/24"] }, CancellationToken.None)), StringComparison.Ordinal);
        await desk.RemoveHostAsync("pods", "k", CancellationToken.None);
        await desk.RemoveHostAsync("pods", "k", CancellationToken.None);
        Assert.Equal("h1", Assert.Single(desk.Find("pods")!.MemberList!).Host);
    }

    [Fact]
    public async Task An_address_that_was_asked_for_is_not_taken_out_of_such_a_subnet()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var desk = Desk(host);
        await desk.PutAsync("pods", new NetworkSettingsJson { Subnets = ["10.244.0.0/16"], Mode = "routed", Block = 24 }, mustBeNew: true, CancellationToken.None);
        await desk.PutHostAsync("pods", "k", new NetworkHostJson("192.0.2.99", "02:00:00:00:00:07", ["10.244.7.0/24"]), CancellationToken.None);
        var registry = new EndpointRegistry(host.Line, host.Replica, () => host.Self) { Complete = Complete };
        var draft = Draft("c") with { Addresses = [A("10.244.7.9")] };
        Assert.Contains("of 10.244.7.0/24, the subnet of host k", await RefusedAsync(() => registry.PublishAsync(host.Replica.View.Networks["pods"].Record!.Value, draft, CancellationToken.None)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("h/1", "192.0.2.1", "02:00:00:00:00:07", "10.244.7.0/24", null, "host: must be")]
    [InlineData("k", "x", "02:00:00:00:00:07", "10.244.7.0/24", null, "vtep x: must be")]
    [InlineData("k", "224.0.0.1", "02:00:00:00:00:07", "10.244.7.0/24", null, "vtep 224.0.0.1: must be")]
    [InlineData("k", "192.0.2.1", "01:00:00:00:00:07", "10.244.7.0/24", null, "mac 01:00:00:00:00:07: must be")]
    [InlineData("k", "192.0.2.1", "02:00:00:00:00:07", "10.244.7.1/24", null, "subnet 10.244.7.1/24: has host bits")]
    [InlineData("k", "192.0.2.1", "02:00:00:00:00:07", "10.9.0.0/24", null, "subnet 10.9.0.0/24: must lie in 10.244.0.0/16")]
    [InlineData("k", "192.0.2.1", "02:00:00:00:00:07", "10.0.0.0/8", null, "subnet 10.0.0.0/8: must lie in 10.244.0.0/16")]
    [InlineData("k", "192.0.2.1", "02:00:00:00:00:07", "x", null, "subnet x: must be")]
    [InlineData("k", "192.0.2.1", "02:00:00:00:00:07", null, null, "member k: has 0 subnets")]
    [InlineData("k", "192.0.2.1", "02:00:00:00:00:07", "10.244.7.0/24", 65536, "port 65536: must be")]
    public async Task What_is_wrong_with_a_host_is_named_and_changes_nothing(string host, string vtep, string mac, string? subnet, int? port, string expected)
    {
        await using var here = await new TestHost(_store, "h1").ConnectedAsync();
        var desk = Desk(here);
        await desk.PutAsync("pods", new NetworkSettingsJson { Subnets = ["10.244.0.0/16"], Mode = "routed" }, mustBeNew: true, CancellationToken.None);
        var before = _store.Revision;
        var wrong = await RefusedAsync(() => desk.PutHostAsync("pods", host, new NetworkHostJson(vtep, mac, subnet is null ? null : [subnet]) { Port = port }, CancellationToken.None));
        Assert.Contains(expected, wrong, StringComparison.Ordinal);
        Assert.Equal(before, _store.Revision);
    }

    [Fact]
    public async Task Bridged_networks_take_no_such_hosts_and_routed_ones_neither_gateways_nor_IPv6()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var desk = Desk(host);
        await desk.PutAsync("blue", new NetworkSettingsJson { Subnets = ["10.1.0.0/16"] }, mustBeNew: true, CancellationToken.None);
        Assert.Contains("is bridged", await RefusedAsync(() => desk.PutHostAsync("blue", "k", new NetworkHostJson("192.0.2.99", "02:00:00:00:00:07", ["10.1.7.0/24"]), CancellationToken.None)), StringComparison.Ordinal);
        Assert.Contains("there is none", await RefusedAsync(() => desk.PutHostAsync("red", "k", new NetworkHostJson("192.0.2.99", "02:00:00:00:00:07", ["10.1.7.0/24"]), CancellationToken.None)), StringComparison.Ordinal);
        var wrong = await RefusedAsync(() => desk.PutAsync("pods", new NetworkSettingsJson { Subnets = ["10.244.0.0/16", "fd00::/64"], Gateways = ["10.244.0.1"], Mode = "routed" }, mustBeNew: true, CancellationToken.None));
        Assert.Contains("--gateway 10.244.0.1: does not go with --mode routed", wrong, StringComparison.Ordinal);
        Assert.Contains("--subnet fd00::/64: must be IPv4", wrong, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_network_is_what_the_configuration_of_flannel_says()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var desk = Desk(host);
        var asked = new NetworkSettingsJson { Flannel = "/coreos.com/network" };
        Assert.Contains("there is no /coreos.com/network/config", await RefusedAsync(() => desk.PutAsync("pods", asked, mustBeNew: true, CancellationToken.None)), StringComparison.Ordinal);
        await PutAsync(FlannelKeys.Config, """{"Network":"10.244.0.0/16","Backend":{"Type":"host-gw"}}""");
        Assert.Contains("must be vxlan", await RefusedAsync(() => desk.PutAsync("pods", asked, mustBeNew: true, CancellationToken.None)), StringComparison.Ordinal);
        await PutAsync(FlannelKeys.Config, FlannelConfig);
        Assert.Contains("leave them out", await RefusedAsync(() => desk.PutAsync("pods", asked with { Vni = 7 }, mustBeNew: true, CancellationToken.None)), StringComparison.Ordinal);
        Assert.Contains("its keys are in etcd", await RefusedAsync(() => new NetworkDesk(host.Line, host.Replica, host.Networks).PutAsync("pods", asked, mustBeNew: true, CancellationToken.None)), StringComparison.Ordinal);
        var made = await desk.PutAsync("pods", asked, mustBeNew: true, CancellationToken.None);
        Assert.Equal((1L, "routed", (bool?)true, (int?)24, (int?)8472, "/coreos.com/network"), (made.Vni, made.Mode, made.Direct, made.Block, made.EncapPort, made.Flannel));
        Assert.Equal(["10.244.0.0/16"], made.Subnets);
        Assert.Equal(made.Id, (await desk.PutAsync("pods", asked, mustBeNew: false, CancellationToken.None)).Id);
    }

    [Fact]
    public async Task Leases_of_flannel_are_members_as_long_as_they_stand()
    {
        await using var flannel = new FlannelNetworks(_ => new Line(_etcd), A("192.0.2.1"), static _ => { });
        var view = View();
        await PutAsync("subnets/10.244.7.0-24", LeaseOf("192.0.2.7", 7));
        await PutAsync("subnets/10.244.1.0-24", LeaseOf("192.0.2.1", 1));
        await PutAsync("subnets/junk", "{}");
        flannel.Follow(ClusterOf(view));
        await flannel.PrepareAsync(view.Record!.Value, CancellationToken.None);
        // This host's own is none of them.
        var foreign = Assert.Single(flannel.Complete(view, 8472).Foreign);
        Assert.Equal(("flannel-192.0.2.7", A("192.0.2.7"), M("02:00:00:00:00:07")), (foreign.Key, foreign.Value.Value.Vtep, foreign.Value.Value.Mac!.Value));
        Assert.Equal([P("10.244.7.0/24")], foreign.Value.Value.Subnets);
        await _etcd.CommitAsync(new StoreTransaction([], [new StoreWrite("subnets/10.244.7.0-24", null)]), CancellationToken.None);
        await UntilAsync(() => flannel.Complete(view, 8472).Foreign.IsEmpty);
        await PutAsync("subnets/10.244.8.0-24", LeaseOf("192.0.2.8", 8));
        await UntilAsync(() => flannel.Complete(view, 8472).Foreign.ContainsKey("flannel-192.0.2.8"));
        // One that is a host of the cluster is a member already.
        var member = new Published<MemberRecord>(new MemberRecord(A("192.0.2.8"), 8472), "h8", 1);
        Assert.Empty(flannel.Complete(view with { Members = view.Members.Add("h8", member) }, 8472).Foreign);
    }

    [Fact]
    public async Task A_subnet_in_flannels_keys_is_whose_was_first_and_comes_back_when_somebody_removes_it()
    {
        var said = new ConcurrentQueue<string>();
        await using var flannel = new FlannelNetworks(_ => new Line(_etcd), A("192.0.2.1"), said.Enqueue);
        var view = View();
        await PutAsync("subnets/10.244.7.0-24", LeaseOf("192.0.2.7", 7));
        flannel.Follow(ClusterOf(view));
        var network = view.Record!.Value;
        var refusal = await Assert.ThrowsAsync<HostException>(() => flannel.ClaimAsync(network, P("10.244.7.0/24"), M("02:00:00:00:00:01"), CancellationToken.None));
        Assert.Contains("VTEP 192.0.2.7", refusal.Message, StringComparison.Ordinal);
        await flannel.ClaimAsync(network, P("10.244.1.0/24"), M("02:00:00:00:00:01"), CancellationToken.None);
        var entry = _etcd.Snapshot().Entries.Single(static entry => entry.Key == "subnets/10.244.1.0-24");
        Assert.NotEqual(0, entry.Lease);
        Assert.Equal("""{"PublicIP":"192.0.2.1","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:01"}}""", entry.Value);
        // After a restart it is this host's still.
        await using var again = new FlannelNetworks(_ => new Line(_etcd), A("192.0.2.1"), said.Enqueue);
        await again.ClaimAsync(network, P("10.244.1.0/24"), M("02:00:00:00:00:01"), CancellationToken.None);
        await again.ReleaseAsync("pods");
        Assert.Equal("subnets/10.244.7.0-24", Assert.Single(_etcd.Snapshot().Entries).Key);
    }

    [Fact]
    public async Task Without_etcd_a_network_of_flannels_is_refused_and_one_that_is_away_says_so()
    {
        var network = View().Record!.Value;
        await using var none = new FlannelNetworks(null, A("192.0.2.1"), static _ => { });
        Assert.Contains("this daemon's store is none", (await Assert.ThrowsAsync<CommandRefusedException>(() => none.PrepareAsync(network, CancellationToken.None))).Message, StringComparison.Ordinal);
        var line = new Line(_etcd);
        line.Cut();
        await using var away = new FlannelNetworks(_ => line, A("192.0.2.1"), static _ => { });
        await Assert.ThrowsAsync<StoreUnavailableException>(() => away.PrepareAsync(network, CancellationToken.None));
        // What was this host's before it restarted is so still.
        await away.ClaimAsync(network, P("10.244.1.0/24"), M("02:00:00:00:00:01"), CancellationToken.None);
    }

    private NetworkDesk Desk(TestHost host) => new(host.Line, host.Replica, host.Networks) { Beside = _ => new Line(_etcd), Complete = Complete };

    private static NetworkView Complete(NetworkView view) => ForeignHosts.With(view, A("192.0.2.250"), 8472, []);

    private static EndpointRecord Draft(string id) => new(id, default, []);

    private static NetworkView View() => new()
    {
        Record = new Published<NetworkRecord>(new NetworkRecord("pods", "0123456789abcdef", new Vni(1)) { Mode = NetworkMode.Routed, Subnets = [P("10.244.0.0/16")], BlockLength = 24, Flannel = "/coreos.com/network" }, "", 1),
    };

    private static ClusterView ClusterOf(NetworkView view) => ClusterView.Empty with { Revision = 1, Networks = ImmutableDictionary<string, NetworkView>.Empty.Add("pods", view) };

    private static string LeaseOf(string vtep, int number) => $$"""{"PublicIP":"{{vtep}}","BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:00:{{number:x2}}"} }""";

    private Task<StoreOutcome> PutAsync(string key, string value) => _etcd.CommitAsync(new StoreTransaction([], [new StoreWrite(key, value)]), CancellationToken.None);

    private static async Task<string> RefusedAsync(Func<Task> action) => string.Join('\n', (await Assert.ThrowsAsync<CommandRefusedException>(action)).Errors);

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!condition()) await Task.Delay(20, patience.Token);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        await _etcd.DisposeAsync();
    }
}
