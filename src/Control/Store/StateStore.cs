using System.Globalization;
using Microsoft.Data.Sqlite;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Store;

/// <summary>
/// What the daemon knows beyond its configuration file, in one SQLite database: segments that commands made, static entries, what was learned. A change is
/// there for good when its method returns, whatever happens to the process; after a power failure the last ones may be missing, but never half of one
/// (write-ahead log, synchronous=NORMAL). One daemon at a time; every method from any thread, one at a time.
/// </summary>
internal sealed partial class StateStore : IDisposable
{
    private const string FileName = "state.db";
    private const string LockName = "lock";

    // Stands in the database; one that is newer belongs to a newer sleeve.
    private const int SchemaVersion = 1;

    private const string Schema = """
        CREATE TABLE setting(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE segment(name TEXT PRIMARY KEY, settings TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE former(name TEXT PRIMARY KEY, settings TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE filled(segment TEXT PRIMARY KEY) WITHOUT ROWID;
        CREATE TABLE fdb(segment TEXT, mac TEXT, dst TEXT, port INTEGER, vni INTEGER, via TEXT, permanent INTEGER,
            PRIMARY KEY(segment, mac, dst, port, vni, via)) WITHOUT ROWID;
        CREATE TABLE neighbour(segment TEXT, dst TEXT, lladdr TEXT, router INTEGER, PRIMARY KEY(segment, dst)) WITHOUT ROWID;
        CREATE TABLE learned(segment TEXT PRIMARY KEY, taken INTEGER, stations BLOB) WITHOUT ROWID;
        """;

    private const string KeepFormer = "INSERT OR IGNORE INTO former SELECT name, settings FROM segment WHERE name=$name";

    private readonly SqliteConnection _connection;
    private readonly FileStream _lock;
    private readonly Lock _access = new();

    static StateStore() => SQLitePCL.Batteries_V2.Init();

    private StateStore(SqliteConnection connection, FileStream held)
    {
        _connection = connection;
        _lock = held;
    }

    /// <summary>Opens the store of a folder, which is made if need be.</summary>
    /// <param name="folder">Readable by its owner alone.</param>
    /// <param name="say">Told what had to be given up; one line each.</param>
    /// <exception cref="HostException">Another daemon has it, it cannot be written, or a newer sleeve wrote it.</exception>
    public static StateStore Open(string folder, Action<string> say)
    {
        FileStream held;
        try
        {
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"--state {folder}: cannot be made: {failure.Message}");
        }

        try
        {
            held = new FileStream(Path.Combine(folder, LockName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (UnauthorizedAccessException failure)
        {
            throw new HostException($"--state {folder}: cannot be written: {failure.Message}");
        }
        catch (IOException failure) when (failure.Message.Contains("being used", StringComparison.Ordinal))
        {
            throw new HostException($"--state {folder}: another sleeve daemon uses it; stop that one, or give this one another folder");
        }
        catch (IOException failure)
        {
            throw new HostException($"--state {folder}: cannot be written: {failure.Message}");
        }

        try
        {
            return new StateStore(OpenDatabase(Path.Combine(folder, FileName), say), held);
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    private static SqliteConnection OpenDatabase(string path, Action<string> say)
    {
        try
        {
            return TryOpen(path);
        }
        catch (SqliteException failure) when (failure.SqliteErrorCode is SQLitePCL.raw.SQLITE_FULL or SQLitePCL.raw.SQLITE_IOERR && File.Exists(path))
        {
            // On a full disk there is no room for the index of the log, which can be kept in memory too: what is known already is to be read in any case.
            return Guarded(path, () => TryOpen(path, needsNoFile: true));
        }
        catch (SqliteException failure) when (failure.SqliteErrorCode is SQLitePCL.raw.SQLITE_CORRUPT or SQLitePCL.raw.SQLITE_NOTADB or SQLitePCL.raw.SQLITE_ERROR)
        {
            // Better without than not at all: the configuration file has the rest, and what was there stays to be looked at.
            var aside = string.Create(CultureInfo.InvariantCulture, $"{path}.bad-{DateTimeOffset.UtcNow.ToUnixTimeSeconds()}");
            File.Move(path, aside);
            foreach (var part in (ReadOnlySpan<string>)["-wal", "-shm"])
                if (File.Exists(path + part)) File.Move(path + part, aside + part);
            say($"warning: {path} is damaged ({failure.Message}): moved to {aside}; segments and entries that commands made are lost, what the configuration file says is not");
            return Guarded(path, () => TryOpen(path));
        }
        catch (SqliteException failure)
        {
            throw Failed(path, failure);
        }
    }

    private static SqliteConnection TryOpen(string path, bool needsNoFile = false)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false, DefaultTimeout = 5 }.ToString());
        try
        {
            connection.Open();
            if (needsNoFile) connection.Run("PRAGMA locking_mode=EXCLUSIVE");
            connection.Run("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;");
            if (connection.Scalar("PRAGMA quick_check(1)") is not "ok") throw new SqliteException("its pages contradict each other", SQLitePCL.raw.SQLITE_CORRUPT);
            switch ((long)connection.Scalar("PRAGMA user_version")!)
            {
                case 0:
                    using (var transaction = connection.BeginTransaction())
                    {
                        connection.Run(Schema);
                        connection.Run(string.Create(CultureInfo.InvariantCulture, $"PRAGMA user_version={SchemaVersion}"));
                        transaction.Commit();
                    }

                    break;
                case SchemaVersion:
                    // Somebody else's database may have that number too.
                    connection.Run("SELECT 1 FROM setting, segment, former, filled, fdb, neighbour, learned LIMIT 0");
                    break;
                case var other:
                    throw new HostException($"{path} was written by a newer sleeve (schema {other}, this one knows {SchemaVersion}): install that one, or move the file away");
            }

            if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private static T Guarded<T>(string path, Func<T> work)
    {
        try
        {
            return work();
        }
        catch (SqliteException failure)
        {
            throw Failed(path, failure);
        }
    }

    private static HostException Failed(string path, SqliteException failure) => new(failure.SqliteErrorCode switch
    {
        SQLitePCL.raw.SQLITE_FULL => $"{path}: the disk is full",
        SQLitePCL.raw.SQLITE_READONLY or SQLitePCL.raw.SQLITE_CANTOPEN => $"{path} cannot be written ({failure.Message}): is the file system read-only?",
        _ => $"{path}: {failure.Message}",
    });

    /// <summary>The configuration that was in use last, as JSON; null if there was none.</summary>
    public string? Configuration => Read("SELECT value FROM setting WHERE key='configuration'", static row => row.GetString(0)).FirstOrDefault();

    /// <summary>The segments that commands made.</summary>
    public IReadOnlyList<StoredSegment> Segments => Read("SELECT name, settings FROM segment ORDER BY name", static row => new StoredSegment(row.GetString(0), row.GetString(1)));

    /// <summary>Notes the configuration that is in use from now on.</summary>
    /// <exception cref="HostException">It cannot be written; nothing is changed. So of every method that writes.</exception>
    public void SaveConfiguration(string json) => Write("INSERT OR REPLACE INTO setting VALUES('configuration', $value)", ("$value", json));

    /// <summary>
    /// The segments of commands as they were before what was begun last: by what the TAPs and tables that an earlier run left may still be, until it is <see cref="Settle"/>d.
    /// </summary>
    public IReadOnlyList<StoredSegment> FormerSegments => Read(
        "SELECT name, settings FROM former UNION ALL SELECT name, settings FROM segment WHERE name NOT IN (SELECT name FROM former) ORDER BY name",
        static row => new StoredSegment(row.GetString(0), row.GetString(1)));

    /// <summary>Notes a segment that a command is about to make or change.</summary>
    public void SaveSegment(StoredSegment segment) => Write(
        $"{KeepFormer}; INSERT OR REPLACE INTO segment VALUES($name, $settings)", ("$name", segment.Name), ("$settings", segment.Settings));

    /// <summary>Notes that a command is about to remove a segment; what it knew is still there for <see cref="Forget"/>.</summary>
    public void RemoveSegment(string name) => Write($"{KeepFormer}; DELETE FROM segment WHERE name=$name", ("$name", name));

    /// <summary>Notes that what was begun with a segment is done.</summary>
    public void Settle(string name) => Write("DELETE FROM former WHERE name=$name", ("$name", name));

    /// <summary>Finds out whether it can be written.</summary>
    public void Probe() => Write("INSERT OR REPLACE INTO setting VALUES('probe', '')");

    /// <summary>Forgets all that a segment knew.</summary>
    public void Forget(string name) => Write(
        "DELETE FROM former WHERE name=$name; DELETE FROM filled WHERE segment=$name; DELETE FROM fdb WHERE segment=$name; DELETE FROM neighbour WHERE segment=$name; DELETE FROM learned WHERE segment=$name",
        ("$name", name));

    /// <summary>Whether the tables of a segment are here; if not, it never ran.</summary>
    public bool HasTables(string segment) => Read("SELECT 1 FROM filled WHERE segment=$segment", static _ => true, ("$segment", segment)).Count > 0;

    /// <summary>The static and permanent FDB entries of a segment.</summary>
    public IReadOnlyList<StoredDestination> FdbOf(string segment) => Read(
        "SELECT mac, dst, port, vni, via, permanent FROM fdb WHERE segment=$segment",
        static row => MacAddress.TryParse(row.GetString(0), out var mac) && InternetAddress.TryParse(row.GetString(1), out var address)
            ? new StoredDestination(mac, address, (ushort)row.GetInt32(2), (uint)row.GetInt64(3), row.GetString(4), row.GetInt32(5) != 0)
            : null,
        ("$segment", segment)).OfType<StoredDestination>().ToArray();

    /// <summary>The neighbours of a segment.</summary>
    public IReadOnlyList<Neighbour> NeighboursOf(string segment) => Read(
        "SELECT dst, lladdr, router FROM neighbour WHERE segment=$segment",
        static row => InternetAddress.TryParse(row.GetString(0), out var address) && MacAddress.TryParse(row.GetString(1), out var mac)
            ? (Neighbour?)new Neighbour(address, mac, row.GetInt32(2) != 0)
            : null,
        ("$segment", segment)).OfType<Neighbour>().ToArray();

    /// <summary>What a segment had learned when it was last noted; null if nothing was.</summary>
    public StoredLearning? LearnedBy(string segment) => Read(
        "SELECT taken, stations FROM learned WHERE segment=$segment",
        static row => new StoredLearning(DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(0)), row.GetFieldValue<byte[]>(1)),
        ("$segment", segment)).FirstOrDefault();

    /// <summary>Notes that a segment has learned nothing.</summary>
    public void ForgetLearned(string segment) => Write("DELETE FROM learned WHERE segment=$segment", ("$segment", segment));

    /// <summary>Notes what a segment has learned, in place of what was noted before.</summary>
    public void SaveLearned(string segment, StoredLearning learned) => Write(
        "INSERT OR REPLACE INTO learned VALUES($segment, $taken, $stations)", ("$segment", segment), ("$taken", learned.TakenAt.ToUnixTimeMilliseconds()), ("$stations", learned.Stations));

    /// <summary>Notes how entries of a segment are now; all of it or nothing.</summary>
    /// <param name="segment">Name of its TAP.</param>
    /// <param name="fdb">Each station that was changed, with all its static and permanent destinations; none if it has none any more.</param>
    /// <param name="neighbours">Each address that was changed, with its neighbour; null if it has none any more.</param>
    public void SaveEntries(
        string segment, IEnumerable<(MacAddress Mac, IReadOnlyList<StoredDestination> Destinations)> fdb, IEnumerable<(InternetAddress Address, Neighbour? Neighbour)> neighbours) =>
        Guard(() =>
        {
            using var transaction = _connection.BeginTransaction();
            _connection.Run("INSERT OR IGNORE INTO filled VALUES($segment)", ("$segment", segment));
            foreach (var (mac, destinations) in fdb)
            {
                _connection.Run("DELETE FROM fdb WHERE segment=$segment AND mac=$mac", ("$segment", segment), ("$mac", mac.ToString()));
                foreach (var to in destinations)
                {
                    _connection.Run(
                        "INSERT OR REPLACE INTO fdb VALUES($segment, $mac, $dst, $port, $vni, $via, $permanent)", ("$segment", segment), ("$mac", mac.ToString()), ("$dst", to.Address.ToString()),
                        ("$port", (int)to.Port), ("$vni", (long)to.Vni), ("$via", to.Via), ("$permanent", to.IsPermanent ? 1 : 0));
                }
            }

            foreach (var (address, neighbour) in neighbours)
            {
                _connection.Run("DELETE FROM neighbour WHERE segment=$segment AND dst=$dst", ("$segment", segment), ("$dst", address.ToString()));
                if (neighbour is { } now)
                    _connection.Run("INSERT INTO neighbour VALUES($segment, $dst, $lladdr, $router)", ("$segment", segment), ("$dst", address.ToString()), ("$lladdr", now.Mac.ToString()), ("$router", now.IsRouter ? 1 : 0));
            }

            transaction.Commit();
        });

    private List<T> Read<T>(string sql, Func<SqliteDataReader, T> read, params ReadOnlySpan<(string Name, object Value)> parameters)
    {
        lock (_access)
        {
            using var command = _connection.Prepare(sql, parameters);
            return Guarded(_connection.DataSource, () =>
            {
                using var reader = command.ExecuteReader();
                var rows = new List<T>();
                while (reader.Read()) rows.Add(read(reader));
                return rows;
            });
        }
    }

    private void Write(string sql, params (string Name, object Value)[] parameters) => Guard(() =>
    {
        using var transaction = _connection.BeginTransaction();
        _connection.Run(sql, parameters);
        transaction.Commit();
    });

    private void Guard(Action work)
    {
        lock (_access)
        {
            Guarded(_connection.DataSource, () =>
            {
                work();
                return true;
            });
        }
    }

    /// <summary>Removes the state of a folder; one that is not there is no error.</summary>
    public static void Remove(string folder)
    {
        // What was damaged and moved aside too.
        foreach (var path in Directory.EnumerateFiles(folder, $"{FileName}*").Append(Path.Combine(folder, LockName)).ToArray()) File.Delete(path);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _connection.Dispose();
        _lock.Dispose();
    }
}
