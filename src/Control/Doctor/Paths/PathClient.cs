using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Sleeve.Control.Api;
using Sleeve.Control.Host;
using Spectre.Console;

namespace Sleeve.Control.Doctor.Paths;

/// <summary>The commands' side of tests that answer bit by bit, with a progress bar on a terminal.</summary>
internal static class PathClient
{
    /// <summary>Runs a test.</summary>
    /// <param name="socket">The VTEP.</param>
    /// <param name="path">The route.</param>
    /// <param name="body">What is asked.</param>
    /// <param name="type">Its type.</param>
    /// <param name="isQuiet">Without progress.</param>
    /// <returns>The lines that say something.</returns>
    /// <exception cref="HostException">It was refused, or broke off.</exception>
    public static async Task<IReadOnlyList<PathLineJson>> RunAsync<T>(string socket, string path, T body, JsonTypeInfo<T> type, bool isQuiet)
    {
        if (isQuiet || Console.IsOutputRedirected) return await ReadAsync(socket, path, body, type, static (_, _) => { });
        return await AnsiConsole.Progress().AutoClear(true).Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn()).StartAsync(context =>
        {
            var bar = context.AddTask("asking");
            return ReadAsync(socket, path, body, type, (step, percent) =>
            {
                if (step is not null) bar.Description = Markup.Escape(step);
                if (percent is { } number) bar.Value = number;
            });
        });
    }

    private static async Task<IReadOnlyList<PathLineJson>> ReadAsync<T>(string socket, string path, T body, JsonTypeInfo<T> type, Action<string?, int?> progress)
    {
        using var client = new ApiClient(socket);
        var lines = new List<PathLineJson>();
        await foreach (var line in client.PostForLinesAsync(path, body, type, CancellationToken.None))
        {
            if (JsonSerializer.Deserialize(line, ApiJson.Default.PathLineJson) is not { } said) continue;
            progress(said.Step, said.Percent);
            if (said.Error is { } error) throw new HostException(error);
            if (said.Step is null) lines.Add(said);
        }

        return lines.Exists(static line => line.Result is not null || line.Wire is not null) ? lines : throw new HostException($"{socket} broke off: sleeve up has ended, or see its log");
    }
}
