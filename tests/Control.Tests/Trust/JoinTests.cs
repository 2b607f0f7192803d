using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Text;
using Sleeve.Control.Host;
using Sleeve.Control.Trust;

namespace Sleeve.Control.Tests.Trust;

/// <summary>Joining over TLS: both sides as they are, in one process.</summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1001", Justification = "xunit ends it by IAsyncLifetime.")]
public sealed class JoinTests : IAsyncLifetime
{
    private readonly TrustFixture _fixture = new();

    public Task InitializeAsync() => _fixture.ListenAsync();

    public Task DisposeAsync() => _fixture.DisposeAsync().AsTask();

    [Fact]
    public async Task A_host_joins_and_is_known_by_its_certificate_also_after_a_restart()
    {
        var folder = _fixture.NewFolder();
        var steps = new List<string>();
        var joined = await JoinClient.JoinAsync(_fixture.Reopen(folder), _fixture.Place, _fixture.Token(), "b", step =>
        {
            steps.Add(step);
            return Task.CompletedTask;
        }, CancellationToken.None);
        Assert.Equal((_fixture.Place.ToString(), "a", "b"), (joined.Server, joined.ServerName, joined.Name));
        Assert.Equal(2, steps.Count);
        var again = _fixture.Reopen(folder);
        Assert.Equal(joined, again.Joined);
        using var client = ClientOf(again);
        Assert.Equal("b", await client.GetStringAsync(new Uri("who", UriKind.Relative)));
        Assert.Contains(_fixture.Said, static line => line.Contains("host b joined", StringComparison.Ordinal));
        Assert.DoesNotContain(_fixture.Said, line => line.Contains("S10", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_token_of_another_authority_tells_the_host_nothing()
    {
        var token = _fixture.Token() with { AuthorityHash = new string('0', 64) };
        var store = _fixture.NewStore();
        var failure = await Assert.ThrowsAsync<HostException>(() => _fixture.JoinAsync(store, token, "b"));
        Assert.Contains("is not the host that made the token", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(token.Secret, failure.Message, StringComparison.Ordinal);
        Assert.Null(store.Joined);
        Assert.Empty(_fixture.Said);
    }

    [Fact]
    public async Task Each_refusal_is_one_line_that_says_what_to_do()
    {
        var store = _fixture.NewStore();
        var token = _fixture.Token();
        foreach (var (attempt, part) in new (Func<Task>, string)[]
        {
            (() => _fixture.JoinAsync(store, token with { Secret = new string('0', 32) }, "b"), "sleeve token prints a new one"),
            (() => _fixture.JoinAsync(store, _fixture.Token(TimeSpan.FromSeconds(-1)), "b"), "the token has ended"),
            (() => _fixture.JoinAsync(store, token, "a"), "name a: another host has it"),
            (() => JoinClient.JoinAsync(store, new JoinPlace("127.0.0.1", 1), token, "b", static _ => Task.CompletedTask, CancellationToken.None), "127.0.0.1:1 cannot be reached (TCP)"),
        })
        {
            Assert.Contains(part, (await Assert.ThrowsAsync<HostException>(attempt)).Message, StringComparison.Ordinal);
            Assert.Null(store.Joined);
        }

        await _fixture.JoinAsync(store, token, "b");
        Assert.Contains("sleeve leave first", (await Assert.ThrowsAsync<HostException>(() => _fixture.JoinAsync(store, token, "c"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_that_serves_others_does_not_join_and_one_that_is_alone_does()
    {
        var store = _fixture.NewStore();
        store.Serve("x", _fixture.Now);
        using (var key = store.NextKey()) store.Authority!.Issue("y", new(key), isServer: false, _fixture.Now);
        Assert.Contains("serves a cluster of its own", (await Assert.ThrowsAsync<HostException>(() => _fixture.JoinAsync(store, _fixture.Token(), "x"))).Message, StringComparison.Ordinal);
        store.Authority!.Revoke("y");
        await _fixture.JoinAsync(store, _fixture.Token(), "x");
        Assert.Throws<HostException>(() => store.Serve("x", _fixture.Now));
    }

    [Fact]
    public async Task Without_a_certificate_that_counts_nothing_but_joining_is_served()
    {
        using var stranger = new HttpClient(new SocketsHttpHandler { SslOptions = Certificates.ForClient(_fixture.Server.Trusted!, own: null) }) { BaseAddress = _fixture.Place.Uri };
        foreach (var path in new[] { "who", "hang", "renew", "leave", "nothing", "ca/", "CA/../who", "join/x" })
        {
            using var response = await stranger.GetAsync(new Uri(path, UriKind.Relative));
            Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        }

        // A certificate of another authority does not even get through the handshake.
        await using var other = new TrustFixture();
        using var foreigner = new HttpClient(new SocketsHttpHandler { SslOptions = Certificates.ForClient(_fixture.Server.Trusted!, () => other.Server.Certificate!) }) { BaseAddress = _fixture.Place.Uri };
        await Assert.ThrowsAsync<HttpRequestException>(() => foreigner.GetAsync(new Uri("ca", UriKind.Relative)));
    }

    [Fact]
    public async Task One_who_joined_cannot_pose_as_the_one_who_serves()
    {
        var store = _fixture.NewStore();
        await _fixture.JoinAsync(store, _fixture.Token(), "b");
        using var listener = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serving = Task.Run(async () =>
        {
            using var connection = await listener.AcceptTcpClientAsync();
            using var tls = new SslStream(connection.GetStream());
            await Assert.ThrowsAnyAsync<Exception>(async () =>
            {
                await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = store.Certificate });
                await tls.ReadExactlyAsync(new byte[1]);
            });
        });
        using var client = new HttpClient(store.NewHandler()) { BaseAddress = new Uri($"https://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}") };
        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync(new Uri("who", UriKind.Relative)));
        await serving;
    }

    [Fact]
    public async Task A_forgotten_host_is_out_at_once_and_what_it_had_open_ends()
    {
        var store = _fixture.NewStore();
        await _fixture.JoinAsync(store, _fixture.Token(), "b");
        using var client = ClientOf(store);
        using var hanging = await client.GetAsync(new Uri("hang", UriKind.Relative), HttpCompletionOption.ResponseHeadersRead);
        await using var stream = await hanging.Content.ReadAsStreamAsync();
        Assert.Equal(5, await stream.ReadAtLeastAsync(new byte[5], 5));
        _fixture.Server.Authority!.Revoke("b");
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        await Assert.ThrowsAnyAsync<IOException>(async () => await stream.ReadExactlyAsync(new byte[1], patience.Token));
        var refused = false;
        try
        {
            using var response = await client.GetAsync(new Uri("who", UriKind.Relative), patience.Token);
            refused = response.StatusCode == HttpStatusCode.Forbidden;
        }
        catch (HttpRequestException)
        {
            // In the handshake, if the connection was cut.
            refused = true;
        }

        Assert.True(refused);
    }

    [Fact]
    public async Task A_certificate_is_renewed_over_the_channel_that_it_opened()
    {
        var store = _fixture.NewStore();
        await _fixture.JoinAsync(store, _fixture.Token(), "b");
        var before = store.Certificate!.SerialNumber;
        using var client = ClientOf(store);
        await using var membership = new Membership(
            new MembershipOptions { Host = "b", Listen = new IPEndPoint(IPAddress.Loopback, 1), Advertise = "127.0.0.1" }, store, static _ => { });
        await membership.RenewAsync(DateTimeOffset.UtcNow.AddDays(200), CancellationToken.None);
        Assert.Equal(before, store.Certificate!.SerialNumber);
        await membership.RenewAsync(DateTimeOffset.UtcNow.AddDays(260), CancellationToken.None);
        Assert.NotEqual(before, store.Certificate!.SerialNumber);
        Assert.Equal("b", await client.GetStringAsync(new Uri("who", UriKind.Relative)));
        using var renewed = ClientOf(store);
        Assert.Equal("b", await renewed.GetStringAsync(new Uri("who", UriKind.Relative)));
    }

    [Fact]
    public async Task One_that_leaves_is_known_no_more_and_may_come_again_with_a_token()
    {
        var store = _fixture.NewStore();
        await _fixture.JoinAsync(store, _fixture.Token(), "b");
        await using var membership = new Membership(
            new MembershipOptions { Host = "b", Listen = new IPEndPoint(IPAddress.Loopback, 1), Advertise = "127.0.0.1" }, store, static _ => { });
        await membership.LeaveAsync(force: false, CancellationToken.None);
        Assert.Null(store.Joined);
        Assert.Null(store.Certificate);
        for (var i = 0; i < 100 && _fixture.Server.Authority!.Hosts.Count > 1; i++) await Task.Delay(50);
        Assert.Equal(["a"], _fixture.Server.Authority!.Hosts);
        Assert.Contains("nothing to leave", (await Assert.ThrowsAsync<HostException>(() => membership.LeaveAsync(false, CancellationToken.None))).Message, StringComparison.Ordinal);
        await _fixture.JoinAsync(store, _fixture.Token(), "b");
    }

    [Fact]
    public async Task One_that_was_forgotten_can_still_leave()
    {
        var store = _fixture.NewStore();
        await _fixture.JoinAsync(store, _fixture.Token(), "b");
        // As the host that serves does when the record of one that leaves is gone from the store.
        await using var membership = new Membership(
            new MembershipOptions { Host = "b", Listen = new IPEndPoint(IPAddress.Loopback, 1), Advertise = "127.0.0.1" }, store, static _ => { })
        {
            OnLeaving = _ =>
            {
                _fixture.Server.Authority!.Revoke("b");
                return Task.CompletedTask;
            },
        };
        await membership.LeaveAsync(force: false, CancellationToken.None);
        Assert.Null(store.Joined);
    }

    [Fact]
    public async Task Hostile_bodies_get_an_answer_and_nothing_else()
    {
        using var stranger = new HttpClient(new SocketsHttpHandler { SslOptions = Certificates.ForClient(_fixture.Server.Trusted!, own: null) }) { BaseAddress = _fixture.Place.Uri };
        var deep = new string('[', 5000);
        var token = _fixture.Token();
        foreach (var body in new[]
        {
            "", "null", "[]", "{", deep, "{\"id\":1}", "{\"id\":{}}", "\"x\"", "{\"id\":\"\\ud800\"}", new string(' ', 100), $"{{\"id\":\"{token.Id}\",\"secret\":\"{token.Secret}\",\"name\":\"{new string('n', 5000)}\"}}",
        })
        {
            using var response = await PostAsync(stranger, body);
            Assert.InRange((int)response.StatusCode, 400, 429);
        }

        using var large = await PostAsync(stranger, new string(' ', ClusterListener.MaxJoinBytes + 1));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, large.StatusCode);
        Assert.Equal(["a"], _fixture.Server.Authority!.Hosts);
    }

    [Fact]
    public async Task Guessing_is_limited()
    {
        using var stranger = new HttpClient(new SocketsHttpHandler { SslOptions = Certificates.ForClient(_fixture.Server.Trusted!, own: null) }) { BaseAddress = _fixture.Place.Uri };
        var statuses = new List<HttpStatusCode>();
        for (var i = 0; i < 60; i++)
        {
            using var response = await PostAsync(stranger, "{}");
            statuses.Add(response.StatusCode);
        }

        Assert.Contains(HttpStatusCode.TooManyRequests, statuses);
        // Those who are in do not notice.
        using var own = new HttpClient(_fixture.Server.NewHandler()) { BaseAddress = _fixture.Place.Uri };
        Assert.Equal("a", await own.GetStringAsync(new Uri("who", UriKind.Relative)));
    }

    private static async Task<HttpResponseMessage> PostAsync(HttpClient client, string body)
    {
        using var content = new StringContent(body, Encoding.UTF8, new MediaTypeHeaderValue("application/json"));
        return await client.PostAsync(new Uri("join", UriKind.Relative), content);
    }

    private HttpClient ClientOf(TrustStore store) => new(store.NewHandler()) { BaseAddress = _fixture.Place.Uri };
}
