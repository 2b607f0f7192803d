using Sleeve.Control.Daemon;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;
using Sleeve.Control.Tests.Store;
using Sleeve.DataPlane.Wire;
using static Sleeve.Control.Tests.Networks.TestHost;

namespace Sleeve.Control.Tests.Networks;

public sealed class NetworkRegistryTests : IAsyncDisposable
{
    private readonly MemoryStore _store = new();

    [Fact]
    public async Task Fifty_hosts_make_networks_at_the_same_time_and_no_two_get_the_same_vni()
    {
        var replica = new Replica(_store, null, static _ => { });
        // So few VNIs that they cannot but collide.
        var registry = new NetworkRegistry(_store, replica) { VniRange = (4096, 4096 + 59) };
        var made = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => Task.Run(() => registry.CreateAsync(Network($"n{i}", "10.0.0.0/24"), autoVni: true, CancellationToken.None))));
        Assert.Equal(50, made.Select(static each => each.Value.Vni.Value).Distinct().Count());
        Assert.Equal(50, made.Select(static each => each.Value.Id).Distinct().Count());
        Assert.All(made, static each => Assert.InRange(each.Value.Vni.Value, 4096u, 4155u));
        Assert.Equal(50, _store.Snapshot().Entries.Count(static entry => entry.Key.StartsWith(ClusterKeys.Vnis, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Of_fifty_who_make_the_same_network_one_does()
    {
        var replica = new Replica(_store, null, static _ => { });
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => Task.Run(async () =>
        {
            try
            {
                return (await new NetworkRegistry(_store, replica).CreateAsync(Network("n", "10.0.0.0/24"), autoVni: true, CancellationToken.None)).Value.Id;
            }
            catch (CommandRefusedException refusal) when (refusal.Kind == RefusalKind.Conflict)
            {
                Assert.Contains("File exists", refusal.Message, StringComparison.Ordinal);
                return null;
            }
        })));
        Assert.Single(outcomes, static id => id is not null);
        // Whoever was refused left nothing behind: the record, its VNI, its gateway.
        Assert.Equal(3, _store.Snapshot().Entries.Count);
    }

    [Fact]
    public async Task When_all_vnis_are_taken_it_says_so()
    {
        var registry = new NetworkRegistry(_store, new Replica(_store, null, static _ => { })) { VniRange = (7, 8) };
        await registry.CreateAsync(Network("a"), autoVni: true, CancellationToken.None);
        await registry.CreateAsync(Network("b"), autoVni: true, CancellationToken.None);
        var refusal = await Assert.ThrowsAsync<CommandRefusedException>(() => registry.CreateAsync(Network("c"), autoVni: true, CancellationToken.None));
        Assert.Contains("--vni auto: all of 7 to 8 are taken", refusal.Message, StringComparison.Ordinal);
        refusal = await Assert.ThrowsAsync<CommandRefusedException>(() => registry.CreateAsync(Network("c") with { Vni = new Vni(7) }, autoVni: false, CancellationToken.None));
        Assert.Contains("--vni 7: is that of network", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Gateways_are_the_first_addresses_and_claimed_with_the_network()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var network = (await host.Networks.CreateAsync(Network("n", "10.1.0.0/16", "2001:db8::/64"), autoVni: true, CancellationToken.None)).Value;
        Assert.Equal([A("10.1.0.1"), A("2001:db8::1")], network.Gateways);
        Assert.Equal("gateway", host.Replica.View.Networks["n"].Addresses["10.1.0.1"].Value.Why);
        var refusal = await Assert.ThrowsAsync<CommandRefusedException>(() => host.PublishAsync(network, "c", A("10.1.0.1")));
        Assert.Contains("is taken: the gateway", refusal.Message, StringComparison.Ordinal);
        refusal = await Assert.ThrowsAsync<CommandRefusedException>(() => host.Networks.CreateAsync(Network("m", "10.1.0.0/24") with { Gateways = [A("10.2.0.1")] }, autoVni: true, CancellationToken.None));
        Assert.Contains("--gateway 10.2.0.1: must be an address of one of the subnets (10.1.0.0/24)", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_networks_may_have_the_same_subnet()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var one = (await host.Networks.CreateAsync(Network("one", "10.0.0.0/24"), autoVni: true, CancellationToken.None)).Value;
        var two = (await host.Networks.CreateAsync(Network("two", "10.0.0.0/24"), autoVni: true, CancellationToken.None)).Value;
        Assert.Equal((await host.PublishAsync(one, "c")).Value.Addresses, (await host.PublishAsync(two, "c")).Value.Addresses);
        AssertWhole(_store);
    }

    [Fact]
    public async Task A_network_with_endpoints_is_not_removed_and_names_them()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        await _store.CommitAsync(new StoreTransaction([], [new StoreWrite(ClusterKeys.AliveOf("h1"), "")]), CancellationToken.None);
        var network = (await host.Networks.CreateAsync(Network("n", "10.0.0.0/24"), autoVni: true, CancellationToken.None)).Value;
        await host.PublishAsync(network, "web");
        foreach (var force in new[] { false, true })
            Assert.Contains("has endpoints: web on h1; detach them first", (await Assert.ThrowsAsync<CommandRefusedException>(() => host.Networks.RemoveAsync("n", force, CancellationToken.None))).Message, StringComparison.Ordinal);
        // Its host is gone: with --force it goes along.
        await _store.CommitAsync(new StoreTransaction([], [new StoreWrite(ClusterKeys.AliveOf("h1"), null)]), CancellationToken.None);
        Assert.Contains("or --force", (await Assert.ThrowsAsync<CommandRefusedException>(() => host.Networks.RemoveAsync("n", CancellationToken.None))).Message, StringComparison.Ordinal);
        Assert.True(await host.Networks.RemoveAsync("n", force: true, CancellationToken.None));
        Assert.False(await host.Networks.RemoveAsync("n", CancellationToken.None));
        Assert.DoesNotContain(_store.Snapshot().Entries, static entry => entry.Key.Contains("/n/", StringComparison.Ordinal) && !entry.Key.StartsWith(ClusterKeys.Hosts, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_network_that_is_removed_while_a_first_endpoint_comes_is_either_removed_or_has_it()
    {
        for (var i = 0; i < 60; i++)
        {
            await using var store = new MemoryStore();
            await using var one = await new TestHost(store, "h1").ConnectedAsync();
            await using var two = await new TestHost(store, "h2").ConnectedAsync();
            await store.CommitAsync(new StoreTransaction([], [new StoreWrite(ClusterKeys.AliveOf("h2"), "")]), CancellationToken.None);
            var network = (await one.Networks.CreateAsync(Network("n", "10.0.0.0/24"), autoVni: true, CancellationToken.None)).Value;
            await two.Replica.WaitForAsync(store.Revision, CancellationToken.None);
            var remove = TriesAsync(() => one.Networks.RemoveAsync("n", CancellationToken.None));
            var publish = TriesAsync(() => two.PublishAsync(network, "c"));
            var (isRemoved, isPublished) = (await remove, await publish);
            Assert.NotEqual(isRemoved, isPublished);
            AssertWhole(store);
            Assert.Equal(isRemoved ? 1 : 9, store.Snapshot().Entries.Count);
        }
    }

    [Fact]
    public async Task A_network_made_anew_under_its_name_is_another()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var before = (await host.Networks.CreateAsync(Network("n", "10.0.0.0/24"), autoVni: true, CancellationToken.None)).Value;
        await host.Reservations.ReserveAsync("n", A("10.0.0.9"), "", CancellationToken.None);
        await host.Networks.RemoveAsync("n", CancellationToken.None);
        Assert.Empty(_store.Snapshot().Entries);
        var now = (await host.Networks.CreateAsync(Network("n", "10.0.0.0/24"), autoVni: true, CancellationToken.None)).Value;
        Assert.NotEqual(before.Id, now.Id);
        Assert.Contains("made anew", (await Assert.ThrowsAsync<CommandRefusedException>(() => host.PublishAsync(before, "c"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Labels_are_all_that_changes()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var network = (await host.Networks.CreateAsync(Network("n"), autoVni: true, CancellationToken.None)).Value;
        var labelled = (await host.Networks.SetLabelsAsync("n", new Dictionary<string, string> { ["team"] = "a" }, CancellationToken.None)).Value;
        Assert.Equal("a", labelled.Labels["team"]);
        Assert.Equal(RecordJson.Write(network), RecordJson.Write(labelled with { Labels = network.Labels }));
        await host.PublishAsync(network, "c");
        await Assert.ThrowsAsync<CommandRefusedException>(() => host.Networks.SetLabelsAsync("m", new Dictionary<string, string>(), CancellationToken.None));
        await Assert.ThrowsAsync<CommandRefusedException>(() => host.Networks.SetLabelsAsync("n", new Dictionary<string, string> { [""] = "" }, CancellationToken.None));
    }

    private static async Task<bool> TriesAsync<T>(Func<Task<T>> work)
    {
        try
        {
            await Task.Yield();
            await work();
            return true;
        }
        catch (CommandRefusedException)
        {
            return false;
        }
    }

    public ValueTask DisposeAsync() => _store.DisposeAsync();
}
