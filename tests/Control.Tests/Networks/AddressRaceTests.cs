using System.Collections.Concurrent;
using Sleeve.Control.Daemon;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;
using Sleeve.Control.Tests.Store;
using Sleeve.DataPlane.Wire;
using static Sleeve.Control.Tests.Networks.TestHost;

namespace Sleeve.Control.Tests.Networks;

/// <summary>
/// Hosts that publish and withdraw at random in a pool that is too small for them, lose answers of the store, break off, are killed, are reclaimed by others, and return with what they had: never is an address with
/// two of them, and in the end nothing is left that nobody has.
/// </summary>
public sealed class AddressRaceTests
{
    private const int Hosts = 5;

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(3, true)]
    [InlineData(4, true)]
    public async Task No_address_is_given_out_twice_whatever_breaks(int seed, bool withReclaim)
    {
        await using var store = new MemoryStore();
        var holders = new ConcurrentDictionary<(string Network, InternetAddress), string>();
        NetworkRecord network;
        await using (var maker = await new TestHost(store, "maker").ConnectedAsync())
            network = (await maker.Networks.CreateAsync(Network("n", "10.0.0.0/26", "2001:db8::/122"), autoVni: true, CancellationToken.None)).Value;
        await using var watcher = await new TestHost(store, "watcher").ConnectedAsync();
        var reclaimer = new Reclaimer(store, watcher.Replica, "watcher", static _ => { });
        var journals = await Task.WhenAll(Enumerable.Range(0, Hosts).Select(i => Task.Run(() => LiveAsync(store, network, $"h{i}", new Random((seed * 100) + i), holders, withReclaim ? reclaimer : null))));
        AssertWhole(store);

        var wanted = journals.SelectMany(static each => each).ToDictionary(static each => each.Key, static each => each.Value);
        var found = store.Snapshot().Entries.Where(static entry => entry.Key.Contains("/endpoints/", StringComparison.Ordinal)).ToDictionary(static entry => entry.Key, static entry => Read<EndpointRecord>(entry));
        Assert.Equal(wanted.Keys.Order(), found.Keys.Order());
        foreach (var (key, endpoint) in wanted) Assert.Equal(endpoint.Addresses, found[key].Addresses);
        var live = wanted.Keys.Select(static key => key.Split('/')[1]).ToHashSet();
        Assert.All(store.Snapshot().Entries.Where(static entry => entry.Key.StartsWith(ClusterKeys.Blocks, StringComparison.Ordinal)), entry => Assert.Contains(Read<BlockRecord>(entry).Host, live));
    }

    // A host's lives one after the other; what it has at the end, by key.
    private static async Task<Dictionary<string, EndpointRecord>> LiveAsync(
        MemoryStore store, NetworkRecord network, string name, Random random, ConcurrentDictionary<(string, InternetAddress), string> holders, Reclaimer? reclaimer)
    {
        const int Lives = 3;
        var journal = new ConcurrentDictionary<string, EndpointRecord>();
        for (var life = 1; life <= Lives; life++)
        {
            await store.CommitAsync(new StoreTransaction([], [new StoreWrite(ClusterKeys.AliveOf(name), "")]), CancellationToken.None);
            await using var host = await new TestHost(store, name, life).ConnectedAsync();
            await ReassertAsync(host, network, journal, holders);
            var answers = new Random(random.Next());
            host.Line.LosesAnswer = () =>
            {
                lock (answers) return answers.Next(25) == 0;
            };
            await Task.WhenAll(Enumerable.Range(0, 4).Select(worker => WorkAsync(host, network, worker, new Random(random.Next()), journal, holders)));
            host.Line.LosesAnswer = static () => false;
            if (life < Lives)
            {
                host.Line.Cut();
                // Killed: what it has is nobody's to it while it is away, and others may have it.
                foreach (var endpoint in journal.Values) LetGo(endpoint, holders);
                await store.CommitAsync(new StoreTransaction([], [new StoreWrite(ClusterKeys.AliveOf(name), null)]), CancellationToken.None);
                if (reclaimer is not null && random.Next(2) == 0) await reclaimer.ReclaimAsync(name, "a test", CancellationToken.None);
                continue;
            }

            await UntilAsync(() => host.Endpoints.Owed == 0);
            foreach (var endpoint in journal.Values) LetGo(endpoint, holders);
            await ReassertAsync(host, network, journal, holders);
        }

        return journal.ToDictionary(each => ClusterKeys.Endpoint(name, network.Name, each.Key), static each => each.Value);
    }

    private static async Task WorkAsync(
        TestHost host, NetworkRecord network, int worker, Random random, ConcurrentDictionary<string, EndpointRecord> journal, ConcurrentDictionary<(string, InternetAddress), string> holders)
    {
        for (var step = 0; step < 30; step++)
        {
            // Each worker has ids of its own, as each container has somebody who attaches it.
            var id = $"c{worker}-{random.Next(5)}";
            if (random.Next(40) == 0) host.Line.Blink();
            try
            {
                if (journal.TryRemove(id, out var before))
                {
                    LetGo(before, holders);
                    await host.Endpoints.WithdrawAsync(network.Name, id, CancellationToken.None);
                    continue;
                }

                var isFixed = random.Next(4) == 0;
                var published = await host.PublishAsync(network, id, isFixed ? [InternetAddress.FromIPv4(0x0A000000u + (uint)random.Next(64))] : []);
                Take(host.Self.Name, published.Value, holders);
                journal[id] = published.Value;
            }
            catch (CommandRefusedException)
            {
                // Taken, or full: as it should be.
            }
            catch (StoreUnavailableException)
            {
                // The registry owes it.
            }
        }
    }

    private static async Task ReassertAsync(TestHost host, NetworkRecord network, ConcurrentDictionary<string, EndpointRecord> journal, ConcurrentDictionary<(string, InternetAddress), string> holders)
    {
        await host.Endpoints.ReassertAsync([.. journal.Values.Select(endpoint => (network.Name, endpoint))], CancellationToken.None);
        await host.Replica.WaitForAsync((await host.Line.RangeAsync("vnis/", CancellationToken.None)).Revision, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(5)).ContinueWith(static _ => { }, TaskScheduler.Default);
        foreach (var id in journal.Keys)
        {
            var now = host.Replica.View.Networks[network.Name].Endpoints.GetValueOrDefault((host.Self.Name, id))?.Value;
            if (now is null) journal.TryRemove(id, out _);
            else Take(host.Self.Name, journal[id] = now, holders);
        }
    }

    private static void Take(string host, EndpointRecord endpoint, ConcurrentDictionary<(string, InternetAddress), string> holders)
    {
        foreach (var address in endpoint.Addresses)
            Assert.True(holders.TryAdd(("n", address), $"{host}/{endpoint.Id}") || holders[("n", address)] == $"{host}/{endpoint.Id}", $"{address} is with {host}/{endpoint.Id} and {holders[("n", address)]}");
    }

    private static void LetGo(EndpointRecord endpoint, ConcurrentDictionary<(string, InternetAddress), string> holders)
    {
        foreach (var address in endpoint.Addresses) holders.TryRemove(("n", address), out _);
    }
}
