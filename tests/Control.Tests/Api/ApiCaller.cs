using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;

namespace Sleeve.Control.Tests.Api;

/// <summary>What a request came to.</summary>
internal sealed record Reply(int Status, string Text)
{
    internal JsonNode Json => JsonNode.Parse(Text)!;

    internal string? Problem => (string?)Json["type"];
}

/// <summary>An HTTP client of a unix socket, as curl would be.</summary>
internal sealed class ApiCaller : IDisposable
{
    private readonly HttpClient _http;

    internal ApiCaller(string socket)
        : this(new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (_, cancellation) =>
            {
                var connection = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await connection.ConnectAsync(new UnixDomainSocketEndPoint(socket), cancellation);
                return new NetworkStream(connection, ownsSocket: true);
            },
        }, "http://localhost/")
    {
    }

    internal ApiCaller(SocketsHttpHandler handler, string root) => _http = new HttpClient(handler) { BaseAddress = new Uri(root), Timeout = TimeSpan.FromSeconds(60) };

    /// <summary>Sends "METHOD path" with a JSON body or none.</summary>
    internal async Task<Reply> SendAsync(string request, string? body = null)
    {
        var words = request.Split(' ');
        using var message = new HttpRequestMessage(new HttpMethod(words[0]), words[1]);
        if (body is not null) message.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body)) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
        // As curl does it with a large body: what is refused by its length need not be sent, and whoever sends it all the same may find the connection closed.
        if (body?.Length > 100_000) message.Headers.ExpectContinue = true;
        using var response = await _http.SendAsync(message);
        return new Reply((int)response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    /// <summary>Sends it, and expects a status.</summary>
    internal async Task<Reply> ExpectAsync(int status, string request, string? body = null)
    {
        var reply = await SendAsync(request, body);
        Assert.True(status == reply.Status, $"{request} {body}: {reply.Status} {reply.Text}");
        return reply;
    }

    /// <summary>Reads a stream line by line; disposed, it is cut off.</summary>
    internal async Task<(StreamReader Lines, HttpResponseMessage Response)> OpenAsync(string path, params (string Name, string Value)[] headers)
    {
        var message = new HttpRequestMessage(HttpMethod.Get, path);
        foreach (var (name, value) in headers) message.Headers.TryAddWithoutValidation(name, value);
        var response = await _http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead);
        return (new StreamReader(await response.Content.ReadAsStreamAsync()), response);
    }

    public void Dispose() => _http.Dispose();
}
