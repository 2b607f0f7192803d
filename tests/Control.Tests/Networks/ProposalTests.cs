using Sleeve.Control.Daemon;
using Sleeve.Control.Docker;
using Sleeve.Control.Networks;
using Sleeve.Control.Tests.Store;
using static Sleeve.Control.Tests.Networks.TestHost;

namespace Sleeve.Control.Tests.Networks;

/// <summary>What Docker's drivers need of networks: addresses before endpoints, ranges, and another name.</summary>
public sealed class ProposalTests : IAsyncDisposable
{
    private readonly MemoryStore _store = new();

    [Fact]
    public async Task Hosts_that_propose_at_the_same_time_propose_nothing_twice()
    {
        await using var one = await new TestHost(_store, "h1").ConnectedAsync();
        await using var two = await new TestHost(_store, "h2").ConnectedAsync();
        var network = await MakeAsync(one, Network("n", "10.1.0.0/24"));
        await UntilAsync(() => two.Replica.View.Networks.ContainsKey("n"));
        var proposed = await Task.WhenAll(Enumerable.Range(0, 100).Select(i => Task.Run(() => (i % 2 == 0 ? one : two).Endpoints.ProposeAsync(network, P("10.1.0.0/24"), CancellationToken.None))));
        Assert.Equal(100, proposed.Distinct().Count());
        Assert.DoesNotContain(A("10.1.0.1"), proposed);
        // The endpoint may have it, and another that asks for it may not.
        await one.PublishAsync(network, "c1", proposed[0]);
        Assert.Contains("is taken", (await Assert.ThrowsAsync<CommandRefusedException>(() => two.PublishAsync(network, "c2", proposed[0]))).Message, StringComparison.Ordinal);
        AssertWhole(_store);
    }

    [Fact]
    public async Task A_range_is_chosen_of_and_the_rest_is_to_be_had_by_name_until_it_is_used_up()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var network = await MakeAsync(host, Network("n", "10.1.0.0/16", "fd00:1::/64") with { Ranges = [P("10.1.77.16/29"), P("fd00:1::5:0:0/96")] });
        for (var i = 0; i < 8; i++)
        {
            var addresses = (await host.PublishAsync(network, $"c{i}")).Value.Addresses;
            Assert.Equal([true, true], addresses.Select(static address => P("10.1.77.16/29").Contains(address) || P("fd00:1::5:0:0/96").Contains(address)));
        }

        Assert.Contains("the pool is full", (await Assert.ThrowsAsync<CommandRefusedException>(() => host.PublishAsync(network, "c9"))).Message, StringComparison.Ordinal);
        Assert.Equal([A("10.1.0.9")], (await host.PublishAsync(network, "c10", A("10.1.0.9"))).Value.Addresses);
    }

    [Theory]
    [InlineData("10.2.0.0/24", "", false, "--range 10.2.0.0/24: must be ADDRESS/LENGTH")]
    [InlineData("10.1.0.1/24", "", false, "--range 10.1.0.1/24: must be ADDRESS/LENGTH")]
    [InlineData("10.1.1.0/24", "zone:rack:host", false, "--range: goes not with --blocks")]
    [InlineData("10.1.1.0/24", "", true, "--range: goes with --mode bridged only")]
    public void What_is_wrong_with_a_range_is_said(string range, string plan, bool isRouted, string said)
    {
        var network = Network("n", "10.1.0.0/16") with { Vni = new(7), Ranges = [P(range)], Plan = plan, Mode = isRouted ? NetworkMode.Routed : NetworkMode.Bridged };
        Assert.Contains(NetworkRules.Errors(network), error => error.StartsWith(said, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_network_that_nobody_uses_gets_another_name_with_all_that_is_its()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var network = await MakeAsync(host, Network("docker-1", "10.1.0.0/24"));
        await host.Reservations.ReserveAsync("docker-1", A("10.1.0.9"), "dns", CancellationToken.None);
        var before = _store.Snapshot().Entries.Count;
        var renamed = await host.Networks.RenameAsync(network, network with { Name = "blue", Ranges = [P("10.1.0.128/25")] }, CancellationToken.None);
        Assert.Equal((network.Id, network.Vni, "blue"), (renamed!.Value.Id, renamed.Value.Vni, renamed.Value.Name));
        Assert.Equal(before, _store.Snapshot().Entries.Count);
        Assert.DoesNotContain(_store.Snapshot().Entries, static entry => entry.Key.Contains("docker-1", StringComparison.Ordinal) || entry.Value.Contains("docker-1", StringComparison.Ordinal));
        Assert.Equal(A("10.1.0.128"), Assert.Single((await host.PublishAsync(renamed.Value, "c1")).Value.Addresses));

        // Neither one that is in use, nor to a name that is taken.
        Assert.Contains("has endpoints already", (await Assert.ThrowsAsync<CommandRefusedException>(() => host.Networks.RenameAsync(renamed.Value, renamed.Value with { Name = "red" }, CancellationToken.None))).Message, StringComparison.Ordinal);
        var other = await MakeAsync(host, Network("docker-2", "10.2.0.0/24"));
        Assert.Null(await host.Networks.RenameAsync(other, other with { Name = "blue" }, CancellationToken.None));
        Assert.Contains("was removed", (await Assert.ThrowsAsync<CommandRefusedException>(() => host.Networks.RenameAsync(network, network with { Name = "red" }, CancellationToken.None))).Message, StringComparison.Ordinal);
        AssertWhole(_store);
    }

    [Theory]
    [InlineData("10.0.2.0/24", "10.0.2.128/25")]
    [InlineData("fd00::/64", "fd00:0:0:0:8000::/65")]
    [InlineData("10.0.2.0/30", "10.0.2.0/30")]
    public void Other_hosts_choose_where_the_Docker_of_one_does_not(string subnet, string half) => Assert.Equal(P(half), NetworkDriver.UpperHalf(P(subnet)));

    private static async Task<NetworkRecord> MakeAsync(TestHost host, NetworkRecord draft) => (await host.Networks.CreateAsync(draft, autoVni: true, CancellationToken.None)).Value;

    public ValueTask DisposeAsync() => _store.DisposeAsync();
}
