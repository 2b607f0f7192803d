using Microsoft.Extensions.Logging;

namespace Sleeve.Control.Logging;

/// <summary>How lines are written.</summary>
internal enum LogFormat
{
    /// <summary>For eyes; with a priority in front and nothing else where stderr is the journal's.</summary>
    Text,

    /// <summary>A JSON object a line.</summary>
    Json,
}

/// <summary>How a process logs.</summary>
/// <param name="Level">What is written; it can be changed while the process runs.</param>
/// <param name="Format">How.</param>
internal sealed record LogOptions(LogLevel Level = LogLevel.Information, LogFormat Format = LogFormat.Text)
{
    /// <summary>The levels by the names that they have outside.</summary>
    public static IReadOnlyDictionary<string, LogLevel> Levels { get; } = new Dictionary<string, LogLevel>
    {
        ["error"] = LogLevel.Error,
        ["warning"] = LogLevel.Warning,
        ["info"] = LogLevel.Information,
        ["debug"] = LogLevel.Debug,
    };

    /// <summary>What is allowed for a level.</summary>
    public const string LevelsAllowed = "error, warning, info or debug";

    /// <summary>Name of a level; what is worse than an error is one.</summary>
    public static string NameOf(LogLevel level) => level switch
    {
        >= LogLevel.Error => "error",
        LogLevel.Warning => "warning",
        LogLevel.Information => "info",
        _ => "debug",
    };
}
