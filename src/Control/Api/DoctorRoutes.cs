using System.Diagnostics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Sleeve.Control.Daemon;
using Sleeve.Control.Host;

namespace Sleeve.Control.Api;

/// <summary>What a VTEP knows of itself that only <c>sleeve doctor</c> asks for: <c>GET /v1/doctor</c>.</summary>
internal static class DoctorRoutes
{
    private const int PatienceMilliseconds = 500;

    // Both clocks at one moment near the start: the wall clock may be set later, the other never is.
    private static readonly DateTimeOffset StartedAt = DateTimeOffset.UtcNow;
    private static readonly long Started = Stopwatch.GetTimestamp();

    /// <summary>Adds the route.</summary>
    public static void Map(IEndpointRouteBuilder routes, VtepState state)
    {
        var own = NetworkNamespaceOf(Environment.ProcessId) ?? "";
        routes.MapGet("/v1/doctor", () => Results.Json(Read(state, own), ApiJson.Default.VtepDetailsJson))
            .Describe("getDoctor", "What a doctor asks besides the statistics").Answers<VtepDetailsJson>();
    }

    /// <summary>Names the network namespace of a process; null if it may not be looked at.</summary>
    public static string? NetworkNamespaceOf(int process)
    {
        try
        {
            return new FileInfo($"/proc/{process}/ns/net").LinkTarget;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static VtepDetailsJson Read(VtepState state, string networkNamespace)
    {
        using var links = new LinkNames();
        var moves = state.Vtep.FindWorkersThatMove(PatienceMilliseconds);
        var uptime = Stopwatch.GetElapsedTime(Started);
        return new VtepDetailsJson(
            Environment.ProcessId,
            networkNamespace,
            links.NameOf(state.Vtep.Options.InterfaceIndex),
            [.. moves.Select(static (isMoving, number) => new WorkerStateJson(number, isMoving))],
            [.. state.Vtep.Strangers.Select(static stranger => new StrangerJson(stranger.Segment.Options.Name, stranger.Sender.ToString()))],
            Math.Round(uptime.TotalSeconds, 3),
            Math.Round((DateTimeOffset.UtcNow - StartedAt - uptime).TotalSeconds, 3),
            state.Vtep.Echo.IsOn,
            state.Vtep.Echo.Answered,
            state.Vtep.Echo.Refused)
        {
            Cluster = state.Cluster is { } cluster ? Read(cluster) : null,
        };
    }

    private static ClusterStateJson Read(Cluster cluster)
    {
        var silent = new List<SilentNamesJson>();
        foreach (var network in cluster.Local.Current.Keys)
            if (cluster.Names?.ServerOf(network) is { IsServing: false } server) silent.Add(new SilentNamesJson(network, server.Fault ?? "not yet"));
        return new ClusterStateJson(cluster.Host, cluster.Replica.Fault, cluster.Membership.Trust.Certificate is { } certificate ? new DateTimeOffset(certificate.NotAfter.ToUniversalTime()) : null, silent);
    }
}
