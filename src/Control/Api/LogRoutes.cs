using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Sleeve.Control.Logging;

namespace Sleeve.Control.Api;

/// <summary>How the process logs.</summary>
/// <param name="Level">"error", "warning", "info" or "debug".</param>
/// <param name="Format">"text" or "json".</param>
/// <param name="Lines">Lines written, by level.</param>
/// <param name="LeftOut">Lines left out because there were too many of one event.</param>
internal sealed record LogJson(string Level, string Format, IReadOnlyDictionary<string, long> Lines, long LeftOut);

/// <summary>What to change of it.</summary>
/// <param name="Level">"error", "warning", "info" or "debug".</param>
internal sealed record LogChangeJson(string? Level);

/// <summary>The log of the process: <c>GET /v1/log</c> says how it is written, <c>PUT /v1/log</c> changes the level from here on.</summary>
internal static class LogRoutes
{
    /// <summary>Adds the routes.</summary>
    public static void Map(WebApplication routes, VtepState state)
    {
        var events = new EventLines(state.Vtep.Events, state.Log);
        routes.Lifetime.ApplicationStopped.Register(events.Dispose);
        routes.MapGet("/v1/log", () => Show(state.Log)).Describe("getLog", "How the process logs").Answers<LogJson>();
        routes.MapPut("/v1/log", (LogChangeJson change) =>
        {
            if (change.Level is null || !LogOptions.Levels.TryGetValue(change.Level, out var level)) return Problem.BadValue("level", change.Level, LogOptions.LevelsAllowed);
            var before = state.Log.Level;
            var line = $"log level {LogOptions.NameOf(level)}, was {LogOptions.NameOf(before)}";
            // Said while the louder of the two holds.
            if (level > before) state.Log.Say(line);
            state.Log.Level = level;
            if (level < before) state.Log.Say(line);
            return Show(state.Log);
        }).Describe("putLog", "Change what is logged, until the process ends", "Done twice it is as done once.").Answers<LogJson>(400, 403);
    }

    private static IResult Show(StderrLogger log) => Results.Json(
        new LogJson(LogOptions.NameOf(log.Level), log.Format == LogFormat.Json ? "json" : "text", log.Lines.ToDictionary(static each => each.Level, static each => each.Lines), log.LeftOut),
        ApiJson.Default.LogJson);
}
