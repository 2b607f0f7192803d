using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Sleeve.Control.Store;
using Sleeve.Control.Tests.Store;

namespace Sleeve.Fuzz;

/// <summary>What a hostile store may answer, and a hostile host ask: exceptions of the declared types, statuses of the protocol, nothing else.</summary>
public sealed class StoreFuzzTests
{
    private const int Answers = 1000;
    private const int Requests = 2500;

    private const string Header = """ "header":{"cluster_id":"2037210783374497686","member_id":"13195394291058371180","revision":"9","raft_term":"2"} """;

    // L3Z4L2E= is /vx/a; HEADER stands for the header.
    private static readonly string[] Corpus =
    [
        """{HEADER,"kvs":[{"key":"L3Z4L2E=","create_revision":"2","mod_revision":"2","version":"1","value":"MQ=="},{"key":"L3Z4L2sx","create_revision":"3","mod_revision":"3","version":"1","value":"aGVsbG8=","lease":"7"}],"count":"2"}""",
        """{HEADER,"kvs":[{"key":"L3Z4L2E=","create_revision":"2","mod_revision":"2","version":"1","value":"MQ=="}],"more":true,"count":"2"}""",
        """{HEADER,"succeeded":true,"responses":[{"response_put":{"header":{"revision":"4"}}}]}""",
        """{HEADER,"responses":[{"response_range":{"header":{"revision":"4"},"kvs":[{"key":"L3Z4L2E=","create_revision":"4","mod_revision":"4","version":"1","value":"bWU="}],"count":"1"}}]}""",
        """{HEADER,"ID":"777","TTL":"3"}""",
        """{"result":{HEADER,"ID":"777","TTL":"3"}}""",
        """{"result":{HEADER,"created":true}}""" + "\n" + """{"result":{HEADER,"events":[{"kv":{"key":"L3Z4L2E=","create_revision":"6","mod_revision":"6","version":"1","value":"eA=="}},{"type":"DELETE","kv":{"key":"L3Z4L2E=","mod_revision":"7"}}]}}""" + "\n",
        """{"result":{HEADER,"created":true}}""" + "\n" + """{"result":{HEADER,"fragment":true,"events":[{"kv":{"key":"L3Z4L2E=","mod_revision":"6","value":"eA=="}}]}}""" + "\n" + """{"result":{HEADER}}""" + "\n",
        """{"result":{HEADER,"created":true}}""" + "\n" + """{"result":{HEADER,"canceled":true,"compact_revision":"5"}}""" + "\n",
        """{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"Service Unavailable"}}""" + "\n",
        """{"error":"etcdserver: requested lease not found","message":"etcdserver: requested lease not found","code":5}""",
        """{"error":"etcdserver: mvcc: required revision has been compacted","message":"etcdserver: mvcc: required revision has been compacted","code":11}""",
        "[]", "null", "{}", "\"\"", "nope", "",
        """{"result":null,"error":null}""" + "\n", """{"header":{"revision":"-1"}}""", """{"header":{"revision":"99999999999999999999"}}""",
        new string('[', 2000), """{HEADER,"kvs":[null],"responses":[null]}""", """{"result":{HEADER,"created":true}}""" + "\n" + """{"result":{HEADER,"events":[null]}}""" + "\n",
    ];

    private static readonly string[] Asked =
    [
        """{"key":"bmV0d29ya3Mv","range_end":"bmV0d29ya3Mw","limit":"10","revision":"1"}""",
        """{"compare":[{"result":"EQUAL","target":"MOD","key":"bmV0d29ya3MvYQ==","mod_revision":"0"}],"success":[{"request_put":{"key":"bmV0d29ya3MvYQ==","value":"bWU="}}],"failure":[{"request_range":{"key":"bmV0d29ya3MvYQ=="}}]}""",
        """{"compare":[{"target":"VALUE","key":"bmV0d29ya3MvYQ==","value":"bWU="}],"success":[{"request_delete_range":{"key":"bmV0d29ya3MvYQ=="}}]}""",
        """{"TTL":"5"}""",
        """{"ID":"5"}""",
        """{"create_request":{"key":"bmV0d29ya3Mv","range_end":"bmV0d29ya3Mw","start_revision":"1","progress_notify":true,"fragment":true}}""",
        "{}", "null", "[]", "",
    ];

    private static readonly string[] Paths = ["/v3/kv/range", "/v3/kv/txn", "/v3/lease/grant", "/v3/lease/keepalive", "/v3/lease/revoke", "/v3/watch"];

    [Fact]
    public async Task What_a_store_answers_is_read_or_is_one_of_the_declared_exceptions()
    {
        var socket = Path.Combine(Directory.CreateTempSubdirectory("sleeve-fuzz-").FullName, "etcd.sock");
        byte[] answer = [];
        var status = 200;
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = "/" });
        builder.WebHost.UseKestrelCore();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(socket));
        await using var application = builder.Build();
        application.Run(async context =>
        {
            context.Response.StatusCode = status;
            await context.Response.Body.WriteAsync(answer);
        });
        await application.StartAsync();
        var random = new Random(29);
        var mutator = new Mutator(random, [.. Corpus.Select(static text => Encoding.UTF8.GetBytes(text.Replace("HEADER", Header, StringComparison.Ordinal)))]);
        for (var i = 0; i < Answers; i++)
        {
            answer = mutator.Next();
            status = random.Next(10) == 0 ? random.Next(200, 600) is var other and not (204 or 205 or 304) ? other : 500 : 200;
            await using var store = new EtcdStore(
                new EtcdStoreOptions([new Uri("http://etcd/")]) { Socket = socket, Root = random.Next(4) == 0 ? "" : "/vx/", Timeout = TimeSpan.FromMilliseconds(90), MaxAnswerBytes = 3000, MaxLineBytes = 3000 });
            try
            {
                await AskAsync(store, random.Next(6));
            }
            catch (Exception failure) when (failure is StoreUnavailableException or StoreRefusedException or StoreCompactedException)
            {
                Assert.DoesNotContain('\n', failure.Message);
                Assert.InRange(failure.Message.Length, 1, 700);
            }
            catch (Exception failure)
            {
                Assert.Fail($"case {i}: {status} {Encoding.UTF8.GetString(answer)}: {failure}");
            }
        }
    }

    private static async Task AskAsync(EtcdStore store, int what)
    {
        var soon = CancellationToken.None;
        switch (what)
        {
            case 0:
                var slice = await store.RangeAsync("", soon);
                Assert.All(slice.Entries, static entry => Assert.True(StoreChecks.IsKey(entry.Key)));
                break;
            case 1:
                await store.CommitAsync(new StoreTransaction([StoreCondition.Absent("a")], [new StoreWrite("a", "1", 7)]), soon);
                break;
            case 2:
                await store.GrantAsync(TimeSpan.FromSeconds(5), soon);
                break;
            case 3:
                await store.KeepAliveAsync(777, soon);
                break;
            case 4:
                await store.RevokeAsync(777, soon);
                break;
            default:
                var last = 5L;
                await foreach (var batch in store.WatchAsync("", 6, soon))
                {
                    Assert.True(batch.Revision > last);
                    last = batch.Revision;
                }

                break;
        }
    }

    [Fact]
    public async Task What_a_host_asks_is_answered_in_the_words_of_the_protocol()
    {
        await using var served = await ServedStore.StartAsync(new StoreGatewayOptions { RequestsPerSecond = 1e9, Burst = 1e9, MaxBodyBytes = 2000, Progress = TimeSpan.FromMilliseconds(20) });
        var random = new Random(31);
        var mutator = new Mutator(random, [.. Asked.Select(Encoding.UTF8.GetBytes)]);
        for (var i = 0; i < Requests; i++)
        {
            var body = mutator.Next();
            var path = Paths[random.Next(Paths.Length)];
            var (status, text) = await served.PostAsync(path, body, firstLineOnly: path == "/v3/watch");
            Assert.True(status is 200 or 400 or 403 or 404, $"case {i}: {path} {Encoding.UTF8.GetString(body)}: {status} {text}");
            Assert.StartsWith("{", text, StringComparison.Ordinal);
        }

        // It still is what it was.
        await using var client = served.ClientOf("a");
        Assert.All((await client.RangeAsync("", CancellationToken.None)).Entries, static entry => Assert.StartsWith("networks/", entry.Key, StringComparison.Ordinal));
        Assert.True((await client.CommitAsync(new StoreTransaction([], [new StoreWrite("peers/a", "{}")]), CancellationToken.None)).IsDone);
    }
}
