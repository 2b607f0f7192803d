using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Sleeve.Control.Daemon;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;
using Sleeve.Control.Trust;

namespace Sleeve.Control.Api;

/// <summary>Tokens by which hosts join: <c>GET</c> and <c>POST /v1/tokens</c>, <c>DELETE /v1/tokens/ID</c>; and joining: <c>POST /v1/cluster/join</c>, which answers JSON lines, and <c>POST /v1/cluster/leave</c>.</summary>
internal static class TrustRoutes
{
    private const string Lines = "application/x-ndjson";
    private static readonly byte[] LineEnd = "\n"u8.ToArray();

    /// <summary>Adds the routes.</summary>
    /// <param name="routes">Where to.</param>
    /// <param name="state">What is served.</param>
    /// <param name="stopping">Ends what is being answered.</param>
    public static void Map(IEndpointRouteBuilder routes, VtepState state, CancellationToken stopping)
    {
        routes.MapGet("/v1/tokens", () => state.Membership is { } membership ? Results.Json<IReadOnlyList<TokenJson>>([.. membership.Trust.Tokens.All.Select(Show)], ApiJson.Default.IReadOnlyListTokenJson) : NoDaemon())
            .Describe("listTokens", "The tokens by which hosts join, without their secrets").Answers<IReadOnlyList<TokenJson>>(409);
        routes.MapPost("/v1/tokens", (TokenRequestJson asked, CancellationToken cancellation) => MakeAsync(state, asked, cancellation))
            .Describe("makeToken", "Make a token by which hosts join", "This host serves its store to others from the first one on.").Answers<MadeTokenJson>(400, 403, 409, 422);
        routes.MapDelete("/v1/tokens/{id}", (string id) => Remove(state, id))
            .Describe("removeToken", "Have a token let in nobody any more", "Those who joined with it stay.").AnswersNothing(403, 404, 409, 422);
        routes.MapPost("/v1/cluster/join", (HttpContext context, ClusterJoinJson asked) => JoinAsync(context, state, asked, stopping))
            .Describe("joinCluster", "Join the cluster of another host; JSON lines as it goes on").Produces<JoinLineJson>(200, Lines).AnswersProblems(400, 403, 409);
        routes.MapPost("/v1/cluster/leave", (ClusterLeaveJson asked, CancellationToken cancellation) => LeaveAsync(state, asked, cancellation))
            .Describe("leaveCluster", "Leave the cluster that was joined").AnswersNothing(403, 409, 422);
    }

    private static async Task<IResult> MakeAsync(VtepState state, TokenRequestJson asked, CancellationToken cancellation)
    {
        if (state.Membership is not { } membership) return NoDaemon();
        var seconds = asked.Seconds ?? (int)TokenDesk.DefaultLifetime.TotalSeconds;
        if (seconds < 1 || seconds > TokenDesk.LongestLifetime.TotalSeconds) return Problem.BadValue("seconds", $"{seconds}", $"1 to {TokenDesk.LongestLifetime.TotalSeconds:0}");
        if (asked.Uses is < 1 or > Authority.MaxIssued) return Problem.BadValue("uses", $"{asked.Uses}", $"1 to {Authority.MaxIssued}");
        try
        {
            var (token, ends) = await membership.MakeTokenAsync(TimeSpan.FromSeconds(seconds), asked.Uses, cancellation);
            return Results.Json(new MadeTokenJson(token.Id, token.Reveal(), ends, membership.JoinCommand(token)), ApiJson.Default.MadeTokenJson);
        }
        catch (HostException failure)
        {
            return Problem.Impossible(failure.Message);
        }
    }

    private static IResult Remove(VtepState state, string id)
    {
        if (state.Membership is not { } membership) return NoDaemon();
        try
        {
            return membership.Trust.Tokens.Remove(id) ? Results.NoContent() : Problem.NoEntry($"token {(JoinToken.IsId(id) ? id : "of that name")}: there is none; sleeve token ls lists them");
        }
        catch (HostException failure)
        {
            return Problem.Impossible(failure.Message);
        }
    }

    private static async Task<IResult> JoinAsync(HttpContext context, VtepState state, ClusterJoinJson asked, CancellationToken stopping)
    {
        if (state.Membership is not { } membership) return NoDaemon();
        if (!JoinPlace.TryParse(asked.Server, out var place)) return Problem.BadValue("server", asked.Server, JoinPlace.Allowed);
        // Never shown, whatever is wrong with it.
        if (!JoinToken.TryParse(asked.Token, out var token)) return Problem.BadValue("token", null, JoinToken.Allowed);
        if (asked.Name is not null && !Names.IsName(asked.Name)) return Problem.BadValue("name", asked.Name, Names.Allowed);
        context.Response.ContentType = Lines;
        async Task ReportAsync(JoinLineJson line)
        {
            await JsonSerializer.SerializeAsync(context.Response.Body, line, ApiJson.Default.JoinLineJson, stopping);
            await context.Response.Body.WriteAsync(LineEnd, stopping);
            await context.Response.Body.FlushAsync(stopping);
        }

        try
        {
            // Whoever asked may go away: it is done or not done, but not half.
            var joined = await membership.JoinAsync(place, token, asked.Name, step => ReportAsync(new JoinLineJson { Step = step }), stopping);
            await ReportAsync(new JoinLineJson { Joined = joined.Server, Name = joined.Name });
        }
        catch (Exception failure) when (failure is IOException or CommandRefusedException)
        {
            await ReportAsync(new JoinLineJson { Error = failure.Message });
        }

        return Results.Empty;
    }

    private static async Task<IResult> LeaveAsync(VtepState state, ClusterLeaveJson asked, CancellationToken cancellation)
    {
        if (state.Membership is not { } membership) return NoDaemon();
        try
        {
            await membership.LeaveAsync(asked.Force, cancellation);
            return Results.NoContent();
        }
        catch (Exception failure) when (failure is IOException or CommandRefusedException)
        {
            return Problem.Impossible(failure.Message);
        }
    }

    private static TokenJson Show(KeptToken token) =>
        new(token.Id, token.UsesLeft is <= 0 ? "used-up" : token.Ends <= DateTimeOffset.UtcNow ? "ended" : "good", token.Made, token.Ends, token.Used, token.UsesLeft);

    private static IResult NoDaemon() => Problem.Busy("this VTEP takes in nobody and joins nobody; sleeve daemon does");
}
