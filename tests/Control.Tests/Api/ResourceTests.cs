using Sleeve.Control.Tests.Up;

namespace Sleeve.Control.Tests.Api;

/// <summary>PUT and DELETE: done twice they are as done once, and whoever retries is never refused.</summary>
public class ResourceTests
{
    private const string Segment = "v1/segments/vx0";

    [SkippableFact]
    public async Task An_FDB_entry_is_put_and_deleted_as_often_as_one_likes()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        using var api = new ApiCaller(up.Socket);
        const string Entry = Segment + "/fdb/02:00:00:00:00:05";
        Assert.Equal("urn:sleeve:problem:no-entry", (await api.ExpectAsync(404, $"GET {Entry}")).Problem);
        await api.ExpectAsync(204, $"DELETE {Entry}");
        for (var i = 0; i < 3; i++) await api.ExpectAsync(204, $"PUT {Entry}", "{\"dst\":\"192.0.2.2\"}");
        Assert.Equal("""[{"mac":"02:00:00:00:00:05","dst":"192.0.2.2","flags":["self"],"state":"permanent","origin":"static"}]""", (await api.ExpectAsync(200, $"GET {Entry}")).Text);
        await api.ExpectAsync(204, $"PUT {Entry}", """{"dst":"192.0.2.3","port":8472,"vni":7,"state":"static"}""");
        Assert.Equal("""[{"mac":"02:00:00:00:00:05","dst":"192.0.2.3","port":8472,"vni":7,"flags":["self"],"state":"static","origin":"static"}]""", (await api.ExpectAsync(200, $"GET {Segment}/fdb")).Text);
        await api.ExpectAsync(204, $"DELETE {Entry}?dst=192.0.2.9");
        await api.ExpectAsync(200, $"GET {Entry}");
        for (var i = 0; i < 3; i++) await api.ExpectAsync(204, $"DELETE {Entry}?dst=192.0.2.3&port=8472&vni=7");
        Assert.Equal("[]", (await api.ExpectAsync(200, $"GET {Segment}/fdb")).Text);

        // A group address too has just the one that is put.
        await api.ExpectAsync(204, $"POST {Segment}/fdb/append", """{"mac":"01:00:5e:00:00:01","dst":"192.0.2.2"}""");
        await api.ExpectAsync(204, $"POST {Segment}/fdb/append", """{"mac":"01:00:5e:00:00:01","dst":"192.0.2.3"}""");
        await api.ExpectAsync(204, $"PUT {Segment}/fdb/01:00:5e:00:00:01", "{\"dst\":\"192.0.2.4\"}");
        Assert.Equal(["192.0.2.4"], (await api.ExpectAsync(200, $"GET {Segment}/fdb/01:00:5e:00:00:01")).Json.AsArray().Select(row => (string)row!["dst"]!));
    }

    [SkippableFact]
    public async Task The_replication_list_becomes_what_was_put_and_only_the_difference_is_touched()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0", "--remote", "192.0.2.2", "--remote", "192.0.2.3"));
        using var api = new ApiCaller(up.Socket);
        var (events, response) = await api.OpenAsync("v1/events");
        await events.ReadLineAsync();
        Assert.Equal("""[{"dst":"192.0.2.2"},{"dst":"192.0.2.3"}]""", (await api.ExpectAsync(200, $"GET {Segment}/remotes")).Text);
        const string Wanted = """[{"dst":"192.0.2.3"},{"dst":"192.0.2.4","port":8472},{"dst":"192.0.2.5","vni":9}]""";
        for (var i = 0; i < 2; i++) await api.ExpectAsync(204, $"PUT {Segment}/remotes", Wanted);
        Assert.Equal(Wanted, (await api.ExpectAsync(200, $"GET {Segment}/remotes")).Text);
        for (var i = 0; i < 2; i++) await api.ExpectAsync(204, $"PUT {Segment}/remotes/192.0.2.6");
        for (var i = 0; i < 2; i++) await api.ExpectAsync(204, $"DELETE {Segment}/remotes/192.0.2.4?port=8472");
        Assert.Equal("""[{"dst":"192.0.2.3"},{"dst":"192.0.2.5","vni":9},{"dst":"192.0.2.6"}]""", (await api.ExpectAsync(200, $"GET {Segment}/remotes")).Text);
        await api.ExpectAsync(204, $"PUT {Segment}/remotes", "[]");
        await api.ExpectAsync(204, $"PUT {Segment}/remotes", "[]");

        string[] told = ["removed 192.0.2.2", "added 192.0.2.4", "added 192.0.2.5", "added 192.0.2.6", "removed 192.0.2.4", "removed 192.0.2.3", "removed 192.0.2.5", "removed 192.0.2.6"];
        foreach (var line in told)
        {
            var happened = System.Text.Json.Nodes.JsonNode.Parse((await events.ReadLineAsync())!)!;
            Assert.Equal(line, $"{happened["event"]} {happened["dst"]}");
        }

        response.Dispose();
    }

    [SkippableFact]
    public async Task What_is_wrong_with_one_of_a_list_changes_nothing_of_it()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0", "--remote", "192.0.2.2"));
        using var api = new ApiCaller(up.Socket);
        (string Body, int Status)[] cases =
        [
            ("""[{"dst":"192.0.2.3"},{"dst":"x"}]""", 400), ("""[{"dst":"192.0.2.3"},null]""", 400), ("""[{"dst":"192.0.2.3"},{"dst":"192.0.2.3"}]""", 400), ("{}", 400), ("null", 400),
            ("""[{"dst":"192.0.2.3"},{}]""", 400), ("""[{"dst":"192.0.2.3"},{"dst":"2001:db8::1"}]""", 422), ("""[{"dst":"192.0.2.3"},{"dst":"192.0.2.4","viaIf":"if77"}]""", 404),
            ($"[{string.Join(',', Enumerable.Range(0, 4097).Select(i => $"{{\"dst\":\"10.1.{i / 256}.{i % 256}\"}}"))}]", 400), ($"[{new string(' ', 600_000)}]", 413),
        ];
        foreach (var (body, status) in cases) await api.ExpectAsync(status, $"PUT {Segment}/remotes", body);
        Assert.Equal("""[{"dst":"192.0.2.2"}]""", (await api.ExpectAsync(200, $"GET {Segment}/remotes")).Text);
        // As many as there may be.
        await api.ExpectAsync(204, $"PUT {Segment}/remotes", $"[{string.Join(',', Enumerable.Range(0, 4096).Select(i => $"{{\"dst\":\"10.1.{i / 256}.{i % 256}\"}}"))}]");
        Assert.Equal(4096, (await api.ExpectAsync(200, $"GET {Segment}/remotes")).Json.AsArray().Count);
    }

    [SkippableFact]
    public async Task A_neighbour_is_put_and_deleted_as_often_as_one_likes()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        using var api = new ApiCaller(up.Socket);
        const string Neighbour = Segment + "/neighbours/10.1.1.2";
        await api.ExpectAsync(204, $"DELETE {Neighbour}");
        for (var i = 0; i < 2; i++) await api.ExpectAsync(204, $"PUT {Neighbour}", """{"lladdr":"02:00:00:00:00:02","router":true}""");
        Assert.Equal("""[{"dst":"10.1.1.2","lladdr":"02:00:00:00:00:02","router":true,"state":["PERMANENT"],"origin":"static"}]""", (await api.ExpectAsync(200, $"GET {Segment}/neighbours")).Text);
        await api.ExpectAsync(400, $"PUT {Neighbour}", """{"lladdr":"01:00:00:00:00:02"}""");
        await api.ExpectAsync(400, $"PUT {Segment}/neighbours/224.0.0.1", """{"lladdr":"02:00:00:00:00:02"}""");
        for (var i = 0; i < 2; i++) await api.ExpectAsync(204, $"DELETE {Neighbour}");
        Assert.Equal("[]", (await api.ExpectAsync(200, $"GET {Segment}/neighbours")).Text);
    }

    [SkippableFact]
    public async Task A_listing_is_searched_and_cut()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        using var api = new ApiCaller(up.Socket);
        for (var i = 0; i < 20; i++) await api.ExpectAsync(204, $"PUT {Segment}/fdb/02:00:00:00:aa:{i:x2}", $"{{\"dst\":\"192.0.2.{i}\"}}");
        Assert.Equal(20, (await api.ExpectAsync(200, $"GET {Segment}/fdb?match=AA:")).Json.AsArray().Count);
        Assert.Equal(3, (await api.ExpectAsync(200, $"GET {Segment}/fdb?match=aa:&limit=3")).Json.AsArray().Count);
        Assert.Equal("02:00:00:00:aa:13", (string?)Assert.Single((await api.ExpectAsync(200, $"GET {Segment}/fdb?match=192.0.2.19")).Json.AsArray())!["mac"]);
        await api.ExpectAsync(400, $"GET {Segment}/fdb?limit=0");
        await api.ExpectAsync(400, $"GET {Segment}/fdb?limit=many");
    }
}
