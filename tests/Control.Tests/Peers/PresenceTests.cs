using System.Collections.Immutable;
using Sleeve.Control.Daemon;
using Sleeve.Control.Networks;
using Sleeve.Control.Peers;
using Sleeve.Control.Tests.Store;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Tests.Peers;

/// <summary>What a host says of itself in the store, and what others may do about it.</summary>
public sealed class PresenceTests : IAsyncDisposable
{
    private readonly MemoryStore _store = new();
    private readonly List<string> _said = [];
    private PeerRecord _self = Record("a", 1);

    [Fact]
    public async Task A_host_says_what_it_is_and_counts_its_starts()
    {
        Assert.NotEqual(0, await New().PublishAsync(CancellationToken.None));
        Assert.Equal((1, "instance-a"), ((await PeerAsync("a"))!.Generation, await ValueAsync("alive/a")));
        // Killed and started again before its lease ends: the same state, so the same host.
        var again = New(generation: 1);
        Assert.NotEqual(0, await again.PublishAsync(CancellationToken.None));
        Assert.Equal(2, (await PeerAsync("a"))!.Generation);
        Assert.Equal(again.Published, await PeerAsync("a"));
        // It lost its state; the record knows better.
        Assert.Equal(0, await New(instance: "instance-new").PublishAsync(CancellationToken.None));
        Assert.Equal(2, (await PeerAsync("a"))!.Generation);
        Assert.Contains("name a: another host has it, with the VTEP 192.0.2.1:4789, and is alive; give this one another name (--name)", Assert.Single(_said), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_name_whose_host_is_no_longer_alive_may_be_taken_and_its_generation_goes_on()
    {
        var lease = await New().PublishAsync(CancellationToken.None);
        await _store.RevokeAsync(lease, CancellationToken.None);
        _self = Record("a", 9);
        Assert.NotEqual(0, await New(instance: "instance-b").PublishAsync(CancellationToken.None));
        var record = (await PeerAsync("a"))!;
        Assert.Equal((2, Record("a", 9).Local), (record.Generation, record.Local));
    }

    [Fact]
    public async Task It_is_back_after_the_store_was_away_and_after_its_lease_was_lost()
    {
        var presence = New();
        using var stop = new CancellationTokenSource();
        _store.IsAway = true;
        var run = presence.RunAsync(stop.Token);
        await UntilAsync(() => presence.Fault is not null && _said.Count == 1);
        _store.IsAway = false;
        await UntilAsync(() => presence.Fault is null);
        Assert.NotNull(await PeerAsync("a"));
        var entry = (await _store.RangeAsync("alive/a", CancellationToken.None)).Entries[0];
        await _store.RevokeAsync(entry.Lease, CancellationToken.None);
        await UntilAsync(() => ValueAsync("alive/a").Result is not null);
        Assert.Equal(1, (await PeerAsync("a"))!.Generation);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run);
    }

    [Fact]
    public async Task That_a_host_drains_outlives_its_restart()
    {
        await New().PublishAsync(CancellationToken.None);
        var directory = NewDirectory("b");
        Assert.True(await directory.DrainAsync("a", true, CancellationToken.None));
        Assert.False(await directory.DrainAsync("a", true, CancellationToken.None));
        var again = New(generation: 1);
        await again.PublishAsync(CancellationToken.None);
        Assert.True((await PeerAsync("a"))!.IsDraining);
        Assert.True(again.Published!.IsDraining);
        Assert.True(await directory.DrainAsync("a", false, CancellationToken.None));
        Assert.False((await PeerAsync("a"))!.IsDraining);
        await Assert.ThrowsAsync<CommandRefusedException>(() => directory.DrainAsync("nobody", true, CancellationToken.None));
    }

    [Fact]
    public async Task A_host_that_is_alive_is_only_forgotten_by_force_and_its_claims_first()
    {
        await New().PublishAsync(CancellationToken.None);
        var steps = new List<string>();
        var directory = NewDirectory("b", async host =>
        {
            steps.Add($"{host} {await ValueAsync("peers/a") is not null}");
            return 5;
        });
        Assert.Contains("is alive", (await Assert.ThrowsAsync<CommandRefusedException>(() => directory.ForgetAsync("a", false, CancellationToken.None))).Message, StringComparison.Ordinal);
        Assert.Contains("sleeve leave", (await Assert.ThrowsAsync<CommandRefusedException>(() => directory.ForgetAsync("b", true, CancellationToken.None))).Message, StringComparison.Ordinal);
        Assert.Equal(7, await directory.ForgetAsync("a", true, CancellationToken.None));
        Assert.Equal(["a True"], steps);
        Assert.Null(await ValueAsync("peers/a"));
        Assert.Null(await ValueAsync("alive/a"));
        await Assert.ThrowsAsync<CommandRefusedException>(() => directory.ForgetAsync("a", true, CancellationToken.None));
    }

    [Fact]
    public void Hosts_are_listed_with_what_is_known_of_them()
    {
        var view = new ClusterView
        {
            Revision = 5,
            Peers = ImmutableDictionary<string, Published<PeerRecord>>.Empty.Add("b", new(Record("b", 2), "b", 3)).Add("a", new(Record("a", 1), "a", 4)),
            Alive = ["a", "c"],
        };
        var directory = new PeerDirectory { Self = "a", Store = _store, View = () => view };
        Assert.Equal([("a", true, true, true), ("b", false, false, true), ("c", false, true, false)],
            directory.List().Select(static peer => (peer.Name, peer.IsSelf, peer.IsAlive, peer.Record is not null)));
    }

    private Presence New(long generation = 0, string instance = "instance-a") => new(_store, () => _self, instance, least => Math.Max(least, generation) + 1, line =>
    {
        lock (_said) _said.Add(line);
    });

    private PeerDirectory NewDirectory(string self, Func<string, Task<int>>? forget = null) => new()
    {
        Self = self, Store = _store, View = static () => ClusterView.Empty, ForgetClaimsAsync = (host, _) => forget?.Invoke(host) ?? Task.FromResult(0),
    };

    private static PeerRecord Record(string name, uint last) => new(name, InternetAddress.FromIPv4(0xC000_0200 + last), 4789);

    private async Task<string?> ValueAsync(string key) => (await _store.RangeAsync(key, CancellationToken.None)).Entries.FirstOrDefault(entry => entry.Key == key)?.Value;

    private async Task<PeerRecord?> PeerAsync(string host) => RecordJson.TryRead<PeerRecord>(await ValueAsync($"peers/{host}"), out var record, out _) ? record : null;

    private static async Task UntilAsync(Func<bool> isSo)
    {
        for (var i = 0; i < 1000 && !isSo(); i++) await Task.Delay(30);
        Assert.True(isSo());
    }

    public ValueTask DisposeAsync() => _store.DisposeAsync();
}
