using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Api;

/// <summary>The neighbours of a segment: <c>GET</c> shows, <c>POST …/add|replace</c> changes, <c>DELETE …/IP</c> removes.</summary>
internal static class NeighbourRoutes
{
    private static readonly string[] Permanent = ["PERMANENT"];
    private static readonly string[] Reachable = ["REACHABLE"];
    private static readonly string[] Failed = ["FAILED"];

    /// <summary>Adds the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, VtepState state)
    {
        routes.MapGet("/v1/segments/{dev}/neighbours", (string dev) => state.TryFind(dev, out var found)
            ? Results.Json(Show(found.Segment.Neighbours), ApiJson.Default.IReadOnlyListNeighbourJson)
            : Problem.NoDevice(dev));
        routes.MapPost("/v1/segments/{dev}/neighbours/add", (string dev, NeighbourJson body) => Change(state, dev, body, static (table, neighbour) => table.Add(neighbour)));
        routes.MapPost("/v1/segments/{dev}/neighbours/replace", (string dev, NeighbourJson body) => Change(state, dev, body, static (table, neighbour) => table.Replace(neighbour)));
        routes.MapDelete("/v1/segments/{dev}/neighbours/{address}", (string dev, string address) =>
        {
            if (!state.TryFind(dev, out var found)) return Problem.NoDevice(dev);
            if (!InternetAddress.TryParse(address, out var parsed)) return Problem.BadValue("dst", address, "an IPv4 or IPv6 address");
            return Problem.Of(found.Segment.Neighbours.Delete(parsed)) ?? Results.NoContent();
        });
    }

    private static IReadOnlyList<NeighbourJson> Show(NeighbourTable table) =>
    [
        .. table.Snapshot().Select(static entry => new NeighbourJson(entry.Address.ToString(), null, entry.Mac.ToString(), entry.IsRouter ? true : null, Permanent)),
        .. (table.Snooped?.Snapshot(Vtep.NowMilliseconds) ?? []).Select(static heard =>
            new NeighbourJson(heard.Address.ToString(), null, heard.Mac.ToString(), null, heard.IsDuplicate ? Failed : Reachable) { Learned = heard.IsLocal ? "local" : "remote" }),
    ];

    private static IResult Change(VtepState state, string dev, NeighbourJson body, Func<NeighbourTable, Neighbour, TableResult> verb)
    {
        if (!state.TryFind(dev, out var found)) return Problem.NoDevice(dev);
        if (!InternetAddress.TryParse(body.Dst, out var address) || address.IsMulticast || address.IsUnspecified)
            return Problem.BadValue("dst", body.Dst, "an IPv4 or IPv6 unicast address");
        if (!MacAddress.TryParse(body.Lladdr, out var mac) || !mac.IsValidSource) return Problem.BadValue("lladdr", body.Lladdr, "a unicast MAC");
        return Problem.Of(verb(found.Segment.Neighbours, new Neighbour(address, mac, body.Router ?? false))) ?? Results.NoContent();
    }
}
