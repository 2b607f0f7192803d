using Sleeve.Control.Networks;
using Sleeve.Control.Store;
using Sleeve.Control.Tests.Store;
using static Sleeve.Control.Tests.Networks.TestHost;

namespace Sleeve.Control.Tests.Networks;

public sealed class ReclaimerTests : IAsyncDisposable
{
    private readonly MemoryStore _store = new();
    private readonly Clock _clock = new();
    private readonly List<string> _said = [];

    [Fact]
    public async Task A_host_without_a_sign_of_life_loses_what_it_has_after_the_grace_time_and_not_before()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        await HaveAsync("h2", 150);
        var reclaimer = NewReclaimer(host);
        await LookAsync(host, reclaimer);
        _clock.Go(TimeSpan.FromMinutes(59));
        await LookAsync(host, reclaimer);
        Assert.Empty(_said);
        AssertWhole(_store);
        _clock.Go(TimeSpan.FromMinutes(1));
        await LookAsync(host, reclaimer);
        Assert.Equal(["host h2: freed 150 endpoints, 0 other addresses and MACs, 1 blocks, 1 memberships: it gave no sign of life for 3600 s (grace time 3600 s)"], _said);
        Assert.Equal(3, _store.Snapshot().Entries.Count);
    }

    [Fact]
    public async Task A_sign_of_life_begins_the_grace_time_anew_and_keeps_everything()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        await HaveAsync("h2", 3);
        var before = _store.Snapshot().Entries.Count;
        var reclaimer = NewReclaimer(host);
        await LookAsync(host, reclaimer);
        _clock.Go(TimeSpan.FromMinutes(59));
        await SignAsync("h2", true);
        await LookAsync(host, reclaimer);
        Assert.Empty(reclaimer.Gone);
        await SignAsync("h2", false);
        await LookAsync(host, reclaimer);
        _clock.Go(TimeSpan.FromMinutes(59));
        await LookAsync(host, reclaimer);
        Assert.Empty(_said);
        Assert.Equal(before, _store.Snapshot().Entries.Count);
        // It comes back in the very moment in which it is taken for dead: the transactions hold only without a sign of life.
        await SignAsync("h2", true);
        await Assert.ThrowsAsync<HostReturnedException>(() => reclaimer.ReclaimAsync("h2", "a test", evenIfAlive: false, CancellationToken.None));
        Assert.Equal(before + 1, _store.Snapshot().Entries.Count);
    }

    [Fact]
    public async Task Whoever_was_away_from_the_store_begins_to_count_anew()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        await HaveAsync("h2", 3);
        var reclaimer = NewReclaimer(host);
        await LookAsync(host, reclaimer);
        host.Line.Cut();
        await UntilAsync(() => !host.Replica.IsConnected);
        _clock.Go(TimeSpan.FromHours(5));
        await reclaimer.LookAsync(CancellationToken.None);
        host.Line.Mend();
        await host.ConnectedAsync();
        await LookAsync(host, reclaimer);
        Assert.Empty(_said);
        _clock.Go(TimeSpan.FromHours(1));
        await LookAsync(host, reclaimer);
        Assert.Single(_said);
    }

    [Fact]
    public async Task No_host_takes_itself_for_dead()
    {
        await using var host = await new TestHost(_store, "h2").ConnectedAsync();
        await HaveAsync("h2", 3);
        var reclaimer = NewReclaimer(host);
        await LookAsync(host, reclaimer);
        _clock.Go(TimeSpan.FromHours(5));
        await LookAsync(host, reclaimer);
        Assert.Empty(_said);
    }

    [Fact]
    public async Task Several_hosts_that_reclaim_at_once_do_it_once()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        await HaveAsync("h2", 120);
        await host.Replica.WaitForAsync(_store.Revision, CancellationToken.None);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => NewReclaimer(host).ReclaimAsync("h2", "a test", CancellationToken.None))));
        Assert.Equal(3, _store.Snapshot().Entries.Count);
    }

    [Fact]
    public async Task Only_what_is_still_its_own_is_taken_from_a_dead_host()
    {
        await using var host = await new TestHost(_store, "h1").ConnectedAsync();
        await HaveAsync("h2", 3);
        await host.Replica.WaitForAsync(_store.Revision, CancellationToken.None);
        var network = host.Replica.View.Networks["n"].Record!.Value;
        var own = await host.PublishAsync(network, "mine");
        await host.Reservations.ReserveAsync("n", A("10.1.200.1"), "", CancellationToken.None);
        await NewReclaimer(host).ReclaimAsync("h2", "a test", CancellationToken.None);
        await host.Replica.WaitForAsync(_store.Revision, CancellationToken.None);
        AssertWhole(_store);
        Assert.Equal([("h1", "mine")], host.Replica.View.Networks["n"].Endpoints.Keys);
        Assert.True(host.Replica.View.Networks["n"].Holds("h1", "mine", own.Value.Addresses[0]));
        Assert.True(host.Replica.View.Networks["n"].Addresses.ContainsKey("10.1.200.1"));
    }

    private async Task HaveAsync(string name, int endpoints)
    {
        await using var host = await new TestHost(_store, name).ConnectedAsync();
        var network = (await host.Networks.CreateAsync(Network("n", "10.1.0.0/16"), autoVni: true, CancellationToken.None)).Value;
        await Task.WhenAll(Enumerable.Range(0, endpoints).Select(i => host.PublishAsync(network, $"c{i}")));
    }

    private Task<StoreOutcome> SignAsync(string host, bool isAlive) => _store.CommitAsync(new StoreTransaction([], [new StoreWrite(ClusterKeys.AliveOf(host), isAlive ? "" : null)]), CancellationToken.None);

    private async Task LookAsync(TestHost host, Reclaimer reclaimer)
    {
        await host.Replica.WaitForAsync(_store.Revision, CancellationToken.None);
        await reclaimer.LookAsync(CancellationToken.None);
    }

    private Reclaimer NewReclaimer(TestHost host) => new(_store, host.Replica, host.Self.Name, line =>
    {
        lock (_said) _said.Add(line);
    }, _clock);

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    private sealed class Clock : TimeProvider
    {
        private long _now;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _now;

        public void Go(TimeSpan time) => _now += time.Ticks;
    }
}
