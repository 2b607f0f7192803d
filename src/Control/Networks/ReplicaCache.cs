using System.Globalization;
using Microsoft.Data.Sqlite;
using Sleeve.Control.Store;

namespace Sleeve.Control.Networks;

/// <summary>
/// The last view, in a SQLite file: what a daemon goes by that starts while the store is away. Changes are collected and written every few seconds by a thread of the pool, so nobody waits for the disk; what is
/// lost with a crash is read from the store again. A file that cannot be used is thrown away: it is a copy.
/// </summary>
internal sealed class ReplicaCache : IAsyncDisposable
{
    /// <summary>Its name in the state folder.</summary>
    public const string FileName = "replica.db";

    // Another number is another layout, and the file is begun anew.
    private const int SchemaVersion = 1;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(3);

    private readonly string _path;
    private readonly Action<string> _say;
    private readonly Lock _access = new();
    private readonly SemaphoreSlim _turn = new(1);
    private readonly CancellationTokenSource _end = new();
    private readonly Task _writer;
    private Dictionary<string, StoreEntry?> _pending = [];
    private (string Place, StoreSlice Slice)? _whole;
    private long _revision;
    private SqliteConnection? _connection;
    private string? _told;

    static ReplicaCache() => SQLitePCL.Batteries_V2.Init();

    /// <summary>Opens the cache of a folder, or does without if that cannot be.</summary>
    /// <param name="folder">The state folder; it exists.</param>
    /// <param name="say">Told what had to be given up; one line each.</param>
    public ReplicaCache(string folder, Action<string> say)
    {
        _path = Path.Combine(folder, FileName);
        _say = say;
        _connection = Open();
        _writer = Task.Run(WriteAsync);
    }

    /// <summary>Removes the cache of a folder; one that is not there is no error.</summary>
    public static void Remove(string folder)
    {
        foreach (var path in Directory.EnumerateFiles(folder, $"{FileName}*").ToArray()) File.Delete(path);
    }

    /// <summary>What was kept of a store; nothing if it was of another one, or is damaged.</summary>
    /// <param name="place">Which store.</param>
    public StoreSlice Load(string place)
    {
        var nothing = new StoreSlice(0, []);
        if (_connection is null) return nothing;
        try
        {
            if (_connection!.Scalar("SELECT value FROM meta WHERE key='place'") is not string known) return nothing;
            if (known != place)
            {
                _say($"{_path}: is of {known}: not used");
                return nothing;
            }

            if (_connection!.Scalar("SELECT value FROM meta WHERE key='revision'") is not string text || !long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var revision)) return nothing;
            var entries = new List<StoreEntry>();
            using var command = _connection!.Prepare("SELECT key, value, created, revision FROM entry ORDER BY key");
            using var reader = command.ExecuteReader();
            while (reader.Read()) entries.Add(new StoreEntry(reader.GetString(0), reader.GetString(1), reader.GetInt64(2), reader.GetInt64(3), 0));
            return new StoreSlice(revision, entries);
        }
        catch (Exception failure) when (failure is SqliteException or InvalidCastException or InvalidOperationException)
        {
            _say($"{_path}: is damaged ({failure.Message}): what was known before this start is not used");
            StartAnew();
            return nothing;
        }
    }

    /// <summary>Notes changes; they are written later.</summary>
    public void Note(StoreBatch batch)
    {
        lock (_access)
        {
            foreach (var change in batch.Changes)
                if (IsKept(change.Key)) _pending[change.Key] = change.Entry;
            _revision = batch.Revision;
        }
    }

    /// <summary>Notes all that there is, in place of what was there; it is written later.</summary>
    public void Replace(string place, StoreSlice slice)
    {
        lock (_access)
        {
            _whole = (place, slice);
            _pending = [];
            _revision = slice.Revision;
        }
    }

    /// <summary>Writes what was noted now.</summary>
    public async Task FlushAsync()
    {
        await _turn.WaitAsync();
        try
        {
            await Task.Run(Flush);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _writer;
        await FlushAsync();
        _connection?.Dispose();
        _connection = null;
        _end.Dispose();
        _turn.Dispose();
    }

    // A sign of life is over by the time anybody reads it here.
    private static bool IsKept(string key) => ViewEdit.IsOfView(key) && !key.StartsWith(ClusterKeys.Alive, StringComparison.Ordinal);

    private async Task WriteAsync()
    {
        using var timer = new PeriodicTimer(Interval);
        try
        {
            while (await timer.WaitForNextTickAsync(_end.Token)) await FlushAsync();
        }
        catch (OperationCanceledException)
        {
            // The end.
        }
    }

    private void Flush()
    {
        Dictionary<string, StoreEntry?> pending;
        (string Place, StoreSlice Slice)? whole;
        long revision;
        lock (_access)
        {
            (pending, whole, revision) = (_pending, _whole, _revision);
            if (whole is null && pending.Count == 0) return;
            (_pending, _whole) = ([], null);
        }

        try
        {
            _connection ??= Open();
            if (_connection is null) return;
            using var transaction = _connection.BeginTransaction();
            if (whole is { } all)
            {
                _connection!.Run("DELETE FROM entry; DELETE FROM meta");
                Put("place", all.Place);
                Write(all.Slice.Entries.Where(static entry => IsKept(entry.Key)).Select(static entry => KeyValuePair.Create(entry.Key, (StoreEntry?)entry)));
            }

            Write(pending);
            Put("revision", revision.ToString(CultureInfo.InvariantCulture));
            transaction.Commit();
            _told = null;
        }
        catch (SqliteException failure)
        {
            if (_told != failure.Message) _say($"warning: {_path}: {failure.Message}: a start without the store will not know the cluster as it is now");
            _told = failure.Message;
            // A full disk may have room again: what is there is whole as it is. A damaged file is begun anew, and is of no use until all is read again.
            if (failure.SqliteErrorCode is SQLitePCL.raw.SQLITE_CORRUPT or SQLitePCL.raw.SQLITE_NOTADB or SQLitePCL.raw.SQLITE_ERROR) StartAnew();
            else KeepForLater(pending, whole);
        }
    }

    private void KeepForLater(Dictionary<string, StoreEntry?> pending, (string Place, StoreSlice Slice)? whole)
    {
        lock (_access)
        {
            // All that there is came meanwhile.
            if (_whole is not null) return;
            _whole = whole;
            foreach (var (key, entry) in pending) _pending.TryAdd(key, entry);
        }
    }

    private void Write(IEnumerable<KeyValuePair<string, StoreEntry?>> entries)
    {
        using var put = _connection!.Prepare("INSERT OR REPLACE INTO entry VALUES($key, $value, $created, $revision)");
        using var delete = _connection!.Prepare("DELETE FROM entry WHERE key=$key");
        var (key, value, created, revision) = (put.Parameters.Add("$key", SqliteType.Text), put.Parameters.Add("$value", SqliteType.Text), put.Parameters.Add("$created", SqliteType.Integer), put.Parameters.Add("$revision", SqliteType.Integer));
        var gone = delete.Parameters.Add("$key", SqliteType.Text);
        foreach (var (name, entry) in entries)
        {
            if (entry is null)
            {
                gone.Value = name;
                delete.ExecuteNonQuery();
                continue;
            }

            (key.Value, value.Value, created.Value, revision.Value) = (name, entry.Value, entry.CreateRevision, entry.ModRevision);
            put.ExecuteNonQuery();
        }
    }

    private SqliteConnection? Open()
    {
        try
        {
            return OpenOnce();
        }
        catch (SqliteException damage) when (damage.SqliteErrorCode is SQLitePCL.raw.SQLITE_CORRUPT or SQLitePCL.raw.SQLITE_NOTADB or SQLitePCL.raw.SQLITE_ERROR)
        {
            _say($"{_path}: is damaged ({damage.Message}): what was known before this start is not used");
            Delete();
        }
        catch (Exception failure) when (failure is SqliteException or IOException or UnauthorizedAccessException)
        {
            if (_told is null) _say($"warning: {_path}: {failure.Message}: a start without the store will not know the cluster");
            _told = failure.Message;
            return null;
        }

        try
        {
            return OpenOnce();
        }
        catch (Exception failure) when (failure is SqliteException or IOException or UnauthorizedAccessException)
        {
            _told = failure.Message;
            return null;
        }
    }

    private SqliteConnection OpenOnce()
    {
        // Made before SQLite would, for its owner alone; the other files of SQLite take their mode from it.
        if (!File.Exists(_path)) new FileStream(_path, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite }).Dispose();
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = _path, Pooling = false, DefaultTimeout = 5 }.ToString());
        try
        {
            connection.Open();
            // It may be lost, but a power failure must not leave a mixture: the log, without waiting for the disk.
            connection.Run("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
            if (connection.Scalar("PRAGMA quick_check(1)") is not "ok") throw new SqliteException("its pages contradict each other", SQLitePCL.raw.SQLITE_CORRUPT);
            if (connection.Scalar("PRAGMA user_version") is not (long)SchemaVersion)
            {
                connection.Run("DROP TABLE IF EXISTS entry; DROP TABLE IF EXISTS meta");
                connection.Run("CREATE TABLE entry(key TEXT PRIMARY KEY, value TEXT NOT NULL, created INTEGER NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID");
                connection.Run("CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID");
                connection.Run(string.Create(CultureInfo.InvariantCulture, $"PRAGMA user_version={SchemaVersion}"));
            }

            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private void StartAnew()
    {
        _connection?.Dispose();
        Delete();
        _connection = null;
    }

    private void Delete()
    {
        foreach (var path in (ReadOnlySpan<string>)[_path, $"{_path}-wal", $"{_path}-shm"])
        {
            try
            {
                File.Delete(path);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                _told = failure.Message;
            }
        }
    }

    private void Put(string key, string value)
    {
        using var command = _connection!.Prepare("INSERT OR REPLACE INTO meta VALUES($key, $value)");
        command.Parameters.AddWithValue("$key", key);
        command.Parameters.AddWithValue("$value", value);
        command.ExecuteNonQuery();
    }
}
