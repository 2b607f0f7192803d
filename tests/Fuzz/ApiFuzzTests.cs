using System.Globalization;
using System.Text;

namespace Sleeve.Fuzz;

/// <summary>
/// The API under fire: requests nearly right, and bytes that are none. Nothing is answered with a 500, what is refused changes nothing, errors are problem details, and whoever comes next is
/// served.
/// </summary>
public sealed class ApiFuzzTests
{
    private const int Cases = 3000;
    private static readonly string[] Methods = ["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW", "get", "M-SEARCH", "CONNECT"];

    private static readonly string[] Paths =
    [
        "/v1/stats", "/v1/segments/vx0/fdb", "/v1/segments/vx0/fdb/02:00:00:00:00:02", "/v1/segments/vx0/fdb/add", "/v1/segments/vx0/fdb/append", "/v1/segments/vx0/fdb/replace",
        "/v1/segments/vx0/fdb/del", "/v1/segments/vx0/fdb/flush?all=x", "/v1/segments/vx0/remotes", "/v1/segments/vx0/remotes/192.0.2.2?port=4789&vni=100&via=lo", "/v1/segments/vx0/neighbours",
        "/v1/segments/vx0/neighbours/192.0.2.2", "/v1/segments/vx0/neighbours/add", "/v1/explain", "/v1/events?kind=nothing", "/v1/capture?dev=vx9", "/", "/openapi/v1.json", "/v1/segments/%00/fdb",
        "/v1/segments/..%2f..%2fetc/fdb", "/v1/segments/vx0/fdb/%ff%fe", "//v1//stats", "/v1/segments/vx0/fdb?limit=-1&match=%", "*", "http://elsewhere/v1/stats",
    ];

    private static readonly byte[][] Bodies = [.. new[]
    {
        """{"mac":"02:00:00:00:00:09","dst":"192.0.2.9","port":4789,"vni":100,"state":"static","viaIf":"lo"}""",
        """[{"dst":"192.0.2.2"},{"dst":"192.0.2.3","port":8472,"vni":9}]""",
        """{"dst":"192.0.2.9","lladdr":"02:00:00:00:00:09","router":true}""",
        """{"dev":"vx0","from":"tap","mac":"02:00:00:00:00:02"}""",
        """{"dev":"vx0","frame":"AgAAAAACAgAAAAABCABFAAAcAAAAAEARAAAKAQEBCgEBAgABAAIACAAA"}""",
        "",
        "null",
        $"{{\"mac\":{new string('[', 200)}",
        $"[{string.Join(',', Enumerable.Repeat("{\"dst\":\"192.0.2.2\"}", 4000))}]",
    }.Select(Encoding.UTF8.GetBytes)];

    [SkippableFact]
    public async Task Whatever_is_asked_nothing_breaks_and_what_is_refused_changes_nothing()
    {
        await using var target = await ApiTarget.StartAsync();
        var seed = Environment.TickCount;
        var random = new Random(seed);
        var mutator = new Mutator(random, Bodies);
        var paths = new Mutator(random, [.. Paths.Select(Encoding.ASCII.GetBytes)]);
        var counts = new SortedDictionary<int, int>();
        var state = target.State();
        for (var i = 0; i < Cases; i++)
        {
            var method = Methods[random.Next(4) == 0 ? random.Next(Methods.Length) : random.Next(4)];
            var path = random.Next(3) == 0 ? Printable(paths.Next()) : Paths[random.Next(Paths.Length)];
            var body = mutator.Next();
            var type = random.Next(10) switch { 0 => "text/plain", 1 => "application/json; charset=utf-16", 2 => "", _ => "application/json" };
            var head = $"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{(type.Length > 0 ? $"Content-Type: {type}\r\n" : "")}Content-Length: {body.Length}\r\n\r\n";
            var isReadOnly = random.Next(4) == 0;
            var answer = await ApiTarget.SendAsync(isReadOnly ? target.ReadOnlySocket : target.Socket, [.. Encoding.Latin1.GetBytes(head), .. body], patienceMilliseconds: 20_000);
            var context = $"seed {seed}, case {i}: {head}{Encoding.Latin1.GetString(body[..Math.Min(body.Length, 300)])}\n→ {answer[..Math.Min(answer.Length, 500)]}";
            var status = StatusOf(answer);
            Assert.True(status is > 0 and < 500 or 505 or 507, context);
            counts[status] = counts.GetValueOrDefault(status) + 1;
            var now = target.State();
            Assert.True(now == state || (status is 200 or 204 && !isReadOnly && method is "PUT" or "POST" or "DELETE"), context);
            state = now;
            // Kestrel itself answers what is no HTTP, without a body.
            if (status >= 400 && method != "HEAD" && HasBody(answer)) Assert.True(answer.Contains("application/problem+json", StringComparison.Ordinal), context);
        }

        // Deep enough to be worth it: things were done, found missing, refused.
        Assert.All([200, 204, 400, 403, 404, 405], status => Assert.True(counts.GetValueOrDefault(status) > 10, $"seed {seed}: {string.Join(", ", counts)}"));
    }

    [SkippableFact]
    public async Task Whatever_the_bytes_the_next_is_served()
    {
        await using var target = await ApiTarget.StartAsync();
        var seed = Environment.TickCount;
        byte[][] corpus = [.. Paths.SelectMany(path => Bodies[..6].Select(body => (byte[])[
            .. Encoding.ASCII.GetBytes($"{(body.Length > 0 ? "PUT" : "GET")} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n"), .. body])),
            Encoding.ASCII.GetBytes("PUT /v1/segments/vx0/remotes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n5\r\n[    \r\n1\r\n]\r\n0\r\n\r\n"),
            Encoding.ASCII.GetBytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Encoding.ASCII.GetBytes("GET /v1/events HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nExpect: 100-continue\r\n\r\n")];
        await Parallel.ForAsync(0, 1500, new ParallelOptions { MaxDegreeOfParallelism = 48 }, async (i, _) =>
        {
            var request = new Mutator(new Random(unchecked(seed + i)), corpus).Next();
            var answer = await ApiTarget.SendAsync(target.Socket, request, patienceMilliseconds: 500);
            var status = answer.Length == 0 ? 0 : StatusOf(answer);
            Assert.True(status is < 500 or 503 or 505 or 507, $"seed {seed}, case {i}: {Encoding.Latin1.GetString(request)}\n→ {answer}");
        });
        Assert.StartsWith("HTTP/1.1 200 ", await ApiTarget.SendAsync(target.Socket, "GET /v1/stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"u8.ToArray(), 20_000), StringComparison.Ordinal);
    }

    private static int StatusOf(string answer) =>
        answer.Length > 12 && answer.StartsWith("HTTP/1.1 ", StringComparison.Ordinal) && int.TryParse(answer.AsSpan(9, 3), NumberStyles.None, CultureInfo.InvariantCulture, out var status) ? status : -1;

    private static bool HasBody(string answer) => answer.Contains("\r\n\r\n", StringComparison.Ordinal) && !answer.EndsWith("\r\n\r\n", StringComparison.Ordinal);

    // One word, or it would end the line.
    private static string Printable(byte[] bytes) => string.Concat(bytes.Select(static each => each is > 32 and < 127 ? ((char)each).ToString() : $"%{each:X2}"));
}
