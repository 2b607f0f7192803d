using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Sleeve.Control.Capture;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Pipeline;

namespace Sleeve.Control.Api;

/// <summary>
/// Who moves most: <c>GET /v1/talkers?dev=&amp;ms=&amp;count=</c> looks at the headers of frames for so many milliseconds and answers the busiest stations. Costs the
/// frame path what a capture does, for that long.
/// </summary>
internal static class TalkerRoutes
{
    private const int DefaultMilliseconds = 100;
    private const int MinMilliseconds = 10;
    private const int DefaultCount = 20;
    private const int MaxCount = 1000;

    /// <summary>Adds the route.</summary>
    public static void Map(IEndpointRouteBuilder routes, VtepState state) =>
        routes.MapGet("/v1/talkers", async (HttpContext context, string? dev, int? ms, int? count) =>
        {
            VtepSegment? segment = null;
            if (dev is not null && !state.TryFind(dev, out segment)) return Problem.NoDevice(dev);
            if (ms is < MinMilliseconds or > TalkerSampler.MaxMilliseconds) return Problem.BadValue("ms", $"{ms}", $"{MinMilliseconds} to {TalkerSampler.MaxMilliseconds}");
            if (count is < 1 or > MaxCount) return Problem.BadValue("count", $"{count}", $"1 to {MaxCount}");
            var sample = await state.Talkers.SampleAsync(segment, TimeSpan.FromMilliseconds(ms ?? DefaultMilliseconds), context.RequestAborted);
            return sample is null
                ? Problem.Busy("somebody captures here; stations cannot be sampled meanwhile")
                : Results.Json(Show(sample, state, count ?? DefaultCount), ApiJson.Default.TalkersJson);
        }).Describe("getTalkers", "The stations that move most, by a sample", "Looks at frames for ms milliseconds (10 to 1000, 100 unless given) and answers the busiest count stations (1 to 1000, 20 unless given).").Answers<TalkersJson>(400, 404, 409);

    private static TalkersJson Show(TalkerSample sample, VtepState state, int count)
    {
        var segments = state.Segments.Values.ToDictionary(static each => each.Segment.Options.Vni.Value, static each => each.Segment);
        var rate = 8 * sample.Scale / sample.Elapsed.TotalSeconds;
        var stations = sample.Stations.Where(each => segments.ContainsKey(each.Key.Vni)).OrderByDescending(static each => each.Value.SentBytes + each.Value.ReceivedBytes).Take(count);
        return new TalkersJson((long)sample.Elapsed.TotalMilliseconds, sample.Frames, sample.LeftOut, [.. stations.Select(each =>
        {
            var segment = segments[each.Key.Vni];
            var remote = segment.Fdb.Show(each.Key.Mac, Vtep.NowMilliseconds) is { } entry ? entry.Destinations.Remotes[0].Address.Address.ToString() : null;
            return new TalkerJson(each.Key.Mac.ToString(), segment.Options.Name, remote, (long)(each.Value.SentBytes * rate), (long)(each.Value.ReceivedBytes * rate));
        })]);
    }
}
