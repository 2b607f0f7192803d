using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Sleeve.Control.Store;

namespace Sleeve.Control.Tests.Store;

/// <summary>Three members of a real etcd, some of which die. What was answered is never lost, what cannot be answered fails soon, and watches miss nothing.</summary>
public sealed class EtcdFaultTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(100);
    private readonly CancellationTokenSource _patience = new(Patience);

    private CancellationToken Soon => _patience.Token;

    public void Dispose() => _patience.Dispose();

    private static EtcdStore StoreOf(RealEtcd etcd, params int[] members) =>
        new(new EtcdStoreOptions(members.Length == 0 ? etcd.Endpoints : [.. members.Select(i => etcd.Endpoints[i])]) { Root = "/sleeve/1/", Quiet = TimeSpan.FromSeconds(2) });

    private Task<StoreOutcome> PutAsync(EtcdStore store, string key, string value) => store.CommitAsync(new StoreTransaction([], [new StoreWrite(key, value)]), Soon);

    // As Replica does it: what failed is asked for again.
    private async Task PutUntilDoneAsync(EtcdStore store, string key, string value)
    {
        while (true)
        {
            try
            {
                await PutAsync(store, key, value);
                return;
            }
            catch (StoreUnavailableException)
            {
                await Task.Delay(50, Soon);
            }
        }
    }

    // Watches for good, taking up again where it broke off.
    private static Task FollowAsync(EtcdStore store, long from, ConcurrentQueue<StoreChange> told, ConcurrentQueue<string> faults, CancellationToken cancellation) => Task.Run(
        async () =>
        {
            var next = from;
            while (!cancellation.IsCancellationRequested)
            {
                try
                {
                    await foreach (var batch in store.WatchAsync("", next, cancellation))
                    {
                        foreach (var change in batch.Changes) told.Enqueue(change);
                        next = batch.Revision + 1;
                    }
                }
                catch (StoreUnavailableException failure)
                {
                    faults.Enqueue(failure.Message);
                    await Task.Delay(50, CancellationToken.None);
                }
                catch (OperationCanceledException)
                {
                    return;
                }
            }
        },
        CancellationToken.None);

    private async Task UntilAsync(Func<bool> condition, string what)
    {
        while (!condition())
        {
            Assert.False(Soon.IsCancellationRequested, $"too late: {what}");
            await Task.Delay(20);
        }
    }

    [Fact]
    public void A_member_that_has_no_gateway_yet_is_asked_again()
    {
        // What etcd answers in its first moments; seen of 3.4.
        var fault = EtcdFault.Of(null, System.Net.HttpStatusCode.NotFound, new Uri("http://192.0.2.1:2379"));
        Assert.Equal((EtcdFaultKind.NotNow, "192.0.2.1:2379: HTTP 404: is it etcd 3.4 or newer?"), (fault.Kind, fault.Message));
    }

    [SkippableFact]
    public async Task When_the_leader_is_killed_writes_go_on_within_seconds_and_watches_miss_nothing()
    {
        await using var etcd = await RealEtcd.StartAsync(3);
        var leader = await etcd.WaitForLeaderAsync();
        // The leader first, so that everything has to move.
        await using var store = StoreOf(etcd, leader, (leader + 1) % 3, (leader + 2) % 3);
        var start = (await PutAsync(store, "begin", "")).Revision;
        var (told, faults) = (new ConcurrentQueue<StoreChange>(), new ConcurrentQueue<string>());
        using var enough = new CancellationTokenSource();
        var following = FollowAsync(store, start + 1, told, faults, enough.Token);
        var longest = TimeSpan.Zero;
        for (var i = 0; i < 60; i++)
        {
            if (i == 20) etcd.Kill(leader);
            var clock = Stopwatch.StartNew();
            await PutUntilDoneAsync(store, $"k{i}", $"{i}");
            if (clock.Elapsed > longest) longest = clock.Elapsed;
        }

        Assert.True(longest < TimeSpan.FromSeconds(30), $"{longest}");
        await UntilAsync(() => told.Select(static change => change.Key).Distinct().Count() == 60, "the watch tells of all");
        // A put that was asked for again may be there twice, but none is out of order or told twice.
        AssertInOrder(told);
        // The member that comes back may be asked again.
        etcd.Start(leader);
        await using var back = StoreOf(etcd, leader);
        await PutUntilDoneAsync(back, "back", "1");
        await UntilAsync(() => told.Any(static change => change.Key == "back"), "the watch goes on");
        await enough.CancelAsync();
        await following;
    }

    private static void AssertInOrder(IEnumerable<StoreChange> told)
    {
        var last = 0L;
        foreach (var change in told)
        {
            Assert.True(change.Entry!.ModRevision > last, $"{change.Key} of {change.Entry.ModRevision} after {last}");
            last = change.Entry.ModRevision;
        }
    }

    [SkippableFact]
    public async Task Without_one_member_all_goes_on_and_one_that_hangs_is_left_for_the_next()
    {
        await using var etcd = await RealEtcd.StartAsync(3);
        var leader = await etcd.WaitForLeaderAsync();
        var (lost, other) = ((leader + 1) % 3, (leader + 2) % 3);
        await using var store = StoreOf(etcd, lost, other, leader);
        await PutAsync(store, "a", "1");
        etcd.Kill(lost);
        for (var i = 0; i < 10; i++) Assert.True((await PutAsync(store, $"k{i}", "")).IsDone);
        etcd.Start(lost);
        await using (var only = StoreOf(etcd, lost)) await PutUntilDoneAsync(only, "again", "");
        // It takes connections and says nothing: reads go to the next after a part of their time, and a watch notices.
        await using var hanging = StoreOf(etcd, lost, other);
        var revision = (await hanging.RangeAsync("", Soon)).Revision;
        var watch = hanging.WatchAsync("", revision + 1, Soon).GetAsyncEnumerator(Soon);
        var next = watch.MoveNextAsync().AsTask();
        await Task.Delay(300);
        etcd.Signal(lost, "STOP");
        try
        {
            Assert.Equal(12, (await hanging.RangeAsync("", Soon)).Entries.Count);
            var silent = await Assert.ThrowsAsync<StoreUnavailableException>(() => next);
            Assert.Contains("no answer", silent.Message, StringComparison.Ordinal);
        }
        finally
        {
            etcd.Signal(lost, "CONT");
        }

        await watch.DisposeAsync();
    }

    [SkippableFact]
    public async Task Without_a_quorum_commits_fail_soon_and_watches_go_on_without_a_gap_when_it_is_back()
    {
        await using var etcd = await RealEtcd.StartAsync(3);
        var leader = await etcd.WaitForLeaderAsync();
        var (first, second) = ((leader + 1) % 3, (leader + 2) % 3);
        await using var store = StoreOf(etcd);
        var start = (await PutAsync(store, "begin", "")).Revision;
        var (told, faults) = (new ConcurrentQueue<StoreChange>(), new ConcurrentQueue<string>());
        using var enough = new CancellationTokenSource();
        var following = FollowAsync(store, start + 1, told, faults, enough.Token);
        await PutAsync(store, "before", "");
        etcd.Kill(leader);
        etcd.Kill(first);
        foreach (var isRead in new[] { false, true })
        {
            var clock = Stopwatch.StartNew();
            var failure = await Assert.ThrowsAsync<StoreUnavailableException>(() => isRead ? store.RangeAsync("", Soon) : PutAsync(store, "lost?", ""));
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(20), $"{clock.Elapsed}");
            // The line says where, and why.
            Assert.Contains("127.0.0.1:", failure.Message, StringComparison.Ordinal);
            Assert.DoesNotContain('\n', failure.Message);
        }

        // A watch on the last member does not go on as if nothing was.
        await UntilAsync(() => !faults.IsEmpty, "the watch breaks");
        etcd.Start(leader);
        etcd.Start(first);
        for (var i = 0; i < 5; i++) await PutUntilDoneAsync(store, $"after{i}", "");
        await UntilAsync(() => told.Any(static change => change.Key == "after4"), "the watch goes on");
        Assert.Equal("before", told.First().Key);
        Assert.Equal(Enumerable.Range(0, 5).Select(static i => $"after{i}"), told.Select(static change => change.Key).Where(static key => key.StartsWith("after", StringComparison.Ordinal)).Distinct());
        AssertInOrder(told);
        Assert.Equal(told.Select(static change => change.Key).Append("begin").Distinct().Order(), (await store.RangeAsync("", Soon)).Entries.Select(static entry => entry.Key).Order());
        Assert.InRange(second, 0, 2);
        await enough.CancelAsync();
        await following;
    }

    [SkippableFact]
    public async Task Of_those_that_write_while_members_die_nothing_that_was_answered_is_lost()
    {
        await using var etcd = await RealEtcd.StartAsync(3);
        await using var store = StoreOf(etcd);
        var done = new ConcurrentDictionary<string, long>();
        using var enough = new CancellationTokenSource();
        var writers = Enumerable.Range(0, 4).Select(writer => Task.Run(async () =>
        {
            for (var i = 0; !enough.IsCancellationRequested; i++)
            {
                var key = string.Create(CultureInfo.InvariantCulture, $"{writer}/{i}");
                try
                {
                    var outcome = await store.CommitAsync(new StoreTransaction([StoreCondition.Absent(key)], [new StoreWrite(key, "")]), Soon);
                    Assert.True(outcome.IsDone);
                    Assert.True(done.TryAdd(key, outcome.Revision));
                }
                catch (StoreUnavailableException)
                {
                    // Nobody knows; another key then.
                }
            }
        })).ToArray();
        for (var round = 0; round < 3; round++)
        {
            // A machine that is busy elects and writes slowly: some are to be under way each time.
            var before = done.Count;
            await UntilAsync(() => done.Count >= before + 20, "writers go on");
            var victim = round % 2 == 0 ? await etcd.WaitForLeaderAsync() : round % 3;
            etcd.Kill(victim);
            await Task.Delay(2500);
            etcd.Start(victim);
            await etcd.WaitForLeaderAsync();
            await Task.Delay(500);
        }

        await enough.CancelAsync();
        await Task.WhenAll(writers);
        var there = (await store.RangeAsync("", Soon)).Entries.ToDictionary(static entry => entry.Key, static entry => entry.ModRevision);
        Assert.All(done, each => Assert.Equal(each.Value, there.GetValueOrDefault(each.Key)));
    }

    [SkippableFact]
    public async Task A_range_under_which_the_history_is_compacted_is_read_whole()
    {
        await using var etcd = await RealEtcd.StartAsync(1);
        await using var store = StoreOf(etcd);
        for (var i = 0; i < 20; i++) await store.CommitAsync(new StoreTransaction([], [.. Enumerable.Range(0, 100).Select(each => new StoreWrite($"k{i:d2}{each:d2}", ""))]), Soon);
        using var enough = new CancellationTokenSource();
        var compacting = Task.Run(async () =>
        {
            while (!enough.IsCancellationRequested)
            {
                var revision = (await PutAsync(store, "k", "")).Revision;
                await etcd.CompactAsync(revision);
                await Task.Delay(20);
            }
        });
        var whole = 0;
        for (var i = 0; i < 20; i++)
        {
            try
            {
                Assert.InRange((await store.RangeAsync("", Soon)).Entries.Count, 2000, 2001);
                whole++;
            }
            catch (StoreUnavailableException failure)
            {
                // It may come between each time; then it is told, and not half of it given.
                Assert.Contains("compacted", failure.Message, StringComparison.Ordinal);
            }
        }

        await enough.CancelAsync();
        await compacting;
        Assert.True(whole > 0);
    }

    [SkippableFact]
    public async Task A_cluster_that_was_set_up_anew_has_everything_read_again()
    {
        await using var one = await RealEtcd.StartAsync(1);
        await using var two = await RealEtcd.StartAsync(1);
        // Both behind one address, as after a cluster was replaced.
        await using var store = new EtcdStore(new EtcdStoreOptions([one.Endpoints[0], two.Endpoints[0]]));
        await PutAsync(store, "a", "1");
        var revision = (await PutAsync(store, "a", "2")).Revision;
        var identity = store.Identity;
        one.Kill(0);
        await using var other = new EtcdStore(new EtcdStoreOptions(two.Endpoints));
        for (var i = 0; i < 10; i++) await PutAsync(other, "b", $"{i}");
        await Assert.ThrowsAsync<StoreCompactedException>(async () =>
        {
            await foreach (var batch in store.WatchAsync("", revision + 1, Soon)) Assert.Fail($"{batch}");
        });
        Assert.Equal("b", Assert.Single((await store.RangeAsync("", Soon)).Entries).Key);
        Assert.NotEqual(identity, store.Identity);
    }

    [SkippableFact]
    public async Task A_watch_that_is_dead_inside_etcd_is_noticed_and_what_others_write_is_no_sign_of_it()
    {
        await using var etcd = await RealEtcd.StartAsync(1);
        await using var proxy = new MutableProxy(etcd.Endpoints[0]);
        await using var direct = StoreOf(etcd);
        await using var store = new EtcdStore(new EtcdStoreOptions([proxy.Endpoint]) { Root = "/sleeve/1/", Quiet = TimeSpan.FromMilliseconds(300) });
        var begin = (await PutAsync(direct, "a", "1")).Revision;
        await using (var watch = store.WatchAsync("", begin, Soon).GetAsyncEnumerator(Soon))
        {
            Assert.True(await watch.MoveNextAsync());
            proxy.IsMute = true;
            var next = watch.MoveNextAsync().AsTask();
            for (var i = 0; i < 5; i++)
            {
                await etcd.PostAsync("/v3/kv/put", """{"key":"L290aGVycw==","value":"MQ=="}""");
                await Task.Delay(350, Soon);
            }

            Assert.False(next.IsCompleted);
            await PutAsync(direct, "b", "2");
            // Others go on writing, so that it is looked at every sixteenth time at the latest.
            var failure = await Assert.ThrowsAsync<StoreUnavailableException>(() => next);
            Assert.Contains("the watch does not tell what was changed", failure.Message, StringComparison.Ordinal);
        }

        proxy.IsMute = false;
        await foreach (var batch in store.WatchAsync("", begin + 1, Soon))
        {
            Assert.Equal("b", Assert.Single(batch.Changes).Key);
            break;
        }
    }
}
