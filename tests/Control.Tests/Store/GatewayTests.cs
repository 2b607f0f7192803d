using System.Text;
using Sleeve.Control.Store;

namespace Sleeve.Control.Tests.Store;

/// <summary>What a host may do at the store of another one, and what becomes of its watches when that store ends, comes back or goes back in time.</summary>
public sealed class GatewayTests : IDisposable
{
    private readonly CancellationTokenSource _patience = new(TimeSpan.FromSeconds(60));

    private CancellationToken Soon => _patience.Token;

    public void Dispose() => _patience.Dispose();

    private Task<StoreOutcome> PutAsync(EtcdStore store, string key, string? value, long lease = 0) => store.CommitAsync(new StoreTransaction([], [new StoreWrite(key, value, lease)]), Soon);

    [Fact]
    public async Task A_host_writes_under_its_own_name_only()
    {
        await using var served = await ServedStore.StartAsync();
        await using var a = served.ClientOf("a");
        await using var b = served.ClientOf("b");
        Assert.True((await PutAsync(a, "peers/a", "{}")).IsDone);
        var refusal = await Assert.ThrowsAsync<StoreRefusedException>(() => PutAsync(b, "peers/a", "{}"));
        Assert.Contains("b may not write peers/a, which is a's", refusal.Message, StringComparison.Ordinal);
        // Reading is free.
        Assert.Equal("peers/a", Assert.Single((await b.RangeAsync("", Soon)).Entries).Key);
        // Of two that claim one address the first has it, and the other may neither take nor delete it while the first lives.
        var alive = await a.GrantAsync(TimeSpan.FromSeconds(100), Soon);
        await PutAsync(a, "alive/a", "", alive);
        await PutAsync(a, "addresses/net/10.0.0.1", """{"host":"a"}""");
        await Assert.ThrowsAsync<StoreRefusedException>(() => PutAsync(b, "addresses/net/10.0.0.1", """{"host":"b"}"""));
        await Assert.ThrowsAsync<StoreRefusedException>(() => PutAsync(b, "addresses/net/10.0.0.1", null));
        await a.RevokeAsync(alive, Soon);
        Assert.True((await PutAsync(b, "addresses/net/10.0.0.1", null)).IsDone);
    }

    [Fact]
    public async Task Whoever_is_not_known_may_not_even_read()
    {
        await using var served = await ServedStore.StartAsync();
        await using var nobody = served.ClientOf(null);
        await Assert.ThrowsAsync<StoreRefusedException>(() => nobody.RangeAsync("", Soon));
        await Assert.ThrowsAsync<StoreRefusedException>(() => PutAsync(nobody, "peers/a", "{}"));
        await Assert.ThrowsAsync<StoreRefusedException>(() => nobody.GrantAsync(TimeSpan.FromSeconds(5), Soon));
        await Assert.ThrowsAsync<StoreRefusedException>(() => FirstAsync(nobody, 1));
    }

    private async Task<StoreBatch> FirstAsync(EtcdStore store, long from)
    {
        await foreach (var batch in store.WatchAsync("", from, Soon)) return batch;
        throw new InvalidOperationException();
    }

    [Fact]
    public async Task A_lease_is_its_maker_s()
    {
        await using var served = await ServedStore.StartAsync();
        await using var a = served.ClientOf("a");
        await using var b = served.ClientOf("b");
        var lease = await a.GrantAsync(TimeSpan.FromSeconds(100), Soon);
        await PutAsync(a, "alive/a", "", lease);
        await Assert.ThrowsAsync<StoreRefusedException>(() => b.KeepAliveAsync(lease, Soon));
        await Assert.ThrowsAsync<StoreRefusedException>(() => b.RevokeAsync(lease, Soon));
        await Assert.ThrowsAsync<StoreRefusedException>(() => PutAsync(b, "alive/b", "", lease));
        Assert.True(await a.KeepAliveAsync(lease, Soon));
        Assert.Equal("alive/a", Assert.Single((await a.RangeAsync("", Soon)).Entries).Key);
    }

    [Fact]
    public async Task A_host_that_asks_too_much_is_told_so_and_others_go_on()
    {
        await using var served = await ServedStore.StartAsync(new StoreGatewayOptions { Burst = 5, RequestsPerSecond = 0.001, MaxWatches = 1 });
        await using var a = served.ClientOf("a", static options => options with { Timeout = TimeSpan.FromSeconds(1) });
        await using var b = served.ClientOf("b");
        await PutAsync(b, "peers/b", "{}");
        await using var watch = b.WatchAsync("", 2, Soon).GetAsyncEnumerator(Soon);
        Assert.True(await watch.MoveNextAsync());
        var second = await served.PostAsync("/v3/watch", """{"create_request":{"key":"AA==","range_end":"AA=="}}"""u8.ToArray(), "b");
        Assert.Equal(429, second.Status);
        Assert.Contains("1 watches at once are the limit", second.Body, StringComparison.Ordinal);
        var range = """{"key":"AA==","range_end":"AA=="}"""u8.ToArray();
        for (var i = 0; i < 5; i++) Assert.Equal(200, (await served.PostAsync("/v3/kv/range", range, "a")).Status);
        var more = await served.PostAsync("/v3/kv/range", range, "a");
        Assert.Equal(429, more.Status);
        Assert.Contains("too many requests of a", more.Body, StringComparison.Ordinal);
        // It asks again for as long as it may, and then gives up.
        await Assert.ThrowsAsync<StoreUnavailableException>(() => a.RangeAsync("", Soon));
        // The watch of the other is not touched by that.
        await served.Store.CommitAsync(new StoreTransaction([], [new StoreWrite("c", "1")]), Soon);
        Assert.True(await watch.MoveNextAsync());
    }

    [Theory]
    [InlineData("/v3/kv/range", "", 400)]
    [InlineData("/v3/kv/range", "{}", 400)]
    [InlineData("/v3/kv/range", "null", 400)]
    [InlineData("/v3/kv/range", """{"key":"!"}""", 400)]
    [InlineData("/v3/kv/range", """{"key":"YQ==","revision":"99999"}""", 400)]
    [InlineData("/v3/kv/range", """{"key":"YQ==","limit":"99999999999","range_end":"AA=="}""", 200)]
    [InlineData("/v3/kv/txn", """{"compare":[null]}""", 400)]
    [InlineData("/v3/kv/txn", """{"compare":[{"target":"VERSION","key":"YQ=="}]}""", 400)]
    [InlineData("/v3/kv/txn", """{"compare":[{"target":"MOD","result":"GREATER","key":"YQ=="}]}""", 400)]
    [InlineData("/v3/kv/txn", """{"success":[{}]}""", 400)]
    [InlineData("/v3/kv/txn", """{"success":[{"request_delete_range":{"key":"YQ==","range_end":"AA=="}}]}""", 400)]
    [InlineData("/v3/kv/txn", """{"success":[{"request_put":{"key":"/w==","value":""}}]}""", 400)]
    [InlineData("/v3/kv/txn", """{"success":[{"request_put":{"key":"bmV0d29ya3MvYQ==","value":"/w=="}}]}""", 400)]
    [InlineData("/v3/kv/txn", """{"success":[{"request_put":{"key":"bmV0d29ya3MvYQ==","value":"","lease":"5"}}]}""", 404)]
    [InlineData("/v3/kv/txn", """{"success":[{"request_put":{"key":"YQ==","value":""}}]}""", 403)]
    [InlineData("/v3/kv/txn", """{"failure":[{"request_range":{"key":"YQ=="}}]}""", 400)]
    [InlineData("/v3/kv/txn", """{}""", 200)]
    [InlineData("/v3/watch", """{}""", 400)]
    [InlineData("/v3/watch", """{"create_request":{"key":"YQ=="}}""", 400)]
    [InlineData("/v3/watch", """{"create_request":{"key":"YQ==","range_end":"YQ=="}}""", 400)]
    [InlineData("/v3/lease/grant", """{"TTL":"0"}""", 400)]
    [InlineData("/v3/lease/grant", """{"TTL":"5","ID":"5"}""", 400)]
    [InlineData("/v3/lease/revoke", """{"ID":"5"}""", 404)]
    [InlineData("/v3/lease/keepalive", """{"ID":"5"}""", 200)]
    [InlineData("/v3/kv/put", """{}""", 404)]
    public async Task Requests_that_it_does_not_serve_are_answered_as_etcd_would(string path, string body, int status)
    {
        await using var served = await ServedStore.StartAsync();
        var answer = await served.PostAsync(path, Encoding.UTF8.GetBytes(body));
        Assert.True(answer.Status == status, $"{answer.Status}: {answer.Body}");
        Assert.Equal(1, served.Store.Revision);
    }

    [Fact]
    public async Task A_request_has_a_largest_size()
    {
        await using var served = await ServedStore.StartAsync(new StoreGatewayOptions { MaxBodyBytes = 10_000 });
        Assert.Equal(200, (await served.PostAsync("/v3/kv/txn", Encoding.UTF8.GetBytes("{}" + new string(' ', 9_998)))).Status);
        var answer = await served.PostAsync("/v3/kv/txn", Encoding.UTF8.GetBytes("{}" + new string(' ', 9_999)));
        Assert.Equal(400, answer.Status);
        Assert.Contains("request is too large", answer.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_transaction_that_takes_several_lines_is_put_together()
    {
        await using var served = await ServedStore.StartAsync(ServedStore.Lawless with { LineBytes = 500 });
        await using var client = served.ClientOf("a");
        for (var round = 0; round < 3; round++) await served.Store.CommitAsync(new StoreTransaction([], [.. Enumerable.Range(0, 100).Select(i => new StoreWrite($"k{i}", $"{round}"))]), Soon);
        var batches = new List<StoreBatch>();
        await foreach (var batch in client.WatchAsync("", 2, Soon))
        {
            batches.Add(batch);
            if (batches.Count == 3) break;
        }

        Assert.Equal([2L, 3L, 4L], batches.Select(static batch => batch.Revision));
        Assert.All(batches.Index(), static each => Assert.True(each.Item.Changes.Count == 100 && each.Item.Changes.All(change => change.Entry!.Value == $"{each.Index}")));
    }

    [Fact]
    public async Task A_quiet_watch_is_told_how_far_it_is()
    {
        await using var served = await ServedStore.StartAsync(ServedStore.Lawless with { Progress = TimeSpan.FromMilliseconds(50) });
        await using var client = served.ClientOf("a", static options => options with { Quiet = TimeSpan.FromMilliseconds(200) });
        await using var watch = client.WatchAsync("a/", 2, Soon).GetAsyncEnumerator(Soon);
        await PutAsync(client, "b", "1");
        Assert.True(await watch.MoveNextAsync());
        Assert.Equal((2L, 0), (watch.Current.Revision, watch.Current.Changes.Count));
        var next = watch.MoveNextAsync();
        await Task.Delay(600);
        await PutAsync(client, "a/1", "1");
        Assert.True(await next);
        Assert.Equal((3L, 1), (watch.Current.Revision, watch.Current.Changes.Count));
    }

    [Fact]
    public async Task A_watch_goes_on_after_a_restart_of_the_store_without_a_gap()
    {
        await using var served = await ServedStore.StartAsync(ServedStore.Lawless);
        await using var client = served.ClientOf("a");
        await PutAsync(client, "a", "1");
        await using (var watch = client.WatchAsync("", 2, Soon).GetAsyncEnumerator(Soon))
        {
            Assert.True(await watch.MoveNextAsync());
            await served.StopAsync();
            await Assert.ThrowsAsync<StoreUnavailableException>(async () => await watch.MoveNextAsync());
        }

        await Assert.ThrowsAsync<StoreUnavailableException>(() => client.RangeAsync("", Soon));
        await served.StartAsync();
        await served.Store.CommitAsync(new StoreTransaction([], [new StoreWrite("b", "2")]), Soon);
        Assert.Equal((3L, "b"), await FirstAsync(client, 3) is var next ? (next.Revision, next.Changes[0].Key) : default);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_store_that_was_restored_from_an_old_backup_has_everything_read_again(bool hasOvertaken)
    {
        await using var served = await ServedStore.StartAsync(ServedStore.Lawless);
        await using var client = served.ClientOf("a");
        await using var idle = served.ClientOf("a");
        await PutAsync(client, "a", "old");
        await idle.RangeAsync("", Soon);
        var backup = Directory.CreateTempSubdirectory("sleeve-backup-").FullName;
        await served.StopAsync();
        foreach (var path in Directory.EnumerateFiles(served.StateFolder)) File.Copy(path, Path.Combine(backup, Path.GetFileName(path)));
        await served.StartAsync();
        for (var i = 0; i < 10; i++) await PutAsync(client, "a", $"{i}");
        var seen = (await client.RangeAsync("", Soon)).Revision;
        await served.StopAsync();
        foreach (var path in Directory.EnumerateFiles(backup)) File.Copy(path, Path.Combine(served.StateFolder, Path.GetFileName(path)), overwrite: true);
        Directory.Delete(backup, recursive: true);
        await served.StartAsync();
        // Others may have written so much before this host came back that the number alone says nothing.
        if (hasOvertaken)
            for (var i = 0; i < 30; i++) await served.Store.CommitAsync(new StoreTransaction([], [new StoreWrite("b", $"{i}")]), Soon);
        await Assert.ThrowsAsync<StoreCompactedException>(() => FirstAsync(client, seen + 1));
        var slice = await client.RangeAsync("", Soon);
        Assert.Equal("old", slice.Entries[0].Value);
        await PutAsync(client, "c", "1");
        Assert.Equal("c", (await FirstAsync(client, slice.Revision + 1)).Changes[0].Key);
        // Who saw nothing but what the backup has may go on.
        Assert.True((await FirstAsync(idle, 3)).Revision >= 3);
    }

    [Fact]
    public void Watches_that_are_open_are_told_when_another_answer_shows_that_the_store_is_another()
    {
        using var lineage = new EtcdLineage();
        var before = lineage.Seen;
        lineage.Note(before, new EtcdHeader(1, 7, 100, 1), isCurrent: true, isAnother: false);
        var seen = lineage.Seen;
        Assert.Equal((1UL, 7UL, 100L), (seen.Cluster, seen.Member, seen.Revision));
        // What was asked for before may be answered late, and a member may be behind.
        lineage.Note(before, new EtcdHeader(1, 7, 90, 1), isCurrent: true, isAnother: false);
        lineage.Note(seen, new EtcdHeader(1, 8, 90, 1), isCurrent: false, isAnother: false);
        Assert.False(seen.Broken.IsCancellationRequested);
        lineage.Note(seen, new EtcdHeader(1, 7, 99, 1), isCurrent: true, isAnother: false);
        Assert.True(seen.Broken.IsCancellationRequested);
        Assert.Equal(99, lineage.Seen.Revision);
        // Told once.
        var again = lineage.Seen;
        lineage.Note(seen, new EtcdHeader(1, 7, 98, 1), isCurrent: true, isAnother: false);
        Assert.False(again.Broken.IsCancellationRequested);
        lineage.Note(again, new EtcdHeader(2, 7, 1000, 1), isCurrent: true, isAnother: false);
        Assert.True(again.Broken.IsCancellationRequested);
    }
}
