using System.CommandLine;
using Microsoft.Extensions.Logging;
using Sleeve.Control.Logging;

namespace Sleeve.Control.Cli;

/// <summary>The options of a running VTEP that say how it logs.</summary>
internal static class LogSettings
{
    private static readonly Setting Level = new Setting("--log-level", "LEVEL", "What is logged; sleeve log level changes it later. [info]", LogOptions.LevelsAllowed).Suggesting(static () => LogOptions.Levels.Keys);
    private static readonly Setting Format = new Setting("--log-format", "HOW", "Lines for eyes (for the journal, if stderr is its), or a JSON object a line. [text]", "text or json").Suggesting(static () => ["text", "json"]);

    /// <summary>Adds them to a command.</summary>
    public static void AddTo(Command command)
    {
        foreach (var setting in (ReadOnlySpan<Setting>)[Level, Format]) command.Options.Add(setting.Option);
    }

    /// <summary>What was asked for.</summary>
    public static LogOptions Read(SettingReader reader) => new(reader.Read(Level, LevelOf, LogLevel.Information), reader.Read(Format, FormatOf, LogFormat.Text));

    /// <summary>A level by its name.</summary>
    public static bool LevelOf(string text, out LogLevel value) => LogOptions.Levels.TryGetValue(text, out value);

    private static bool FormatOf(string text, out LogFormat value)
    {
        value = text == "json" ? LogFormat.Json : LogFormat.Text;
        return text is "text" or "json";
    }
}
