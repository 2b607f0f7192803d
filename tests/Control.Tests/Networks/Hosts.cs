using System.Runtime.CompilerServices;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;
using Sleeve.Control.Tests.Store;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Tests.Networks;

/// <summary>A host's way to the store: it can be cut, and it can break after the store did what it was asked for.</summary>
internal sealed class Line(IStore store) : IStore
{
    private volatile CancellationTokenSource _cut = new();

    public string Place => store.Place;

    public string? Identity => store.Identity;

    /// <summary>Asked after each commit: whether the answer gets lost.</summary>
    public Func<bool> LosesAnswer { get; set; } = static () => false;

    /// <summary>How much later the watches tell.</summary>
    public TimeSpan Lag { get; set; }

    public bool IsCut { get; private set; }

    public void Cut()
    {
        IsCut = true;
        _cut.Cancel();
    }

    public void Mend()
    {
        _cut = new CancellationTokenSource();
        IsCut = false;
    }

    /// <summary>Ends the watches alone, as a connection that broke.</summary>
    public void Blink()
    {
        _cut.Cancel();
        _cut = new CancellationTokenSource();
    }

    public async Task<StoreSlice> RangeAsync(string prefix, CancellationToken cancellation)
    {
        Look();
        await Task.Yield();
        return await store.RangeAsync(prefix, cancellation);
    }

    public async Task<StoreOutcome> CommitAsync(StoreTransaction transaction, CancellationToken cancellation)
    {
        Look();
        await Task.Yield();
        var outcome = await store.CommitAsync(transaction, cancellation);
        if (LosesAnswer()) throw new StoreUnavailableException("the answer is lost");
        return outcome;
    }

    public async IAsyncEnumerable<StoreBatch> WatchAsync(string prefix, long fromRevision, [EnumeratorCancellation] CancellationToken cancellation)
    {
        Look();
        var cut = _cut.Token;
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cut, cancellation);
        await using var watch = store.WatchAsync(prefix, fromRevision, both.Token).GetAsyncEnumerator(both.Token);
        while (true)
        {
            try
            {
                if (!await watch.MoveNextAsync()) yield break;
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                throw new StoreUnavailableException("cut");
            }

            if (Lag > TimeSpan.Zero) await Task.Delay(Lag, cancellation);
            yield return watch.Current;
        }
    }

    public Task<long> GrantAsync(TimeSpan timeToLive, CancellationToken cancellation) => store.GrantAsync(timeToLive, cancellation);

    public Task<bool> KeepAliveAsync(long lease, CancellationToken cancellation) => store.KeepAliveAsync(lease, cancellation);

    public Task RevokeAsync(long lease, CancellationToken cancellation) => store.RevokeAsync(lease, cancellation);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private void Look()
    {
        if (IsCut) throw new StoreUnavailableException("cut");
    }
}

/// <summary>A host of a cluster: a replica that runs, and what works over it.</summary>
internal sealed class TestHost : IAsyncDisposable
{
    private readonly CancellationTokenSource _end = new();
    private readonly Task _run;

    public TestHost(IStore store, string name, long generation = 1, string location = "", ReplicaCache? cache = null)
    {
        Line = new Line(store);
        Self = new PeerRecord(name, InternetAddress.FromIPv4(0xC0000200u + (uint)(StableHash.Of(name) % 200) + 1), 4789) { Generation = generation, Location = location };
        Replica = new Replica(Line, cache, Said.Enqueue);
        Endpoints = new EndpointRegistry(Line, Replica, () => Self);
        Networks = new NetworkRegistry(Line, Replica);
        Reservations = new Reservations(Line, Replica);
        _run = Task.Run(() => Replica.RunAsync(_end.Token));
    }

    public Line Line { get; }

    public PeerRecord Self { get; set; }

    public Replica Replica { get; }

    public EndpointRegistry Endpoints { get; }

    public NetworkRegistry Networks { get; }

    public Reservations Reservations { get; }

    public System.Collections.Concurrent.ConcurrentQueue<string> Said { get; } = new();

    public async Task<TestHost> ConnectedAsync()
    {
        await UntilAsync(() => Replica.IsConnected);
        return this;
    }

    public Task<Published<EndpointRecord>> PublishAsync(NetworkRecord network, string id, params InternetAddress[] addresses) =>
        Endpoints.PublishAsync(network, Draft(id, addresses), CancellationToken.None);

    public static EndpointRecord Draft(string id, params InternetAddress[] addresses) => new(id, MacAddress.Zero, addresses) { Name = id };

    public static async Task UntilAsync(Func<bool> condition, int seconds = 30)
    {
        var until = DateTime.UtcNow.AddSeconds(seconds);
        while (!condition())
        {
            Assert.True(DateTime.UtcNow < until, "it does not come");
            await Task.Delay(5);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _run;
        _end.Dispose();
    }

    public static InternetAddress A(string text) => InternetAddress.TryParse(text, out var address) ? address : throw new FormatException(text);

    public static MacAddress M(string text) => MacAddress.TryParse(text, out var mac) ? mac : throw new FormatException(text);

    public static Sleeve.Control.Host.AddressPrefix P(string text) => Sleeve.Control.Host.AddressPrefix.TryParse(text, out var prefix) ? prefix : throw new FormatException(text);

    public static NetworkRecord Network(string name, params string[] subnets) => new(name, "", default) { Subnets = [.. subnets.Select(P)] };

    /// <summary>The store holds no half of anything: every endpoint has its claims, every claim its endpoint, no two the same address.</summary>
    public static void AssertWhole(MemoryStore store)
    {
        var entries = store.Snapshot().Entries;
        var claims = entries.Where(static entry => entry.Key.StartsWith(ClusterKeys.Addresses, StringComparison.Ordinal)).ToDictionary(static entry => entry.Key, static entry => Read<AddressRecord>(entry));
        var macs = entries.Where(static entry => entry.Key.StartsWith(ClusterKeys.Macs, StringComparison.Ordinal)).ToDictionary(static entry => entry.Key, static entry => entry.Value);
        var used = new HashSet<string>();
        foreach (var entry in entries.Where(static entry => entry.Key.StartsWith(ClusterKeys.Hosts, StringComparison.Ordinal) && entry.Key.Split('/')[2] == "endpoints"))
        {
            var parts = entry.Key.Split('/');
            var (host, network, id) = (parts[1], parts[3], parts[4]);
            var endpoint = Read<EndpointRecord>(entry);
            foreach (var address in endpoint.Addresses)
            {
                var key = ClusterKeys.Address(network, address);
                Assert.True(used.Add(key), $"{key} is in two endpoints");
                Assert.True(claims.TryGetValue(key, out var claim) && claim.Host == host && claim.Endpoint == id, $"{entry.Key} does not hold {address}");
            }

            Assert.Equal($"{host}/{id}", macs[ClusterKeys.Mac(network, endpoint.Mac)]);
            Assert.True(used.Add(ClusterKeys.Mac(network, endpoint.Mac)));
            Assert.Contains(entries, each => each.Key == ClusterKeys.Member(host, network));
        }

        Assert.DoesNotContain(claims, claim => claim.Value.Why == AddressRecord.OfEndpoint && !used.Contains(claim.Key));
        Assert.DoesNotContain(macs.Keys, key => !used.Contains(key));
    }

    public static T Read<T>(StoreEntry entry)
        where T : class
    {
        Assert.True(RecordJson.TryRead<T>(entry.Value, out var record, out var fault), $"{entry.Key}: {fault}");
        return record;
    }
}
