using Sleeve.Control.Networks;
using Sleeve.Control.Store;
using Sleeve.Control.Tests.Store;
using Sleeve.DataPlane.Wire;
using static Sleeve.Control.Tests.Networks.TestHost;

namespace Sleeve.Control.Tests.Networks;

public sealed class ReplicaTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-replica-").FullName;

    [Fact]
    public async Task A_replica_equals_the_store_after_any_changes_compactions_and_cut_watches()
    {
        for (var seed = 0; seed < 8; seed++)
        {
            await using var store = new MemoryStore();
            await using var host = await new TestHost(store, "h1").ConnectedAsync();
            await using var other = await new TestHost(store, "h2").ConnectedAsync();
            var random = new Random(seed);
            for (var step = 0; step < 300; step++)
            {
                await store.CommitAsync(new StoreTransaction([], [.. AnyWrites(random)]), CancellationToken.None);
                switch (random.Next(40))
                {
                    case 0: store.Compact(store.Revision - random.Next(3)); break;
                    case 1: host.Line.Blink(); break;
                    case 2: other.Line.Cut(); break;
                    case 3 or 4: other.Line.Mend(); break;
                    case 5: await Task.Delay(1); break;
                }
            }

            other.Line.Mend();
            var wanted = Fresh(store);
            await AssertEqualAsync(wanted, host);
            await AssertEqualAsync(wanted, other);
        }
    }

    [Fact]
    public async Task A_store_that_went_back_is_read_anew()
    {
        await using var store = new MemoryStore();
        await using var host = await new TestHost(store, "h1").ConnectedAsync();
        var again = 0;
        host.Replica.OnReadAgain = () => Interlocked.Increment(ref again);
        var random = new Random(3);
        for (var i = 0; i < 20; i++) await store.CommitAsync(new StoreTransaction([], [.. AnyWrites(random)]), CancellationToken.None);
        var backup = store.Snapshot();
        for (var i = 0; i < 30; i++) await store.CommitAsync(new StoreTransaction([], [.. AnyWrites(random)]), CancellationToken.None);
        await host.Replica.WaitForAsync(store.Revision, CancellationToken.None);
        store.Restore(backup);
        // And other things happen in the revisions that there were once already.
        for (var i = 0; i < 35; i++) await store.CommitAsync(new StoreTransaction([], [.. AnyWrites(random)]), CancellationToken.None);
        host.Line.Blink();
        await AssertEqualAsync(Fresh(store), host);
        Assert.True(again > 0);
    }

    [Fact]
    public async Task Changes_are_told_in_order_with_the_networks_they_touch()
    {
        await using var store = new MemoryStore();
        await using var host = await new TestHost(store, "h1").ConnectedAsync();
        var told = new List<(long Before, long After, string Touched)>();
        host.Replica.OnChange += (before, after, touched) => told.Add((before.Revision, after.Revision, string.Join(',', touched)));
        await PutAsync(store, ClusterKeys.Member("h2", "blue"), RecordJson.Write(new MemberRecord(A("192.0.2.2"), 4789)));
        await PutAsync(store, ClusterKeys.Mac("blue", M("02:00:00:00:00:01")), "h2/c");
        await PutAsync(store, ClusterKeys.Peer("h2"), RecordJson.Write(new PeerRecord("h2", A("192.0.2.2"), 4789)));
        var last = await PutAsync(store, ClusterKeys.Member("h2", "red"), RecordJson.Write(new MemberRecord(A("192.0.2.2"), 4789)));
        await host.Replica.WaitForAsync(last, CancellationToken.None);
        await UntilAsync(() => told.Count == 3);
        Assert.Equal(["blue", "", "red"], told.Select(static each => each.Touched));
        Assert.All(told.Zip(told.Skip(1)), static pair => Assert.True(pair.First.After <= pair.Second.Before));
    }

    [Fact]
    public async Task Who_waits_for_a_change_waits_for_what_follows_from_it()
    {
        await using var store = new MemoryStore();
        await using var host = await new TestHost(store, "h1").ConnectedAsync();
        using var mayGoOn = new ManualResetEventSlim();
        using var isTold = new ManualResetEventSlim();
        host.Replica.OnChange += (_, _, _) =>
        {
            isTold.Set();
            mayGoOn.Wait(TimeSpan.FromSeconds(5));
        };
        var waiting = host.Replica.WaitForAsync(await PutAsync(store, ClusterKeys.Peer("h2"), RecordJson.Write(new PeerRecord("h2", A("192.0.2.2"), 4789))), CancellationToken.None);
        await UntilAsync(() => isTold.IsSet);
        Assert.True(host.Replica.View.Peers.ContainsKey("h2"));
        Assert.False(waiting.IsCompleted);
        mayGoOn.Set();
        await waiting;
    }

    [Fact]
    public async Task Begun_again_after_a_fault_of_whoever_is_told_it_knows_and_keeps_all()
    {
        await using var store = new MemoryStore();
        await using var cache = new ReplicaCache(_folder, static _ => { });
        var replica = new Replica(store, cache, static _ => { });
        using var stop = new CancellationTokenSource();
        var first = Task.Run(() => replica.RunAsync(stop.Token));
        await UntilAsync(() => replica.IsConnected);
        replica.OnChange = static (_, _, _) => throw new InvalidOperationException("a fault");
        var lost = await PutAsync(store, ClusterKeys.Peer("h2"), RecordJson.Write(new PeerRecord("h2", A("192.0.2.2"), 4789)));
        await Assert.ThrowsAsync<InvalidOperationException>(() => first);
        await replica.WaitForAsync(lost, CancellationToken.None);
        replica.OnChange = static (_, _, _) => { };
        var again = Task.Run(() => replica.RunAsync(stop.Token));
        await replica.WaitForAsync(await PutAsync(store, ClusterKeys.Peer("h3"), RecordJson.Write(new PeerRecord("h3", A("192.0.2.3"), 4789))), CancellationToken.None);
        await stop.CancelAsync();
        await again;
        Assert.Equal(["h2", "h3"], cache.Load(store.Place).Entries.Select(static entry => entry.Key[ClusterKeys.Peers.Length..]).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task What_nobody_can_read_is_left_out_and_told()
    {
        await using var store = new MemoryStore();
        await PutAsync(store, ClusterKeys.Network("blue"), """{"name":"red","id":"0123456789abcdef","vni":5}""");
        await PutAsync(store, "addresses/blue/10.0.0.01", RecordJson.Write(new AddressRecord("", "", "reserved")));
        await PutAsync(store, "hosts/h2/endpoints/blue/..", "{}");
        await PutAsync(store, "what/is/this", "{}");
        await using var host = await new TestHost(store, "h1").ConnectedAsync();
        Assert.Equal(4, host.Replica.View.Faults.Count);
        Assert.Empty(host.Replica.View.Networks);
        await PutAsync(store, ClusterKeys.Network("blue"), """{"name":"blue","id":"0123456789abcdef","vni":5}""");
        await host.Replica.WaitForAsync(await DeleteAsync(store, "what/is/this"), CancellationToken.None);
        Assert.Equal(2, host.Replica.View.Faults.Count);
        Assert.NotNull(host.Replica.View.Networks["blue"].Record);
        await host.Replica.WaitForAsync(await PutAsync(store, ClusterKeys.Network("blue"), "{"), CancellationToken.None);
        Assert.False(host.Replica.View.Networks.ContainsKey("blue"));
    }

    [Fact]
    public async Task Faults_that_are_kept_have_a_limit()
    {
        await using var store = new MemoryStore();
        for (var i = 0; i < ClusterView.MaxFaults + 20; i++) await PutAsync(store, $"peers/h{i}", "{");
        await using var host = await new TestHost(store, "h1").ConnectedAsync();
        Assert.Equal(ClusterView.MaxFaults, host.Replica.View.Faults.Count);
    }

    [Fact]
    public void One_change_in_a_large_cluster_touches_little()
    {
        var edit = new ViewEdit(ClusterView.Empty);
        long revision = 0;
        for (var i = 0; i < 100_000; i++)
        {
            var endpoint = new EndpointRecord($"c{i}", MacAddress.FromValue(2UL << 40 | (uint)i), []) { Vtep = A("192.0.2.1") };
            edit.Set(ClusterKeys.Endpoint($"h{i % 1000}", $"n{i % 1000 / 10 * 10}", endpoint.Id), new StoreEntry("", RecordJson.Write(endpoint), 1, ++revision, 0));
        }

        var view = edit.Finish(revision, out var touched);
        Assert.Equal(100_000, view.Entries);
        Assert.Equal(100, touched.Count);
        var change = new EndpointRecord("c5", M("02:00:00:00:00:05"), []) { Vtep = A("192.0.2.9") };
        var text = RecordJson.Write(change);
        ChangeOnce(view, text, revision);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++) ChangeOnce(view, text, revision + i);
        var bytes = (GC.GetAllocatedBytesForCurrentThread() - before) / 100;
        // The branches of two trees and a record; a copy of the cluster would be megabytes.
        Assert.True(bytes < 20_000, $"{bytes} bytes a change");
    }

    private static void ChangeOnce(ClusterView view, string text, long revision)
    {
        var edit = new ViewEdit(view);
        edit.Set(ClusterKeys.Endpoint("h5", "n0", "c5"), new StoreEntry("", text, 1, revision + 1, 0));
        edit.Finish(revision + 1, out _);
    }

    [Fact]
    public async Task A_start_without_the_store_knows_what_was_known_last()
    {
        await using var store = new MemoryStore();
        var random = new Random(5);
        await using (var cache = new ReplicaCache(_folder, static _ => { }))
        await using (var host = await new TestHost(store, "h1", cache: cache).ConnectedAsync())
        {
            for (var i = 0; i < 60; i++)
            {
                await store.CommitAsync(new StoreTransaction([], [.. AnyWrites(random)]), CancellationToken.None);
                if (i == 30) await cache.FlushAsync();
            }

            await host.Replica.WaitForAsync(store.Revision, CancellationToken.None);
        }

        store.IsAway = true;
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_folder, ReplicaCache.FileName)));
        var said = new List<string>();
        await using var again = new ReplicaCache(_folder, said.Add);
        var replica = new Replica(store, again, said.Add);
        store.IsAway = false;
        var wanted = Fresh(store);
        Assert.Equal(wanted.Digest, replica.View.Digest);
        Assert.Equal(wanted.Entries, replica.View.Entries);
        Assert.False(replica.IsConnected);
        Assert.Empty(said);
    }

    [Fact]
    public async Task A_damaged_cache_is_ignored_with_a_line()
    {
        await File.WriteAllTextAsync(Path.Combine(_folder, ReplicaCache.FileName), new string('x', 10_000));
        await using var store = new MemoryStore();
        await PutAsync(store, ClusterKeys.Peer("h2"), RecordJson.Write(new PeerRecord("h2", A("192.0.2.2"), 4789)));
        var said = new List<string>();
        await using (var cache = new ReplicaCache(_folder, said.Add))
        await using (var host = await new TestHost(store, "h1", cache: cache).ConnectedAsync())
        {
            Assert.Single(said);
            Assert.Contains("damaged", said[0], StringComparison.Ordinal);
        }

        // And is of use again.
        await using var again = new ReplicaCache(_folder, said.Add);
        Assert.Equal(1, new Replica(store, again, said.Add).View.Entries);
        Assert.Single(said);
    }

    [Fact]
    public async Task The_cache_of_another_store_is_not_used()
    {
        await using (var cache = new ReplicaCache(_folder, static _ => { })) cache.Replace("etcd://elsewhere", new StoreSlice(5, [new StoreEntry(ClusterKeys.Peer("h2"), "{}", 1, 1, 0)]));
        var said = new List<string>();
        await using var again = new ReplicaCache(_folder, said.Add);
        Assert.Empty(again.Load("memory").Entries);
        Assert.Single(said);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static ClusterView Fresh(MemoryStore store)
    {
        var (edit, slice) = (new ViewEdit(ClusterView.Empty), store.Snapshot());
        edit.SetAll(slice.Entries);
        return edit.Finish(slice.Revision, out _);
    }

    private static async Task AssertEqualAsync(ClusterView wanted, TestHost host)
    {
        await UntilAsync(() => host.Replica.View.Revision == wanted.Revision && host.Replica.View.Digest == wanted.Digest);
        var view = host.Replica.View;
        Assert.Equal(Shown(wanted), Shown(view));
        Assert.Equal(wanted.Entries, view.Entries);
        Assert.Equal(wanted.Faults.Keys.Order(), view.Faults.Keys.Order());
    }

    // All of it, as text.
    private static string[] Shown(ClusterView view) =>
    [
        .. ((IEnumerable<string>)
        [
            .. view.Alive.Select(static host => $"alive {host}"),
            .. view.Peers.Select(static each => $"peer {each.Key} {each.Value.Version} {RecordJson.Write(each.Value.Value)}"),
            .. view.Networks.SelectMany(static network => (IEnumerable<string>)
            [
                $"network {network.Key} {network.Value.Record?.Version} {(network.Value.Record is { } record ? RecordJson.Write(record.Value) : "")}",
                .. network.Value.Members.Select(each => $"member {network.Key} {each.Key} {each.Value.Version} {RecordJson.Write(each.Value.Value)}"),
                .. network.Value.Endpoints.Select(each => $"endpoint {network.Key} {each.Key} {each.Value.Version} {RecordJson.Write(each.Value.Value)}"),
                .. network.Value.Addresses.Select(each => $"address {network.Key} {each.Key} {each.Value.Version} {RecordJson.Write(each.Value.Value)}"),
                .. network.Value.Blocks.Select(each => $"block {network.Key} {each.Key} {each.Value.Version} {RecordJson.Write(each.Value.Value)}"),
            ]),
        ]).Order(StringComparer.Ordinal),
    ];

    private static StoreWrite[] AnyWrites(Random random)
    {
        var writes = new Dictionary<string, StoreWrite>();
        for (var i = random.Next(1, 5); i > 0; i--)
        {
            var (host, network, id) = ($"h{random.Next(4)}", $"n{random.Next(3)}", $"c{random.Next(6)}");
            var address = InternetAddress.FromIPv4(0x0A000000u + (uint)random.Next(9));
            var (key, value) = random.Next(8) switch
            {
                0 => (ClusterKeys.Peer(host), RecordJson.Write(new PeerRecord(host, A("192.0.2.1"), 4789) { Generation = random.Next(9) })),
                1 => (ClusterKeys.AliveOf(host), ""),
                2 => (ClusterKeys.Network(network), RecordJson.Write(new NetworkRecord(network, "0123456789abcdef", new Vni(7)) { Mtu = random.Next(100, 200) })),
                3 => (ClusterKeys.Member(host, network), RecordJson.Write(new MemberRecord(A("192.0.2.1"), (ushort)random.Next(1, 9)))),
                4 => (ClusterKeys.Endpoint(host, network, id), RecordJson.Write(new EndpointRecord(id, M("02:00:00:00:00:01"), [address]) { Vtep = A("192.0.2.1"), Generation = random.Next(9) })),
                5 => (ClusterKeys.Address(network, address), RecordJson.Write(new AddressRecord(host, id, "endpoint"))),
                6 => (ClusterKeys.Block(network, P($"10.0.{random.Next(4)}.0/24")), RecordJson.Write(new BlockRecord(host))),
                _ => ($"peers/bad{random.Next(3)}", "{"),
            };
            writes[key] = new StoreWrite(key, random.Next(3) == 0 ? null : random.Next(12) == 0 ? "{}" : value);
        }

        return [.. writes.Values];
    }

    private static async Task<long> PutAsync(MemoryStore store, string key, string value) => (await store.CommitAsync(new StoreTransaction([], [new StoreWrite(key, value)]), CancellationToken.None)).Revision;

    private static async Task<long> DeleteAsync(MemoryStore store, string key) => (await store.CommitAsync(new StoreTransaction([], [new StoreWrite(key, null)]), CancellationToken.None)).Revision;
}
