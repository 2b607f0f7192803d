using Sleeve.Control.Audit;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;
using Sleeve.Control.Tests.Networks;
using Sleeve.Control.Tests.Store;
using static Sleeve.Control.Tests.Networks.TestHost;

namespace Sleeve.Control.Tests.Audit;

public sealed class AuditorTests : IAsyncDisposable
{
    private readonly MemoryStore _store = new();

    [Fact]
    public async Task What_was_asked_while_a_host_did_not_listen_is_answered_when_it_does()
    {
        await using var host = await new TestHost(_store, "h2").ConnectedAsync();
        await _store.CommitAsync(new StoreTransaction([], [new StoreWrite($"{ClusterKeys.Audits}0123456789abcdef", """{"by":"h1","revision":1}""")]), CancellationToken.None);
        using var end = new CancellationTokenSource();
        var auditor = new Auditor(host.Line, host.Replica, "h2", static _ => Task.FromResult(new HostFindings(1, 2, [])), static _ => { });
        var running = auditor.RunAsync(end.Token);
        var key = ClusterKeys.AuditOf("h2", "0123456789abcdef");
        await UntilAsync(() => _store.Snapshot().Entries.Any(entry => entry.Key == key));
        Assert.Equal((1, 2), AuditJson.ReadReport(_store.Snapshot().Entries.Single(entry => entry.Key == key).Value, "h2") is { } report ? (report.Networks, report.Endpoints) : default);
        await end.CancelAsync();
        await running;
    }

    public ValueTask DisposeAsync() => _store.DisposeAsync();
}
