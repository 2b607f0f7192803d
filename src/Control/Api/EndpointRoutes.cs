using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Sleeve.Control.Daemon;
using Sleeve.Control.Naming;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;

namespace Sleeve.Control.Api;

/// <summary>
/// The endpoints of this host: <c>GET /v1/endpoints</c>, <c>GET</c>, <c>PUT</c> and <c>DELETE /v1/networks/NETWORK/endpoints/ID</c>; and whether the tables of a network's segment are what hosts publish:
/// <c>GET /v1/segments/DEV/fdb/audit</c>.
/// </summary>
internal static class EndpointRoutes
{
    /// <summary>Adds the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, VtepState state)
    {
        routes.MapGet("/v1/endpoints", (string? network) => state.Cluster?.Endpoints is { } endpoints
                ? Results.Json<IReadOnlyList<EndpointJson>>([.. endpoints.List.Select(entry => Show(state, entry)).Where(each => network is null || each.Network == network)], ApiJson.Default.IReadOnlyListEndpointJson)
                : Problem.NoCluster("endpoints"))
            .Describe("listEndpoints", "The endpoints of this host, of one network or of all").Answers<IReadOnlyList<EndpointJson>>(409);
        routes.MapGet("/v1/networks/{network}/endpoints/{id}", (string network, string id) => state.Cluster?.Endpoints is not { } endpoints ? Problem.NoCluster("endpoints")
                : endpoints.Find(network, id) is { } entry ? Results.Json(Show(state, entry), ApiJson.Default.EndpointJson)
                : Problem.NoEntry($"endpoint {id}: network {network} has none of that id on this host"))
            .Describe("getEndpoint", "An endpoint of this host").Answers<EndpointJson>(404, 409);
        routes.MapPut("/v1/networks/{network}/endpoints/{id}", (string network, string id, AttachJson body, CancellationToken cancellation) => AttachAsync(state, network, id, body, cancellation))
            .Describe("putEndpoint", "Attach something on this host to a network", "Publishes it, and wires it. Done twice it is as done once; with other words it is refused, until it is detached.")
            .Answers<EndpointJson>(400, 403, 404, 409, 422, 503);
        routes.MapDelete("/v1/networks/{network}/endpoints/{id}", (string network, string id, CancellationToken cancellation) => DetachAsync(state, network, id, cancellation))
            .Describe("deleteEndpoint", "Detach an endpoint of this host", "Its wire goes at once, also if the store does not answer, which is then told later. Nothing to detach is no error.")
            .Answers<DetachJson>(403, 409, 422);
        routes.MapGet("/v1/segments/{dev}/fdb/audit", (string dev) => Audit(state, dev))
            .Describe("auditFdb", "Compare the tables of a network's segment with what hosts publish", "Entries that an operator made by hand are no difference unless they contradict.").Answers<TableAuditJson>(404, 409);
    }

    private static async Task<IResult> AttachAsync(VtepState state, string network, string id, AttachJson body, CancellationToken cancellation)
    {
        if (state.Cluster?.Endpoints is not { } endpoints) return Problem.NoCluster("attaching");
        if (string.IsNullOrEmpty(body.Target)) return Problem.BadValue("target", body.Target, WireTarget.Allowed);
        if (!endpoints.Knows(network)) return Problem.NoNetwork(network);
        var request = new AttachRequest(body.Target)
        {
            Addresses = body.Addresses ?? [],
            Mac = body.Mac ?? "",
            Ifname = body.Ifname ?? "",
            Gateway = body.Gateway ?? "auto",
            Name = body.Name ?? WireTarget.NameOf(body.Target),
            Aliases = body.Aliases ?? [],
        };
        try
        {
            return Results.Json(Show(state, await endpoints.AttachAsync(network, id, request, cancellation)), ApiJson.Default.EndpointJson);
        }
        catch (CommandRefusedException refusal)
        {
            return Problem.Of(refusal);
        }
        catch (StoreUnavailableException away)
        {
            return Problem.TooMany($"{away.Message}; nothing was attached, try again when it answers");
        }
    }

    private static async Task<IResult> DetachAsync(VtepState state, string network, string id, CancellationToken cancellation)
    {
        if (state.Cluster?.Endpoints is not { } endpoints) return Problem.NoCluster("detaching");
        try
        {
            var outcome = await endpoints.DetachAsync(network, id, cancellation);
            return Results.Json(new DetachJson(outcome switch { DetachOutcome.Done => "done", DetachOutcome.Queued => "queued", _ => "nothing" }), ApiJson.Default.DetachJson);
        }
        catch (CommandRefusedException refusal)
        {
            return Problem.Of(refusal);
        }
    }

    private static IResult Audit(VtepState state, string dev)
    {
        if (!state.TryFind(dev, out _)) return Problem.NoDevice(dev);
        if (state.Cluster?.Local is not { } local) return Problem.NoCluster("auditing");
        if (local.Find(dev) is not { } network || local.Audit(dev) is not { } differences) return Problem.NoEntry($"dev {dev}: is no network's, so nobody publishes what is to be in its tables");
        return Results.Json(
            new TableAuditJson(
                dev, network.Record.Name, [.. differences.Select(static each => new TableDifferenceJson(each.What, each.Table, each.Key, each.Wanted, each.Found, each.By))], local.ConflictsOf(network)),
            ApiJson.Default.TableAuditJson);
    }

    private static EndpointJson Show(VtepState state, EndpointEntry entry)
    {
        var record = entry.Record!;
        var endpoint = entry.Published;
        var gateways = state.Cluster?.Local.Current.GetValueOrDefault(record.Name)?.Gateways;
        var advice = state.Cluster?.Names is { } names ? ResolverAdvice.Of(record, new NameOptions { Domain = names.Domain }, entry.Ifname, gateways) : null;
        return new EndpointJson(record.Name, entry.Id, entry.Request.Target, entry.State switch { EndpointState.Attached => "attached", EndpointState.Attaching => "attaching", _ => "detaching" })
        {
            Mac = endpoint?.Mac.ToString(),
            Addresses = endpoint?.Addresses.Select(address => LocalNetworks.NetworkOf(record, address).ToString()).ToArray(),
            Ifname = entry.Ifname == "" ? null : entry.Ifname,
            Link = entry.Link,
            Bridge = LocalNetwork.BridgeOf(record.Vni),
            Gateways = gateways is null or [] ? null : [.. gateways.Select(static gateway => gateway.ToString())],
            Nameservers = advice?.Nameservers,
            Search = advice?.Search,
            Name = entry.Request.Name == "" ? null : entry.Request.Name,
            Aliases = entry.Request.Aliases.Count == 0 ? null : entry.Request.Aliases,
            Version = entry.Version == 0 ? null : entry.Version,
            Reason = entry.Reason == "" ? null : entry.Reason,
        };
    }
}
