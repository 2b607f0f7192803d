using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Sleeve.Control.Networks;
using Sleeve.Control.Peers;

namespace Sleeve.Control.Api;

/// <summary>The hosts of the cluster: <c>GET /v1/peers</c>, <c>GET</c>, <c>PUT</c> and <c>DELETE /v1/peers/HOST</c>.</summary>
internal static class PeerRoutes
{
    /// <summary>Adds the routes.</summary>
    public static void Map(IEndpointRouteBuilder routes, VtepState state)
    {
        routes.MapGet("/v1/peers", () => state.Cluster?.Peers is { } peers ? Results.Json<IReadOnlyList<PeerJson>>([.. peers.List().Select(Show)], ApiJson.Default.IReadOnlyListPeerJson) : NoCluster())
            .Describe("listPeers", "The hosts of the cluster, and whether their VTEPs are alive").Answers<IReadOnlyList<PeerJson>>(409);
        routes.MapGet("/v1/peers/{host}", (string host) => state.Cluster?.Peers is not { } peers ? NoCluster()
            : peers.List().FirstOrDefault(peer => peer.Name == host) is { } found ? Results.Json(Show(found), ApiJson.Default.PeerJson) : NoHost(host))
            .Describe("getPeer", "A host of the cluster").Answers<PeerJson>(404, 409);
        routes.MapPut("/v1/peers/{host}", (string host, PeerDrainJson asked, CancellationToken cancellation) => ChangeAsync(state, host, async peers =>
        {
            await peers.DrainAsync(host, asked.Draining, cancellation);
            return peers.List().FirstOrDefault(peer => peer.Name == host) is { } found ? Results.Json(Show(found), ApiJson.Default.PeerJson) : NoHost(host);
        })).Describe("drainPeer", "Have a host take no new endpoints, or take them again", "Those that it has go on.").Answers<PeerJson>(400, 403, 404, 409, 422, 503);
        routes.MapDelete("/v1/peers/{host}", (string host, bool? force, CancellationToken cancellation) => ChangeAsync(state, host, async peers =>
        {
            var wasAlive = peers.View().Alive.Contains(host);
            var removed = await peers.ForgetAsync(host, force ?? false, cancellation);
            return Results.Json(new PeerForgottenJson(removed) { Note = wasAlive ? peers.NoteOfLivingHost(host) : null }, ApiJson.Default.PeerForgottenJson);
        }))
            .Describe("forgetPeer", "Forget a host", "What it claimed goes, and its certificate counts no more. One that is alive is refused without force.").Answers<PeerForgottenJson>(400, 403, 409, 422, 503);
    }

    private static async Task<IResult> ChangeAsync(VtepState state, string host, Func<PeerDirectory, Task<IResult>> change)
    {
        if (state.Cluster?.Peers is not { } peers) return NoCluster();
        if (!Names.IsName(host)) return Problem.BadValue("host", host, Names.Allowed);
        return await StoreAnswers.TryAsync(() => change(peers));
    }

    private static PeerJson Show(PeerReport peer)
    {
        var (record, path) = (peer.Record, peer.Path);
        return new PeerJson(peer.Name, peer.IsSelf ? "self" : path is null ? "-" : WordOf(path.State), peer.IsAlive)
        {
            Local = record?.Local.ToString(),
            Port = record?.Port,
            Reason = path?.Reason,
            ChangedSeconds = (long?)path?.Since.TotalSeconds,
            RttMicroseconds = path?.RoundTrip is { } roundTrip ? (long)roundTrip.TotalMicroseconds : null,
            LossPercent = path is { State: not LivenessState.Unknown } ? Math.Round(path.Loss * 100, 1) : null,
            Flaps = path?.Flaps,
            HellosReceived = path?.Received,
            HellosNotSent = path?.NotSent,
            Draining = record?.IsDraining ?? false,
            Version = record?.Version is { Length: > 0 } version ? version : null,
            Generation = record?.Generation,
            Location = record?.Location is { Length: > 0 } location ? location : null,
            Since = record is null || record.Since == default ? null : record.Since,
        };
    }

    private static string WordOf(LivenessState state) => state switch
    {
        LivenessState.Up => "up",
        LivenessState.Down => "down",
        LivenessState.Held => "held",
        _ => "unknown",
    };

    private static IResult NoHost(string host) => Problem.NoEntry($"host {host}: there is none of that name; sleeve peer ls lists them");

    private static IResult NoCluster() => Problem.Busy("this VTEP shares nothing with other hosts; sleeve daemon does");
}
