using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Api;

/// <summary>
/// The neighbours of a segment. As a resource: <c>GET …/neighbours</c>, <c>PUT</c> and <c>DELETE …/neighbours/IP</c>, which are the same done twice as done once. In the verbs of
/// ip-neighbour(8), with the kernel's refusals: <c>POST …/neighbours/add|replace|del</c>.
/// </summary>
internal static class NeighbourRoutes
{
    private static readonly string[] Permanent = ["PERMANENT"];
    private static readonly string[] Reachable = ["REACHABLE"];
    private static readonly string[] Failed = ["FAILED"];

    /// <summary>Adds the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, VtepState state)
    {
        routes.MapGet("/v1/segments/{dev}/neighbours", (string dev) => state.TryFind(dev, out var found)
                ? Results.Json(Show(found.Segment), ApiJson.Default.IReadOnlyListNeighbourJson)
                : Problem.NoDevice(dev))
            .Describe("listNeighbours", "The neighbours of a segment").Answers<IReadOnlyList<NeighbourJson>>(404);
        routes.MapPut("/v1/segments/{dev}/neighbours/{address}", (string dev, string address, NeighbourValueJson body) =>
                Change(state, dev, new NeighbourJson(address, null, body.Lladdr, body.Router, null), static (table, neighbour) => table.Replace(neighbour)))
            .Describe("putNeighbour", "Make a neighbour be this", "Done twice it is as done once.").AnswersNothing(400, 403, 404, 507);
        routes.MapDelete("/v1/segments/{dev}/neighbours/{address}", (string dev, string address) => Delete(state, dev, address, isIdempotent: true))
            .Describe("deleteNeighbour", "Remove a neighbour", "204 too if there was nothing to remove.").AnswersNothing(400, 403, 404);
        routes.MapPost("/v1/segments/{dev}/neighbours/add", (string dev, NeighbourJson body) => Change(state, dev, body, static (table, neighbour) => table.Add(neighbour)))
            .Describe("addNeighbour", "ip neigh add: a neighbour that is not there yet").AnswersNothing(400, 403, 404, 409, 507);
        routes.MapPost("/v1/segments/{dev}/neighbours/replace", (string dev, NeighbourJson body) => Change(state, dev, body, static (table, neighbour) => table.Replace(neighbour)))
            .Describe("replaceNeighbour", "ip neigh replace: a neighbour, there or not").AnswersNothing(400, 403, 404, 507);
        routes.MapPost("/v1/segments/{dev}/neighbours/del", (string dev, NeighbourJson body) => Delete(state, dev, body.Dst, isIdempotent: false))
            .Describe("delNeighbour", "ip neigh del: a neighbour that must be there").AnswersNothing(400, 403, 404);
    }

    private static IResult Delete(VtepState state, string dev, string? address, bool isIdempotent)
    {
        if (!state.TryFind(dev, out var found)) return Problem.NoDevice(dev);
        if (!InternetAddress.TryParse(address, out var parsed)) return Problem.BadValue("dst", address, "an IPv4 or IPv6 address");
        var result = found.Segment.Neighbours.Delete(parsed);
        return isIdempotent ? Problem.Idempotent(result) : Problem.Of(result) ?? Results.NoContent();
    }

    private static IReadOnlyList<NeighbourJson> Show(Segment segment)
    {
        var now = Vtep.NowMilliseconds;
        return
        [
            .. segment.Neighbours.Snapshot().Select(entry => Show(entry, segment.Published.TryGet(entry, out var by) ? by : null, now)),
            .. (segment.Neighbours.Snooped?.Snapshot(now) ?? []).Select(static heard =>
                new NeighbourJson(heard.Address.ToString(), null, heard.Mac.ToString(), null, heard.IsDuplicate ? Failed : Reachable)
                {
                    Learned = heard.IsLocal ? "local" : "remote", Origin = "snooped", Age = heard.IdleMilliseconds / 1000,
                }),
        ];
    }

    private static NeighbourJson Show(Neighbour entry, PublishedBy? by, long now) => new(entry.Address.ToString(), null, entry.Mac.ToString(), entry.IsRouter ? true : null, Permanent)
    {
        Origin = by is null ? "static" : "published",
        Host = by?.Host,
        Endpoint = by?.Endpoint,
        Version = by?.Version,
        Age = by is { } published ? Math.Max(0, now - published.SinceMilliseconds) / 1000 : null,
    };

    private static IResult Change(VtepState state, string dev, NeighbourJson body, Func<NeighbourTable, Neighbour, TableResult> verb)
    {
        if (!state.TryFind(dev, out var found)) return Problem.NoDevice(dev);
        if (!InternetAddress.TryParse(body.Dst, out var address) || address.IsMulticast || address.IsUnspecified)
            return Problem.BadValue("dst", body.Dst, "an IPv4 or IPv6 unicast address");
        if (!MacAddress.TryParse(body.Lladdr, out var mac) || !mac.IsValidSource) return Problem.BadValue("lladdr", body.Lladdr, "a unicast MAC");
        return Problem.Of(verb(found.Segment.Neighbours, new Neighbour(address, mac, body.Router ?? false))) ?? Results.NoContent();
    }
}
