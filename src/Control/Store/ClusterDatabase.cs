using System.Globalization;
using System.Security.Cryptography;
using Microsoft.Data.Sqlite;
using Sleeve.Control.Host;

namespace Sleeve.Control.Store;

/// <summary>A lease as it is stored; when it ends is in memory only, since a clock that outlives the process is no clock to trust.</summary>
/// <param name="Number">Its number.</param>
/// <param name="Seconds">Its term.</param>
/// <param name="Owner">Who made it; "" for this host itself.</param>
internal sealed record StoredLease(long Number, long Seconds, string Owner);

/// <summary>
/// The file of an <see cref="EmbeddedStore"/>: SQLite with a write-ahead log, flushed to the disk before a commit returns (synchronous=FULL), so that no revision that anybody saw is ever given to something else. It holds the
/// entries as they stand and, for the last revisions, what each changed and what was there before. One connection writes (one caller at a time), another reads (any thread); each read is of one revision.
/// </summary>
internal sealed class ClusterDatabase : IDisposable
{
    private const int SchemaVersion = 1;

    // Runs of the daemon that are remembered, so that a client that comes back can be told whether what it saw is still true.
    private const int MaxEpochs = 100;
    private const int ReserveBytes = 128 * 1024;

    // What may be taken back in memory to show an earlier revision.
    private const long MaxEarlierBytes = 64 * 1024 * 1024;

    private const string Schema = """
        CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE epoch(number INTEGER PRIMARY KEY, id INTEGER NOT NULL, first INTEGER NOT NULL);
        CREATE TABLE entry(key BLOB NOT NULL UNIQUE, value BLOB NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL, lease INTEGER NOT NULL);
        CREATE INDEX entry_lease ON entry(lease) WHERE lease<>0;
        CREATE TABLE history(revision INTEGER NOT NULL, part INTEGER NOT NULL, key BLOB NOT NULL, value BLOB, created INTEGER NOT NULL, lease INTEGER NOT NULL,
            old_value BLOB, old_created INTEGER NOT NULL, old_modified INTEGER NOT NULL, old_lease INTEGER NOT NULL, PRIMARY KEY(revision, part));
        CREATE TABLE lease(number INTEGER PRIMARY KEY, seconds INTEGER NOT NULL, owner TEXT NOT NULL);
        """;

    private readonly string _path;
    private readonly SqliteConnection _writer;
    private readonly SqliteConnection _reader;
    private readonly Lock _reading = new();
    private readonly SqliteCommand _get;
    private readonly SqliteCommand _put;
    private readonly SqliteCommand _delete;
    private readonly SqliteCommand _note;
    private readonly (long Number, long Id, long First)[] _epochs;
    private SqliteTransaction? _transaction;

    static ClusterDatabase() => SQLitePCL.Batteries_V2.Init();

    private ClusterDatabase(string path)
    {
        _path = path;
        _writer = Connect(path);
        try
        {
            Prepare();
            _reader = Connect(path);
            _get = _writer.Prepare("SELECT value, created, modified, lease FROM entry WHERE key=$key", ("$key", Array.Empty<byte>()));
            _put = _writer.Prepare(
                "INSERT INTO entry VALUES($key, $value, $created, $modified, $lease) ON CONFLICT(key) DO UPDATE SET value=$value, modified=$modified, lease=$lease",
                ("$key", Array.Empty<byte>()), ("$value", Array.Empty<byte>()), ("$created", 0L), ("$modified", 0L), ("$lease", 0L));
            _delete = _writer.Prepare("DELETE FROM entry WHERE key=$key", ("$key", Array.Empty<byte>()));
            _note = _writer.Prepare(
                "INSERT INTO history VALUES($revision, $part, $key, $value, $created, $lease, $old_value, $old_created, $old_modified, $old_lease)", ("$revision", 0L), ("$part", 0L),
                ("$key", Array.Empty<byte>()), ("$value", DBNull.Value), ("$created", 0L), ("$lease", 0L), ("$old_value", DBNull.Value), ("$old_created", 0L), ("$old_modified", 0L), ("$old_lease", 0L));
            StoreId = Meta("id");
            _epochs = [.. Read(_writer, "SELECT number, id, first FROM epoch ORDER BY number", static row => (row.GetInt64(0), row.GetInt64(1), row.GetInt64(2)))];
        }
        catch
        {
            _reader?.Dispose();
            _writer.Dispose();
            throw;
        }
    }

    /// <summary>Opens the file, or makes it.</summary>
    /// <exception cref="HostException">It is damaged, cannot be written, or was written by a newer sleeve.</exception>
    public static ClusterDatabase Open(string path)
    {
        try
        {
            return OpenWithRoom(path);
        }
        catch (SqliteException failure) when (failure.SqliteErrorCode is SQLitePCL.raw.SQLITE_CORRUPT or SQLitePCL.raw.SQLITE_NOTADB or SQLitePCL.raw.SQLITE_ERROR)
        {
            // Unlike the daemon's own state: what the whole cluster agreed on must not turn into nothing because of one bad sector.
            throw new HostException(
                $"{path} is damaged ({failure.Message}): it is the store of the cluster, so nothing is begun anew in its place. Put a backup of it there (without {Path.GetFileName(path)}-wal and -shm beside it), " +
                "or move it away to begin with an empty cluster: hosts then publish their endpoints again, but networks and reservations have to be made again");
        }
        catch (SqliteException failure)
        {
            throw new HostException(Reason(path, failure));
        }
    }

    // Also on a full disk: each start notes its epoch, and SQLite needs room for what it has beside the file. For that there is a reserve.
    private static ClusterDatabase OpenWithRoom(string path)
    {
        ClusterDatabase database;
        try
        {
            database = new ClusterDatabase(path);
        }
        catch (SqliteException failure) when ((failure.SqliteErrorCode is SQLitePCL.raw.SQLITE_FULL or SQLitePCL.raw.SQLITE_IOERR or SQLitePCL.raw.SQLITE_CANTOPEN) && File.Exists(ReserveOf(path)))
        {
            File.Delete(ReserveOf(path));
            database = new ClusterDatabase(path);
        }

        Reserve(path);
        return database;
    }

    private static string ReserveOf(string path) => $"{path}-reserve";

    // As much of it as there is room for.
    private static void Reserve(string path)
    {
        try
        {
            using var file = new FileStream(ReserveOf(path), FileMode.Append, FileAccess.Write, FileShare.Read, bufferSize: 0);
            var page = new byte[4096];
            while (file.Length < ReserveBytes) file.Write(page);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // The disk is full now; what writes there says so.
        }
    }

    /// <summary>Which store it is: drawn once, never 0.</summary>
    public long StoreId { get; }

    /// <summary>Which run of it this is: drawn at each start, and its number.</summary>
    public (long Number, long Id) Epoch => (_epochs[^1].Number, _epochs[^1].Id);

    private static SqliteConnection Connect(string path)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false, DefaultTimeout = 5 }.ToString());
        try
        {
            connection.Open();
            connection.Run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private void Prepare()
    {
        File.SetUnixFileMode(_path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        if (Read(_writer, "PRAGMA quick_check(1)", static row => row.GetString(0)).Single() != "ok") throw new SqliteException("its pages contradict each other", SQLitePCL.raw.SQLITE_CORRUPT);
        var version = Read(_writer, "PRAGMA user_version", static row => row.GetInt64(0)).Single();
        if (version > SchemaVersion) throw new HostException($"{_path} was written by a newer sleeve (schema {version}, this one knows {SchemaVersion}): install that one, or move the file away");
        using var transaction = _writer.BeginTransaction();
        if (version == 0)
        {
            _writer.Run(Schema);
            _writer.Run(string.Create(CultureInfo.InvariantCulture, $"PRAGMA user_version={SchemaVersion}"));
            // As etcd's, the first revision is 1.
            _writer.Run("INSERT INTO meta VALUES('id', $id), ('revision', 1), ('compacted', 0)", ("$id", Draw()));
        }

        _writer.Run("INSERT INTO epoch(id, first) SELECT $id, value+1 FROM meta WHERE name='revision'", ("$id", Draw()));
        _writer.Run("DELETE FROM epoch WHERE number <= (SELECT max(number) FROM epoch) - $kept", ("$kept", (long)MaxEpochs));
        transaction.Commit();
    }

    private static long Draw()
    {
        Span<byte> bytes = stackalloc byte[8];
        RandomNumberGenerator.Fill(bytes);
        return Math.Max(1, BitConverter.ToInt64(bytes) & long.MaxValue);
    }

    /// <summary>Whether what was seen in a run, up to a revision, is part of what is here now. Not so after a backup was put back that was made before.</summary>
    public bool Continues(long epoch, long revision)
    {
        for (var i = 0; i < _epochs.Length; i++)
            if (_epochs[i].Id == epoch) return i == _epochs.Length - 1 || revision < _epochs[i + 1].First;
        return false;
    }

    /// <summary>A number that is kept: "revision", "compacted".</summary>
    public long Meta(string name) => Read(_writer, "SELECT value FROM meta WHERE name=$name", static row => row.GetInt64(0), ("$name", name)).Single();

    /// <summary>How many entries there are, and the bytes of their keys and values.</summary>
    public (long Keys, long Bytes) Totals() =>
        Read(_writer, "SELECT count(*), coalesce(sum(length(key)+length(value)), 0) FROM entry", static row => (row.GetInt64(0), row.GetInt64(1))).Single();

    /// <summary>Bytes of the history, or of its part up to a revision.</summary>
    public long HistoryBytes(long upTo = long.MaxValue) => Read(
        _writer, "SELECT coalesce(sum(length(key)+coalesce(length(value), 0)+coalesce(length(old_value), 0)+64), 0) FROM history WHERE revision<=$to", static row => row.GetInt64(0), ("$to", upTo)).Single();

    /// <summary>The leases.</summary>
    public IReadOnlyList<StoredLease> Leases() => Read(_writer, "SELECT number, seconds, owner FROM lease", static row => new StoredLease(row.GetInt64(0), row.GetInt64(1), row.GetString(2)));

    /// <summary>The keys of a lease.</summary>
    public IReadOnlyList<string> KeysOf(long lease) => Read(_writer, "SELECT key FROM entry WHERE lease=$lease ORDER BY key", static row => TextOf(row, 0), ("$lease", lease));

    /// <summary>Begins to write; nothing is there for good, or seen by readers, before <see cref="Commit"/>.</summary>
    public void Begin() => _transaction = _writer.BeginTransaction();

    /// <summary>Everything since <see cref="Begin"/> is on the disk when this returns.</summary>
    public void Commit()
    {
        _transaction!.Commit();
        Rollback();
    }

    /// <summary>Forgets everything since <see cref="Begin"/>; nothing if there is nothing to forget.</summary>
    public void Rollback()
    {
        try
        {
            _transaction?.Dispose();
        }
        catch (SqliteException)
        {
            // SQLite rolled back itself already, as it does when the disk is full.
        }

        _transaction = null;
    }

    /// <summary>An entry as it stands, for the one who writes.</summary>
    public StoreEntry? Get(string key)
    {
        _get.Transaction = _transaction;
        _get.Parameters[0].Value = StoreChecks.Bytes(key);
        using var row = _get.ExecuteReader();
        return row.Read() ? new StoreEntry(key, TextOf(row, 0), row.GetInt64(1), row.GetInt64(2), row.GetInt64(3)) : null;
    }

    /// <summary>Puts an entry, or deletes it, and notes that in the history.</summary>
    public void Change(long revision, int part, string key, StoreEntry? now, StoreEntry? before)
    {
        var bytes = StoreChecks.Bytes(key);
        var value = now is null ? null : StoreChecks.Bytes(now.Value);
        if (now is null)
        {
            Execute(_delete, bytes);
        }
        else
        {
            Execute(_put, bytes, value!, now.CreateRevision, now.ModRevision, now.Lease);
        }

        Execute(
            _note, revision, (long)part, bytes, (object?)value ?? DBNull.Value, now?.CreateRevision ?? 0, now?.Lease ?? 0, before is null ? DBNull.Value : StoreChecks.Bytes(before.Value), before?.CreateRevision ?? 0,
            before?.ModRevision ?? 0, before?.Lease ?? 0);
    }

    /// <summary>Notes the revision.</summary>
    public void SetRevision(long revision) => _writer.Run("UPDATE meta SET value=$value WHERE name='revision'", ("$value", revision));

    /// <summary>Forgets the history up to a revision.</summary>
    public void Compact(long revision) => _writer.Run("DELETE FROM history WHERE revision<=$revision; UPDATE meta SET value=$revision WHERE name='compacted'", ("$revision", revision));

    /// <summary>Notes a lease.</summary>
    public void PutLease(StoredLease lease) =>
        _writer.Run("INSERT INTO lease VALUES($number, $seconds, $owner)", ("$number", lease.Number), ("$seconds", lease.Seconds), ("$owner", lease.Owner));

    /// <summary>Forgets a lease.</summary>
    public void DeleteLease(long number) => _writer.Run("DELETE FROM lease WHERE number=$number", ("$number", number));

    /// <summary>Entries from a key on, as they stood at a revision.</summary>
    /// <param name="from">First key.</param>
    /// <param name="end">The first that is too far; a single zero for no end.</param>
    /// <param name="limit">How many, at most.</param>
    /// <param name="enoughBytes">It stops after so many bytes of keys and values too.</param>
    /// <param name="revision">When; 0 for now.</param>
    /// <returns>The entries, whether there are more, and the revision of the store now.</returns>
    /// <exception cref="StoreCompactedException">Before what is kept.</exception>
    /// <exception cref="StoreRefusedException">A revision that was not yet.</exception>
    public (IReadOnlyList<StoreEntry> Entries, bool HasMore, long Revision) Range(byte[] from, byte[] end, int limit, long enoughBytes, long revision)
    {
        lock (_reading)
        {
            using var snapshot = _reader.BeginTransaction(deferred: true);
            var now = Read(_reader, "SELECT value FROM meta WHERE name='revision'", static row => row.GetInt64(0)).Single();
            if (revision > now) throw new StoreRefusedException("etcdserver: mvcc: required revision is a future revision");
            var bounds = end is [0] ? "key>=$from" : "key>=$from AND key<$end";
            var earlier = revision > 0 && revision < now ? Earlier(from, end, bounds, revision) : null;
            var entries = new List<StoreEntry>();
            var isCut = false;
            using (var command = _reader.Prepare(
                $"SELECT key, value, created, modified, lease FROM entry WHERE {bounds} ORDER BY key LIMIT $limit", ("$from", from), ("$end", end), ("$limit", limit + 1L + (earlier?.Count ?? 0))))
            using (var row = command.ExecuteReader())
            {
                for (var bytes = 0L; !isCut && row.Read();)
                {
                    var entry = EntryOf(row, 0);
                    bytes += entry.Key.Length + entry.Value.Length;
                    if (earlier is null || !earlier.ContainsKey(entry.Key)) entries.Add(entry);
                    isCut = bytes > enoughBytes && entries.Count > 0;
                }
            }

            if (earlier is not null)
            {
                // What comes behind the place of the cut is for the next page.
                var last = entries.Count > 0 ? entries[^1].Key : null;
                entries.AddRange(earlier.Values.OfType<StoreEntry>().Where(entry => !isCut || StoreChecks.Order.Compare(entry.Key, last) < 0));
                entries.Sort(static (left, right) => StoreChecks.Order.Compare(left.Key, right.Key));
            }

            var hasMore = entries.Count > limit;
            if (hasMore) entries.RemoveRange(limit, entries.Count - limit);
            return (entries, hasMore || isCut, now);
        }
    }

    // What was changed since: as it was before the first of the changes.
    private Dictionary<string, StoreEntry?> Earlier(byte[] from, byte[] end, string bounds, long revision)
    {
        var compacted = Read(_reader, "SELECT value FROM meta WHERE name='compacted'", static row => row.GetInt64(0)).Single();
        if (revision < compacted) throw new StoreCompactedException(compacted + 1);
        var earlier = new Dictionary<string, StoreEntry?>(StringComparer.Ordinal);
        using var command = _reader.Prepare(
            $"SELECT key, old_value, old_created, old_modified, old_lease FROM history WHERE revision>$revision AND {bounds} ORDER BY revision, part", ("$revision", revision), ("$from", from), ("$end", end));
        using var row = command.ExecuteReader();
        var bytes = 0L;
        while (row.Read())
        {
            var key = TextOf(row, 0);
            if (earlier.ContainsKey(key)) continue;
            var entry = row.IsDBNull(1) ? null : EntryOf(row, 0);
            earlier.Add(key, entry);
            bytes += 128 + key.Length + (entry?.Value.Length ?? 0);
            // So far back nobody reads who pages through a range.
            if (bytes > MaxEarlierBytes) throw new StoreCompactedException(compacted + 1);
        }

        return earlier;
    }

    /// <summary>What was changed from a revision on; whole revisions, of some thousand changes or some megabytes at once.</summary>
    /// <exception cref="StoreCompactedException">Before what is kept.</exception>
    public IReadOnlyList<StoreBatch> History(long from, int enoughChanges, long enoughBytes)
    {
        var batches = new List<StoreBatch>();
        lock (_reading)
        {
            using var snapshot = _reader.BeginTransaction(deferred: true);
            var compacted = Read(_reader, "SELECT value FROM meta WHERE name='compacted'", static row => row.GetInt64(0)).Single();
            if (from <= compacted) throw new StoreCompactedException(compacted + 1);
            using var command = _reader.Prepare("SELECT key, value, created, revision, lease FROM history WHERE revision>=$from ORDER BY revision, part", ("$from", from));
            using var row = command.ExecuteReader();
            var changes = new List<StoreChange>();
            var (count, bytes, revision) = (0, 0L, 0L);
            while (row.Read())
            {
                var next = row.GetInt64(3);
                if (next != revision && changes.Count > 0)
                {
                    batches.Add(new StoreBatch(revision, changes));
                    changes = [];
                    if (count >= enoughChanges || bytes >= enoughBytes) return batches;
                }

                revision = next;
                var change = row.IsDBNull(1) ? new StoreChange(TextOf(row, 0), null) : new StoreChange(TextOf(row, 0), EntryOf(row, 0));
                changes.Add(change);
                count++;
                bytes += change.Key.Length + (change.Entry?.Value.Length ?? 0);
            }

            if (changes.Count > 0) batches.Add(new StoreBatch(revision, changes));
            return batches;
        }
    }

    /// <summary>Why something failed, with the file it failed with.</summary>
    public string Reason(SqliteException failure) => Reason(_path, failure);

    private static string Reason(string path, SqliteException failure) => failure.SqliteErrorCode switch
    {
        SQLitePCL.raw.SQLITE_FULL => $"{path}: the disk is full",
        SQLitePCL.raw.SQLITE_READONLY or SQLitePCL.raw.SQLITE_CANTOPEN => $"{path} cannot be written ({failure.Message}): is the file system read-only?",
        SQLitePCL.raw.SQLITE_CORRUPT or SQLitePCL.raw.SQLITE_NOTADB => $"{path} is damaged ({failure.Message}): stop the daemon and put a backup in its place",
        _ => $"{path}: {failure.Message}",
    };

    private static StoreEntry EntryOf(SqliteDataReader row, int first) => new(TextOf(row, first), TextOf(row, first + 1), row.GetInt64(first + 2), row.GetInt64(first + 3), row.GetInt64(first + 4));

    private static string TextOf(SqliteDataReader row, int column) => StoreChecks.Text(row.GetFieldValue<byte[]>(column)) ?? throw new SqliteException("a text is not Unicode", SQLitePCL.raw.SQLITE_CORRUPT);

    private void Execute(SqliteCommand command, params ReadOnlySpan<object> values)
    {
        command.Transaction = _transaction;
        for (var i = 0; i < values.Length; i++) command.Parameters[i].Value = values[i];

        command.ExecuteNonQuery();
    }

    private static List<T> Read<T>(SqliteConnection connection, string sql, Func<SqliteDataReader, T> read, params ReadOnlySpan<(string Name, object Value)> parameters)
    {
        using var command = connection.Prepare(sql, parameters);
        using var row = command.ExecuteReader();
        var rows = new List<T>();
        while (row.Read()) rows.Add(read(row));
        return rows;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Rollback();
        foreach (var command in (ReadOnlySpan<SqliteCommand>)[_get, _put, _delete, _note]) command.Dispose();
        lock (_reading) _reader.Dispose();
        _writer.Dispose();
        Reserve(_path);
    }
}
