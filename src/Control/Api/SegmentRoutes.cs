using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Routing;
using Sleeve.Control.Cli;
using Sleeve.Control.Config;
using Sleeve.Control.Daemon;
using Sleeve.DataPlane.Pipeline;

namespace Sleeve.Control.Api;

/// <summary>
/// The segments: <c>GET /v1/segments</c>, <c>GET</c>, <c>PUT</c> and <c>DELETE /v1/segments/DEV</c>, whose body has the keys of a segment in the configuration file; and the
/// configuration: <c>GET /v1/config</c>, <c>POST /v1/config/reload</c>. Whatever changes tables or segments is in the store before it is answered.
/// </summary>
internal static class SegmentRoutes
{
    /// <summary>Says in an answer that what was done is in use but not saved.</summary>
    public const string UnsavedHeader = "Sleeve-Unsaved";

    private static readonly DateTimeOffset Started = DateTimeOffset.UtcNow;

    private const string OfCommandLine = "command-line";
    private const int MaxSettingsBytes = 256 * 1024;

    /// <summary>Adds the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, VtepState state)
    {
        routes.MapGet("/v1/segments", () => Results.Json<IReadOnlyList<SegmentJson>>([.. Names(state).Select(name => Show(state, name)!)], ApiJson.Default.IReadOnlyListSegmentJson))
            .Describe("listSegments", "The segments, also those that cannot be had at the moment").Answers<IReadOnlyList<SegmentJson>>();
        routes.MapGet("/v1/segments/{dev}", (string dev) => Show(state, dev) is { } found ? Results.Json(found, ApiJson.Default.SegmentJson) : Problem.NoDevice(dev))
            .Describe("getSegment", "A segment, its state and its settings").Answers<SegmentJson>(404);
        routes.MapPut("/v1/segments/{dev}", (string dev, JsonElement settings, HttpRequest request) => PutAsync(state, dev, settings, mustBeNew: request.Headers.IfNoneMatch == "*"))
            .WithMetadata(new BodyLimit())
            .Describe("putSegment", "Make a segment be this", "Its settings have the keys of a segment in the configuration file; what is left out is as its top says. With If-None-Match: * there must be none yet. Done twice it is as done once.")
            .Answers<SegmentChangeJson>(400, 403, 409, 422);
        routes.MapDelete("/v1/segments/{dev}", (string dev) => DeleteAsync(state, dev))
            .Describe("deleteSegment", "Remove a segment with its TAP", "204 too if there is none. One of the configuration file goes by way of the file.").AnswersNothing(403, 409, 422);
        routes.MapGet("/v1/config", () => state.Keeper is { } keeper ? Results.Json(Show(keeper), ApiJson.Default.ConfigurationJson) : NoDaemon())
            .Describe("getConfiguration", "The configuration in use").Answers<ConfigurationJson>(409);
        routes.MapPost("/v1/handover", () => HandOverAsync(state))
            .Describe("handOver", "Give way to the program as it is installed now", "It goes on with the TAPs, sockets and tables of this one; frames wait for it in the kernel. Refused if that program would not start.").AnswersNothing(403, 409, 422);
        routes.MapPost("/v1/config/reload", () => ReloadAsync(state))
            .Describe("reloadConfiguration", "Read the configuration file again and change what differs", "If anything in it is wrong, nothing is changed.").Answers<IReadOnlyList<SegmentChangeJson>>(400, 403, 409, 422);
    }

    private static async Task<IResult> HandOverAsync(VtepState state)
    {
        if (state.Handover is not { } handOver) return NoDaemon();
        return await handOver() is { } refusal ? Problem.Impossible(refusal) : Results.NoContent();
    }

    /// <summary>Has whatever a request changed saved before it is answered.</summary>
    public static void SaveBeforeAnswering(HttpContext context, VtepState state)
    {
        if (state.Keeper is not { Tables: var tables } || HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method)) return;
        context.Response.OnStarting(async () =>
        {
            await tables.SaveAsync();
            if (tables.Unsaved is { } reason) context.Response.Headers[UnsavedHeader] = string.Concat(reason.Where(static c => c is >= ' ' and < '\x7f'));
        });
    }

    private static IEnumerable<string> Names(VtepState state) =>
        (state.Keeper is { } keeper ? keeper.Configuration.Segments.Keys : state.Segments.Keys).Order(StringComparer.Ordinal);

    private static SegmentJson? Show(VtepState state, string name)
    {
        var running = state.Segments.GetValueOrDefault(name);
        if (state.Keeper is not { } keeper) return running is null ? null : Running(new SegmentJson(name, running.Segment.Options.Vni.Value, OfCommandLine, "running"), running);
        if (!keeper.Configuration.Segments.TryGetValue(name, out var wanted)) return null;
        var error = keeper.Failed.GetValueOrDefault(name);
        var shown = new SegmentJson(name, wanted.Asked.Segment.Vni.Value, wanted.Origin switch { SegmentOrigin.File => "file", SegmentOrigin.Network => "network", _ => "command" }, running is null ? "failed" : "running")
        {
            Error = error,
            Netns = wanted.Asked.NetworkNamespace,
            Settings = Parse(ConfigJson.Write(wanted.Settings)),
        };
        return running is null ? shown : Running(shown, running);
    }

    private static SegmentJson Running(SegmentJson shown, VtepSegment running) => shown with { Mtu = running.Segment.Mtu, Address = running.Segment.DeviceMac.ToString() };

    private static ConfigurationJson Show(SegmentKeeper keeper) =>
        new(keeper.Path, Parse(keeper.Configuration.Json), keeper.Configuration.Segments.Count, keeper.Failed.Count, keeper.Tables.Unsaved, Started);

    private static JsonElement Parse(string json)
    {
        using var document = JsonDocument.Parse(json);
        return document.RootElement.Clone();
    }

    private static async Task<IResult> PutAsync(VtepState state, string dev, JsonElement settings, bool mustBeNew)
    {
        if (state.Keeper is not { } keeper) return NoDaemon();
        if (!Words.LinkName(dev, out _)) return Problem.BadValue("dev", dev, Words.LinkNameAllowed);
        try
        {
            return Results.Json(Show(await keeper.PutAsync(dev, Configuration.Parse(settings.GetRawText()), mustBeNew)), ApiJson.Default.SegmentChangeJson);
        }
        catch (ConfigSyntaxException wrong)
        {
            return Problem.BadSettings([wrong.Message]);
        }
        catch (CommandRefusedException refusal)
        {
            return Problem.Of(refusal);
        }
    }

    private static async Task<IResult> DeleteAsync(VtepState state, string dev)
    {
        if (state.Keeper is not { } keeper) return NoDaemon();
        try
        {
            await keeper.DeleteAsync(dev);
            return Results.NoContent();
        }
        catch (CommandRefusedException refusal)
        {
            return Problem.Of(refusal);
        }
    }

    private static async Task<IResult> ReloadAsync(VtepState state)
    {
        if (state.Keeper is not { } keeper) return NoDaemon();
        try
        {
            return Results.Json<IReadOnlyList<SegmentChangeJson>>([.. (await keeper.ReloadAsync()).Select(Show)], ApiJson.Default.IReadOnlyListSegmentChangeJson);
        }
        catch (CommandRefusedException refusal)
        {
            return Problem.Of(refusal);
        }
    }

    private static SegmentChangeJson Show(SegmentChange change) =>
        new(change.Name, change is { What: "changed", Details.Count: 0 } ? "unchanged" : change.What, change.Details);

    private static IResult NoDaemon() => Problem.Busy("this is a sleeve up, which has the segments of its command line; sleeve daemon takes others while it runs");

    private sealed class BodyLimit : IRequestSizeLimitMetadata
    {
        public long? MaxRequestBodySize => MaxSettingsBytes;
    }
}
