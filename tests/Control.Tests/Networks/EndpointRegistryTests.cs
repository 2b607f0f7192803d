using Sleeve.Control.Daemon;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;
using Sleeve.Control.Tests.Store;
using Sleeve.DataPlane.Wire;
using static Sleeve.Control.Tests.Networks.TestHost;

namespace Sleeve.Control.Tests.Networks;

public sealed class EndpointRegistryTests : IAsyncDisposable
{
    private readonly MemoryStore _store = new();

    [Fact]
    public async Task An_endpoint_and_its_claims_come_and_go_in_one_transaction_each()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var network = await MakeAsync(host, "10.1.0.0/16", "2001:db8::/64");
        var empty = _store.Snapshot().Entries.Count;
        var before = _store.Commits;
        var endpoint = await host.PublishAsync(network, "c1");
        Assert.Equal(before + 1, _store.Commits);
        Assert.Equal([A("10.1.0.2"), A("2001:db8::2")], endpoint.Value.Addresses);
        Assert.Equal(M("02:42:0a:01:00:02"), endpoint.Value.Mac);
        Assert.Equal(host.Self.Local, endpoint.Value.Vtep);
        Assert.Equal(1, endpoint.Value.Generation);
        Assert.Equal(endpoint.Version, host.Replica.View.Networks["n"].Endpoints[("h1", "c1")].Version);
        AssertWhole(_store);
        await host.Endpoints.WithdrawAsync("n", "c1", CancellationToken.None);
        Assert.Equal(before + 2, _store.Commits);
        Assert.Equal(empty, _store.Snapshot().Entries.Count);
        await host.Endpoints.WithdrawAsync("n", "c1", CancellationToken.None);
        Assert.Equal(before + 2, _store.Commits);
    }

    [Fact]
    public async Task The_same_endpoint_published_again_keeps_what_it_has()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var network = await MakeAsync(host, "10.1.0.0/16");
        var first = await host.PublishAsync(network, "c1");
        var again = await host.PublishAsync(network, "c1");
        Assert.Equal(first.Version, again.Version);
        Assert.Equal(first.Value.Addresses, again.Value.Addresses);
        var moved = await host.Endpoints.PublishAsync(network, Draft("c1", A("10.1.9.9")) with { Mac = M("02:00:00:00:00:09"), Aliases = ["www"] }, CancellationToken.None);
        Assert.True(moved.Version > first.Version);
        AssertWhole(_store);
        Assert.False(host.Replica.View.Networks["n"].Addresses.ContainsKey("10.1.0.2"));
    }

    [Fact]
    public async Task Of_two_hosts_that_want_one_address_the_first_has_it_and_the_second_is_told_whose_it_is()
    {
        await using var one = await new TestHost(_store, "h1").ConnectedAsync();
        await using var two = await new TestHost(_store, "h2").ConnectedAsync();
        var network = await MakeAsync(one, "10.1.0.0/16");
        await two.Replica.WaitForAsync(_store.Revision, CancellationToken.None);
        // Neither has heard of the other: between its look and its transaction the other comes.
        var second = two.PublishAsync(network, "c2", A("10.1.0.5"));
        var first = one.PublishAsync(network, "c1", A("10.1.0.5"));
        var outcomes = new List<string>();
        foreach (var publish in new[] { first, second })
        {
            try
            {
                await publish;
                outcomes.Add("has it");
            }
            catch (CommandRefusedException refusal)
            {
                Assert.Matches("^address 10.1.0.5: is taken: endpoint c[12] of host h[12]$", refusal.Message);
                outcomes.Add("refused");
            }
        }

        Assert.Equal(["has it", "refused"], outcomes.Order());
        await one.Endpoints.PublishAsync(network, Draft("d1") with { Mac = M("02:00:00:00:00:07") }, CancellationToken.None);
        var refused = await Assert.ThrowsAsync<CommandRefusedException>(() => two.Endpoints.PublishAsync(network, Draft("d2") with { Mac = M("02:00:00:00:00:07") }, CancellationToken.None));
        Assert.Equal("mac 02:00:00:00:00:07: is taken: endpoint d1 of host h1", refused.Message);
        AssertWhole(_store);
    }

    [Fact]
    public async Task A_derived_mac_that_somebody_chose_before_gives_way()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var network = await MakeAsync(host, "10.1.0.0/16");
        await host.Endpoints.PublishAsync(network, Draft("c1", A("10.1.0.200")) with { Mac = M("02:42:0a:01:00:05") }, CancellationToken.None);
        var second = await host.PublishAsync(network, "c2", A("10.1.0.5"));
        Assert.NotEqual(M("02:42:0a:01:00:05"), second.Value.Mac);
        Assert.True(second.Value.Mac.IsValidSource);
        AssertWhole(_store);
    }

    [Fact]
    public async Task A_full_pool_says_so_only_when_every_address_of_every_block_is_taken()
    {
        await using var one = await new TestHost(_store, "h1").ConnectedAsync();
        await using var two = await new TestHost(_store, "h2").ConnectedAsync();
        var network = await MakeAsync(one, "10.1.0.0/28");
        await two.Replica.WaitForAsync(_store.Revision, CancellationToken.None);
        var given = new HashSet<InternetAddress>();
        // Blocks of four: the first host has them all before the second comes, and still the second gets what is left of them.
        for (var i = 0; i < 11; i++) Assert.True(given.Add((await one.PublishAsync(network, $"a{i}")).Value.Addresses[0]));
        Assert.True(given.Add((await two.PublishAsync(network, "b0")).Value.Addresses[0]));
        Assert.True(given.Add((await two.PublishAsync(network, "b1")).Value.Addresses[0]));
        var refusal = await Assert.ThrowsAsync<CommandRefusedException>(() => two.PublishAsync(network, "b2"));
        Assert.Contains("the pool is full: no free address in 10.1.0.0/28", refusal.Message, StringComparison.Ordinal);
        await one.Endpoints.WithdrawAsync("n", "a3", CancellationToken.None);
        Assert.Single((await two.PublishAsync(network, "b2")).Value.Addresses);
        AssertWhole(_store);
    }

    [Fact]
    public async Task Reserved_addresses_are_not_given_out_until_they_are_released()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var network = await MakeAsync(host, "10.1.0.0/29");
        await host.Reservations.ReserveAsync("n", A("10.1.0.2"), "printer", CancellationToken.None);
        await host.Reservations.ReserveAsync("n", A("10.1.0.2"), "the printer", CancellationToken.None);
        Assert.Equal(A("10.1.0.3"), (await host.PublishAsync(network, "c1")).Value.Addresses[0]);
        Assert.Equal("address 10.1.0.2: is taken: reserved (the printer)", (await Assert.ThrowsAsync<CommandRefusedException>(() => host.PublishAsync(network, "c2", A("10.1.0.2")))).Message);
        Assert.Contains("endpoint c1 of host h1", (await Assert.ThrowsAsync<CommandRefusedException>(() => host.Reservations.ReserveAsync("n", A("10.1.0.3"), "", CancellationToken.None))).Message, StringComparison.Ordinal);
        Assert.Contains("the gateway", (await Assert.ThrowsAsync<CommandRefusedException>(() => host.Reservations.ReleaseAsync("n", A("10.1.0.1"), CancellationToken.None))).Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<CommandRefusedException>(() => host.Reservations.ReserveAsync("n", A("10.1.0.7"), "", CancellationToken.None));
        await Assert.ThrowsAsync<CommandRefusedException>(() => host.Reservations.ReserveAsync("m", A("10.1.0.3"), "", CancellationToken.None));
        await host.Reservations.ReleaseAsync("n", A("10.1.0.2"), CancellationToken.None);
        await host.Reservations.ReleaseAsync("n", A("10.1.0.2"), CancellationToken.None);
        Assert.Equal(A("10.1.0.2"), (await host.PublishAsync(network, "c2", A("10.1.0.2"))).Value.Addresses[0]);
    }

    [Theory]
    [InlineData("10.2.0.5", "not of a subnet of n (10.1.0.0/16)")]
    [InlineData("10.1.0.0", "network or broadcast")]
    [InlineData("10.1.255.255", "network or broadcast")]
    [InlineData("224.0.0.1", "unicast")]
    public async Task An_address_that_the_network_does_not_have_is_refused(string address, string reason)
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var network = await MakeAsync(host, "10.1.0.0/16");
        var before = _store.Commits;
        Assert.Contains(reason, (await Assert.ThrowsAsync<CommandRefusedException>(() => host.PublishAsync(network, "c", A(address)))).Message, StringComparison.Ordinal);
        Assert.Equal(before, _store.Commits);
    }

    [Fact]
    public async Task A_network_without_subnets_takes_any_address_and_gives_none()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var network = await MakeAsync(host);
        var without = (await host.PublishAsync(network, "c1")).Value;
        Assert.Empty(without.Addresses);
        Assert.True(without.Mac.IsValidSource);
        Assert.Single((await host.PublishAsync(network, "c2", A("172.16.0.1"))).Value.Addresses);
        AssertWhole(_store);
    }

    [Fact]
    public async Task Many_endpoints_at_once_share_a_block_and_collide_with_nobody()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var network = await MakeAsync(host, "10.1.0.0/16");
        var before = _store.Commits;
        var made = await Task.WhenAll(Enumerable.Range(0, 200).Select(i => host.PublishAsync(network, $"c{i}")));
        Assert.Equal(200, made.Select(static each => each.Value.Addresses[0]).Distinct().Count());
        // One transaction each, but for those that met while the block and the membership were not there yet.
        Assert.InRange(_store.Commits - before, 200, 500);
        Assert.Single(host.Replica.View.Networks["n"].Blocks);
        await Task.WhenAll(made.Select(each => host.Endpoints.WithdrawAsync("n", each.Value.Id, CancellationToken.None)));
        Assert.Equal(3, _store.Snapshot().Entries.Count);
    }

    [Fact]
    public async Task A_store_that_is_away_is_said_at_once_and_what_may_have_been_done_is_taken_back()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var network = await MakeAsync(host, "10.1.0.0/16");
        var empty = _store.Snapshot().Entries.Count;
        host.Line.LosesAnswer = static () => true;
        await Assert.ThrowsAsync<StoreUnavailableException>(() => host.PublishAsync(network, "c1"));
        Assert.True(_store.Snapshot().Entries.Count > empty);
        host.Line.LosesAnswer = static () => false;
        await UntilAsync(() => host.Endpoints.Owed == 0 && _store.Snapshot().Entries.Count == empty);

        await host.PublishAsync(network, "c2");
        host.Line.Cut();
        await UntilAsync(() => !host.Replica.IsConnected);
        await Assert.ThrowsAsync<StoreUnavailableException>(() => host.PublishAsync(network, "c3"));
        await Assert.ThrowsAsync<StoreUnavailableException>(() => host.Endpoints.WithdrawAsync("n", "c2", CancellationToken.None));
        Assert.NotEmpty(host.Replica.View.Networks["n"].Endpoints);
        host.Line.Mend();
        await UntilAsync(() => host.Endpoints.Owed == 0 && _store.Snapshot().Entries.Count == empty);
    }

    [Fact]
    public async Task What_is_taken_back_before_the_copy_has_heard_of_it_leaves_no_claims()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var network = await MakeAsync(host, "10.1.0.0/16");
        var empty = _store.Snapshot().Entries.Count;
        host.Line.Lag = TimeSpan.FromMilliseconds(500);
        var isFirst = true;
        host.Line.LosesAnswer = () => Interlocked.Exchange(ref isFirst, false);
        await Assert.ThrowsAsync<StoreUnavailableException>(() => host.PublishAsync(network, "c1"));
        await UntilAsync(() => host.Endpoints.Owed == 0);
        Assert.Equal(empty, _store.Snapshot().Entries.Count);
    }

    [Fact]
    public async Task What_was_changed_before_the_copy_has_heard_of_it_is_withdrawn_as_it_is_now()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var network = await MakeAsync(host, "10.1.0.0/16");
        var empty = _store.Snapshot().Entries.Count;
        await host.PublishAsync(network, "c1");
        host.Line.Lag = TimeSpan.FromMilliseconds(500);
        var isFirst = true;
        host.Line.LosesAnswer = () => Interlocked.Exchange(ref isFirst, false);
        await Assert.ThrowsAsync<StoreUnavailableException>(() => host.PublishAsync(network, "c1", A("10.1.9.9")));
        await host.Endpoints.WithdrawAsync("n", "c1", CancellationToken.None);
        Assert.Equal(empty, _store.Snapshot().Entries.Count);
    }

    [Fact]
    public async Task A_draining_host_takes_no_new_endpoints_and_keeps_those_it_has()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        var network = await MakeAsync(host, "10.1.0.0/16");
        await host.PublishAsync(network, "c1");
        host.Self = host.Self with { IsDraining = true };
        await host.PublishAsync(network, "c1");
        Assert.Contains("is being drained", (await Assert.ThrowsAsync<CommandRefusedException>(() => host.PublishAsync(network, "c2"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_returning_host_publishes_what_it_has_and_loses_what_others_took()
    {
        await using var other = await new TestHost(_store, "h2").ConnectedAsync();
        var network = await MakeAsync(other, "10.1.0.0/16", "2001:db8::/64");
        EndpointRecord[] local;
        await using (var host = await new TestHost(_store, "h1").ConnectedAsync())
        {
            local = [.. (await Task.WhenAll(Enumerable.Range(0, 5).Select(i => host.PublishAsync(network, $"c{i}")))).Select(static each => each.Value)];
            await host.PublishAsync(network, "gone");
        }

        // While it was away everything of it was freed, and others took one address of c0, the MAC of c1 and both addresses of c2.
        await new Reclaimer(_store, other.Replica, "h2", static _ => { }).ReclaimAsync("h1", "a test", CancellationToken.None);
        await other.Endpoints.PublishAsync(network, Draft("t0", local[0].Addresses[0]) with { Mac = M("02:00:00:00:00:70") }, CancellationToken.None);
        await other.Endpoints.PublishAsync(network, Draft("t1", A("10.1.77.1")) with { Mac = local[1].Mac }, CancellationToken.None);
        var t2 = await other.PublishAsync(network, "t2", [.. local[2].Addresses]);
        await using var back = await new TestHost(_store, "h1", generation: 2).ConnectedAsync();
        var lost = await back.Endpoints.ReassertAsync([.. local.Select(static each => ("n", each)), ("m", local[4])], CancellationToken.None);
        Assert.Equal(
            [
                "m: endpoint c4: network is lost: network m: was removed",
                $"n: endpoint c0: address {local[0].Addresses[0]} is lost: endpoint t0 of host h2, since revision",
                $"n: endpoint c1: mac {local[1].Mac} is lost: endpoint t1 of host h2, since revision",
                $"n: endpoint c2: address {local[2].Addresses[0]} is lost: endpoint t2 of host h2, since revision",
                $"n: endpoint c2: address {local[2].Addresses[1]} is lost: endpoint t2 of host h2, since revision",
            ],
            lost.Select(static each => each.Since == 0 ? each.ToString() : each.ToString()[..each.ToString().LastIndexOf(' ')]));
        Assert.Equal(t2.Version, lost[^1].Since);
        var view = back.Replica.View.Networks["n"];
        Assert.Equal(["c0", "c3", "c4"], view.Endpoints.Keys.Where(static each => each.Host == "h1").Select(static each => each.Id).Order());
        Assert.Equal([local[0].Addresses[1]], view.Endpoints[("h1", "c0")].Value.Addresses);
        Assert.All(view.Endpoints.Where(static each => each.Key.Host == "h1"), static each => Assert.Equal(2, each.Value.Value.Generation));
        AssertWhole(_store);
    }

    [Fact]
    public async Task What_a_killed_run_left_is_taken_back_at_the_next_start()
    {
        NetworkRecord network;
        EndpointRecord kept;
        await using (var host = await new TestHost(_store, "h1").ConnectedAsync())
        {
            network = await MakeAsync(host, "10.1.0.0/16");
            kept = (await host.PublishAsync(network, "kept")).Value;
            await host.PublishAsync(network, "unknown");
        }

        // Claims without an endpoint, as an older version might leave them.
        await _store.CommitAsync(new StoreTransaction([], [new StoreWrite(ClusterKeys.Address("n", A("10.1.0.99")), RecordJson.Write(new AddressRecord("h1", "ghost", "endpoint"))), new StoreWrite(ClusterKeys.Mac("n", M("02:00:00:00:00:99")), "h1/ghost")]), CancellationToken.None);
        await using (var host = await new TestHost(_store, "h1", generation: 2).ConnectedAsync())
        {
            Assert.Empty(await host.Endpoints.ReassertAsync([("n", kept)], CancellationToken.None));
            AssertWhole(_store);
            Assert.Single(host.Replica.View.Networks["n"].Endpoints);
        }

        await using var last = await new TestHost(_store, "h1", generation: 3).ConnectedAsync();
        Assert.Empty(await last.Endpoints.ReassertAsync([], CancellationToken.None));
        Assert.Equal(3, _store.Snapshot().Entries.Count);
    }

    [Fact]
    public async Task A_routed_host_has_one_subnet_and_gives_out_its_addresses_alone()
    {
        await using var one = await new TestHost(_store, "h1").ConnectedAsync();
        await using var two = await new TestHost(_store, "h2").ConnectedAsync();
        var network = (await one.Networks.CreateAsync(Network("n", "10.1.0.0/16") with { Mode = NetworkMode.Routed }, autoVni: true, CancellationToken.None)).Value;
        await two.Replica.WaitForAsync(_store.Revision, CancellationToken.None);
        Assert.Equal(A("10.1.0.2"), (await one.PublishAsync(network, "b")).Value.Addresses[0]);
        await two.Replica.WaitForAsync(_store.Revision, CancellationToken.None);
        Assert.Equal(A("10.1.1.2"), (await two.PublishAsync(network, "c")).Value.Addresses[0]);
        var members = two.Replica.View.Networks["n"].Members;
        Assert.Equal([P("10.1.0.0/24")], members["h1"].Value.Subnets);
        Assert.Equal([P("10.1.1.0/24")], members["h2"].Value.Subnets);
        // Of the address that stands for the host: no endpoint's.
        Assert.Equal(M("02:42:0a:01:01:00"), members["h2"].Value.Mac);
        Assert.Contains("not of 10.1.1.0/24, which is the subnet of this host", (await Assert.ThrowsAsync<CommandRefusedException>(() => two.PublishAsync(network, "d", A("10.1.0.9")))).Message, StringComparison.Ordinal);
        await two.Endpoints.WithdrawAsync("n", "c", CancellationToken.None);
        Assert.False(two.Replica.View.Networks["n"].Members.ContainsKey("h2"));
        Assert.Single(two.Replica.View.Networks["n"].Blocks);
    }

    private static async Task<NetworkRecord> MakeAsync(TestHost host, params string[] subnets) =>
        (await host.Networks.CreateAsync(Network("n", subnets), autoVni: true, CancellationToken.None)).Value;

    public ValueTask DisposeAsync() => _store.DisposeAsync();
}
