using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Sleeve.Control.Api;

/// <summary>
/// The status page, <c>GET /</c>: one file without anything from elsewhere, which only reads the API. Its policy lets nothing run but its own script, known by its hash.
/// </summary>
internal static class StatusPage
{
    private const string Resource = "StatusPage.html";
    private static readonly Lazy<(byte[] Html, string Policy)> Content = new(Load);

    /// <summary>What a browser may do with the page (Content Security Policy).</summary>
    public static string Policy => Content.Value.Policy;

    /// <summary>Adds the route. A listener that does not serve the page answers as if there were none.</summary>
    public static void Map(IEndpointRouteBuilder routes) => routes.MapGet("/", static (HttpContext context) =>
    {
        if (context.Features.Get<ApiAccess>() is { StatusPage: false }) return Problem.NoEntry("/: the status page is off here (--status-page)");
        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy = Policy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers.CacheControl = "no-cache";
        return Results.Bytes(Content.Value.Html, "text/html; charset=utf-8");
    }).ExcludeFromDescription();

    private static (byte[] Html, string Policy) Load()
    {
        using var stream = typeof(StatusPage).Assembly.GetManifestResourceStream(Resource)!;
        var html = new byte[stream.Length];
        stream.ReadExactly(html);
        var text = Encoding.UTF8.GetString(html);
        var policy = $"default-src 'none'; connect-src 'self'; img-src data:; script-src '{HashOf(text, "script")}'; style-src '{HashOf(text, "style")}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        return (html, policy);
    }

    private static string HashOf(string text, string element)
    {
        var start = text.IndexOf($"<{element}>", StringComparison.Ordinal) + element.Length + 2;
        var inside = text[start..text.IndexOf($"</{element}>", start, StringComparison.Ordinal)];
        return "sha256-" + Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(inside)));
    }
}
