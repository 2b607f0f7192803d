using Microsoft.Data.Sqlite;

namespace Sleeve.Control.Store;

/// <summary>SQL in one call, with parameters by name.</summary>
internal static class SqliteStatements
{
    /// <summary>A statement to be run, by the caller, who disposes it.</summary>
    public static SqliteCommand Prepare(this SqliteConnection connection, string sql, params ReadOnlySpan<(string Name, object Value)> parameters)
    {
        var command = connection.CreateCommand();
        command.CommandText = sql;
        foreach (var (name, value) in parameters) command.Parameters.AddWithValue(name, value);
        return command;
    }

    /// <summary>Runs statements that give nothing.</summary>
    /// <exception cref="SqliteException">The database refuses, or cannot be read or written.</exception>
    public static void Run(this SqliteConnection connection, string sql, params ReadOnlySpan<(string Name, object Value)> parameters)
    {
        using var command = connection.Prepare(sql, parameters);
        command.ExecuteNonQuery();
    }

    /// <summary>The first value of the first row; null if there is no row.</summary>
    /// <exception cref="SqliteException">The database refuses, or cannot be read.</exception>
    public static object? Scalar(this SqliteConnection connection, string sql)
    {
        using var command = connection.Prepare(sql);
        return command.ExecuteScalar();
    }
}
