using System.Threading.RateLimiting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Sleeve.Control.Host;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Api;

/// <summary>
/// The FDB of a segment. As a resource: <c>GET …/fdb</c>, and <c>GET</c>, <c>PUT</c>, <c>DELETE …/fdb/MAC</c>, which are the same done twice as done once. In the verbs of bridge(8), with
/// the kernel's refusals: <c>POST …/fdb/add|append|replace|del|flush</c>.
/// </summary>
internal static class FdbRoutes
{
    private const string MacAllowed = "six hexadecimal bytes with colons";

    /// <summary>Entries of all listings that are on their way at once. A listing is a copy, 40 bytes an entry, until its reader has it.</summary>
    private const int MaxListed = 4 * SegmentOptions.DefaultMaxAddress;

    private const int MaxWaiting = 256;
    private static readonly string[] Self = ["self"];

    /// <summary>Adds the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, VtepState state)
    {
        var listings = new ConcurrencyLimiter(new ConcurrencyLimiterOptions { PermitLimit = MaxListed, QueueLimit = MaxWaiting * SegmentOptions.DefaultMaxAddress, QueueProcessingOrder = QueueProcessingOrder.OldestFirst });
        routes.MapGet("/v1/segments/{dev}/fdb", (HttpContext context, string dev, string? match, int? limit) => ListAsync(context, state, listings, dev, match, limit))
            .Describe("listFdb", "The FDB of a segment, one row a destination", "match leaves rows whose MAC or VTEP contains it, limit no more rows than it says.")
            .Answers<IEnumerable<FdbEntryJson>>(400, 404, 503);
        routes.MapGet("/v1/segments/{dev}/fdb/{mac}", (string dev, string mac) => Get(state, dev, mac))
            .Describe("getFdbEntry", "One FDB entry, one row a destination").Answers<IReadOnlyList<FdbEntryJson>>(400, 404);
        routes.MapPut("/v1/segments/{dev}/fdb/{mac}", (string dev, string mac, FdbDestinationJson body) => Put(state, dev, mac, body))
            .Describe("putFdbEntry", "Make an FDB entry have this destination and no other", "Done twice it is as done once. The MAC 00:00:00:00:00:00 stands for the default destinations.")
            .AnswersNothing(400, 403, 404, 422, 507);
        routes.MapDelete("/v1/segments/{dev}/fdb/{mac}", (string dev, string mac, string? dst, int? port, long? vni, string? via) =>
                Delete(state, dev, new FdbEntryJson(mac, null, dst, port, vni, null, null, null) { ViaIf = via }, isIdempotent: true))
            .Describe("deleteFdbEntry", "Remove an FDB entry, or with dst one destination of it", "204 too if there was nothing to remove.").AnswersNothing(400, 403, 404);
        MapVerbs(routes, state);
    }

    private static void MapVerbs(IEndpointRouteBuilder routes, VtepState state)
    {
        routes.MapPost("/v1/segments/{dev}/fdb/add", (string dev, FdbEntryJson entry) => Change(state, dev, entry, static fdb => fdb.Add))
            .Describe("addFdb", "bridge fdb add: an entry for a MAC that has none").AnswersNothing(400, 403, 404, 409, 422, 507);
        routes.MapPost("/v1/segments/{dev}/fdb/append", (string dev, FdbEntryJson entry) => Change(state, dev, entry, static fdb => fdb.Append))
            .Describe("appendFdb", "bridge fdb append: one more destination of a group address or of the default").AnswersNothing(400, 403, 404, 422, 507);
        routes.MapPost("/v1/segments/{dev}/fdb/replace", (string dev, FdbEntryJson entry) => Change(state, dev, entry, static fdb => fdb.Replace))
            .Describe("replaceFdb", "bridge fdb replace: the destination of a unicast address").AnswersNothing(400, 403, 404, 422, 507);
        routes.MapPost("/v1/segments/{dev}/fdb/del", (string dev, FdbEntryJson entry) => Delete(state, dev, entry, isIdempotent: false))
            .Describe("delFdb", "bridge fdb del: an entry or with dst one destination of it, which must be there").AnswersNothing(400, 403, 404);
        routes.MapPost("/v1/segments/{dev}/fdb/flush", (string dev, bool? all) => state.TryFind(dev, out var found)
                ? Results.Json(new FlushJson(found.Segment.Fdb.Flush(all ?? false, Vtep.NowMilliseconds)), ApiJson.Default.FlushJson)
                : Problem.NoDevice(dev))
            .Describe("flushFdb", "bridge fdb flush: all dynamic entries; with all every entry but the default").Answers<FlushJson>(400, 403, 404);
    }

    private static async Task<IResult> ListAsync(HttpContext context, VtepState state, ConcurrencyLimiter listings, string dev, string? match, int? limit)
    {
        if (!state.TryFind(dev, out var found)) return Problem.NoDevice(dev);
        if (limit is < 1) return Problem.BadValue("limit", $"{limit}", "1 or more rows");
        var fdb = found.Segment.Fdb;
        var lease = await listings.AcquireAsync(Math.Clamp(fdb.Count, 1, SegmentOptions.DefaultMaxAddress), context.RequestAborted);
        context.Response.RegisterForDispose(lease);
        if (!lease.IsAcquired) return Problem.TooMany("too many listings at once; ask again");
        // Row by row as the reader takes them.
        var rows = Show(found.Segment, fdb.Snapshot(Vtep.NowMilliseconds));
        if (match is not null) rows = rows.Where(row => row.Mac.Contains(match, StringComparison.OrdinalIgnoreCase) || row.Dst?.Contains(match, StringComparison.OrdinalIgnoreCase) == true);
        if (limit is { } most) rows = rows.Take(most);
        return Results.Json(rows, ApiJson.Default.IEnumerableFdbEntryJson);
    }

    private static IResult Get(VtepState state, string dev, string text)
    {
        if (!state.TryFind(dev, out var found)) return Problem.NoDevice(dev);
        if (!MacAddress.TryParse(text, out var mac)) return Problem.BadValue("mac", text, MacAllowed);
        return found.Segment.Fdb.Show(mac, Vtep.NowMilliseconds) is { } entry
            ? Results.Json([.. Show(found.Segment, [entry])], ApiJson.Default.IReadOnlyListFdbEntryJson)
            : Problem.NoEntry($"{mac}: has no entry of its own");
    }

    private static IEnumerable<FdbEntryJson> Show(Segment segment, IReadOnlyList<ForwardingEntry> entries)
    {
        using var links = new LinkNames();
        var now = Vtep.NowMilliseconds;
        foreach (var entry in entries)
        {
            var ofEntry = !entry.Mac.IsZero && segment.Published.TryGet(entry, out var station) ? station : (PublishedBy?)null;
            foreach (var remote in entry.Destinations.Remotes)
            {
                var by = entry.Mac.IsZero && remote.InterfaceIndex == 0 && remote.Vni == segment.Options.Vni && segment.Published.TryGet(remote.Address, out var vtep) ? vtep : ofEntry;
                yield return new FdbEntryJson(
                    entry.Mac.ToString(),
                    null,
                    remote.Address.Address.ToString(),
                    remote.Address.Port == segment.Self.Port ? null : remote.Address.Port,
                    remote.Vni == segment.Options.Vni ? null : remote.Vni.Value,
                    entry.Kind == EntryKind.Dynamic ? entry.IdleMilliseconds / 1000 : null,
                    Self,
                    entry.Kind switch { EntryKind.Permanent => "permanent", EntryKind.Static => "static", _ => "" })
                {
                    ViaIf = links.NameOf(remote.InterfaceIndex),
                    Origin = by is not null ? "published" : entry.Kind == EntryKind.Dynamic ? "learned" : "static",
                    Host = by?.Host,
                    Endpoint = string.IsNullOrEmpty(by?.Endpoint) ? null : by.Value.Endpoint,
                    Version = by?.Version,
                    Age = by is { } published ? Math.Max(0, now - published.SinceMilliseconds) / 1000 : null,
                };
            }
        }
    }

    private static IResult Put(VtepState state, string dev, string text, FdbDestinationJson body)
    {
        if (!state.TryFind(dev, out var found)) return Problem.NoDevice(dev);
        if (!MacAddress.TryParse(text, out var mac)) return Problem.BadValue("mac", text, MacAllowed);
        if (DestinationReader.Read(found.Segment, body.Dst, body.Port, body.Vni, body.ViaIf, mayBeGone: false, out var to) is { } problem) return problem;
        if (KindOf(body.State) is not { } kind) return BadState(body.State);
        return Problem.Of(found.Segment.Fdb.Set(mac, [to], kind, Vtep.NowMilliseconds)) ?? Results.NoContent();
    }

    private static IResult Change(
        VtepState state, string dev, FdbEntryJson body, Func<ForwardingTable, Func<MacAddress, VtepAddress, Vni, EntryKind, long, int, TableResult>> verb)
    {
        if (!state.TryFind(dev, out var found)) return Problem.NoDevice(dev);
        var segment = found.Segment;
        if (!MacAddress.TryParse(body.Mac, out var mac)) return Problem.BadValue("mac", body.Mac, MacAllowed);
        if (DestinationReader.Read(segment, body.Dst, body.Port, body.Vni, body.ViaIf, mayBeGone: false, out var to) is { } problem) return problem;
        if (KindOf(body.State) is not { } kind) return BadState(body.State);
        return Problem.Of(verb(segment.Fdb)(mac, to.Address, to.Vni, kind, Vtep.NowMilliseconds, to.InterfaceIndex)) ?? Results.NoContent();
    }

    private static EntryKind? KindOf(string? state) =>
        state switch { null or "permanent" => EntryKind.Permanent, "static" => EntryKind.Static, "dynamic" or "" => EntryKind.Dynamic, _ => null };

    private static IResult BadState(string? state) => Problem.BadValue("state", state, "permanent, static or dynamic");

    private static IResult Delete(VtepState state, string dev, FdbEntryJson what, bool isIdempotent)
    {
        if (!state.TryFind(dev, out var found)) return Problem.NoDevice(dev);
        if (!MacAddress.TryParse(what.Mac, out var mac)) return Problem.BadValue("mac", what.Mac, MacAllowed);
        var fdb = found.Segment.Fdb;
        EntryDestination to = default;
        if (what.Dst is null && (what.Port is not null || what.Vni is not null || what.ViaIf is not null)) return Problem.BadValue("dst", null, "there with port, vni or via");
        if (what.Dst is not null && DestinationReader.Read(found.Segment, what.Dst, what.Port, what.Vni, what.ViaIf, mayBeGone: true, out to) is { } problem) return problem;
        var result = what.Dst is null
            ? fdb.Delete(mac, null, found.Segment.Options.Vni, Vtep.NowMilliseconds)
            : fdb.Delete(mac, to.Address, to.Vni, Vtep.NowMilliseconds, to.InterfaceIndex);
        return isIdempotent ? Problem.Idempotent(result) : Problem.Of(result) ?? Results.NoContent();
    }
}
