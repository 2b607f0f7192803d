using System.Buffers;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Sleeve.Control.Api;

/// <summary>The format of server-sent events (HTML Living Standard, section 9.2). Writes into the response's buffer; whoever calls flushes.</summary>
internal sealed class ServerSentEvents(HttpResponse response)
{
    /// <summary>The media type.</summary>
    public const string MediaType = "text/event-stream";

    /// <summary>The header by which a reader that was cut off says what it has.</summary>
    public const string LastIdHeader = "Last-Event-ID";

    private readonly IBufferWriter<byte> _output = response.BodyWriter;

    /// <summary>Whether a request would rather have them than JSON lines.</summary>
    public static bool AreAskedFor(HttpRequest request)
    {
        foreach (var value in request.Headers.Accept)
            if (value?.Contains(MediaType, StringComparison.OrdinalIgnoreCase) == true) return true;
        return false;
    }

    /// <summary>Says what follows, and when to come back after an end.</summary>
    public void Begin()
    {
        response.ContentType = MediaType;
        response.Headers.CacheControl = "no-store";
        _output.Write("retry: 2000\n\n"u8);
    }

    /// <summary>Writes one event.</summary>
    /// <param name="data">Its data, without a line break.</param>
    /// <param name="id">Its id; null for none.</param>
    public void Write(ReadOnlySpan<byte> data, string? id)
    {
        if (id is not null) _output.Write(Encoding.ASCII.GetBytes($"id: {id}\n"));
        _output.Write("data: "u8);
        _output.Write(data);
        _output.Write("\n\n"u8);
    }

    /// <summary>Writes what readers skip, so that both sides see that the other is there.</summary>
    public void Comment() => _output.Write(":\n\n"u8);
}

/// <summary>What a route says about its connection.</summary>
internal static class SlowReading
{
    /// <summary>The answer has no end, and its reader may take its time.</summary>
    public static void MayReadSlowly(this HttpContext context)
    {
        if (context.Features.Get<IHttpMinResponseDataRateFeature>() is { } rate) rate.MinDataRate = null;
    }
}
