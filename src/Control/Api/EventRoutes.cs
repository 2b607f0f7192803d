using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Events;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Api;

/// <summary>
/// What happens, as it happens: <c>GET /v1/events?dev=&amp;kind=</c> answers until either side ends it, one JSON object a line or, where <c>Accept</c> asks for them, server-sent
/// events. The first is <c>{"event":"listening"}</c>. A reader that is too slow finds <c>{"event":"lost","lost":N}</c> in place of what it missed.
/// </summary>
internal static class EventRoutes
{
    /// <summary>Readers at once.</summary>
    public const int MaxReaders = 64;

    /// <summary>Every kind by its name.</summary>
    public static IReadOnlyDictionary<string, EventKind> Kinds { get; } =
        Enum.GetValues<EventKind>().ToDictionary(NameOf, static kind => kind, StringComparer.Ordinal);

    /// <summary>Adds the route.</summary>
    /// <param name="routes">Where to.</param>
    /// <param name="state">What is served.</param>
    /// <param name="stopping">Ends what is being answered.</param>
    public static void Map(IEndpointRouteBuilder routes, VtepState state, CancellationToken stopping)
    {
        var streams = new EventStreams(state.Vtep.Events, stopping);
        stopping.Register(streams.Dispose);
        routes.MapGet("/v1/events", async (HttpContext context, string? dev, string? kind) =>
            {
                if (dev is not null && !state.TryFind(dev, out _)) return Problem.NoDevice(dev);
                var wanted = new HashSet<EventKind>();
                foreach (var word in kind?.Split(',') ?? [])
                {
                    if (!Kinds.TryGetValue(word, out var value)) return Problem.BadValue("kind", word, string.Join(", ", Kinds.Keys));
                    wanted.Add(value);
                }

                return await streams.ServeAsync(context, happened => (dev is null || happened.Source.Name == dev) && (wanted.Count == 0 || wanted.Contains(happened.Kind)), Show)
                    ? Results.Empty
                    : Problem.TooMany($"{MaxReaders} read events already");
            })
            .Describe("events", "What happens, as it happens", "kind is a list with commas. Server-sent events if Accept asks for text/event-stream, else a JSON object a line.")
            .Produces<EventJson>(200, "application/x-ndjson", ServerSentEvents.MediaType).AnswersProblems(400, 404, 503);
    }

    /// <summary>An event as the stream has it.</summary>
    public static EventJson Show(in SegmentEvent happened)
    {
        var shown = new EventJson(NameOf(happened.Kind), DateTimeOffset.UtcNow.AddMilliseconds(happened.AtMilliseconds - Vtep.NowMilliseconds))
        {
            Ifname = happened.Source.Name,
            Vni = happened.Source.Vni.Value,
            Mac = HasMac(happened) ? happened.Mac.ToString() : null,
            Dst = happened.Remote.IsUnspecified ? null : happened.Remote.ToString(),
        };
        var address = happened.Address.IsUnspecified ? null : happened.Address.ToString();
        return happened.Kind switch
        {
            EventKind.Moved => shown with { From = address },
            EventKind.Added => shown with { State = (EntryKind)happened.Number switch { EntryKind.Permanent => "permanent", EntryKind.Static => "static", _ => "" } },
            EventKind.MtuChanged => shown with { Mtu = (int)happened.Number },
            EventKind.DuplicateAddress => shown with { Ip = address, Was = MacAddress.FromValue((ulong)happened.Number).ToString() },
            EventKind.Guard => shown with { Limit = NameOf((GuardLimit)happened.Number) },
            _ => shown with { Ip = address },
        };
    }

    // Zero is the key of the default destinations.
    private static bool HasMac(in SegmentEvent happened) => !happened.Mac.IsZero || happened.Kind is EventKind.Added or EventKind.Removed;

    private static string NameOf<T>(T value)
        where T : struct, Enum => value switch
        {
            EventKind.L2Miss => "l2miss",
            EventKind.L3Miss => "l3miss",
            _ => JsonNamingPolicy.KebabCaseLower.ConvertName(value.ToString()),
        };
}
