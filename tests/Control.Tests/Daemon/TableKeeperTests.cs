using Microsoft.Data.Sqlite;
using Sleeve.Control.Daemon;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;
using static Sleeve.Control.Tests.Store.Values;

namespace Sleeve.Control.Tests.Daemon;

/// <summary>What changes in tables is in the store before it is answered; what cannot be written is written as soon as it can.</summary>
public sealed class TableKeeperTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-keeper-").FullName;
    private readonly List<string> _said = [];
    private readonly StateStore _store;
    private readonly TableKeeper _keeper;

    public TableKeeperTests()
    {
        _store = StateStore.Open(_folder, _said.Add);
        _keeper = new TableKeeper(_store, _said.Add);
    }

    public void Dispose()
    {
        _keeper.Dispose();
        _store.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static VtepAddress Vtep2 => new(Ip("192.0.2.2"), 4789);

    private static Vni Vni => new(100);

    private static Segment NewSegment(string name = "vx1") => new(new SegmentOptions { Vni = Vni, Name = name, NeighbourSnooping = true }, new VtepAddress(Ip("192.0.2.1"), 4789));

    private Segment Followed(string name = "vx1")
    {
        var segment = NewSegment(name);
        _keeper.Follow(segment);
        return segment;
    }

    // Somebody else writes: what SQLite refuses then is refused as on a full disk.
    private SqliteConnection Obstruct()
    {
        var connection = new SqliteConnection($"Data Source={Path.Combine(_folder, "state.db")};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "BEGIN IMMEDIATE";
        command.ExecuteNonQuery();
        return connection;
    }

    [Fact]
    public async Task Every_change_is_in_the_store_when_it_is_saved()
    {
        var segment = Followed();
        await _keeper.SaveAsync();
        Assert.True(_store.HasTables("vx1"));
        var now = DataPlane.Vtep.NowMilliseconds;
        segment.Fdb.Add(Mac(1), Vtep2, Vni, EntryKind.Static, now);
        segment.Fdb.Append(MacAddress.Zero, Vtep2, Vni, EntryKind.Permanent, now);
        segment.Fdb.Add(Mac(2), Vtep2, Vni, EntryKind.Dynamic, now);
        segment.Neighbours.Add(new Neighbour(Ip("10.1.1.9"), Mac(9), IsRouter: true));
        await _keeper.SaveAsync();
        Assert.Equal(
            [new StoredDestination(MacAddress.Zero, Ip("192.0.2.2"), 4789, 100, "", true), new StoredDestination(Mac(1), Ip("192.0.2.2"), 4789, 100, "", false)],
            _store.FdbOf("vx1").OrderBy(static to => to.Mac.ToString(), StringComparer.Ordinal));
        Assert.Equal([new Neighbour(Ip("10.1.1.9"), Mac(9), IsRouter: true)], _store.NeighboursOf("vx1"));

        segment.Fdb.Replace(Mac(1), Vtep2, new Vni(7), EntryKind.Permanent, now);
        segment.Fdb.Delete(MacAddress.Zero, null, Vni, now);
        segment.Neighbours.Delete(Ip("10.1.1.9"));
        await _keeper.SaveAsync();
        Assert.Equal([new StoredDestination(Mac(1), Ip("192.0.2.2"), 4789, 7, "", true)], _store.FdbOf("vx1"));
        Assert.Empty(_store.NeighboursOf("vx1"));
        segment.Fdb.Flush(all: true, now);
        await _keeper.SaveAsync();
        Assert.Empty(_store.FdbOf("vx1"));
        Assert.Empty(_said);
    }

    [Fact]
    public async Task What_was_saved_comes_back()
    {
        var segment = Followed();
        var now = DataPlane.Vtep.NowMilliseconds;
        segment.Fdb.Add(Mac(1), Vtep2, new Vni(7), EntryKind.Static, now, 1);
        segment.Fdb.Add(Mac(2), Vtep2, Vni, EntryKind.Dynamic, now);
        segment.Neighbours.Add(new Neighbour(Ip("10.1.1.9"), Mac(9)));
        await _keeper.SaveAsync();
        await _keeper.SaveLearnedAsync([segment]);

        var again = NewSegment();
        _keeper.Restore(again);
        Assert.Equal(1, _keeper.RestoreLearned(again));
        Assert.Equal((EntryKind.Static, 7u, 1), again.Fdb.Show(Mac(1), now) is { } entry ? (entry.Kind, entry.Destinations.Remotes[0].Vni.Value, entry.Destinations.Remotes[0].InterfaceIndex) : default);
        Assert.Equal(EntryKind.Dynamic, again.Fdb.Show(Mac(2), now)?.Kind);
        Assert.Equal(segment.Neighbours.Snapshot(), again.Neighbours.Snapshot());
    }

    [Fact]
    public async Task An_interface_that_is_gone_is_told()
    {
        _store.SaveEntries("vx1", [(Mac(1), [new StoredDestination(Mac(1), Ip("192.0.2.2"), 4789, 100, "nosuch0", true)])], []);
        var segment = NewSegment();
        _keeper.Restore(segment);
        Assert.Equal(0, segment.Fdb.Count);
        Assert.Contains("via nosuch0 is left out: there is no such interface", Assert.Single(_said), StringComparison.Ordinal);
        await Task.CompletedTask;
    }

    [Fact]
    public async Task What_cannot_be_written_is_told_once_and_written_as_soon_as_it_can_be()
    {
        var segment = Followed();
        var now = DataPlane.Vtep.NowMilliseconds;
        using (Obstruct())
        {
            segment.Fdb.Add(Mac(1), Vtep2, Vni, EntryKind.Static, now);
            await _keeper.SaveAsync();
            Assert.NotNull(_keeper.Unsaved);
            Assert.StartsWith("warning: the state is not saved: ", Assert.Single(_said), StringComparison.Ordinal);
            segment.Neighbours.Add(new Neighbour(Ip("10.1.1.9"), Mac(9)));
        }

        await _keeper.SaveAsync();
        Assert.Null(_keeper.Unsaved);
        Assert.Equal("the state is saved again", _said[^1]);
        Assert.True(_store.HasTables("vx1"));
        Assert.Single(_store.FdbOf("vx1"));
        Assert.Single(_store.NeighboursOf("vx1"));
        Assert.Equal(2, _said.Count);
    }

    /// <summary>An empty table that could not be written is no less missing, and nothing else would say that it is there again.</summary>
    [Fact]
    public async Task A_failure_without_a_change_is_over_by_itself()
    {
        Followed();
        await _keeper.SaveAsync();
        var learned = Followed("vx2");
        using (Obstruct())
        {
            await _keeper.SaveAsync();
            Assert.NotNull(_keeper.Unsaved);
        }

        await _keeper.SaveAsync();
        Assert.Null(_keeper.Unsaved);
        Assert.True(_store.HasTables("vx2"));
        learned.Fdb.Add(Mac(2), Vtep2, Vni, EntryKind.Dynamic, DataPlane.Vtep.NowMilliseconds);
        using (Obstruct()) await _keeper.SaveLearnedAsync([learned]);
        Assert.NotNull(_keeper.Unsaved);
        await _keeper.SaveAsync();
        Assert.Null(_keeper.Unsaved);
    }

    [Fact]
    public async Task What_was_forgotten_stays_forgotten_also_if_it_could_not_be_written()
    {
        var segment = Followed();
        segment.Fdb.Add(Mac(1), Vtep2, Vni, EntryKind.Static, DataPlane.Vtep.NowMilliseconds);
        await _keeper.SaveAsync();
        using (Obstruct())
        {
            _keeper.Forget("vx1");
            await _keeper.SaveAsync();
            Assert.NotNull(_keeper.Unsaved);
            // Anew under the same name, with another station.
            Followed().Fdb.Add(Mac(2), Vtep2, Vni, EntryKind.Static, DataPlane.Vtep.NowMilliseconds);
        }

        // A late change of the one that was removed.
        segment.Fdb.Add(Mac(3), Vtep2, Vni, EntryKind.Static, DataPlane.Vtep.NowMilliseconds);
        await _keeper.SaveLearnedAsync([segment]);
        await _keeper.SaveAsync();
        Assert.Null(_keeper.Unsaved);
        Assert.Equal(Mac(2), Assert.Single(_store.FdbOf("vx1")).Mac);
        Assert.Null(_store.LearnedBy("vx1"));
    }

    [Fact]
    public async Task A_segment_that_forgot_what_it_learned_does_not_learn_it_from_the_store()
    {
        var segment = Followed();
        var now = DataPlane.Vtep.NowMilliseconds;
        segment.Fdb.Add(Mac(2), Vtep2, Vni, EntryKind.Dynamic, now);
        await _keeper.SaveLearnedAsync([segment]);
        Assert.NotNull(_store.LearnedBy("vx1"));
        segment.Fdb.Flush(all: false, now);
        await _keeper.SaveLearnedAsync([segment]);
        Assert.Null(_store.LearnedBy("vx1"));
    }

    [Fact]
    public async Task The_configuration_is_saved_after_the_tables_that_came_of_it()
    {
        Followed();
        _keeper.Keep("{}");
        using (Obstruct()) await _keeper.SaveAsync();
        Assert.Null(_store.Configuration);
        _keeper.Keep("""{"ageing":1}""");
        await _keeper.SaveAsync();
        Assert.Equal("""{"ageing":1}""", _store.Configuration);
        Assert.True(_store.HasTables("vx1"));
    }

    /// <summary>Whoever is answered has its change in the store, also if another one was about to write it.</summary>
    [Fact]
    public void Whoever_was_answered_has_its_change_in_the_store()
    {
        var segment = Followed();
        var missing = 0;
        Parallel.For(0, 400, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
        {
            segment.Fdb.Add(Mac(i + 1), Vtep2, Vni, EntryKind.Static, DataPlane.Vtep.NowMilliseconds);
            _keeper.SaveAsync().GetAwaiter().GetResult();
            if (!_store.FdbOf("vx1").Any(to => to.Mac == Mac(i + 1))) Interlocked.Increment(ref missing);
        });
        Assert.Equal(0, missing);
    }
}
