using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Sleeve.Control.Host;
using Sleeve.Control.Telemetry;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Pipeline;

namespace Sleeve.Control.Api;

/// <summary>State and counters: <c>GET /v1/stats</c>.</summary>
internal static class StatsRoutes
{
    private static readonly JsonNamingPolicy Naming = JsonNamingPolicy.SnakeCaseLower;

    /// <summary>Adds the route.</summary>
    public static void Map(IEndpointRouteBuilder routes, VtepState state) =>
        routes.MapGet("/v1/stats", () =>
        {
            using var links = new LinkNames();
            return Results.Json(Read(state, links), ApiJson.Default.VtepStatsJson);
        }).Describe("getStats", "State and counters of the VTEP and its segments").Answers<VtepStatsJson>();

    private static VtepStatsJson Read(VtepState state, LinkNames links) => new(
        Environment.ProcessId,
        state.Vtep.Options.Local.ToString(),
        state.Vtep.Options.Port,
        state.Vtep.SourcePortsOpen,
        state.Vtep.SourcePortsLimit,
        state.Vtep.ReceiveBufferBytes,
        state.Vtep.SocketDrops,
        state.Vtep.TransmitOffload.Offload.Name(),
        state.Vtep.TransmitOffload.Reason,
        state.Vtep.GsoMessages.Sent,
        state.Vtep.GsoMessages.Refused,
        state.Vtep.TunnelMessages.Sent,
        state.Vtep.TunnelMessages.Refused,
        state.Vtep.TunnelMessages.Eaten,
        state.Vtep.IsCoalescing ? "udp-gro" : "none",
        state.Vtep.CoalescingReason,
        state.Vtep.CoalescedMessages,
        [.. state.Vtep.Workers.Select(static (worker, number) => new WorkerJson(
            number, worker.BytesTaken.Out, worker.BytesTaken.In, worker.Sleeps.Sleeps, worker.Sleeps.Spared, worker.Underlay.SocketDrops) { CpuSeconds = CpuOf(worker) })],
        Steering(state),
        DropsOf(state.Vtep.Unassigned),
        [.. state.Segments.Values.OrderBy(static attached => attached.Segment.Options.Name, StringComparer.Ordinal).Select(segment => Read(state.Vtep, segment, links))],
        // Not precise: that would stop the workers to look at what each has left.
        new RuntimeJson(GC.CollectionCount(0), GC.CollectionCount(1), GC.CollectionCount(2), GC.GetTotalAllocatedBytes(precise: false)));

    private static double CpuOf(Worker worker)
    {
        var (user, system) = ProcessReading.CpuSecondsOf(worker.ThreadId);
        return user + system;
    }

    private static string Steering(VtepState state) =>
        state.Vtep.Workers.Count == 1 ? "one-worker"
        : state.Vtep.IsUnderlaySteered && state.Segments.Values.All(static segment => segment.IsSteered) ? "inner-flow" : "kernel";

    private static SegmentStatsJson Read(Vtep vtep, VtepSegment attached, LinkNames links)
    {
        var (segment, counters) = (attached.Segment, attached.Counters);
        return new SegmentStatsJson(
            segment.Options.Name,
            segment.Options.Vni.Value,
            segment.IsUp,
            segment.Mtu,
            segment.DeviceMac.ToString(),
            segment.Fdb.Count,
            segment.Neighbours.Count,
            attached.Queues,
            attached.TapOffload.Kinds,
            attached.TapOffload.Reason,
            Enum.GetValues<Counter>().ToDictionary(static counter => Naming.ConvertName(counter.ToString()), counter => counters[counter]),
            DropsOf(counters),
            [.. segment.Remotes.All.Where(static remote => !remote.IsNull).OrderBy(static remote => remote.ToString(), StringComparer.Ordinal).Select(remote =>
            {
                var sent = remote.Counters;
                return new RemoteJson(
                    remote.Address.Address.ToString(), remote.Address.Port, remote.Vni.Value, remote.IsConfigured,
                    sent.DatagramsSent, sent.BytesSent, sent.DatagramsReceived, sent.BytesReceived, sent.Drops,
                    remote.PathMtu.Bytes == 0 ? null : remote.PathMtu.Bytes, Naming.ConvertName(remote.PathMtu.Origin.ToString()),
                    remote.ProbeVerdict is null ? null : remote.ProbedMtu, remote.ProbeVerdict) { Via = links.NameOf(remote.InterfaceIndex) };
            })],
            segment.Options.Group?.ToString(),
            segment.Options.Group is null ? null : vtep.IsInGroup(attached));
    }

    /// <summary>What was dropped, by direction and reason.</summary>
    public static IReadOnlyList<DropJson> DropsOf(Counters counters)
    {
        var drops = new List<DropJson>();
        foreach (var reason in Enum.GetValues<DropReason>())
        {
            if (counters.DropsIn(reason) is > 0 and var inward) drops.Add(Of("in", reason, inward));
            if (counters.DropsOut(reason) is > 0 and var outward) drops.Add(Of("out", reason, outward));
        }

        return drops;

        static DropJson Of(string direction, DropReason reason, long count) =>
            new(direction, Naming.ConvertName(reason.ToString()), count, DropReasons.Describe(reason));
    }
}
