using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Routing;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Api;

/// <summary>What would happen to a frame: <c>POST /v1/explain</c>. Nothing is sent, counted, learned or changed.</summary>
internal static class ExplainRoutes
{
    /// <summary>What a frame comes from if nothing else is said.</summary>
    public const string Tap = "tap";

    /// <summary>Frames are whole packets of the underlay.</summary>
    public const string Underlay = "underlay";

    /// <summary>Adds the route.</summary>
    public static void Map(IEndpointRouteBuilder routes, VtepState state)
    {
        var explainer = new Explainer(state);
        routes.MapPost("/v1/explain", (ExplainRequestJson request) => Explain(explainer, state, request)).WithMetadata(new BodyLimit(), new ApiAccess.ChangesNothing())
            .Describe("explain", "What would happen to a frame; nothing is sent, counted, learned or changed").Answers<ExplainJson>(400, 404, 413);
    }

    private static IResult Explain(Explainer explainer, VtepState state, ExplainRequestJson request)
    {
        if (!state.TryFind(request.Dev ?? "", out var found)) return Problem.NoDevice(request.Dev ?? "");
        InternetAddress? sender = null;
        var isUnderlay = request.From == Underlay;
        if (!isUnderlay && request.From is not (null or Tap))
        {
            if (!InternetAddress.TryParse(request.From, out var vtep) || vtep.IsMulticast || vtep.IsUnspecified) return Problem.BadValue("from", request.From, "tap, underlay, or the address of a VTEP");
            sender = vtep;
        }

        if ((request.Mac is null ? 0 : 1) + (request.Ip is null ? 0 : 1) + (request.Frame is null ? 0 : 1) != 1) return Problem.BadValue("mac, ip, frame", null, "exactly one of them");
        if (request.Frame is { } frame)
        {
            return frame.Length is > 0 and <= FrameBatch.MaxFrameSize
                ? Answer(isUnderlay || sender is not null ? explainer.FromUnderlay(found, sender, frame) : explainer.Frame(found, frame))
                : Problem.BadValue("frame", $"of {frame.Length} bytes", $"1 to {FrameBatch.MaxFrameSize} bytes");
        }

        if (isUnderlay) return Problem.BadValue(request.Mac is null ? "ip" : "mac", request.Mac ?? request.Ip, "left out with --from underlay; give whole packets");
        if (request.Mac is { } text) return MacAddress.TryParse(text, out var mac) ? Answer(explainer.Station(found, sender, mac)) : Problem.BadValue("mac", text, "six hexadecimal bytes with colons");
        if (sender is not null) return Problem.BadValue("ip", request.Ip, "left out with --from VTEP; give a MAC or a frame");
        return InternetAddress.TryParse(request.Ip!, out var address) && !address.IsUnspecified
            ? Answer(explainer.Address(found, address))
            : Problem.BadValue("ip", request.Ip, "an IPv4 or IPv6 address");
    }

    private static IResult Answer(ExplainJson explained) => Results.Json(explained, ApiJson.Default.ExplainJson);

    // A super-frame of 64 KiB in base64, and what stands around it.
    private sealed class BodyLimit : IRequestSizeLimitMetadata
    {
        public long? MaxRequestBodySize => 100 * 1024;
    }
}
