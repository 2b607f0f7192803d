using Microsoft.Extensions.Logging;
using Sleeve.Control.Cli;

namespace Sleeve.Control.Up;

/// <summary>Plain lines on stderr, for a program that somebody watches in a shell.</summary>
internal sealed class StderrLogger(string prefix) : ILogger
{
    /// <summary>Writes one line.</summary>
    public void Say(string line) => CommandLine.Tell($"{prefix}: {line}");

    /// <inheritdoc/>
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    /// <inheritdoc/>
    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

    /// <inheritdoc/>
    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel)) return;
        var level = logLevel >= LogLevel.Warning ? "warning: " : "";
        Say($"{level}{formatter(state, exception)}{(exception is null ? "" : CommandLine.IsDebug ? $": {exception}" : $": {exception.Message}")}");
    }
}
