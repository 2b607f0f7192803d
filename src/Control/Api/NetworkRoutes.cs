using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Api;

/// <summary>
/// The networks of the cluster: <c>GET /v1/networks</c>, <c>GET</c>, <c>PUT</c> and <c>DELETE /v1/networks/NETWORK</c>, <c>PUT /v1/networks/NETWORK/labels</c>; and who has which of their addresses:
/// <c>GET /v1/ipam</c>, <c>GET /v1/ipam/NETWORK</c>, <c>PUT</c> and <c>DELETE /v1/ipam/NETWORK/reservations/ADDRESS</c>.
/// </summary>
internal static class NetworkRoutes
{
    /// <summary>Says in an answer that the store is away, and that what is shown is what was known last.</summary>
    public const string StaleHeader = "Sleeve-Store-Away";

    private const string What = "networks";

    /// <summary>Adds the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, VtepState state)
    {
        routes.MapGet("/v1/networks", (HttpContext context) => Read(state, context, static desk => Results.Json(desk.List(), ApiJson.Default.IReadOnlyListNetworkJson)))
            .Describe("listNetworks", "The networks of the cluster").Answers<IReadOnlyList<NetworkJson>>(422);
        routes.MapGet("/v1/networks/{network}", (string network, HttpContext context) =>
                Read(state, context, desk => desk.Find(network) is { } found ? Results.Json(found, ApiJson.Default.NetworkJson) : Problem.NoNetwork(network)))
            .Describe("getNetwork", "A network, the hosts that have it and its endpoints on all of them").Answers<NetworkJson>(404, 422);
        routes.MapPut("/v1/networks/{network}", (string network, NetworkSettingsJson settings, HttpRequest request, CancellationToken cancellation) =>
                ChangeAsync(state, async desk => Results.Json(await desk.PutAsync(network, settings, request.Headers.IfNoneMatch == "*", cancellation), ApiJson.Default.NetworkJson)))
            .Describe("putNetwork", "Make a network", "One that is just like that is left as it is; one that is not is refused, for a network is not changed but for its labels. With If-None-Match: * there must be none yet.")
            .Answers<NetworkJson>(400, 403, 409, 422, 503);
        routes.MapDelete("/v1/networks/{network}", (string network, bool? force, CancellationToken cancellation) => ChangeAsync(state, async desk =>
            {
                await desk.RemoveAsync(network, force ?? false, cancellation);
                return Results.NoContent();
            }))
            .Describe("deleteNetwork", "Remove a network with its reservations", "204 too if there is none. Refused while it has endpoints; with force=true those of hosts that give no sign of life go with it.").AnswersNothing(403, 409, 422, 503);
        routes.MapPut("/v1/networks/{network}/labels", (string network, NetworkLabelsJson body, CancellationToken cancellation) => ChangeAsync(state, async desk =>
                desk.Find(network) is null ? Problem.NoNetwork(network)
                : body.Labels is not { } labels || labels.Values.Any(static value => value is null) ? Problem.BadValue("labels", null, "an object of texts")
                : Results.Json(await desk.LabelAsync(network, labels, cancellation), ApiJson.Default.NetworkJson)))
            .Describe("putNetworkLabels", "Have a network have these labels and no others").Answers<NetworkJson>(400, 403, 404, 409, 422, 503);
        routes.MapPut("/v1/networks/{network}/members/{host}", (string network, string host, NetworkHostJson body, CancellationToken cancellation) => ChangeAsync(state, async desk =>
            {
                if (desk.Find(network) is null) return Problem.NoNetwork(network);
                await desk.PutHostAsync(network, host, body, cancellation);
                return Results.NoContent();
            }))
            .Describe("putNetworkMember", "Enter a host that runs no Sleeve into a routed network", "Such as a kernel host of Calico's. One that is entered is changed.").AnswersNothing(400, 403, 404, 409, 422, 503);
        routes.MapDelete("/v1/networks/{network}/members/{host}", (string network, string host, CancellationToken cancellation) => ChangeAsync(state, async desk =>
            {
                if (desk.Find(network) is null) return Problem.NoNetwork(network);
                await desk.RemoveHostAsync(network, host, cancellation);
                return Results.NoContent();
            }))
            .Describe("deleteNetworkMember", "Take a host that runs no Sleeve out of a routed network", "204 too if it is not entered.").AnswersNothing(403, 404, 409, 422, 503);
        MapIpam(routes, state);
    }

    private static void MapIpam(IEndpointRouteBuilder routes, VtepState state)
    {
        routes.MapGet("/v1/ipam", (HttpContext context) => Read(state, context, static desk => Results.Json(desk.Pools(), ApiJson.Default.IReadOnlyListPoolJson)))
            .Describe("listPools", "How much of the address pools is used").Answers<IReadOnlyList<PoolJson>>(422);
        routes.MapGet("/v1/ipam/{network}", (string network, HttpContext context) =>
                Read(state, context, desk => desk.PoolsOf(network) is { } pools ? Results.Json(pools, ApiJson.Default.IReadOnlyListPoolJson) : Problem.NoNetwork(network)))
            .Describe("getPools", "Which host has which block of a network's pools, and what of it is used").Answers<IReadOnlyList<PoolJson>>(404, 422);
        routes.MapPut("/v1/ipam/{network}/reservations/{address}", (string network, string address, ReservationJson body, CancellationToken cancellation) => ChangeAsync(state, async desk =>
            {
                if (!Cli.Words.UnicastAddress(address, out InternetAddress read)) return Problem.BadValue("address", address, AddressAllowed);
                if (desk.Find(network) is null) return Problem.NoNetwork(network);
                await desk.ReserveAsync(network, read, body.Note ?? "", cancellation);
                return Results.NoContent();
            }))
            .Describe("putReservation", "Keep an address from being given out").AnswersNothing(400, 403, 404, 409, 422, 503);
        routes.MapDelete("/v1/ipam/{network}/reservations/{address}", (string network, string address, CancellationToken cancellation) => ChangeAsync(state, async desk =>
            {
                if (!Cli.Words.UnicastAddress(address, out InternetAddress read)) return Problem.BadValue("address", address, AddressAllowed);
                await desk.ReleaseAsync(network, read, cancellation);
                return Results.NoContent();
            }))
            .Describe("deleteReservation", "Let a reserved address be given out again", "204 too if it is not reserved; an endpoint's address is refused.").AnswersNothing(400, 403, 409, 422, 503);
    }

    private const string AddressAllowed = "an IPv4 or IPv6 unicast address";

    private static IResult Read(VtepState state, HttpContext context, Func<NetworkDesk, IResult> read)
    {
        if (state.Cluster?.Networks is not { } desk) return Problem.NoCluster(What);
        if (desk.Fault is { } fault) context.Response.Headers[StaleHeader] = string.Concat(fault.Where(static c => c is >= ' ' and < '\x7f'));
        return read(desk);
    }

    private static Task<IResult> ChangeAsync(VtepState state, Func<NetworkDesk, Task<IResult>> change) =>
        state.Cluster?.Networks is { } desk ? StoreAnswers.TryAsync(() => change(desk)) : Task.FromResult(Problem.NoCluster(What));
}
