using System.IO.Pipelines;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Sleeve.Control.Capture;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Pipeline;

namespace Sleeve.Control.Api;

/// <summary>
/// Packets as they pass: <c>GET /v1/capture?dev=&amp;snaplen=&amp;filter=</c> answers a pcapng stream until <c>DELETE /v1/capture</c>, whereupon it ends with how
/// many were lost. One at a time.
/// </summary>
internal static class CaptureRoutes
{
    /// <summary>Stands for every segment, and for datagrams of none.</summary>
    public const string Any = "any";

    /// <summary>The longest packet there is, with made-up headers.</summary>
    public const int MaxSnapLength = 128 * 1024;

    private const int FlushBytes = 256 * 1024;

    /// <summary>How often packets are looked for. The data plane wakes nobody.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    /// <summary>Adds the routes.</summary>
    /// <param name="routes">Where to.</param>
    /// <param name="state">What is served.</param>
    /// <param name="stopping">Ends what is being answered.</param>
    public static void Map(IEndpointRouteBuilder routes, VtepState state, CancellationToken stopping)
    {
        CancellationTokenSource? running = null;
        routes.MapGet("/v1/capture", async (HttpContext context, string dev, int? snaplen, string? filter) =>
        {
            VtepSegment? segment = null;
            if (dev != Any && !state.TryFind(dev, out segment)) return Problem.NoDevice(dev);
            if (snaplen is < 14 or > MaxSnapLength) return Problem.BadValue("snaplen", $"{snaplen}", $"14 to {MaxSnapLength}");
            if (!CaptureFilter.TryParse(filter?.Split(' ', StringSplitOptions.RemoveEmptyEntries) ?? [], out var matching, out _)) return Problem.BadValue("filter", filter, CaptureFilter.Allowed);
            using var session = await state.Talkers.WhenIdleAsync(() => state.Vtep.TryCapture(segment, snaplen ?? MaxSnapLength), context.RequestAborted);
            if (session is null) return Problem.Busy("somebody captures here already");
            using var end = CancellationTokenSource.CreateLinkedTokenSource(stopping);
            running = end;
            try
            {
                context.Response.ContentType = "application/x-pcapng";
                context.MayReadSlowly();
                await new CaptureStream(state, segment, session, matching, snaplen ?? MaxSnapLength).RunAsync(context.Response.BodyWriter, end.Token, context.RequestAborted);
            }
            catch (OperationCanceledException)
            {
                // The reader went: as good an end as any.
            }
            finally
            {
                running = null;
            }

            return Results.Empty;
        }).WithMetadata(new ApiAccess.NotReadOnly("packets are not for everybody who may see counters, and only one can capture: use the socket without -ro in its name"))
            .Describe("capture", "Packets as they pass, as a pcapng stream", "dev is a segment or any. It ends with DELETE, or when the reader goes. One at a time.")
            .Streams("application/x-pcapng", 400, 403, 404, 409);
        routes.MapDelete("/v1/capture", () =>
        {
            running?.Cancel();
            return Results.NoContent();
        }).Describe("endCapture", "End the capture that runs, if one does").AnswersNothing(403);
    }

    /// <summary>One capture on its way out.</summary>
    private sealed class CaptureStream(VtepState state, VtepSegment? only, CaptureSession session, CaptureFilter filter, int snapLength)
    {
        private readonly Dictionary<uint, int> _inner = [];

        public async Task RunAsync(PipeWriter output, CancellationToken end, CancellationToken gone)
        {
            Begin(new PcapngWriter(output));
            await output.FlushAsync(gone);
            while (!end.IsCancellationRequested)
            {
                await DrainAsync(output, gone);
                await Task.Delay(Interval, end).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
                gone.ThrowIfCancellationRequested();
            }

            session.Dispose();
            await DrainAsync(output, gone);
            // What was lost, was lost before anybody could see of which interface it was.
            new PcapngWriter(output).Statistics(0, NowNanoseconds(), session.Lost);
            await output.FlushAsync(gone);
        }

        private void Begin(PcapngWriter writer)
        {
            writer.Section("sleeve capture");
            var vtep = state.Vtep.Options;
            writer.Interface("underlay", $"datagrams of UDP port {vtep.Port}; the IP and UDP headers are made up around what the sockets take and give", PcapngWriter.RawIp, snapLength);
            IEnumerable<VtepSegment> segments = only is not null ? [only] : state.Segments.Values.OrderBy(static each => each.Segment.Options.Name, StringComparer.Ordinal);
            foreach (var each in segments)
            {
                _inner[each.Segment.Options.Vni.Value] = _inner.Count + 1;
                writer.Interface(each.Segment.Options.Name, $"TAP of VNI {each.Segment.Options.Vni}; super-frames as they are, uncut", PcapngWriter.Ethernet, snapLength);
            }
        }

        private async Task DrainAsync(PipeWriter output, CancellationToken gone)
        {
            // Each worker in its own order; between them a reader sorts by time.
            foreach (var ring in session.Rings)
                while (Drain(ring, output)) await output.FlushAsync(gone);
            await output.FlushAsync(gone);
        }

        // True if there is more than is good to write at once.
        private bool Drain(CaptureRing ring, PipeWriter output)
        {
            var writer = new PcapngWriter(output);
            var written = 0;
            while (ring.TryRead(out var packet))
            {
                var isInner = packet.Point is CapturePoint.FromTap or CapturePoint.ToTap;
                var link = 0;
                if (filter.Matches(packet) && (!isInner || _inner.TryGetValue(packet.Vni, out link)))
                {
                    var comment = packet.Drop is { } reason ? $"dropped: {System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName(reason.ToString())}: {DropReasons.Describe(reason)}" : null;
                    // As tcpdump has it on the TAP: what the host sends is outbound.
                    var isInbound = packet.Point is CapturePoint.ToTap or CapturePoint.FromUnderlay;
                    writer.Packet(link, packet.Nanoseconds, packet.Bytes, packet.OriginalLength, isInbound, comment);
                    written += packet.Bytes.Length;
                }

                ring.Free();
                if (written >= FlushBytes) return true;
            }

            return false;
        }

        private static long NowNanoseconds() => (DateTime.UtcNow.Ticks - DateTime.UnixEpoch.Ticks) * 100;
    }
}
