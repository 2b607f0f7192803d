using System.CommandLine;
using System.Text.Json;
using Sleeve.Control.Api;
using Sleeve.Control.Host;
using Sleeve.Control.Logging;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve log</c>: what a running VTEP logs, changed while it runs.</summary>
internal static class LogCommand
{
    private static readonly Argument<string[]> LevelArgument = new Argument<string[]>("LEVEL") { Description = $"The new level: {LogOptions.LevelsAllowed}; without one the level is shown.", HelpName = "LEVEL", Arity = ArgumentArity.ZeroOrMore }
        .Suggesting(static () => LogOptions.Levels.Keys);
    private static readonly DeviceOptions Device = new();

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var level = new Command("level", "Show or change what is logged, until the process ends.") { LevelArgument };
        Device.AddTo(level, isRead: true);
        level.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var words = result.GetValue(LevelArgument) ?? [];
            foreach (var surplus in words.Skip(1)) reader.Refuse($"{surplus}: not expected here");
            if (words is [var word, ..] && !LogSettings.LevelOf(word, out Microsoft.Extensions.Logging.LogLevel _)) reader.Refuse($"LEVEL {word}: must be {LogOptions.LevelsAllowed}");
            var path = reader.Read<string?>(Device.Socket, Words.SocketPath!, null);
            // A socket serves all segments of its process, so it does without a device.
            var sources = path is not null && !reader.IsGiven(Device.Device) ? [("", path)] : Device.Select(reader);
            return () => RunAsync(sources, words.FirstOrDefault(), result.GetValue(Device.Json));
        }));
        var log = new Command("log", "Show and change what a running VTEP logs.") { level };
        log.WithExamples("""
            Examples:
              sleeve log level debug dev vx0
              sleeve log level
            """);
        return log;
    }

    private static async Task RunAsync(IReadOnlyList<(string Device, string Path)> sources, string? level, bool json)
    {
        if (sources.Count == 0) throw new HostException("nobody logs: no sleeve up is running here (--socket names another)");
        var (answers, missing) = await DeviceOptions.ReadAsync(sources, async (device, client) => (device, level is null
            ? await client.GetAsync("log", ApiJson.Default.LogJson)
            : await client.PutAsync("log", new LogChangeJson(level), ApiJson.Default.LogChangeJson, ApiJson.Default.LogJson)));
        if (json) Console.Out.WriteLine(JsonSerializer.Serialize<IReadOnlyList<LogJson>>([.. answers.Select(static answer => answer.Item2)], ApiJson.Default.IReadOnlyListLogJson));
        else if (level is null)
            foreach (var (device, log) in answers)
                Console.Out.WriteLine($"{(device.Length == 0 ? "" : $"{device}: ")}level {log.Level}, format {log.Format}, lines {string.Join(", ", log.Lines.Select(static line => $"{line.Key} {line.Value}"))}, left out {log.LeftOut}");
        if (missing is not null) throw missing;
    }
}
