using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Net.Http.Headers;
using Sleeve.Control.Telemetry;

namespace Sleeve.Control.Api;

/// <summary>What Prometheus scrapes: <c>GET /metrics</c>, in its own format, or in OpenMetrics for whoever would rather have that.</summary>
internal static class MetricRoutes
{
    private const string OpenMetrics = "application/openmetrics-text";

    /// <summary>Adds the route.</summary>
    public static void Map(IEndpointRouteBuilder routes, VtepState state)
    {
        var text = new Lazy<PrometheusText>(() => new PrometheusText(state.Metrics));
        routes.MapGet("/metrics", async (HttpContext context) =>
        {
            var isOpenMetrics = WantsOpenMetrics(context.Request);
            context.Response.ContentType = isOpenMetrics ? PrometheusText.OpenMetricsType : PrometheusText.PlainType;
            text.Value.Write(context.Response.BodyWriter, isOpenMetrics);
            await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
            return Results.Empty;
        }).Describe("getMetrics", "Metrics for Prometheus", "OpenMetrics if Accept asks for application/openmetrics-text.").Streams("text/plain");
    }

    // It has to be named, and liked no less than plain text (RFC 9110, section 12.5.1). A list that cannot be read asks for nothing.
    private static bool WantsOpenMetrics(HttpRequest request)
    {
        double open = 0, plain = 0;
        if (!MediaTypeHeaderValue.TryParseList(request.Headers.Accept, out var accepted)) return false;
        foreach (var type in accepted)
        {
            var quality = type.Quality ?? 1;
            if (type.MediaType == OpenMetrics) open = Math.Max(open, quality);
            else if (type.MediaType == "text/plain") plain = Math.Max(plain, quality);
        }

        return open > 0 && open >= plain;
    }
}
