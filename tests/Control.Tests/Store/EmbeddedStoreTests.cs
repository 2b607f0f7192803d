using Microsoft.Data.Sqlite;
using Sleeve.Control.Host;
using Sleeve.Control.Store;

namespace Sleeve.Control.Tests.Store;

/// <summary>What is the embedded store's own: its file over ends and damage, its history, its limits, and leases by a clock that is moved by hand.</summary>
public sealed class EmbeddedStoreTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly CancellationTokenSource _patience = new(Patience);
    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-embedded-").FullName;
    private readonly ManualTime _time = new();

    private string Database => Path.Combine(_folder, EmbeddedStore.FileName);

    private CancellationToken Soon => _patience.Token;

    public void Dispose()
    {
        _patience.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private EmbeddedStore Open(EmbeddedStoreOptions? options = null, string? folder = null) => EmbeddedStore.Open(folder ?? _folder, _time, options);

    private Task<StoreOutcome> PutAsync(EmbeddedStore store, string key, string? value, long lease = 0) => store.CommitAsync(new StoreTransaction([], [new StoreWrite(key, value, lease)]), Soon);

    private async Task<string> ShowAsync(EmbeddedStore store) => string.Join(' ', (await store.RangeAsync("", Soon)).Entries.Select(static entry => $"{entry.Key}={entry.Value}@{entry.ModRevision}"));

    private void CopyTo(string folder)
    {
        Directory.CreateDirectory(folder);
        foreach (var path in Directory.EnumerateFiles(_folder, $"{EmbeddedStore.FileName}*")) File.Copy(path, Path.Combine(folder, Path.GetFileName(path)), overwrite: true);
    }

    [Fact]
    public async Task What_was_committed_is_there_after_an_end_and_revisions_count_on()
    {
        long revision;
        string? identity;
        await using (var store = Open())
        {
            await PutAsync(store, "a", "1");
            await PutAsync(store, "b", "2");
            await PutAsync(store, "a", null);
            (revision, identity) = ((await PutAsync(store, "c", "3")).Revision, store.Identity);
        }

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Database));
        await using var again = Open();
        Assert.Equal(identity, again.Identity);
        Assert.Equal("b=2@3 c=3@5", await ShowAsync(again));
        Assert.Equal(revision + 1, (await PutAsync(again, "d", "4")).Revision);
        // History from before the end is told too.
        var told = new List<string>();
        await foreach (var batch in again.WatchAsync("", 2, Soon))
        {
            told.AddRange(batch.Changes.Select(static change => $"{change.Key}={change.Entry?.Value ?? "-"}"));
            if (batch.Revision > revision) break;
        }

        Assert.Equal(["a=1", "b=2", "a=-", "c=3", "d=4"], told);
    }

    [Fact]
    public async Task What_was_committed_is_there_after_a_kill()
    {
        // A copy of the files while they are in use is what a kill leaves.
        await using var store = Open();
        for (var i = 0; i < 100; i++) await PutAsync(store, $"k{i % 7}", $"{i}");
        CopyTo(Path.Combine(_folder, "copy"));
        await using var copy = Open(folder: Path.Combine(_folder, "copy"));
        Assert.Equal(await ShowAsync(store), await ShowAsync(copy));
    }

    [Fact]
    public async Task Leases_end_by_a_clock_that_only_goes_forward_and_begin_anew_after_a_start()
    {
        long lease;
        await using (var store = Open())
        {
            lease = await store.GrantAsync(TimeSpan.FromSeconds(10), Soon);
            await PutAsync(store, "alive/a", "", lease);
            _time.Advance(TimeSpan.FromSeconds(9));
            Assert.True(await store.KeepAliveAsync(lease, Soon));
            _time.Advance(TimeSpan.FromSeconds(9));
        }

        await using var again = Open();
        // It has its whole term, whatever the time was meanwhile.
        _time.Advance(TimeSpan.FromSeconds(9));
        await PutAsync(again, "other", "");
        Assert.Contains("alive/a", await ShowAsync(again), StringComparison.Ordinal);
        Assert.Equal("", again.OwnerOf(lease));
        var next = again.WatchAsync("alive/", again.Revision + 1, Soon).GetAsyncEnumerator(Soon);
        var telling = next.MoveNextAsync();
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.True(await telling);
        Assert.Equal(new StoreChange("alive/a", null), Assert.Single(next.Current.Changes));
        await next.DisposeAsync();
        Assert.False(await again.KeepAliveAsync(lease, Soon));
        Assert.Null(again.OwnerOf(lease));
    }

    [Fact]
    public async Task The_history_is_kept_as_long_as_is_said_and_no_longer()
    {
        await using var store = Open(new EmbeddedStoreOptions { HistoryRevisions = 50 });
        for (var i = 0; i < 200; i++) await PutAsync(store, "k", $"{i}");
        var gone = await Assert.ThrowsAsync<StoreCompactedException>(() => FirstAsync(store, 10));
        Assert.InRange(gone.Oldest, store.Revision - 110, store.Revision - 49);
        Assert.Equal(gone.Oldest, (await FirstAsync(store, gone.Oldest)).Revision);
        Assert.Equal($"k=199@{store.Revision}", await ShowAsync(store));
    }

    [Fact]
    public async Task The_history_is_kept_as_long_as_there_is_room_for_it()
    {
        await using var store = Open(new EmbeddedStoreOptions { HistoryBytes = 100_000 });
        var value = new string('v', 4000);
        for (var i = 0; i < 200; i++) await PutAsync(store, "k", value);
        await Assert.ThrowsAsync<StoreCompactedException>(() => FirstAsync(store, 100));
        Assert.Equal(store.Revision - 1, (await FirstAsync(store, store.Revision - 1)).Revision);
    }

    private async Task<StoreBatch> FirstAsync(EmbeddedStore store, long from)
    {
        await foreach (var batch in store.WatchAsync("", from, Soon)) return batch;
        throw new InvalidOperationException();
    }

    [Fact]
    public async Task A_watch_that_is_slow_reads_on_in_the_history_and_misses_nothing()
    {
        await using var store = Open(new EmbeddedStoreOptions { Patience = Patience });
        var watch = store.WatchAsync("", 2, Soon).GetAsyncEnumerator(Soon);
        await PutAsync(store, "k", "first");
        Assert.True(await watch.MoveNextAsync());
        // More than is kept in memory.
        const int many = 5000;
        await Task.WhenAll(Enumerable.Range(0, many).Select(i => PutAsync(store, $"k{i % 100}", $"{i}")));
        var told = 0;
        for (var last = watch.Current.Revision; last < store.Revision; last = watch.Current.Revision)
        {
            Assert.True(await watch.MoveNextAsync());
            Assert.Equal(last + 1, watch.Current.Revision);
            told += watch.Current.Changes.Count;
        }

        Assert.Equal(many, told);
        await watch.DisposeAsync();
    }

    [Fact]
    public async Task A_full_store_refuses_more_but_lets_things_be_deleted_and_made_smaller()
    {
        await using var store = Open(new EmbeddedStoreOptions { MaxKeys = 3, MaxTotalBytes = 100, MaxLeases = 1, MaxWatches = 1 });
        for (var i = 0; i < 3; i++) await PutAsync(store, $"{i}", "v");
        Assert.Contains("at most 3", (await Assert.ThrowsAsync<StoreRefusedException>(() => PutAsync(store, "3", "v"))).Message, StringComparison.Ordinal);
        Assert.Contains("at most 100", (await Assert.ThrowsAsync<StoreRefusedException>(() => PutAsync(store, "0", new string('v', 96)))).Message, StringComparison.Ordinal);
        Assert.True((await PutAsync(store, "0", new string('v', 95))).IsDone);
        await PutAsync(store, "1", null);
        await PutAsync(store, "3", "v");
        Assert.Equal((3, 100), store.Totals);
        await store.GrantAsync(TimeSpan.FromSeconds(5), Soon);
        await Assert.ThrowsAsync<StoreRefusedException>(() => store.GrantAsync(TimeSpan.FromSeconds(5), Soon));
        await using var watch = store.WatchAsync("", 1, Soon).GetAsyncEnumerator(Soon);
        await watch.MoveNextAsync();
        await Assert.ThrowsAsync<StoreUnavailableException>(() => FirstAsync(store, 1));
    }

    [Fact]
    public async Task What_it_holds_is_counted_again_at_a_start()
    {
        await using (var store = Open())
        {
            await PutAsync(store, "a", "12345");
            await PutAsync(store, "é", "");
        }

        await using var again = Open();
        Assert.Equal((2, 8), again.Totals);
    }

    [Fact]
    public async Task Whoever_watches_is_told_when_it_closes()
    {
        var store = Open();
        var watching = FirstAsync(store, 2);
        await store.DisposeAsync();
        await Assert.ThrowsAsync<StoreUnavailableException>(() => watching);
        await Assert.ThrowsAsync<StoreUnavailableException>(() => PutAsync(store, "a", "1"));
        await Assert.ThrowsAsync<StoreUnavailableException>(() => store.RangeAsync("", Soon));
        await store.DisposeAsync();
    }

    [Fact]
    public async Task Two_cannot_have_it()
    {
        await using var store = Open();
        Assert.Contains("another sleeve daemon uses it", Assert.Throws<HostException>(() => Open()).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("header")]
    [InlineData("page")]
    [InlineData("no database")]
    [InlineData("another database")]
    public async Task A_damaged_file_is_an_error_that_says_what_to_do_and_stays_as_it_is(string damage)
    {
        await using (var store = Open())
        {
            for (var i = 0; i < 500; i++) await PutAsync(store, $"key{i:d4}", new string('v', 200));
        }

        SqliteConnection.ClearAllPools();
        if (damage == "another database")
        {
            File.Delete(Database);
            await using var other = new SqliteConnection($"Data Source={Database};Pooling=False");
            await other.OpenAsync(Soon);
            await using var command = other.CreateCommand();
            command.CommandText = "CREATE TABLE t(x); PRAGMA user_version=1";
            await command.ExecuteNonQueryAsync(Soon);
        }
        else if (damage == "no database")
        {
            await File.WriteAllTextAsync(Database, new string('x', 10_000), Soon);
        }
        else
        {
            var bytes = await File.ReadAllBytesAsync(Database, Soon);
            Array.Fill(bytes, (byte)0x5A, damage == "header" ? 0 : 4096 * 3, 4000);
            await File.WriteAllBytesAsync(Database, bytes, Soon);
        }

        var before = await File.ReadAllBytesAsync(Database, Soon);
        var message = Assert.Throws<HostException>(() => Open()).Message;
        Assert.Contains("is damaged", message, StringComparison.Ordinal);
        Assert.Contains("backup", message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
        if (damage != "another database") Assert.Equal(before, await File.ReadAllBytesAsync(Database, Soon));
        // And the folder is free for the next try.
        File.Delete(Database);
        foreach (var part in Directory.EnumerateFiles(_folder, $"{EmbeddedStore.FileName}-*")) File.Delete(part);
        await using var anew = Open();
        Assert.Equal("", await ShowAsync(anew));
    }

    [Fact]
    public async Task A_file_of_a_newer_sleeve_is_left_alone()
    {
        await Open().DisposeAsync();
        await using (var other = new SqliteConnection($"Data Source={Database};Pooling=False"))
        {
            await other.OpenAsync(Soon);
            await using var command = other.CreateCommand();
            command.CommandText = "PRAGMA user_version=2";
            await command.ExecuteNonQueryAsync(Soon);
        }

        Assert.Contains("newer sleeve", Assert.Throws<HostException>(() => Open()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_knows_whether_what_was_seen_is_part_of_its_past()
    {
        long early, late;
        long first;
        await using (var store = Open())
        {
            await PutAsync(store, "a", "1");
            (first, early) = (store.Run.Epoch, store.Revision);
            CopyTo(Path.Combine(_folder, "backup"));
            await PutAsync(store, "a", "2");
            late = store.Revision;
            Assert.True(store.Continues(first, late));
        }

        await using (var again = Open())
        {
            Assert.NotEqual(first, again.Run.Epoch);
            await PutAsync(again, "a", "3");
            Assert.True(again.Continues(first, early));
            Assert.True(again.Continues(first, late));
            Assert.False(again.Continues(first, late + 1));
            Assert.True(again.Continues(again.Run.Epoch, again.Revision));
            Assert.False(again.Continues(1, 1));
        }

        // The backup goes another way from where it was made, under the same numbers.
        await using var restored = Open(folder: Path.Combine(_folder, "backup"));
        for (var i = 0; i < 10; i++) await PutAsync(restored, "b", $"{i}");
        Assert.True(restored.Continues(first, early));
        Assert.False(restored.Continues(first, late));
    }

    [Fact]
    public async Task An_earlier_revision_can_be_read_page_by_page()
    {
        await using var store = Open();
        var random = new Random(3);
        var model = new MemoryStore();
        for (var i = 0; i < 100; i++) await WriteAsync(store, model, random);
        var (then, revision) = ((await model.RangeAsync("", Soon)).Entries, store.Revision);
        for (var i = 0; i < 100; i++) await WriteAsync(store, model, random);
        foreach (var (limit, bytes) in new[] { (1, long.MaxValue), (3, long.MaxValue), (1000, 0L), (1000, 5L), (7, 8L) })
        {
            var read = new List<StoreEntry>();
            byte[] from = [];
            while (true)
            {
                var (entries, hasMore, now) = await store.ReadAsync(from, [0], limit, bytes, revision, Soon);
                Assert.Equal(store.Revision, now);
                Assert.InRange(entries.Count, 0, limit);
                read.AddRange(entries);
                if (!hasMore) break;
                from = [.. StoreChecks.Bytes(read[^1].Key), 0];
            }

            Assert.Equal(then, read);
        }

        await Assert.ThrowsAsync<StoreRefusedException>(() => store.ReadAsync([], [0], 1, 1, store.Revision + 1, Soon));
        await store.CompactAsync(revision + 1, Soon);
        await Assert.ThrowsAsync<StoreCompactedException>(() => store.ReadAsync([], [0], 1, 1, revision, Soon));
    }

    private async Task WriteAsync(EmbeddedStore store, MemoryStore model, Random random)
    {
        var transaction = new StoreTransaction([], [.. Enumerable.Range(0, 3).Select(_ => new StoreWrite($"k{random.Next(30)}", random.Next(3) == 0 ? null : $"{random.Next(100)}")).DistinctBy(static write => write.Key)]);
        Assert.Equal((await model.CommitAsync(transaction, Soon)).Revision, (await store.CommitAsync(transaction, Soon)).Revision);
    }
}
