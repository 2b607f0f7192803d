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
/// What happens, as it happens: <c>GET /v1/events?dev=&amp;kind=</c> answers one JSON object a line until either side ends it. The first line is
/// <c>{"event":"listening"}</c>. A reader that is too slow finds <c>{"event":"lost","lost":N}</c> in place of what it missed.
/// </summary>
internal static class EventRoutes
{
    /// <summary>How often an event is looked for. The data plane wakes nobody.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);

    private static readonly byte[] LineEnd = "\n"u8.ToArray();

    /// <summary>Every kind by its name.</summary>
    public static IReadOnlyDictionary<string, EventKind> Kinds { get; } =
        Enum.GetValues<EventKind>().ToDictionary(NameOf, static kind => kind, StringComparer.Ordinal);

    /// <summary>Adds the route.</summary>
    /// <param name="routes">Where to.</param>
    /// <param name="state">What is served.</param>
    /// <param name="stopping">Ends what is being answered.</param>
    public static void Map(IEndpointRouteBuilder routes, VtepState state, CancellationToken stopping) =>
        routes.MapGet("/v1/events", async (HttpContext context, string? dev, string? kind) =>
        {
            if (dev is not null && !state.TryFind(dev, out _)) return Problem.NoDevice(dev);
            var wanted = new HashSet<EventKind>();
            foreach (var word in kind?.Split(',') ?? [])
            {
                if (!Kinds.TryGetValue(word, out var value)) return Problem.BadValue("kind", word, string.Join(", ", Kinds.Keys));
                wanted.Add(value);
            }

            using var end = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, stopping);
            try
            {
                await StreamAsync(context.Response, state.Vtep.Events, dev, wanted, end.Token);
            }
            catch (OperationCanceledException)
            {
                // The reader went, or this process goes: as good an end as any.
            }

            return Results.Empty;
        });

    private static async Task StreamAsync(HttpResponse response, EventRing ring, string? dev, HashSet<EventKind> wanted, CancellationToken end)
    {
        using var reader = ring.Listen();
        response.ContentType = "application/x-ndjson";
        await WriteAsync(response, new EventJson("listening", DateTimeOffset.UtcNow), end);
        await response.Body.FlushAsync(end);
        while (true)
        {
            var wrote = false;
            while (reader.TryRead(out var happened))
            {
                if ((dev is not null && happened.Source.Name != dev) || (wanted.Count > 0 && !wanted.Contains(happened.Kind))) continue;
                wrote |= await WriteLostAsync(response, reader, end);
                // Waits for a slow reader, and meanwhile the ring goes on.
                await WriteAsync(response, Show(happened), end);
                wrote = true;
            }

            wrote |= await WriteLostAsync(response, reader, end);
            if (wrote) await response.Body.FlushAsync(end);
            await Task.Delay(Interval, end);
        }
    }

    private static async Task<bool> WriteLostAsync(HttpResponse response, EventReader reader, CancellationToken end)
    {
        if (reader.TakeLost() is not (> 0 and var lost)) return false;
        await WriteAsync(response, new EventJson("lost", DateTimeOffset.UtcNow) { Lost = lost }, end);
        return true;
    }

    private static async Task WriteAsync(HttpResponse response, EventJson line, CancellationToken end)
    {
        await JsonSerializer.SerializeAsync(response.Body, line, ApiJson.Default.EventJson, end);
        await response.Body.WriteAsync(LineEnd, end);
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
