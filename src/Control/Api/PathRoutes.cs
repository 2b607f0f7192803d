using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Sleeve.Control.Doctor.Paths;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Api;

/// <summary>
/// Tests of the path to a VTEP: <c>POST /v1/doctor/path</c> and <c>POST /v1/bench</c>. Each answers JSON lines as it goes on and ends by itself. They send datagrams, so they
/// are no reads; one at a time.
/// </summary>
internal static class PathRoutes
{
    /// <summary>The longest measurement, seconds.</summary>
    public const int MaxSeconds = 60;

    /// <summary>The highest rate, Mbit/s.</summary>
    public const int MaxRateMbit = 10_000;

    private const string Lines = "application/x-ndjson";

    private static readonly byte[] LineEnd = "\n"u8.ToArray();

    /// <summary>Adds the routes.</summary>
    /// <param name="routes">Where to.</param>
    /// <param name="state">What is served.</param>
    /// <param name="stopping">Ends what is being answered.</param>
    public static void Map(IEndpointRouteBuilder routes, VtepState state, CancellationToken stopping)
    {
        var busy = new SemaphoreSlim(1, 1);
        routes.MapPost("/v1/doctor/path", (HttpContext context, PathRequestJson asked) => RunAsync(context, state, busy, asked.Dev, asked.Remote,
            (talk, report, stop) => new PathTest(talk, state.Vtep, report, stop).RunAsync(), stopping))
            .Describe("testPath", "Test the path to a VTEP; JSON lines as it goes on").Produces<PathLineJson>(200, Lines).AnswersProblems(400, 403, 404, 409);
        routes.MapPost("/v1/bench", (HttpContext context, BenchRequestJson asked) =>
            asked.Seconds is < 1 or > MaxSeconds ? Task.FromResult(Problem.BadValue("seconds", $"{asked.Seconds}", $"1 to {MaxSeconds} (seconds)"))
            : asked.Rate is < 1 or > MaxRateMbit ? Task.FromResult(Problem.BadValue("rate", $"{asked.Rate}", $"1 to {MaxRateMbit} (Mbit/s)"))
            : RunAsync(context, state, busy, asked.Dev, asked.Remote, (talk, report, _) => new WireTest(talk, asked, report).RunAsync(), stopping))
            .Describe("benchPath", "Measure the path to a VTEP; JSON lines as it goes on").Produces<PathLineJson>(200, Lines).AnswersProblems(400, 403, 404, 409);
    }

    private static async Task<IResult> RunAsync(
        HttpContext context, VtepState state, SemaphoreSlim busy, string? dev, string? remote, Func<EchoTalk, Func<PathLineJson, Task>, CancellationToken, Task> test, CancellationToken stopping)
    {
        if (!state.TryFind(dev ?? "", out var found)) return Problem.NoDevice(dev ?? "");
        if (!InternetAddress.TryParse(remote ?? "", out var address) || address.IsMulticast || address.IsUnspecified) return Problem.BadValue("remote", remote, "the address of a VTEP");
        if (!TryFind(found.Segment, address, out var known)) return Problem.BadValue("remote", remote, $"a VTEP of {dev} that is not this one; sleeve stats dev {dev} lists them");
        if (!await busy.WaitAsync(0, CancellationToken.None)) return Problem.Busy("another test of a path is under way here; wait a few seconds");
        try
        {
            using var end = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, stopping);
            context.Response.ContentType = Lines;
            async Task ReportAsync(PathLineJson line)
            {
                await JsonSerializer.SerializeAsync(context.Response.Body, line, ApiJson.Default.PathLineJson, end.Token);
                await context.Response.Body.WriteAsync(LineEnd, end.Token);
                await context.Response.Body.FlushAsync(end.Token);
            }

            try
            {
                await test(new EchoTalk(state.Vtep, found.Segment, known, end.Token), ReportAsync, end.Token);
            }
            catch (HostException failure)
            {
                await ReportAsync(new PathLineJson { Error = failure.Message });
            }
        }
        catch (OperationCanceledException)
        {
            // The reader went, or this process goes: as good an end as any.
        }
        finally
        {
            busy.Release();
        }

        return Results.Empty;
    }

    // One VTEP may be several destinations: that of the segment's own port, VNI and route goes first.
    private static bool TryFind(Segment segment, InternetAddress address, [NotNullWhen(true)] out Remote? found)
    {
        found = segment.Remotes.All.Where(remote => remote.Address.Address == address && remote is { IsSelf: false, IsNull: false, IsGroup: false })
            .OrderBy(static remote => remote.InterfaceIndex).ThenBy(remote => remote.Vni == segment.Options.Vni ? 0 : 1).FirstOrDefault();
        return found is not null;
    }
}
