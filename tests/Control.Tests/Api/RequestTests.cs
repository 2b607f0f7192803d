using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Sleeve.Control.Api;
using Sleeve.Control.Tests.Up;

namespace Sleeve.Control.Tests.Api;

/// <summary>What the socket answers to whoever does not speak as the commands do.</summary>
public class RequestTests
{
    private const string Add = "POST segments/vx0/fdb/add";

    [SkippableFact]
    public async Task Bad_requests_get_a_reason_and_change_nothing()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        using var client = ClientOf(up);
        (string Request, string? Body, int Status)[] cases =
        [
            (Add, "{", 400), (Add, "", 400), (Add, "null", 400), (Add, "[]", 400), (Add, "5", 400), (Add, "{\"mac\":5}", 400), (Add, "{\"mac\":{}}", 400),
            (Add, "{}", 400), (Add, "{\"nope\":1}", 400), (Add, Entry("\"x\":1"), 400), (Add, Entry("\"port\":\"5\""), 400), (Add, Entry("\"port\":0"), 400),
            (Add, Entry("\"port\":65536"), 400), (Add, Entry("\"port\":99999999999"), 400), (Add, Entry("\"port\":1.5"), 400), (Add, Entry("\"vni\":16777216"), 400),
            (Add, Entry("\"vni\":-1"), 400), (Add, Entry("\"state\":\"odd\""), 400), (Add, "{\"mac\":\"02:00:00:00:00:02\",\"dst\":\"224.0.0.1\"}", 400),
            (Add, "{\"mac\":\"02:00:00:00:00:02\",\"dst\":null}", 400), (Add, "\uFEFF\u0000", 400), (Add, new string('[', 1000), 400),
            (Add, Entry($"\"state\":\"{new string('a', 70_000)}\""), 413), ("PUT segments/vx0/fdb/add", "{}", 400), ("GET segments/vx0/fdb/add", null, 400), ("PATCH segments/vx0/fdb", null, 405),
            ("GET nothing", null, 404), ("GET segments/vx9", null, 404), ("GET segments/vx9/fdb", null, 404), ("POST segments/vx9/fdb/add", Entry("\"state\":\"\""), 404),
            ("DELETE segments/vx0/fdb/zz", null, 400), ("DELETE segments/vx0/fdb/02:00:00:00:00:02?dst=192.0.2.2&port=abc", null, 400),
            ("POST segments/vx0/fdb/del", "{\"mac\":\"02:00:00:00:00:02\"}", 404), ("POST segments/vx0/fdb/flush?all=maybe", null, 400),
            ("POST segments/vx0/neighbours/add", "{\"dst\":\"10.0.0.1\"}", 400), ("POST segments/vx0/neighbours/add", "{\"dst\":\"10.0.0.1\",\"lladdr\":\"01:00:00:00:00:00\"}", 400),
            ("DELETE segments/vx0/neighbours/zz", null, 400), ("POST segments/vx0/neighbours/del", "{\"dst\":\"10.0.0.1\"}", 404),
        ];
        foreach (var (request, body, status) in cases)
        {
            using var response = await SendAsync(client, request, body);
            var text = await response.Content.ReadAsStringAsync();
            Assert.True(status == (int)response.StatusCode, $"{request} {body?[..Math.Min(body.Length, 80)]}: {(int)response.StatusCode} {text}");
            Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
            var problem = JsonNode.Parse(text)!;
            Assert.Equal(status, (int)problem["status"]!);
            Assert.Contains((string)problem["type"]!, Problem.Types.Select(static type => Problem.TypePrefix + type));
            Assert.DoesNotContain("   at ", text, StringComparison.Ordinal);
        }

        Assert.Equal("[]", await client.GetStringAsync("segments/vx0/fdb"));
        Assert.Equal("[]", await client.GetStringAsync("segments/vx0/neighbours"));
        // Nothing of it reached the terminal.
        Assert.Equal("sleeve up: ready", vtep.Lines[^1]);
    }

    [SkippableFact]
    public async Task A_body_that_is_not_JSON_by_its_type_is_refused()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        using var client = ClientOf(up);
        using var content = new StringContent(Entry("\"state\":\"\""), Encoding.UTF8, "text/plain");
        using var response = await client.PostAsync("segments/vx0/fdb/add", content);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
    }

    [SkippableFact]
    public async Task A_thousand_requests_at_once_are_all_done()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        // A client that sends half a line and waits is in nobody's way.
        using var slow = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await slow.ConnectAsync(new UnixDomainSocketEndPoint(up.Socket));
        await slow.SendAsync("POST /v1/segments/vx0/fdb/add HTT"u8.ToArray());
        using var client = ClientOf(up);
        var statuses = await Task.WhenAll(Enumerable.Range(0, 1000).Select(async i =>
        {
            using var response = await SendAsync(client, Add, $"{{\"mac\":\"02:00:00:00:{i / 256:x2}:{i % 256:x2}\",\"dst\":\"192.0.2.2\"}}");
            return response.StatusCode;
        }));
        Assert.All(statuses, static status => Assert.Equal(HttpStatusCode.NoContent, status));
        Assert.Equal(1000, JsonNode.Parse(await client.GetStringAsync("segments/vx0/fdb"))!.AsArray().Count);
        Assert.Equal(0, vtep.Stop().Code);
    }

    private static string Entry(string more) => $"{{\"mac\":\"02:00:00:00:00:02\",\"dst\":\"192.0.2.2\",{more}}}";

    private static async Task<HttpResponseMessage> SendAsync(HttpClient client, string request, string? body)
    {
        var words = request.Split(' ');
        using var message = new HttpRequestMessage(new HttpMethod(words[0]), words[1]);
        if (body is not null) message.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body)) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
        return await client.SendAsync(message);
    }

    private static HttpClient ClientOf(UpNetwork up) => new(new SocketsHttpHandler
    {
        MaxConnectionsPerServer = 64,
        UseProxy = false,
        ConnectCallback = async (_, cancellation) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(up.Socket), cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        },
    })
    { BaseAddress = new Uri("http://localhost/v1/") };
}
