using Sleeve.Control.Tests.Up;

namespace Sleeve.Control.Tests.Api;

/// <summary>The event stream for browsers: its format, and going on where it was cut off.</summary>
public class ServerSentEventTests
{
    private static readonly (string Name, string Value) Accept = ("Accept", "text/event-stream");

    [SkippableFact]
    public async Task A_reader_that_was_cut_off_goes_on_where_it_was()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        using var api = new ApiCaller(up.Socket);
        var (events, response) = await api.OpenAsync("v1/events?kind=added", Accept);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        Assert.Equal(("retry: 2000", ""), (await events.ReadLineAsync(), await events.ReadLineAsync()));
        Assert.Equal("listening", (await ReadAsync(events)).Event);
        await PutAsync(api, 1);
        var last = await ReadAsync(events);
        Assert.Equal(("added", "02:00:00:00:00:01"), (last.Event, last.Mac));
        response.Dispose();

        // Nobody listens; what happens meanwhile is not lost.
        await PutAsync(api, 2);
        await PutAsync(api, 3);
        var (again, second) = await api.OpenAsync("v1/events?kind=added", Accept, ("Last-Event-ID", last.Id));
        await again.ReadLineAsync();
        await again.ReadLineAsync();
        Assert.Equal("listening", (await ReadAsync(again)).Event);
        Assert.Equal("02:00:00:00:00:02", (await ReadAsync(again)).Mac);
        Assert.Equal("02:00:00:00:00:03", (await ReadAsync(again)).Mac);
        second.Dispose();
    }

    [SkippableTheory]
    [InlineData("nonsense")]
    [InlineData("00000000.1-0")]
    public async Task Whoever_comes_back_to_another_process_is_told_that_something_is_missing(string id)
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        using var api = new ApiCaller(up.Socket);
        var (events, response) = await api.OpenAsync("v1/events", Accept, ("Last-Event-ID", id));
        await events.ReadLineAsync();
        await events.ReadLineAsync();
        Assert.Equal("lost", (await ReadAsync(events)).Event);
        Assert.Equal("listening", (await ReadAsync(events)).Event);
        response.Dispose();
    }

    [SkippableFact]
    public async Task Silence_is_broken_by_a_comment()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        using var api = new ApiCaller(up.Socket);
        var (events, response) = await api.OpenAsync("v1/events", Accept);
        await events.ReadLineAsync();
        await events.ReadLineAsync();
        await ReadAsync(events);
        Assert.Equal(":", await events.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)));
        response.Dispose();
    }

    [SkippableFact]
    public async Task There_are_no_more_readers_than_a_limit_and_a_place_that_gets_free_is_taken()
    {
        const int limit = 64;
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        using var api = new ApiCaller(up.Socket);
        var open = new List<HttpResponseMessage>();
        for (var i = 0; i < limit; i++)
        {
            var (events, response) = await api.OpenAsync("v1/events");
            await events.ReadLineAsync();
            open.Add(response);
        }

        Assert.Equal("urn:sleeve:problem:busy", (await api.ExpectAsync(503, "GET v1/events")).Problem);
        open[0].Dispose();
        Eventually.Holds(() =>
        {
            var (_, response) = api.OpenAsync("v1/events").GetAwaiter().GetResult();
            using (response) return response.IsSuccessStatusCode;
        });
        foreach (var response in open) response.Dispose();
    }

    private static Task<Reply> PutAsync(ApiCaller api, int number) => api.ExpectAsync(204, $"PUT v1/segments/vx0/fdb/02:00:00:00:00:{number:x2}", "{\"dst\":\"192.0.2.2\"}");

    private static async Task<(string Id, string? Event, string? Mac)> ReadAsync(StreamReader events)
    {
        var id = "";
        string? data = null;
        while (await events.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(30)) is { Length: > 0 } line)
        {
            if (line.StartsWith("id: ", StringComparison.Ordinal)) id = line[4..];
            if (line.StartsWith("data: ", StringComparison.Ordinal)) data = line[6..];
        }

        var json = System.Text.Json.Nodes.JsonNode.Parse(data!)!;
        return (id, (string?)json["event"], (string?)json["mac"]);
    }
}
