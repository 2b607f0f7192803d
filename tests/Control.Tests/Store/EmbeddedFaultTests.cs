using System.Diagnostics;
using System.Globalization;
using Sleeve.Control.Store;

namespace Sleeve.Control.Tests.Store;

/// <summary>The embedded store when its process is killed, and when its disk is full.</summary>
public sealed class EmbeddedFaultTests : IDisposable
{
    private readonly CancellationTokenSource _patience = new(TimeSpan.FromSeconds(100));
    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-embedded-").FullName;
    private bool _isMounted;

    private CancellationToken Soon => _patience.Token;

    public void Dispose()
    {
        _patience.Dispose();
        if (_isMounted) _ = Run("umount", "-l", _folder);
        Directory.Delete(_folder, recursive: true);
    }

    private static bool Run(string program, params string[] words)
    {
        using var process = Process.Start(new ProcessStartInfo(program, words) { RedirectStandardError = true })!;
        process.WaitForExit();
        return process.ExitCode == 0;
    }

    [Fact]
    public async Task A_kill_at_any_moment_loses_nothing_that_was_answered()
    {
        var random = new Random(17);
        var answered = new Dictionary<string, long>();
        for (var round = 0; round < 6; round++)
        {
            var start = new ProcessStartInfo("dotnet", [typeof(ChildProgram).Assembly.Location, ChildProgram.Write, _folder, $"{round}"]) { RedirectStandardOutput = true };
            using (var child = Process.Start(start)!)
            {
                // Some way into it, however slow the machine is.
                var first = await child.StandardOutput.ReadLineAsync(Soon);
                var reading = child.StandardOutput.ReadToEndAsync(Soon);
                await Task.Delay(random.Next(300), Soon);
                child.Kill();
                await child.WaitForExitAsync(Soon);
                foreach (var (key, revision) in Parse($"{first}\n{await reading}")) answered.Add(key, revision);
            }

            await using var store = EmbeddedStore.Open(_folder, TimeProvider.System);
            var entries = (await store.RangeAsync("", Soon)).Entries.ToDictionary(static entry => entry.Key);
            Assert.All(answered, each => Assert.Equal(each.Value, entries.GetValueOrDefault(each.Key)?.ModRevision));
            // What was not answered may be there, but never half of it; and no revision beyond that of the store.
            Assert.All(entries.Values.Where(static entry => entry.Value == "one"), entry => Assert.Equal(entry.ModRevision, entries[$"{entry.Key}/twin"].ModRevision));
            Assert.All(entries.Values, entry => Assert.True(entry.ModRevision <= store.Revision));
            Assert.Equal((entries.Count, entries.Values.Sum(static entry => entry.Key.Length + entry.Value.Length)), store.Totals);
        }

        Assert.True(answered.Count >= 6);
    }

    private static List<(string Key, long Revision)> Parse(string text)
    {
        var lines = new List<(string, long)>();
        // A line that the kill cut off was not said.
        foreach (var line in text[..(text.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var words = line.Split(' ');
            lines.Add((words[0], long.Parse(words[1], CultureInfo.InvariantCulture)));
        }

        return lines;
    }

    [SkippableFact]
    public async Task On_a_full_disk_commits_fail_and_say_so_and_all_that_was_answered_stays()
    {
        Skip.IfNot(_isMounted = Run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", _folder), "needs to mount a small file system (run as root)");
        var time = new ManualTime();
        long lease, revision;
        var answered = 0;
        await using (var store = EmbeddedStore.Open(Path.Combine(_folder, "state"), time))
        {
            lease = await store.GrantAsync(TimeSpan.FromSeconds(10), Soon);
            await store.CommitAsync(new StoreTransaction([], [new StoreWrite("alive/a", "", lease)]), Soon);
            var failure = await Assert.ThrowsAsync<StoreUnavailableException>(async () =>
            {
                for (; ; answered++) await store.CommitAsync(new StoreTransaction([], [new StoreWrite($"k/{answered}", new string('v', 20_000))]), Soon);
            });
            Assert.Contains("the disk is full", failure.Message, StringComparison.Ordinal);
            revision = store.Revision;
            Assert.Equal(answered, (await store.RangeAsync("k/", Soon)).Entries.Count);
            Assert.Equal(revision, (await store.RangeAsync("", Soon)).Revision);
            // A lease that is due cannot end either, and goes on.
            await Assert.ThrowsAsync<StoreUnavailableException>(() => store.RevokeAsync(lease, Soon));
            Assert.True(await store.KeepAliveAsync(lease, Soon));
            Assert.True(Run("mount", "-o", "remount,size=32m", _folder));
            Assert.Equal(revision + 1, (await store.CommitAsync(new StoreTransaction([], [new StoreWrite("again", "")]), Soon)).Revision);
            await store.RevokeAsync(lease, Soon);
        }

        await using var after = EmbeddedStore.Open(Path.Combine(_folder, "state"), time);
        Assert.Equal(answered, (await after.RangeAsync("k/", Soon)).Entries.Count);
        Assert.Empty((await after.RangeAsync("alive/", Soon)).Entries);
        Assert.Equal(revision + 2, after.Revision);
    }
}
