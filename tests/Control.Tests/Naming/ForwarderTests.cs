using System.Net;
using System.Net.Sockets;
using Sleeve.Control.Naming;
using Sleeve.Control.Networks;
using static Sleeve.Control.Tests.Naming.Messages;

namespace Sleeve.Control.Tests.Naming;

/// <summary>A server on loopback with resolvers behind it that answer well, badly, or not.</summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1001", Justification = "xunit ends it by IAsyncLifetime.")]
public sealed class ForwarderTests : IAsyncLifetime
{
    private const int A = 1;
    private static readonly NetworkView Prod = Network(
        "prod", "10.1.0.0/16", [("one", "web", "10.1.0.2"), .. Enumerable.Range(1, 100).Select(static i => ("one", $"n{i} all", $"10.1.1.{i}"))]);

    private readonly List<IDisposable> _resolvers = [];
    private readonly string _resolvConf = Path.GetTempFileName();
    private readonly List<string> _said = [];
    private NameServers? _servers;
    private ushort _port;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        if (_servers is not null) await _servers.DisposeAsync();
        foreach (var each in _resolvers) each.Dispose();
        File.Delete(_resolvConf);
    }

    private FakeResolver Resolve(string address, Func<byte[], bool, IEnumerable<byte[]>> answer, int port = 0)
    {
        var resolver = new FakeResolver(address, port, answer);
        _resolvers.Add(resolver);
        return resolver;
    }

    private async Task ServeAsync(ushort resolverPort, NameOptions? options = null, params string[] resolvers)
    {
        File.WriteAllLines(_resolvConf, resolvers.Select(static each => $"nameserver {each}"));
        _port = FreePort();

        options = (options ?? new NameOptions()) with { Port = _port };
        _servers = new NameServers(options, static name => name == "prod" ? Prod : null, static _ => true, _said.Add, _resolvConf, resolverPort);
        await _servers.Place([new NamePlace("prod", "lo", [Address("127.0.0.1")])]);
        Assert.Null(_servers.Desk.ServerOf("prod")!.Fault);
    }

    // Of both protocols.
    private static ushort FreePort()
    {
        for (var left = 100; ; left--)
        {
            using var udp = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            udp.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            using var tcp = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                tcp.Bind(udp.LocalEndPoint!);
                return (ushort)((IPEndPoint)udp.LocalEndPoint!).Port;
            }
            catch (SocketException) when (left > 0)
            {
                // Somebody's, of the other protocol.
            }
        }
    }

    private Socket Client(SocketType type = SocketType.Dgram, string from = "127.0.0.9")
    {
        var socket = new Socket(AddressFamily.InterNetwork, type, type == SocketType.Dgram ? ProtocolType.Udp : ProtocolType.Tcp) { ReceiveTimeout = 10_000 };
        _resolvers.Add(socket);
        socket.Bind(new IPEndPoint(IPAddress.Parse(from), 0));
        socket.Connect(IPAddress.Loopback, _port);
        return socket;
    }

    private SlowAnswer Ask(byte[] query, string from = "127.0.0.9")
    {
        var (client, buffer) = (Client(SocketType.Dgram, from), new byte[65536]);
        client.Send(query);
        return SlowAnswer.Read(buffer[..client.Receive(buffer)]);
    }

    private SlowAnswer AskByTcp(params byte[][] queries)
    {
        using var stream = new NetworkStream(Client(SocketType.Stream));
        foreach (var query in queries) stream.Write([(byte)(query.Length >> 8), (byte)query.Length, .. query]);
        byte[] answer = [];
        foreach (var _ in queries)
        {
            var head = new byte[2];
            stream.ReadExactly(head);
            answer = new byte[(head[0] << 8) | head[1]];
            stream.ReadExactly(answer);
        }

        return SlowAnswer.Read(answer);
    }

    // The question with one address, or many.
    private static byte[] Good(byte[] query, int addresses = 1, int code = 0, bool isTruncated = false)
    {
        var end = 12;
        while (query[end] != 0) end += 1 + query[end];
        byte[] reply = [query[0], query[1], (byte)(0x81 | (isTruncated ? 2 : 0)), (byte)(0x80 | code), 0, 1, 0, (byte)addresses, 0, 0, 0, 0, .. query[12..(end + 5)]];
        return [.. reply, .. Enumerable.Range(1, addresses).SelectMany(static i => new byte[] { 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, (byte)i })];
    }

    [Fact]
    public async Task Names_of_others_come_from_the_hosts_resolvers_and_own_ones_never_go_there()
    {
        var resolver = Resolve("127.0.0.2", static (query, _) => [Good(query)]);
        await ServeAsync(resolver.Port, null, "127.0.0.2");
        Assert.Equal("10.1.0.2", Assert.Single(Ask(Query("web", A)).Answers).Data);
        Assert.Equal(3, Ask(Query("nobody.prod.sleeve", A)).Code);
        Assert.Equal(3, Ask(Query("nobody", A)).Code);
        Assert.Equal(0, resolver.Asked);
        for (var i = 0; i < 20; i++)
        {
            var answer = Ask(Query("eXample.com", A));
            Assert.Equal(("eXample.com.", "192.0.2.1", 0x1234), (answer.Answers[0].Name, answer.Answers[0].Data, answer.Id));
        }

        // Guessing takes more than the port or the id of the last question.
        Assert.InRange(resolver.ClientPorts.Count, 15, 20);
        Assert.InRange(resolver.Ids.Count, 18, 20);
        var tally = _servers!.Desk.ServerOf("prod")!.Tally;
        Assert.Equal((23L, 3L, 20L, 0L), (tally[NameEvent.Query], tally[NameEvent.Answered], tally[NameEvent.Forwarded], tally[NameEvent.Failed]));
    }

    [Fact]
    public async Task Forged_answers_are_passed_over()
    {
        var resolver = Resolve("127.0.0.2", static (query, _) =>
        {
            var wrongId = Good(query, 2);
            wrongId[1] ^= 1;
            var wrongName = Good(query, 2);
            wrongName[13] ^= 1;
            return [wrongId, wrongName, [], [1, 2, 3], query, Good(query)];
        });
        await ServeAsync(resolver.Port, null, "127.0.0.2");
        Assert.Single(Ask(Query("example.com", A)).Answers);
        Assert.Equal(1, resolver.Asked);
    }

    [Fact]
    public async Task The_next_resolver_is_asked_when_one_is_silent_absent_or_fails()
    {
        var good = Resolve("127.0.0.4", static (query, _) => [Good(query)]);
        var silent = Resolve("127.0.0.2", static (_, _) => [], good.Port);
        var failing = Resolve("127.0.0.3", static (query, _) => [Good(query, 0, code: 2)], good.Port);
        await ServeAsync(good.Port, new NameOptions { ResolverMilliseconds = 300 }, "127.0.0.2", "127.0.0.3", "127.0.0.4");
        Assert.Single(Ask(Query("example.com", A)).Answers);
        Assert.Single(Ask(Query("example.com", A)).Answers);
        // The silent one was not waited for twice.
        Assert.Equal((1, 2, 2), (silent.Asked, failing.Asked, good.Asked));
        // resolv.conf changes; nobody is at 127.0.0.5.
        File.WriteAllText(_resolvConf, "nameserver 127.0.0.5\nnameserver 127.0.0.3\n");
        Assert.True(SpinWait.SpinUntil(() => Ask(Query("example.com", A)).Code == 2, 10_000));
        File.WriteAllText(_resolvConf, "");
        Assert.True(SpinWait.SpinUntil(() => failing.Asked is var before && Ask(Query("example.com", A)).Code == 2 && failing.Asked == before, 10_000));
    }

    [Fact]
    public async Task Who_is_asked_by_us_is_not_asked_for_itself()
    {
        // The client is the resolver: what it wants to know it would be asked. Or it is this host, whose resolver may have sent it.
        var resolver = Resolve("127.0.0.2", static (query, _) => [Good(query)]);
        await ServeAsync(resolver.Port, null, "127.0.0.2");
        Assert.Equal(2, Ask(Query("example.com", A), "127.0.0.2").Code);
        Assert.Equal(2, Ask(Query("example.com", A), "127.0.0.1").Code);
        Assert.Equal(0, resolver.Asked);
        Assert.Single(Ask(Query("web", A), "127.0.0.1").Answers);
    }

    [Fact]
    public async Task What_is_too_long_is_truncated_for_UDP_and_whole_by_TCP()
    {
        var resolver = Resolve("127.0.0.2", static (query, isTcp) => [isTcp ? Good(query, 200) : Good(query, 0, isTruncated: true)]);
        await ServeAsync(resolver.Port, null, "127.0.0.2");
        var cut = Ask(Query("example.com", A, payload: 1232));
        Assert.True(cut.IsTruncated);
        Assert.Equal((0, 1), (cut.Answers.Count, cut.Additional.Count));
        Assert.Equal(200, AskByTcp(Query("example.com", A)).Answers.Count);
        // A resolver that sends more than the client takes.
        var rude = Resolve("127.0.0.3", static (query, _) => [Good(query, 60)], resolver.Port);
        File.WriteAllText(_resolvConf, "nameserver 127.0.0.3\n");
        Assert.True(SpinWait.SpinUntil(() => Ask(Query("example.com", A)).IsTruncated && rude.Asked > 0, 10_000));
        Assert.Equal(60, Ask(Query("example.com", A, payload: 1232)).Answers.Count);
        Assert.Equal(60, AskByTcp(Query("example.com", A)).Answers.Count);
    }

    [Fact]
    public async Task Own_names_by_TCP_one_question_after_the_other()
    {
        await ServeAsync(53);
        Assert.True(Ask(Query("all", A)).IsTruncated);
        Assert.Equal(100, AskByTcp(Query("web", A), Query("nobody", A), Query("all", A)).Answers.Count);
    }

    [Fact]
    public async Task Too_many_questions_under_way_are_answered_at_once_that_it_failed()
    {
        var resolver = Resolve("127.0.0.2", static (_, _) => []);
        await ServeAsync(resolver.Port, new NameOptions { ClientInFlight = 4, ResolverMilliseconds = 5000 }, "127.0.0.2");
        var (client, buffer) = (Client(), new byte[512]);
        for (var i = 0; i < 10; i++) client.Send(Query("example.com", A));
        for (var i = 0; i < 6; i++) Assert.Equal(2, SlowAnswer.Read(buffer[..client.Receive(buffer)]).Code);
        // Own names are answered meanwhile.
        Assert.Single(Ask(Query("web", A)).Answers);
    }

    [Fact]
    public async Task A_flood_is_dropped_and_connections_are_few()
    {
        await ServeAsync(53, new NameOptions { ClientRate = 1, ClientBurst = 50, ClientConnections = 2, ConnectionMilliseconds = 300 });
        var client = Client();
        // More than the socket's buffer holds at once would be dropped by the kernel, which nobody counts.
        Assert.True(SpinWait.SpinUntil(() => client.Send(Query("web", A)) > 0 && _servers!.Desk.ServerOf("prod")!.Tally[NameEvent.Query] >= 500, 10_000));
        Assert.InRange(_servers!.Desk.ServerOf("prod")!.Tally[NameEvent.Answered], 50, 60);
        var connections = Enumerable.Range(0, 3).Select(_ => Client(SocketType.Stream)).ToArray();
        // All end: one was too many, the others say nothing for too long.
        foreach (var each in connections) Assert.Equal(0, Receive(each));
    }

    [Fact]
    public async Task Clients_that_reset_their_connection_at_once_end_nothing()
    {
        await ServeAsync(53);
        for (var i = 0; i < 200; i++)
        {
            using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { LingerState = new LingerOption(true, 0) };
            client.Connect(IPAddress.Loopback, _port);
        }

        Assert.Single(Ask(Query("web", A)).Answers);
        Assert.True(SpinWait.SpinUntil(() => Answers(), 10_000));

        bool Answers()
        {
            try
            {
                return AskByTcp(Query("web", A)).Answers.Count == 1;
            }
            catch (Exception failure) when (failure is IOException or SocketException)
            {
                // The places of those that are gone are taken for a moment.
                return false;
            }
        }
    }

    [Fact]
    public async Task A_resolver_that_breaks_off_by_TCP_ends_nothing()
    {
        var resolver = Resolve("127.0.0.2", static (query, isTcp) => isTcp ? [] : [Good(query, 0, isTruncated: true)]);
        await ServeAsync(resolver.Port, null, "127.0.0.2");
        Assert.Equal(2, AskByTcp(Query("example.com", A)).Code);
        Assert.Single(Ask(Query("web", A)).Answers);
    }

    private static int Receive(Socket socket)
    {
        try
        {
            return socket.Receive(new byte[10]);
        }
        catch (SocketException reset) when (reset.SocketErrorCode == SocketError.ConnectionReset)
        {
            return 0;
        }
    }

    [Fact]
    public async Task Servers_come_go_and_say_what_they_lack()
    {
        await ServeAsync(53);
        await _servers!.Place([]);
        Assert.Null(_servers.Desk.ServerOf("prod"));
        await _servers.Place([new NamePlace("prod", "no-such-link", [Address("127.0.0.1")]), new NamePlace("other", "lo", [Address("127.0.0.1")])]);
        Assert.Equal("names of prod: there is no interface no-such-link", _servers.Desk.ServerOf("prod")!.Fault);
        Assert.Equal(2, Ask(Query("web", A)).Code);
        await _servers.Place([new NamePlace("prod", "lo", [Address("127.0.0.1")])]);
        Assert.Single(Ask(Query("web", A)).Answers);
        await _servers.Place([new NamePlace("prod", "lo", [Address("127.0.0.1")]), new NamePlace("twin", "lo", [Address("127.0.0.1")])]);
        Assert.Contains("is taken by another program", _servers.Desk.ServerOf("twin")!.Fault, StringComparison.Ordinal);
        // Said when it lasts, once.
        Assert.True(SpinWait.SpinUntil(() => _said.Count == 1, 10_000));
        await _servers.Place([new NamePlace("twin", "lo", [Address("127.0.0.1")])]);
        Assert.True(_servers.Desk.ServerOf("twin")!.IsServing);
        Assert.Equal("names of twin are served now", _said[^1]);
    }
}
