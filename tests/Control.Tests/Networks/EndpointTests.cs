using System.Collections.Immutable;
using Sleeve.Control.Daemon;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;
using static Sleeve.Control.Tests.Networks.Views;
using static Sleeve.Control.Tests.Store.Values;

namespace Sleeve.Control.Tests.Networks;

/// <summary>Attaching and detaching with crashes at every step, over a journal on disk and a host and a cluster in memory that outlive the process.</summary>
public sealed class EndpointTests : IDisposable
{
    private const string Network = "net";

    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-endpoints-").FullName;
    private readonly List<string> _said = [];
    private readonly World _world = new();
    private readonly List<string> _putBack = [];
    private ClusterView _view = View;
    private StateStore _store;

    public EndpointTests() => _store = StateStore.Open(_folder, _said.Add);

    public void Dispose()
    {
        _store.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private sealed class CrashException : Exception;

    /// <summary>The host and the cluster: what is there whether or not the daemon runs.</summary>
    private sealed class World : IEndpointWires, IEndpointClaims
    {
        public Dictionary<string, string> Namespaces { get; } = new() { ["c1"] = "boot/net:[1]", ["c2"] = "boot/net:[2]" };

        public Dictionary<string, (string Identity, WirePlan Plan)> Wires { get; } = [];

        public Dictionary<string, HashSet<string>> Networks { get; } = [];

        public Dictionary<(string Network, string Id), EndpointRecord> Published { get; } = [];

        public List<LostClaim> Lost { get; } = [];

        public bool IsStoreAway { get; set; }

        public bool IsWiringBroken { get; set; }

        public long Revision { get; private set; } = 10;

        public void Restart() => Networks.Clear();

        public Task<LocalNetwork> HoldAsync(NetworkRecord record, string user, CancellationToken cancellation)
        {
            if (!Networks.TryGetValue(record.Name, out var users)) Networks[record.Name] = users = [];
            users.Add(user);
            return Task.FromResult(new LocalNetwork(record, 1450));
        }

        public Task ReleaseAsync(string network, string user)
        {
            if (Networks.TryGetValue(network, out var users) && users.Remove(user) && users.Count == 0) Networks.Remove(network);
            return Task.CompletedTask;
        }

        public Task<string> IdentifyAsync(string target, CancellationToken cancellation) =>
            Namespaces.TryGetValue(target, out var identity) ? Task.FromResult(identity) : throw new HostException($"target {target}: there is none");

        public Task<string> ConnectAsync(string target, string identity, WirePlan plan, CancellationToken cancellation)
        {
            if (IsWiringBroken) throw new HostException("the kernel says no");
            Assert.Equal(identity, Namespaces[target]);
            Wires[plan.Link] = (identity, plan);
            return Task.FromResult(plan.InterfaceName == "" ? "eth0" : plan.InterfaceName);
        }

        public void Plug(string link, LocalNetwork network) => Assert.Contains(link, Wires.Keys);

        public bool Disconnect(string link) => Wires.Remove(link);

        public IReadOnlySet<string> Links() => Wires.Keys.ToHashSet();

        public void RemoveLeftOvers(IReadOnlySet<string> links)
        {
            foreach (var link in Wires.Keys.Where(link => !links.Contains(link))) Wires.Remove(link);
        }

        public Task<Published<EndpointRecord>> PublishAsync(NetworkRecord network, EndpointRecord draft, CancellationToken cancellation)
        {
            RequireStore();
            if (draft.Addresses.Contains(Ip("10.1.0.66"))) throw new CommandRefusedException(RefusalKind.Conflict, ["address 10.1.0.66: is taken"]);
            var record = draft with { Vtep = At(1).Address, Mac = draft.Mac.IsZero ? Mac((int)++Revision) : draft.Mac, Addresses = draft.Addresses.Count > 0 ? draft.Addresses : [Ip("10.1.0.9")] };
            Published[(network.Name, draft.Id)] = record;
            return Task.FromResult(new Published<EndpointRecord>(record, "h1", ++Revision));
        }

        public Task WithdrawAsync(string network, string id, CancellationToken cancellation)
        {
            RequireStore();
            Published.Remove((network, id));
            return Task.CompletedTask;
        }

        public Task<IReadOnlyList<LostClaim>> ReassertAsync(IReadOnlyList<(string Network, EndpointRecord Endpoint)> local, CancellationToken cancellation)
        {
            RequireStore();
            foreach (var (network, endpoint) in local)
                if (Lost.All(claim => claim.Endpoint != endpoint.Id)) Published[(network, endpoint.Id)] = endpoint;
            return Task.FromResult<IReadOnlyList<LostClaim>>(Lost);
        }

        private void RequireStore()
        {
            if (IsStoreAway) throw new StoreUnavailableException("the store does not answer");
        }
    }

    private static readonly ClusterView View = new() { Networks = ImmutableDictionary<string, NetworkView>.Empty.Add(Network, Empty) };

    private Endpoints New(Action<string>? onStep = null) => new(_store, _world, _world, () => _view, _said.Add)
    {
        OnStep = onStep ?? (static _ => { }),
        PutBackNetwork = (record, _) =>
        {
            _putBack.Add(record.Name);
            return Task.CompletedTask;
        },
    };

    // As kill -9 and another start: what was in memory is gone.
    private async Task<Endpoints> RestartAsync()
    {
        _store.Dispose();
        _store = StateStore.Open(_folder, _said.Add);
        _world.Restart();
        var endpoints = New();
        await endpoints.ReconcileAsync(CancellationToken.None);
        return endpoints;
    }

    private static Task<EndpointEntry> Attach(Endpoints endpoints, string target = "c1", Func<AttachRequest, AttachRequest>? change = null) =>
        endpoints.AttachAsync(Network, WireTarget.IdOf(target), change is null ? new AttachRequest(target) : change(new AttachRequest(target)), CancellationToken.None);

    private void AssertNothingIsLeft(Endpoints endpoints)
    {
        Assert.Empty(_world.Wires);
        Assert.Empty(_world.Networks);
        Assert.Empty(_world.Published);
        Assert.Empty(endpoints.List);
        Assert.Empty(_store.Endpoints);
    }

    private void AssertAttached(Endpoints endpoints)
    {
        var entry = Assert.Single(endpoints.List);
        Assert.Equal(EndpointState.Attached, entry.State);
        Assert.Equal(entry.Published!.Mac, _world.Wires[EndpointEntry.LinkOf(Views.Record, "c1")].Plan.Mac);
        Assert.Equal(["c1"], _world.Networks[Network]);
        Assert.Contains((Network, "c1"), _world.Published.Keys);
        Assert.Single(_store.Endpoints);
    }

    [Fact]
    public async Task Attaching_publishes_then_wires_and_detaching_takes_all_of_it_back()
    {
        var steps = new List<string>();
        var endpoints = New(steps.Add);
        var entry = await Attach(endpoints, change: static request => request with { Addresses = ["10.1.0.9", "fd00::9"], Mac = "02:00:00:00:00:09", Ifname = "net0", Name = "web" });
        Assert.Equal(["intend", "publish", "note", "hold", "wait", "wire", "finish", "done"], steps);
        AssertAttached(endpoints);
        var plan = _world.Wires.Values.Single().Plan;
        Assert.Equal([Prefix("10.1.0.9/24"), Prefix("fd00::9/64")], plan.Addresses);
        Assert.Equal((1450, "slbr-100", "net0", false), (plan.Mtu, plan.Bridge, plan.InterfaceName, plan.InsistsOnGateways));
        Assert.Equal([Ip("10.1.0.1")], plan.Gateways);
        Assert.Equal("net0", entry.Ifname);
        Assert.Equal(DetachOutcome.Done, await endpoints.DetachAsync(Network, "c1", CancellationToken.None));
        AssertNothingIsLeft(endpoints);
        Assert.Equal(DetachOutcome.Nothing, await endpoints.DetachAsync(Network, "c1", CancellationToken.None));
    }

    [Fact]
    public async Task Attaching_twice_is_as_once_and_asks_the_store_once()
    {
        var endpoints = New();
        var first = await Attach(endpoints);
        _world.IsStoreAway = true;
        Assert.Equal(first, await Attach(endpoints));
        AssertAttached(endpoints);
    }

    [Theory]
    [InlineData("intend")]
    [InlineData("publish")]
    [InlineData("note")]
    [InlineData("hold")]
    [InlineData("wait")]
    [InlineData("wire")]
    [InlineData("finish")]
    public async Task A_crash_while_attaching_is_undone_by_the_next_run(string step)
    {
        await Assert.ThrowsAsync<CrashException>(() => Attach(New(at => Crash(at, step))));
        var endpoints = await RestartAsync();
        AssertNothingIsLeft(endpoints);
        await Attach(endpoints);
        AssertAttached(endpoints);
    }

    private static void Crash(string at, string step)
    {
        if (at == step) throw new CrashException();
    }

    [Theory]
    [InlineData("unwire")]
    [InlineData("release")]
    [InlineData("withdraw")]
    [InlineData("forget")]
    public async Task A_crash_while_detaching_is_finished_by_the_next_run(string step)
    {
        await Attach(New());
        var endpoints = New(at => Crash(at, step));
        await endpoints.ReconcileAsync(CancellationToken.None);
        await Assert.ThrowsAsync<CrashException>(() => endpoints.DetachAsync(Network, "c1", CancellationToken.None));
        AssertNothingIsLeft(await RestartAsync());
    }

    [Fact]
    public async Task What_is_attached_goes_on_after_a_crash_also_while_the_store_is_away()
    {
        await Attach(New());
        _world.IsStoreAway = true;
        var endpoints = await RestartAsync();
        AssertAttached(endpoints);
        _world.IsStoreAway = false;
        _world.Published.Clear();
        await endpoints.TellStoreAsync(CancellationToken.None);
        AssertAttached(endpoints);
    }

    [Fact]
    public async Task What_a_restart_of_the_host_ended_does_not_come_back()
    {
        await Attach(New());
        // Names are there again, but other namespaces; links are not.
        _world.Namespaces["c1"] = "next boot/net:[1]";
        _world.Wires.Clear();
        AssertNothingIsLeft(await RestartAsync());
        Assert.Contains("endpoint c1 of net: withdrawn: its namespace (c1) is gone", _said);
    }

    [Fact]
    public async Task A_wire_that_was_removed_while_the_daemon_was_down_is_made_again_if_its_namespace_is_there()
    {
        await Attach(New());
        _world.Wires.Clear();
        AssertAttached(await RestartAsync());
    }

    [Fact]
    public async Task An_endpoint_whose_namespace_ends_is_withdrawn_with_the_reason()
    {
        var endpoints = New();
        await Attach(endpoints);
        await endpoints.RemoveDeadAsync(CancellationToken.None);
        AssertAttached(endpoints);
        _world.Namespaces.Remove("c1");
        _world.Wires.Clear();
        await endpoints.RemoveDeadAsync(CancellationToken.None);
        AssertNothingIsLeft(endpoints);
        Assert.Equal(["endpoint c1 of net: withdrawn: its namespace (c1) is gone"], _said);
    }

    [Fact]
    public async Task With_the_store_away_attaching_fails_and_detaching_takes_the_wire_and_tells_later()
    {
        var endpoints = New();
        await Attach(endpoints);
        _world.IsStoreAway = true;
        await Assert.ThrowsAsync<StoreUnavailableException>(() => Attach(endpoints, "c2"));
        Assert.Single(_world.Wires);
        Assert.Equal(DetachOutcome.Queued, await endpoints.DetachAsync(Network, "c1", CancellationToken.None));
        Assert.Empty(_world.Wires);
        Assert.Empty(_world.Networks);
        await Assert.ThrowsAsync<StoreUnavailableException>(() => Attach(endpoints));
        // It is told also by a daemon that was started meanwhile.
        endpoints = await RestartAsync();
        _world.IsStoreAway = false;
        await endpoints.TellStoreAsync(CancellationToken.None);
        AssertNothingIsLeft(endpoints);
        await Attach(endpoints);
        AssertAttached(endpoints);
    }

    [Fact]
    public async Task What_cannot_be_wired_is_withdrawn_at_once()
    {
        var endpoints = New();
        _world.IsWiringBroken = true;
        var refusal = await Assert.ThrowsAsync<CommandRefusedException>(() => Attach(endpoints));
        Assert.Equal(["the kernel says no"], refusal.Errors);
        AssertNothingIsLeft(endpoints);
        await Assert.ThrowsAsync<CommandRefusedException>(() => Attach(endpoints, change: static request => request with { Addresses = ["10.1.0.66"] }));
        AssertNothingIsLeft(endpoints);
    }

    [Fact]
    public async Task What_is_another_s_by_now_is_given_up()
    {
        await Attach(New());
        _world.Lost.Add(new LostClaim(Network, "c1", "address 10.1.0.9", "web of h2", 77));
        var endpoints = await RestartAsync();
        Assert.Empty(endpoints.List);
        Assert.Empty(_world.Wires);
        Assert.Contains("endpoint c1 of net: withdrawn: its address 10.1.0.9 is web of h2 by now", _said);
    }

    [Fact]
    public async Task After_a_restore_nobody_gives_way_to_a_ghost_and_the_networks_of_endpoints_are_made_again()
    {
        var endpoints = New();
        await Attach(endpoints);
        _world.Lost.Add(new LostClaim(Network, "c1", "address 10.1.0.9", "web of h2", 77));
        endpoints.ExpectGhosts();
        await endpoints.TellStoreAsync(default);
        AssertAttached(endpoints);
        // Its host took the ghost back; the next attempt gets through.
        _world.Lost.Clear();
        _world.Published.Clear();
        await endpoints.TellStoreAsync(default);
        AssertAttached(endpoints);
        Assert.NotEmpty(_world.Published);
        Assert.Empty(_putBack);

        _view = ClusterView.Empty;
        endpoints.ExpectGhosts();
        await endpoints.TellStoreAsync(default);
        Assert.Equal([Network], _putBack);
        AssertAttached(endpoints);
    }

    [Fact]
    public async Task Another_target_under_the_same_id_is_refused_while_the_first_is_there_and_taken_when_it_is_gone()
    {
        var endpoints = New();
        await Attach(endpoints);
        _world.Namespaces["c1"] = "boot/net:[7]";
        var refusal = await Assert.ThrowsAsync<CommandRefusedException>(() => Attach(endpoints));
        Assert.StartsWith("endpoint c1 of net: is attached to another namespace", refusal.Message, StringComparison.Ordinal);
        // The container was started again: its old namespace went.
        _world.Wires.Clear();
        await Attach(endpoints);
        AssertAttached(endpoints);
        Assert.Equal("boot/net:[7]", endpoints.List[0].Identity);
    }

    [Fact]
    public async Task Other_words_under_the_same_id_are_refused_and_change_nothing()
    {
        var endpoints = New();
        var first = await Attach(endpoints);
        var refusal = await Assert.ThrowsAsync<CommandRefusedException>(() => Attach(endpoints, change: static request => request with { Addresses = ["10.1.0.20"] }));
        Assert.Equal("endpoint c1 of net: is attached already, with other words; sleeve detach net c1 first", refusal.Message);
        AssertAttached(endpoints);
        Assert.Equal(first, endpoints.List[0]);
    }

    [Fact]
    public async Task Wrong_words_are_refused_all_at_once_and_nothing_is_done()
    {
        var endpoints = New();
        var refusal = await Assert.ThrowsAsync<CommandRefusedException>(() => Attach(endpoints, change: static request => request with
        {
            Addresses = ["10.1.0.0.1", "224.0.0.1"], Mac = "02:53:4c:00:00:64", Ifname = "a/b", Gateway = "yes", Name = "-", Aliases = ["a b"],
        }));
        Assert.Equal(RefusalKind.Invalid, refusal.Kind);
        Assert.Equal(7, refusal.Errors.Count);
        await Assert.ThrowsAsync<CommandRefusedException>(() => endpoints.AttachAsync("nobody", "c1", new AttachRequest("c1"), CancellationToken.None));
        await Assert.ThrowsAsync<CommandRefusedException>(() => Attach(endpoints, "c3"));
        AssertNothingIsLeft(endpoints);
    }

    [Fact]
    public async Task Damaged_notes_are_left_out_and_told()
    {
        await Attach(New());
        _store.SaveEndpoint(new StoredEndpoint(Network, "bad", "{\"id\":"));
        _store.SaveEndpoint(new StoredEndpoint(Network, "worse", """{"network":"{}","id":"worse","request":{"target":"x"},"identity":"y"}"""));
        var endpoints = await RestartAsync();
        Assert.Single(endpoints.List);
        Assert.Equal(2, _said.Count(static line => line.Contains("is damaged", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Many_at_the_same_time_end_as_if_one_after_the_other()
    {
        var endpoints = New();
        for (var i = 0; i < 20; i++) _world.Namespaces[$"n{i}"] = $"boot/net:[{i + 100}]";
        // The world is not made for several threads, and needs not be: nothing in it waits.
        await Task.WhenAll(Enumerable.Range(0, 200).Select(async i =>
        {
            var target = $"n{i % 20}";
            if (i % 3 == 2) await endpoints.DetachAsync(Network, target, CancellationToken.None);
            else await Attach(endpoints, target);
        }));
        foreach (var entry in endpoints.List) await endpoints.DetachAsync(Network, entry.Id, CancellationToken.None);
        AssertNothingIsLeft(endpoints);
    }
}
