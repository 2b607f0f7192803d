using System.Diagnostics;
using System.Globalization;
using Sleeve.Control.Store;

namespace Sleeve.Control.Tests.Store;

/// <summary>What every <see cref="IStore"/> does. One class for each way to one runs all of it.</summary>
public abstract class StoreConformance : IAsyncLifetime, IDisposable
{
    // Long enough for a machine that does much else; nothing waits that long if all is well.
    private protected static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly CancellationTokenSource _patience = new(Patience);

    private protected CancellationToken Soon => _patience.Token;

    private protected IStore Store { get; private set; } = null!;

    /// <summary>An empty store; skips the test where there is none.</summary>
    private protected abstract Task<IStore> OpenAsync();

    /// <summary>Has the store forget its history up to a revision.</summary>
    private protected abstract Task CompactAsync(long revision);

    /// <summary>Removes what the store was kept in.</summary>
    private protected abstract Task CloseAsync();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        if (Store is not null) await Store.DisposeAsync();
        await CloseAsync();
    }

    public void Dispose()
    {
        _patience.Dispose();
        GC.SuppressFinalize(this);
    }

    // Not in InitializeAsync: a test is only skipped from within.
    private protected async Task<IStore> GivenAsync() => Store = await OpenAsync();

    private protected Task<StoreOutcome> PutAsync(string key, string? value, long lease = 0) => CommitAsync([], [new StoreWrite(key, value, lease)]);

    private protected Task<StoreOutcome> CommitAsync(StoreCondition[] conditions, StoreWrite[] writes) => Store.CommitAsync(new StoreTransaction(conditions, writes), Soon);

    private protected async Task<Dictionary<string, StoreEntry>> AllAsync(string prefix = "") => (await Store.RangeAsync(prefix, Soon)).Entries.ToDictionary(static entry => entry.Key);

    private protected async Task<List<StoreBatch>> WatchAsync(string prefix, long from, int changes)
    {
        var batches = new List<StoreBatch>();
        await foreach (var batch in Store.WatchAsync(prefix, from, Soon))
        {
            if (batch.Changes.Count > 0) batches.Add(batch);
            if (batches.Sum(static each => each.Changes.Count) >= changes) break;
        }

        return batches;
    }

    private protected static string Show(StoreChange change) => string.Create(CultureInfo.InvariantCulture, $"{change.Key}={change.Entry?.Value ?? "-"}");

    [SkippableFact]
    public async Task A_key_that_is_put_is_there_with_its_revisions()
    {
        await GivenAsync();
        var before = (await Store.RangeAsync("", Soon)).Revision;
        Assert.True(before >= 1);
        var first = await PutAsync("networks/a", "one");
        Assert.Equal((true, before + 1), (first.IsDone, first.Revision));
        Assert.Empty(first.Found);
        var second = await PutAsync("networks/a", "");
        var slice = await Store.RangeAsync("networks/", Soon);
        Assert.Equal(second.Revision, slice.Revision);
        Assert.Equal([new StoreEntry("networks/a", "", first.Revision, second.Revision, 0)], slice.Entries);
    }

    [SkippableFact]
    public async Task A_key_that_comes_back_is_a_new_one()
    {
        await GivenAsync();
        await PutAsync("a", "1");
        await PutAsync("a", null);
        Assert.Empty(await AllAsync());
        var again = await PutAsync("a", "2");
        Assert.Equal([new StoreEntry("a", "2", again.Revision, again.Revision, 0)], (await AllAsync()).Values);
    }

    [SkippableFact]
    public async Task To_delete_what_is_not_there_changes_nothing()
    {
        await GivenAsync();
        var before = await PutAsync("a", "1");
        var outcome = await CommitAsync([], [new StoreWrite("b", null), new StoreWrite("c", null)]);
        Assert.Equal((true, before.Revision), (outcome.IsDone, outcome.Revision));
        Assert.Equal((true, before.Revision), await CommitAsync([], []) is var nothing ? (nothing.IsDone, nothing.Revision) : default);
        Assert.Equal(before.Revision, (await Store.RangeAsync("", Soon)).Revision);
    }

    [SkippableTheory]
    [InlineData("absent", "new", true)]
    [InlineData("absent", "old", false)]
    [InlineData("unchanged", "old", true)]
    [InlineData("changed", "old", false)]
    [InlineData("unchanged", "new", false)]
    [InlineData("value", "old", true)]
    [InlineData("other value", "old", false)]
    [InlineData("value", "new", false)]
    [InlineData("no value", "old", false)]
    [InlineData("no value", "new", false)]
    public async Task Each_condition_holds_as_it_should(string condition, string key, bool holds)
    {
        await GivenAsync();
        await PutAsync("other", "x");
        var old = await PutAsync("old", "value");
        await PutAsync("other", "y");
        var asked = condition switch
        {
            "absent" => StoreCondition.Absent(key),
            "unchanged" => new StoreCondition(key, old.Revision),
            "changed" => new StoreCondition(key, old.Revision - 1),
            "value" => StoreCondition.Has(key, "value"),
            "no value" => StoreCondition.Has(key, ""),
            _ => StoreCondition.Has(key, "valuE"),
        };
        var before = await Store.RangeAsync("", Soon);
        // Beside one that holds in any case.
        var outcome = await CommitAsync([StoreCondition.Has("other", "y"), asked], [new StoreWrite("old", "changed"), new StoreWrite("third", "3")]);
        Assert.Equal(holds, outcome.IsDone);
        var after = await Store.RangeAsync("", Soon);
        Assert.Equal(outcome.Revision, after.Revision);
        if (holds)
        {
            Assert.Empty(outcome.Found);
            Assert.Equal(["old=changed", "other=y", "third=3"], after.Entries.Select(static entry => $"{entry.Key}={entry.Value}"));
            return;
        }

        Assert.Equal(before.Revision, after.Revision);
        Assert.Equal(before.Entries, after.Entries);
        Assert.Equal(before.Entries.Where(entry => entry.Key == key || entry.Key == "other").OrderBy(static entry => entry.Key), outcome.Found.OrderBy(static entry => entry.Key));
    }

    [SkippableFact]
    public async Task A_transaction_has_one_revision_and_its_changes_their_order()
    {
        await GivenAsync();
        var before = await CommitAsync([], [new StoreWrite("b", "1"), new StoreWrite("z", "1"), new StoreWrite("m", "1")]);
        var after = await CommitAsync([], [new StoreWrite("z", "2"), new StoreWrite("b", null), new StoreWrite("none", null), new StoreWrite("a", "2")]);
        Assert.Equal(before.Revision + 1, after.Revision);
        var told = await WatchAsync("", before.Revision, 6);
        Assert.Equal(["b=1", "z=1", "m=1", "z=2", "b=-", "a=2"], told.SelectMany(static batch => batch.Changes).Select(Show));
        Assert.Equal(after.Revision, told[^1].Revision);
    }

    [SkippableFact]
    public async Task A_range_is_all_that_begins_with_the_prefix_in_the_order_of_bytes()
    {
        await GivenAsync();
        string[] keys = ["a", "a/", "a/b", "a/b/c", "a/~", "a/é", "a/ÿ", "a/ÿÿ", "a/\uFFFD", "a/\uE000", "a/\U0001F600", "a/\U0010FFFF", "a0", "b", "A/b", "ÿ", "\U0010FFFF"];
        await CommitAsync([], [.. keys.Select(static key => new StoreWrite(key, $"<{key}>"))]);
        foreach (var prefix in (string[])["", "a", "a/", "a/b", "a/ÿ", "a/\U0010FFFF", "ÿ", "\U0010FFFF", "a/\uE000", "c", "a/b/c/d"])
        {
            var expected = keys.Where(key => key.StartsWith(prefix, StringComparison.Ordinal)).OrderBy(static key => Convert.ToHexString(System.Text.Encoding.UTF8.GetBytes(key)), StringComparer.Ordinal);
            var slice = await Store.RangeAsync(prefix, Soon);
            Assert.Equal(expected, slice.Entries.Select(static entry => entry.Key));
            Assert.All(slice.Entries, static entry => Assert.Equal($"<{entry.Key}>", entry.Value));
        }
    }

    [SkippableFact]
    public async Task A_range_of_many_is_of_one_revision()
    {
        await GivenAsync();
        const int many = 2600;
        for (var first = 0; first < many; first += 100)
            await CommitAsync([], [.. Enumerable.Range(first, 100).Select(static i => new StoreWrite($"many/{i:d6}", $"value {i}"))]);

        await CommitAsync([], [new StoreWrite("many/000000", "0"), new StoreWrite($"many/{many - 1:d6}", "0")]);

        // The first, the last and one that comes and goes change together.
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(Soon);
        var writing = Task.Run(async () =>
        {
            for (var round = 1; !enough.IsCancellationRequested; round++)
                await CommitAsync([], [new StoreWrite("many/000000", $"{round}"), new StoreWrite($"many/{many - 1:d6}", $"{round}"), new StoreWrite("many/001300x", round % 2 == 0 ? null : "odd")]);
        });
        for (var round = 0; round < 10; round++)
        {
            var slice = await Store.RangeAsync("many/", Soon);
            Assert.Equal(slice.Entries[0].Value, slice.Entries[^1].Value);
            Assert.InRange(slice.Entries.Count, many, many + 1);
            Assert.All(slice.Entries, entry => Assert.True(entry.ModRevision <= slice.Revision));
            Assert.Equal(slice.Entries.Count > many, int.Parse(slice.Entries[0].Value, CultureInfo.InvariantCulture) % 2 == 1);
        }

        await enough.CancelAsync();
        await writing;
    }

    [SkippableFact]
    public async Task A_watch_tells_of_everything_in_order_from_any_revision_on()
    {
        await GivenAsync();
        var start = (await Store.RangeAsync("", Soon)).Revision;
        var all = Task.Run(() => WatchAsync("w/", start + 1, 120));
        var random = new Random(5);
        for (var i = 0; i < 60; i++) await CommitAsync([], [new StoreWrite($"w/{random.Next(10)}", $"{i}"), new StoreWrite($"other/{i}", ""), new StoreWrite($"w/x{i % 3}", $"{i}")]);
        var live = (await all).ToArray();
        AssertWhole(live, 2);
        Assert.Equal(start + 60, live[^1].Revision);
        foreach (var from in new[] { start + 1, start + 2, start + 31, start + 60 })
        {
            var again = await WatchAsync("w/", from, (int)(start + 61 - from) * 2);
            AssertWhole(again, 2);
            // How revisions are bundled may differ, their changes not.
            Assert.Equal(
                live.SelectMany(static batch => batch.Changes).Where(change => change.Entry!.ModRevision >= from).Select(static change => change.Entry), again.SelectMany(static batch => batch.Changes).Select(static change => change.Entry));
        }
    }

    // No revision is in two batches, and each has all its changes.
    private static void AssertWhole(IReadOnlyList<StoreBatch> batches, int changesEach)
    {
        var last = 0L;
        foreach (var batch in batches)
        {
            Assert.All(batch.Changes.GroupBy(static change => change.Entry!.ModRevision), revision => Assert.Equal(changesEach, revision.Count()));
            Assert.True(batch.Changes[0].Entry!.ModRevision > last);
            Assert.Equal(batch.Changes[^1].Entry!.ModRevision, batch.Revision);
            last = batch.Revision;
        }
    }

    [SkippableFact]
    public async Task A_watch_is_told_of_the_prefix_only_and_may_begin_in_the_future()
    {
        await GivenAsync();
        var start = (await PutAsync("a/1", "1")).Revision;
        var watching = WatchAsync("a/", start + 1, 3);
        await PutAsync("a", "no");
        await PutAsync("a/2", "2");
        await PutAsync("a0", "no");
        await PutAsync("a/1", null);
        await CommitAsync([], [new StoreWrite("b", "no"), new StoreWrite("a/ÿ", "3")]);
        Assert.Equal(["a/2=2", "a/1=-", "a/ÿ=3"], (await watching).SelectMany(static batch => batch.Changes).Select(Show));
    }

    [SkippableFact]
    public async Task Several_watches_see_the_same()
    {
        await GivenAsync();
        var start = (await Store.RangeAsync("", Soon)).Revision;
        var watches = Enumerable.Range(0, 5).Select(_ => WatchAsync("", start + 1, 40)).ToArray();
        await Task.WhenAll(Enumerable.Range(0, 40).Select(i => PutAsync($"k{i}", $"{i}")));
        var told = await Task.WhenAll(watches);
        var first = told[0].SelectMany(static batch => batch.Changes).Select(Show).ToArray();
        Assert.Equal(40, first.Distinct().Count());
        Assert.All(told, watch => Assert.Equal(first, watch.SelectMany(static batch => batch.Changes).Select(Show)));
    }

    [SkippableFact]
    public async Task A_large_transaction_comes_whole()
    {
        await GivenAsync();
        var value = new string('v', 7000);
        var start = (await Store.RangeAsync("", Soon)).Revision;
        var watching = WatchAsync("", start + 1, 128 * 5);
        for (var round = 0; round < 5; round++) await CommitAsync([], [.. Enumerable.Range(0, 128).Select(i => new StoreWrite($"large/{i}", value))]);
        AssertWhole(await watching, 128);
        AssertWhole(await WatchAsync("", start + 1, 128 * 5), 128);
    }

    [SkippableFact]
    public async Task History_that_was_compacted_is_told_to_be_gone_and_what_came_after_is_there()
    {
        await GivenAsync();
        var first = (await PutAsync("a", "1")).Revision;
        for (var i = 2; i <= 10; i++) await PutAsync("a", $"{i}");
        var open = WatchAsync("", first + 9, 2);
        await CompactAsync(first + 6);
        var gone = await Assert.ThrowsAsync<StoreCompactedException>(() => WatchAsync("", first + 1, 1));
        Assert.Equal(first + 7, gone.Oldest);
        Assert.Equal(["a=8", "a=9", "a=10"], (await WatchAsync("", gone.Oldest, 3)).SelectMany(static batch => batch.Changes).Select(Show));
        await PutAsync("a", "11");
        Assert.Equal(["a=10", "a=11"], (await open).SelectMany(static batch => batch.Changes).Select(Show));
        Assert.Equal("11", (await AllAsync())["a"].Value);
    }

    [SkippableFact]
    public async Task A_revision_that_the_store_never_had_means_that_it_went_back()
    {
        await GivenAsync();
        var now = (await PutAsync("a", "1")).Revision;
        await Assert.ThrowsAsync<StoreCompactedException>(() => WatchAsync("", now + 1000, 1));
    }

    [SkippableFact]
    public async Task Keys_end_with_their_lease_and_watches_are_told()
    {
        await GivenAsync();
        var lease = await Store.GrantAsync(TimeSpan.FromSeconds(2), Soon);
        Assert.NotEqual(0, lease);
        var put = await CommitAsync([], [new StoreWrite("alive/a", "", lease), new StoreWrite("alive/b", "", lease), new StoreWrite("stays", "")]);
        Assert.Equal(lease, (await AllAsync())["alive/a"].Lease);
        var told = await WatchAsync("", put.Revision + 1, 2);
        Assert.Equal(["alive/a=-", "alive/b=-"], told.SelectMany(static batch => batch.Changes).Select(Show).Order());
        Assert.Equal(["stays"], (await AllAsync()).Keys);
        Assert.False(await Store.KeepAliveAsync(lease, Soon));
    }

    [SkippableFact]
    public async Task A_lease_that_is_kept_alive_goes_on()
    {
        await GivenAsync();
        long lease = 0;
        for (var isStalled = true; isStalled;)
        {
            lease = await Store.GrantAsync(TimeSpan.FromSeconds(5), Soon);
            await PutAsync("alive/a", "", lease);
            isStalled = await KeepAliveForEightSecondsAsync(lease);
        }

        Assert.Contains("alive/a", (await AllAsync()).Keys);
        // Or it would end, and count the revision up, in the midst of another test.
        await Store.RevokeAsync(lease, Soon);
    }

    // A machine that stood still for as long as the lease lasts says nothing of the store.
    private async Task<bool> KeepAliveForEightSecondsAsync(long lease)
    {
        for (var i = 0; i < 16; i++)
        {
            var asked = Stopwatch.GetTimestamp();
            var isAlive = await Store.KeepAliveAsync(lease, Soon);
            await Task.Delay(500);
            if (Stopwatch.GetElapsedTime(asked) > TimeSpan.FromSeconds(4)) return true;
            Assert.True(isAlive);
        }

        return false;
    }

    [SkippableFact]
    public async Task A_lease_that_is_revoked_takes_its_keys_in_one_revision_but_not_those_that_left_it()
    {
        await GivenAsync();
        var (one, other) = (await Store.GrantAsync(TimeSpan.FromSeconds(100), Soon), await Store.GrantAsync(TimeSpan.FromSeconds(100), Soon));
        Assert.NotEqual(one, other);
        await CommitAsync([], [.. "abcde".Select(letter => new StoreWrite($"{letter}", "1", one))]);
        await PutAsync("b", "2");
        var before = await PutAsync("c", "2", other);
        await Store.RevokeAsync(one, Soon);
        var after = await Store.RangeAsync("", Soon);
        Assert.Equal(before.Revision + 1, after.Revision);
        Assert.Equal([("b", 0L), ("c", other)], after.Entries.Select(static entry => (entry.Key, entry.Lease)));
        Assert.False(await Store.KeepAliveAsync(one, Soon));
        Assert.True(await Store.KeepAliveAsync(other, Soon));
        await Store.RevokeAsync(one, Soon);
        Assert.Equal(after.Revision, (await Store.RangeAsync("", Soon)).Revision);
        await Store.RevokeAsync(other, Soon);
    }

    [SkippableFact]
    public async Task A_lease_that_is_not_there_gives_nothing()
    {
        await GivenAsync();
        Assert.False(await Store.KeepAliveAsync(4711, Soon));
        await Store.RevokeAsync(4711, Soon);
        await PutAsync("a", "1");
        await Assert.ThrowsAsync<StoreRefusedException>(() => CommitAsync([], [new StoreWrite("a", "2"), new StoreWrite("b", "", 4711)]));
        Assert.Equal("1", Assert.Single(await AllAsync()).Value.Value);
    }

    public static TheoryData<string, string, string, bool> Limits => new()
    {
        { "the longest key", new string('k', StoreLimits.MaxKeyBytes), "v", true },
        { "one byte more", new string('k', StoreLimits.MaxKeyBytes + 1), "v", false },
        { "bytes, not characters", new string('k', StoreLimits.MaxKeyBytes - 1) + "é", "v", false },
        { "no key", "", "v", false },
        { "a control character", "a\nb", "v", false },
        { "half a character", "a<half>", "v", false },
        { "the longest value", "k", new string('v', StoreLimits.MaxValueBytes), true },
        { "one byte more in it", "k", new string('v', StoreLimits.MaxValueBytes + 1), false },
        { "half a character in it", "k", "<half>", false },
        { "anything else in it", "k", "\0\n\u0085\uFFFD\U0001F600\"\\", true },
    };

    [SkippableTheory]
    [MemberData(nameof(Limits))]
    public async Task Keys_and_values_have_limits(string what, string key, string value, bool isAllowed)
    {
        await GivenAsync();
        // Whoever passes the cases on to the test would replace it.
        (key, value) = (key.Replace("<half>", "\uD800", StringComparison.Ordinal), value.Replace("<half>", "\uDC00", StringComparison.Ordinal));
        if (isAllowed)
        {
            Assert.True((await PutAsync(key, value)).IsDone, what);
            Assert.Equal(value, (await AllAsync())[key].Value);
            Assert.True((await CommitAsync([StoreCondition.Has(key, value)], [])).IsDone, what);
            return;
        }

        await Assert.ThrowsAsync<StoreRefusedException>(() => PutAsync(key, value));
        await Assert.ThrowsAsync<StoreRefusedException>(() => CommitAsync([StoreCondition.Has(key, value)], []));
        Assert.Empty(await AllAsync());
    }

    [SkippableFact]
    public async Task Transactions_have_limits()
    {
        await GivenAsync();
        var most = Enumerable.Range(0, StoreLimits.MaxOperations).ToArray();
        Assert.True((await CommitAsync([.. most.Select(static i => StoreCondition.Absent($"{i}"))], [.. most.Select(static i => new StoreWrite($"{i}", ""))])).IsDone);
        Assert.Equal(StoreLimits.MaxOperations, (await CommitAsync([.. most.Select(static i => StoreCondition.Absent($"{i}"))], [])).Found.Count);
        await Assert.ThrowsAsync<StoreRefusedException>(() => CommitAsync([], [.. most.Append(-1).Select(static i => new StoreWrite($"{i}", ""))]));
        await Assert.ThrowsAsync<StoreRefusedException>(() => CommitAsync([.. most.Append(-1).Select(static i => StoreCondition.Absent($"{i}"))], []));
        await Assert.ThrowsAsync<StoreRefusedException>(() => CommitAsync([], [new StoreWrite("a", "1"), new StoreWrite("a", "2")]));
        await Assert.ThrowsAsync<StoreRefusedException>(() => CommitAsync([], [new StoreWrite("a", "1"), new StoreWrite("a", null)]));
        // 16 values of the largest size are all the bytes there may be; their keys are too much.
        var large = new string('v', StoreLimits.MaxValueBytes);
        Assert.True((await CommitAsync([], [.. Enumerable.Range(0, 15).Select(i => new StoreWrite($"large{i}", large))])).IsDone);
        await Assert.ThrowsAsync<StoreRefusedException>(() => CommitAsync([], [.. Enumerable.Range(0, 16).Select(i => new StoreWrite($"large{i}", large))]));
        Assert.Equal(StoreLimits.MaxOperations + 15, (await AllAsync()).Count);
    }

    [SkippableTheory]
    [InlineData(0)]
    [InlineData(0.5)]
    [InlineData(-1)]
    [InlineData(1.5)]
    [InlineData(86_401)]
    public async Task Leases_have_limits(double seconds)
    {
        await GivenAsync();
        await Assert.ThrowsAsync<StoreRefusedException>(() => Store.GrantAsync(TimeSpan.FromSeconds(seconds), Soon));
    }

    [SkippableFact]
    public async Task Of_many_that_create_one_key_one_does()
    {
        await GivenAsync();
        for (var round = 0; round < 5; round++)
        {
            var key = $"vnis/{round}";
            var outcomes = await Task.WhenAll(Enumerable.Range(0, 32).Select(i => Task.Run(() => CommitAsync([StoreCondition.Absent(key)], [new StoreWrite(key, $"{i}")]))));
            var winner = Assert.Single(outcomes.Index(), static outcome => outcome.Item.IsDone);
            Assert.Equal($"{winner.Index}", (await AllAsync(key))[key].Value);
            Assert.All(outcomes.Where(static outcome => !outcome.IsDone), outcome => Assert.Equal(($"{winner.Index}", winner.Item.Revision), outcome.Found.Single() is var found ? (found.Value, found.ModRevision) : default));
        }
    }

    [SkippableFact]
    public async Task Many_that_count_up_by_condition_lose_no_step()
    {
        await GivenAsync();
        await PutAsync("count", "0");
        await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(async () =>
        {
            for (var step = 0; step < 10;)
            {
                var entry = (await AllAsync("count"))["count"];
                var next = int.Parse(entry.Value, CultureInfo.InvariantCulture) + 1;
                if ((await CommitAsync([StoreCondition.Unchanged(entry)], [new StoreWrite("count", $"{next}")])).IsDone) step++;
            }
        })));
        Assert.Equal("60", (await AllAsync())["count"].Value);
    }

    [SkippableFact]
    public async Task Whoever_gives_up_is_let_go()
    {
        await GivenAsync();
        using var given = new CancellationTokenSource();
        var start = (await PutAsync("a", "1")).Revision;
        var watching = Task.Run(async () =>
        {
            await foreach (var batch in Store.WatchAsync("", start, given.Token)) Assert.True(batch.Revision >= start);
        });
        await PutAsync("b", "1");
        await given.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => watching);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Store.RangeAsync("", given.Token));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Store.CommitAsync(new StoreTransaction([], [new StoreWrite("c", "1")]), given.Token));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Store.GrantAsync(TimeSpan.FromSeconds(5), given.Token));
        Assert.Equal(["a", "b"], (await AllAsync()).Keys);
    }

    [SkippableFact]
    public async Task It_says_where_and_which_it_is()
    {
        await GivenAsync();
        await PutAsync("a", "1");
        Assert.NotEqual("", Store.Place);
        Assert.False(string.IsNullOrEmpty(Store.Identity));
    }

    [SkippableTheory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Random_transactions_have_the_outcome_that_an_obvious_store_gives_them(int seed)
    {
        await GivenAsync();
        await using var model = new MemoryStore();
        var random = new Random(seed);
        var offset = (await Store.RangeAsync("", Soon)).Revision - model.Revision;
        for (var step = 0; step < 150; step++)
        {
            var transaction = Next(random, model, out var shifted, offset);
            var expected = await model.CommitAsync(transaction, Soon);
            var outcome = await Store.CommitAsync(shifted, Soon);
            Assert.Equal((expected.IsDone, expected.Revision + offset), (outcome.IsDone, outcome.Revision));
            Assert.Equal(expected.Found.Select(entry => Shift(entry, offset)).OrderBy(static entry => entry.Key), outcome.Found.OrderBy(static entry => entry.Key));
            if (step % 10 != 0) continue;
            var prefix = random.Next(3) switch { 0 => "", 1 => "a", _ => "b/" };
            Assert.Equal((await model.RangeAsync(prefix, Soon)).Entries.Select(entry => Shift(entry, offset)), (await Store.RangeAsync(prefix, Soon)).Entries);
        }

        // The history of both is the same too.
        var told = new List<StoreChange>();
        await foreach (var batch in Store.WatchAsync("", offset + 2, Soon))
        {
            told.AddRange(batch.Changes);
            if (batch.Revision >= model.Revision + offset) break;
        }

        var remembered = new List<StoreChange>();
        await foreach (var batch in model.WatchAsync("", 2, Soon))
        {
            remembered.AddRange(batch.Changes.Select(change => change with { Entry = change.Entry is { } entry ? Shift(entry, offset) : null }));
            if (batch.Revision >= model.Revision) break;
        }

        Assert.Equal(remembered, told);
    }

    private static StoreEntry Shift(StoreEntry entry, long by) => entry with { CreateRevision = entry.CreateRevision + by, ModRevision = entry.ModRevision + by };

    private static StoreTransaction Next(Random random, MemoryStore model, out StoreTransaction shifted, long offset)
    {
        string Key() => $"{"ab"[random.Next(2)]}{(random.Next(2) == 0 ? "/" : "")}{random.Next(6)}";
        var known = model.Snapshot().Entries;
        var conditions = Enumerable.Range(0, random.Next(3)).Select(_ => random.Next(4) switch
        {
            0 => StoreCondition.Absent(Key()),
            1 when known.Count > 0 => StoreCondition.Unchanged(known[random.Next(known.Count)]),
            2 when known.Count > 0 => StoreCondition.Has(known[random.Next(known.Count)].Key, $"{random.Next(3)}"),
            _ => new StoreCondition(Key(), random.Next((int)model.Revision + 2)),
        }).ToArray();
        var writes = Enumerable.Range(0, random.Next(5)).Select(_ => new StoreWrite(Key(), random.Next(3) == 0 ? null : $"{random.Next(3)}")).DistinctBy(static write => write.Key).ToArray();
        shifted = new StoreTransaction([.. conditions.Select(condition => condition is { Value: null, ModRevision: > 0 } ? condition with { ModRevision = condition.ModRevision + offset } : condition)], writes);
        return new StoreTransaction(conditions, writes);
    }
}
