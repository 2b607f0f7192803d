using Microsoft.Data.Sqlite;
using Sleeve.Control.Host;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;
using static Sleeve.Control.Tests.Store.Values;

namespace Sleeve.Control.Tests.Store;

/// <summary>The daemon's state in SQLite: what it holds, over an end, and what becomes of it when its files are damaged.</summary>
public sealed class StateStoreTests : IDisposable
{
    private static readonly MacAddress Station = Mac("02:00:00:00:00:01");
    private static readonly InternetAddress Address = Ip("10.1.1.9");
    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-store-").FullName;
    private readonly List<string> _said = [];

    private string Database => Path.Combine(_folder, "state.db");

    public void Dispose()
    {
        File.SetUnixFileMode(_folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Directory.Delete(_folder, recursive: true);
    }

    private StateStore Open() => StateStore.Open(_folder, _said.Add);

    private static StoredDestination Destination(string address, string via = "", bool isPermanent = false, MacAddress? mac = null, ushort port = 4789, uint vni = 100) =>
        new(mac ?? Station, Ip(address), port, vni, via, isPermanent);

    private static void Fill(StateStore store)
    {
        store.SaveConfiguration("""{"local":"192.0.2.1"}""");
        store.SaveSegment(new StoredSegment("vx1", """{"vni":100}"""));
        store.Settle("vx1");
        store.SaveEntries(
            "vx1",
            [
                (Station, [Destination("192.0.2.2", "eth0", isPermanent: true, port: 65535, vni: 0xFFFFFF)]),
                (MacAddress.Zero, [Destination("192.0.2.3", mac: MacAddress.Zero), Destination("2001:db8::3", mac: MacAddress.Zero)]),
            ],
            [(Address, new Neighbour(Address, Station, IsRouter: true)), (Ip("fd00::9"), new Neighbour(Ip("fd00::9"), Station))]);
        store.SaveLearned("vx1", new StoredLearning(DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_123), [1, 2, 3]));
    }

    private static void AssertFilled(StateStore store)
    {
        Assert.Equal("""{"local":"192.0.2.1"}""", store.Configuration);
        Assert.Equal([new StoredSegment("vx1", """{"vni":100}""")], store.Segments);
        Assert.True(store.HasTables("vx1"));
        Assert.Equal(
            [
                Destination("192.0.2.2", "eth0", isPermanent: true, port: 65535, vni: 0xFFFFFF),
                Destination("192.0.2.3", mac: MacAddress.Zero), Destination("2001:db8::3", mac: MacAddress.Zero),
            ],
            store.FdbOf("vx1").OrderBy(static to => to.Address.ToString(), StringComparer.Ordinal));
        Assert.Equal(
            [new Neighbour(Address, Station, IsRouter: true), new Neighbour(Ip("fd00::9"), Station)],
            store.NeighboursOf("vx1").OrderBy(static each => each.Address.ToString(), StringComparer.Ordinal));
        var learned = store.LearnedBy("vx1");
        Assert.Equal(DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_123), learned!.TakenAt);
        Assert.Equal([1, 2, 3], learned.Stations);
    }

    private static void AssertEmpty(StateStore store)
    {
        Assert.Null(store.Configuration);
        Assert.Empty(store.Segments);
        Assert.Empty(store.FormerSegments);
        Assert.False(store.HasTables("vx1"));
        Assert.Empty(store.FdbOf("vx1"));
        Assert.Empty(store.NeighboursOf("vx1"));
        Assert.Null(store.LearnedBy("vx1"));
    }

    [Fact]
    public void A_new_one_is_empty_and_its_owner_s_alone()
    {
        var folder = Path.Combine(_folder, "new", "deeper");
        using var store = StateStore.Open(folder, _said.Add);
        AssertEmpty(store);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(folder));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(folder, "state.db")));
        Assert.Empty(_said);
    }

    [Fact]
    public void What_was_saved_is_there_at_once_and_after_an_end()
    {
        using (var store = Open())
        {
            Fill(store);
            AssertFilled(store);
        }

        using var again = Open();
        AssertFilled(again);
        Assert.Empty(_said);
    }

    [Fact]
    public void What_was_saved_is_there_after_a_kill()
    {
        // A copy of the files while they are in use is what a kill leaves.
        using (var store = Open())
        {
            Fill(store);
            CopyTo(Path.Combine(_folder, "copy"));
        }

        using var again = StateStore.Open(Path.Combine(_folder, "copy"), _said.Add);
        AssertFilled(again);
        Assert.Empty(_said);
    }

    [Fact]
    public void Entries_are_replaced_and_removed_station_by_station()
    {
        using var store = Open();
        Fill(store);
        store.SaveEntries("vx1", [(Station, [Destination("192.0.2.9")]), (MacAddress.Zero, [])], [(Address, null)]);
        Assert.Equal([Destination("192.0.2.9")], store.FdbOf("vx1"));
        Assert.Equal([new Neighbour(Ip("fd00::9"), Station)], store.NeighboursOf("vx1"));
        store.SaveEntries("vx2", [], []);
        Assert.True(store.HasTables("vx2"));
        Assert.Empty(store.FdbOf("vx2"));
    }

    [Fact]
    public void Forgetting_one_segment_leaves_the_others()
    {
        using var store = Open();
        Fill(store);
        store.SaveSegment(new StoredSegment("vx2", """{"vni":200}"""));
        store.SaveEntries("vx2", [(Station, [Destination("192.0.2.2", vni: 200)])], [(Address, new Neighbour(Address, Station))]);
        store.SaveLearned("vx2", new StoredLearning(DateTimeOffset.UnixEpoch, [7]));
        store.RemoveSegment("vx2");
        store.Forget("vx2");
        AssertFilled(store);
        Assert.False(store.HasTables("vx2"));
        Assert.Empty(store.FdbOf("vx2"));
        Assert.Empty(store.NeighboursOf("vx2"));
        Assert.Null(store.LearnedBy("vx2"));
    }

    [Fact]
    public void A_segment_that_learned_nothing_has_no_old_stations()
    {
        using var store = Open();
        Fill(store);
        store.ForgetLearned("vx1");
        Assert.Null(store.LearnedBy("vx1"));
    }

    [Fact]
    public void What_a_command_began_is_known_until_it_is_settled()
    {
        using var store = Open();
        var (old, changed) = (new StoredSegment("vx1", """{"vni":100}"""), new StoredSegment("vx1", """{"vni":100,"remote":"192.0.2.9"}"""));
        store.SaveSegment(old);
        Assert.Equal([old], store.FormerSegments);
        store.SaveSegment(changed);
        Assert.Equal([changed], store.Segments);
        Assert.Equal([old], store.FormerSegments);
        // A second change before the first is settled: the tables may still be the first's.
        store.SaveSegment(new StoredSegment("vx1", "{}"));
        Assert.Equal([old], store.FormerSegments);
        store.Settle("vx1");
        Assert.Equal([new StoredSegment("vx1", "{}")], store.FormerSegments);
        store.RemoveSegment("vx1");
        Assert.Empty(store.Segments);
        Assert.Equal([new StoredSegment("vx1", "{}")], store.FormerSegments);
        store.Forget("vx1");
        Assert.Empty(store.FormerSegments);
    }

    [Fact]
    public void A_second_daemon_is_locked_out()
    {
        using (Open())
        {
            var refusal = Assert.Throws<HostException>(Open);
            Assert.Equal($"--state {_folder}: another sleeve daemon uses it; stop that one, or give this one another folder", refusal.Message);
        }

        using var after = Open();
        AssertEmpty(after);
    }

    [Theory]
    [InlineData("")]
    [InlineData("this is no database, but long enough to have a header of its own: 0123456789 0123456789 0123456789 0123456789 0123456789")]
    public void What_is_no_database_is_moved_aside(string text)
    {
        File.WriteAllText(Database, text);
        using var store = Open();
        AssertEmpty(store);
        // An empty file is what a new database is.
        if (text == "") return;
        Assert.StartsWith($"warning: {Database} is damaged", Assert.Single(_said), StringComparison.Ordinal);
        Assert.Equal(text, File.ReadAllText(Assert.Single(Directory.GetFiles(_folder, "state.db.bad-*"))));
        store.SaveConfiguration("{}");
    }

    [Fact]
    public void Somebody_else_s_database_is_moved_aside()
    {
        using (var other = new SqliteConnection($"Data Source={Database};Pooling=False"))
        {
            other.Open();
            using var command = other.CreateCommand();
            command.CommandText = "CREATE TABLE letters(a); PRAGMA user_version=1";
            command.ExecuteNonQuery();
        }

        using var store = Open();
        AssertEmpty(store);
        Assert.Single(_said);
    }

    [Fact]
    public void A_newer_one_is_refused_and_stays()
    {
        using (var store = Open()) Fill(store);
        SetVersion(2);
        var refusal = Assert.Throws<HostException>(Open);
        Assert.Contains("was written by a newer sleeve (schema 2, this one knows 1)", refusal.Message, StringComparison.Ordinal);
        SetVersion(1);
        using var again = Open();
        AssertFilled(again);
    }

    /// <summary>A log that was cut at any place holds the changes up to some moment, whole.</summary>
    [Fact]
    public void A_log_that_was_cut_anywhere_loses_the_last_changes_and_nothing_else()
    {
        var cut = Path.Combine(_folder, "cut");
        using (var store = Open())
        {
            for (var i = 0; i < 30; i++)
            {
                // Both in one transaction: never one of them alone.
                store.SaveEntries("vx1", [(Station, [Destination($"192.0.2.{i}")])], [(Address, new Neighbour(Address, Mac($"02:00:00:00:00:{i:x2}")))]);
            }

            CopyTo(cut);
        }

        var log = File.ReadAllBytes(Path.Combine(cut, "state.db-wal"));
        var random = new Random(5);
        var seen = new HashSet<int>();
        for (var round = 0; round < 60; round++)
        {
            var folder = Path.Combine(_folder, $"cut{round}");
            Directory.CreateDirectory(folder);
            File.Copy(Path.Combine(cut, "state.db"), Path.Combine(folder, "state.db"));
            File.WriteAllBytes(Path.Combine(folder, "state.db-wal"), log[..random.Next(log.Length)]);
            using var store = StateStore.Open(folder, _said.Add);
            var fdb = store.FdbOf("vx1");
            if (fdb.Count == 0)
            {
                Assert.Empty(store.NeighboursOf("vx1"));
                continue;
            }

            var last = int.Parse(Assert.Single(fdb).Address.ToString()["192.0.2.".Length..], System.Globalization.CultureInfo.InvariantCulture);
            Assert.Equal($"02:00:00:00:00:{last:x2}", Assert.Single(store.NeighboursOf("vx1")).Mac.ToString());
            seen.Add(last);
        }

        Assert.Empty(_said);
        Assert.True(seen.Count > 5, "the cuts should fall between different changes");
    }

    /// <summary>Bytes that are lost or changed anywhere: it opens, empty or not, and takes changes; or says why not in one line.</summary>
    [Theory]
    [InlineData("state.db", true)]
    [InlineData("state.db", false)]
    [InlineData("state.db-wal", false)]
    public void Damage_anywhere_never_keeps_it_from_going_on(string name, bool isCut)
    {
        using (var store = Open())
        {
            Fill(store);
            store.SaveEntries("vx1", Enumerable.Range(0, 2000).Select(static i => (Mac(i), (IReadOnlyList<StoredDestination>)[Destination("192.0.2.2")])), []);
            CopyTo(Path.Combine(_folder, "whole"));
        }

        // Once with everything in the log, once with everything in the file.
        var whole = name == "state.db" ? _folder : Path.Combine(_folder, "whole");
        var bytes = File.ReadAllBytes(Path.Combine(whole, name));
        var random = new Random(7);
        for (var round = 0; round < 40; round++)
        {
            var folder = Path.Combine(_folder, $"bad{round}");
            Directory.CreateDirectory(folder);
            File.Copy(Path.Combine(whole, "state.db"), Path.Combine(folder, "state.db"));
            var damaged = isCut ? bytes[..random.Next(bytes.Length)] : [.. bytes];
            for (var i = 0; !isCut && i < 64; i++) damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            File.WriteAllBytes(Path.Combine(folder, name), damaged);
            try
            {
                using var store = StateStore.Open(folder, _said.Add);
                _ = (store.Configuration, store.Segments, store.FormerSegments, store.FdbOf("vx1"), store.NeighboursOf("vx1"), store.LearnedBy("vx1"));
                Fill(store);
                Assert.Equal("""{"local":"192.0.2.1"}""", store.Configuration);
            }
            catch (HostException failure)
            {
                // Damage that has a version number of its own, or that shows only when it is read.
                Assert.DoesNotContain('\n', failure.Message);
            }
        }
    }

    [SkippableFact]
    public void A_folder_that_cannot_be_written_is_named()
    {
        Skip.If(Environment.IsPrivilegedProcess, "needs an ordinary user: root may write everywhere (the end-to-end tests have a read-only file system)");
        File.SetUnixFileMode(_folder, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        Assert.StartsWith($"--state {_folder}: cannot be written", Assert.Throws<HostException>(Open).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_that_cannot_be_is_named()
    {
        File.WriteAllText(Path.Combine(_folder, "file"), "");
        var folder = Path.Combine(_folder, "file", "below");
        Assert.StartsWith($"--state {folder}: cannot be made", Assert.Throws<HostException>(() => StateStore.Open(folder, _said.Add)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Removing_it_leaves_no_file()
    {
        File.WriteAllText(Database, "this is no database, but long enough to have a header of its own: 0123456789 0123456789 0123456789 0123456789");
        using (var store = Open()) Fill(store);
        StateStore.Remove(_folder);
        Assert.Empty(Directory.GetFileSystemEntries(_folder));
        StateStore.Remove(_folder);
    }

    [Fact]
    public void Many_threads_take_turns()
    {
        using var store = Open();
        Parallel.For(0, 200, i =>
        {
            store.SaveEntries($"vx{i % 5}", [(Mac(i), [Destination("192.0.2.2")])], []);
            _ = store.FdbOf($"vx{i % 5}");
        });
        Assert.All(Enumerable.Range(0, 5), i => Assert.Equal(40, store.FdbOf($"vx{i}").Count));
    }

    private void SetVersion(int version)
    {
        using var connection = new SqliteConnection($"Data Source={Database};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = $"PRAGMA user_version={version}";
        command.ExecuteNonQuery();
    }

    private void CopyTo(string folder)
    {
        Directory.CreateDirectory(folder);
        foreach (var name in new[] { "state.db", "state.db-wal" }) File.Copy(Path.Combine(_folder, name), Path.Combine(folder, name));
    }
}
