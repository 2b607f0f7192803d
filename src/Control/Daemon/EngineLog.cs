using Microsoft.Extensions.Logging;

namespace Sleeve.Control.Daemon;

/// <summary>What an engine tells while it runs, by stable id; 1 to 99 are the data plane's.</summary>
internal static partial class EngineLog
{
    [LoggerMessage(101, LogLevel.Information, "{Segment} is up")]
    internal static partial void LinkUp(ILogger logger, string segment);

    [LoggerMessage(102, LogLevel.Information, "{Segment} is down: what was learned is forgotten, frames are dropped and counted")]
    internal static partial void LinkDown(ILogger logger, string segment);

    [LoggerMessage(103, LogLevel.Warning, "{Segment}: group {Refusal}; frames that others flood do not arrive")]
    internal static partial void GroupRefused(ILogger logger, string segment, string refusal);

    [LoggerMessage(104, LogLevel.Warning, "watching routes failed: path MTUs stay as they are: {Failure}")]
    internal static partial void RoutesUnwatched(ILogger logger, string failure);
}
