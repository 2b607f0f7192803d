using System.Text;
using System.Text.Json;
using Sleeve.Control.Store;

namespace Sleeve.Control.Tests.Store;

/// <summary>What all hosts are told is put into words once.</summary>
public sealed class WatchLinesTests
{
    private static readonly Func<long, EtcdHeader> HeaderAt = static revision => new EtcdHeader(1, 2, revision, 3);

    private static StoreBatch Batch(long revision, params string[] values) =>
        new(revision, [.. values.Select((value, number) => new StoreChange($"key{number}", new StoreEntry($"key{number}", value, revision, revision, 0)))]);

    private static EtcdWatch[] Read(byte[] lines) =>
        [.. Encoding.UTF8.GetString(lines).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line => JsonSerializer.Deserialize(line, EtcdJson.Default.EtcdWatchLine)!.Result!)];

    [Fact]
    public void A_batch_is_put_into_words_once_for_all_who_watch()
    {
        var lines = new WatchLines(1024, HeaderAt);
        var batch = Batch(7, "seven");
        var made = lines.Of(batch);
        Assert.Same(made, lines.Of(batch));
        var told = Assert.Single(Read(made));
        Assert.Equal(("seven", 7L), (Encoding.UTF8.GetString(Assert.Single(told.Events!).Kv!.Value!), told.Header!.Revision));
    }

    [Fact]
    public void Another_batch_never_gets_the_words_of_one_before()
    {
        var lines = new WatchLines(1024, HeaderAt);
        for (var revision = 1L; revision < 300; revision++)
            Assert.Equal(revision, Read(lines.Of(Batch(revision, "value"))).Single().Header!.Revision);
        // Of one revision, as a watch of a prefix sees it.
        Assert.Equal(2, Read(lines.Of(Batch(7, "a", "b"))).Single().Events!.Length);
        Assert.Single(Read(lines.Of(Batch(7, "a"))).Single().Events!);
    }

    [Fact]
    public void A_long_batch_comes_in_fragments_of_which_the_last_is_marked_as_none()
    {
        var values = Enumerable.Range(0, 10).Select(static _ => new string('x', 600)).ToArray();
        var told = Read(new WatchLines(1024, HeaderAt).Of(Batch(9, values)));
        Assert.True(told.Length > 3);
        Assert.All(told[..^1], static line => Assert.True(line.Fragment));
        Assert.Null(told[^1].Fragment);
        Assert.Equal(10, told.Sum(static line => line.Events!.Length));
    }

    [Fact]
    public void What_was_deleted_and_an_empty_batch_are_told_too()
    {
        var lines = new WatchLines(1024, HeaderAt);
        Assert.Equal("DELETE", Read(lines.Of(new StoreBatch(4, [new StoreChange("gone", null)]))).Single().Events!.Single().Type);
        Assert.Null(Read(lines.Of(new StoreBatch(5, []))).Single().Events);
    }
}
