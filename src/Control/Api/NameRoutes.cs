using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Sleeve.Control.Naming;

namespace Sleeve.Control.Api;

/// <summary>
/// The names of a network: <c>GET /v1/networks/NETWORK/names</c>, and <c>…/names/NAME</c> as a member of the network would have it answered. Nobody else is asked for it.
/// </summary>
internal static class NameRoutes
{
    private const int MaxQuestion = 253;

    /// <summary>Adds the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, VtepState state) => Map(routes, () => state.Cluster?.Names);

    /// <summary>Adds the routes.</summary>
    /// <param name="routes">Where to.</param>
    /// <param name="names">Who answers at the moment; null where no names are served.</param>
    internal static void Map(IEndpointRouteBuilder routes, Func<NameDesk?> names)
    {
        routes.MapGet("/v1/networks/{network}/names", (string network) =>
        {
            if (names() is not { } desk) return Problem.NoCluster("names");
            return desk.List(network) is { } listed ? Results.Json(Show(desk, network, listed), ApiJson.Default.NetworkNamesJson) : Problem.NoNetwork(network);
        }).Describe("listNames", "The names of a network", "Names and aliases of its endpoints on all hosts, and its name server on this host.").Answers<NetworkNamesJson>(404, 422);
        routes.MapGet("/v1/networks/{network}/names/{name}", (string network, string name) =>
        {
            if (names() is not { } desk) return Problem.NoCluster("names");
            if (name.Length > MaxQuestion) return Problem.BadValue("name", name, "a name of at most 253 characters, or an address");
            return desk.Resolve(network, name) is { } answers ? Results.Json(Show(name, answers), ApiJson.Default.ResolvedNameJson) : Problem.NoNetwork(network);
        }).Describe("resolveName", "What members of a network get for a name", "An address asks for its name. Nobody else is asked.").Answers<ResolvedNameJson>(400, 404, 422);
    }

    private static NetworkNamesJson Show(NameDesk desk, string network, IReadOnlyList<ListedName> names) => new(network, desk.Domain, [.. names.Select(Show)])
    {
        Server = desk.ServerOf(network) is not { } server ? null : new NameServerJson(
            server.Place.Device, [.. server.Place.Addresses.Select(static address => address.ToString())], server.IsServing, server.Fault, server.Tally[NameEvent.Query],
            server.Tally[NameEvent.Answered], server.Tally[NameEvent.Forwarded], server.Tally[NameEvent.Failed], server.Tally[NameEvent.Limited]),
    };

    private static NameJson Show(ListedName name) => new(
        name.Name, [.. name.Addresses.Select(static each => new NameAddressJson(each.Address.Address.ToString(), each.Address.Host, each.Address.Endpoint, each.IsUp))]);

    private static ResolvedNameJson Show(string name, IReadOnlyList<NameAnswer> answers)
    {
        // Both families have the same name, so the better of the two says what is known of it.
        var best = answers.MinBy(static answer => answer.Outcome);
        return new ResolvedNameJson(name, StatusOf(best.Outcome), [.. answers.SelectMany(static answer => answer.Addresses).Select(static address => address.ToString())]) { Pointer = best.Pointer };
    }

    private static string StatusOf(NameOutcome outcome) => outcome switch
    {
        NameOutcome.Found => "found",
        NameOutcome.NoData => "no-data",
        NameOutcome.NoName => "no-name",
        NameOutcome.Elsewhere => "elsewhere",
        _ => "refused",
    };
}
