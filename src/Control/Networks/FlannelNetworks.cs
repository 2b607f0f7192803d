using System.Collections.Concurrent;
using System.Collections.Immutable;
using Sleeve.Control.Daemon;
using Sleeve.Control.Host;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>
/// The networks that are shared with hosts of flannel: reads who has which subnet in flannel's keys, and puts there what this host has. An etcd that is away changes nothing: what was known goes on. Any thread.
/// </summary>
/// <param name="open">Opens the cluster's etcd below another prefix; null where the store is none.</param>
/// <param name="self">Address of this host's VTEP.</param>
/// <param name="say">Takes lines for whoever watches.</param>
internal sealed class FlannelNetworks(Func<string, IStore>? open, InternetAddress self, Action<string> say) : IAsyncDisposable
{
    private const int MaxLeases = 65536;
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    private readonly ConcurrentDictionary<string, Watched> _watched = new();
    private readonly Lock _access = new();
    private bool _isDisposed;

    /// <summary>Told the name of a network of which the leases changed.</summary>
    public Action<string> OnChange { get; set; } = static _ => { };

    /// <summary>Reads flannel's keys for the networks of a view that have any, and for no others.</summary>
    public void Follow(ClusterView view)
    {
        lock (_access)
        {
            if (_isDisposed) return;
            // Before anything was read it is not known that a network is gone.
            foreach (var (name, watched) in view.Revision == 0 ? [] : _watched.ToArray())
            {
                if (view.Networks.GetValueOrDefault(name)?.Record?.Value.Id == watched.Network.Id) continue;
                _watched.TryRemove(name, out _);
                _ = watched.DisposeAsync().AsTask();
            }

            foreach (var network in view.Networks.Values)
                if (network.Record?.Value is { } record) Watch(record);
        }
    }

    private Watched? Watch(NetworkRecord network)
    {
        lock (_access)
        {
            if (open is null || _isDisposed || network.Flannel is not { } root) return null;
            if (_watched.TryGetValue(network.Name, out var there)) return there;
            var watched = _watched[network.Name] = new Watched(network, open($"/{root.Trim('/')}/"));
            watched.Begin(stop => WatchAsync(watched, stop));
            return watched;
        }
    }

    /// <summary>A network with the hosts that run no Sleeve.</summary>
    /// <param name="view">As the store has it.</param>
    /// <param name="port">UDP port of this host's VTEP.</param>
    public NetworkView Complete(NetworkView view, ushort port) =>
        ForeignHosts.With(view, self, port, view.Record is { } record && _watched.TryGetValue(record.Value.Name, out var watched) && watched.Network.Id == record.Value.Id ? watched.Leases.Values : []);

    /// <summary>Waits until it is known who has which subnet, so that none is chosen that another has.</summary>
    /// <exception cref="StoreUnavailableException">It is not.</exception>
    public async Task PrepareAsync(NetworkRecord network, CancellationToken cancellation)
    {
        if (network.Flannel is not { } root) return;
        if (Watch(network) is not { } watched) throw NoEtcd(network.Name);
        try
        {
            await watched.Known.WaitAsync(Patience, cancellation);
        }
        catch (TimeoutException)
        {
            throw new StoreUnavailableException($"network {network.Name}: flannel's keys below {root} cannot be read yet; try again");
        }
    }

    /// <summary>Claims a subnet for this host.</summary>
    /// <exception cref="HostException">It is another's.</exception>
    public async Task ClaimAsync(NetworkRecord network, AddressPrefix subnet, MacAddress mac, CancellationToken cancellation)
    {
        if (network.Flannel is null) return;
        if (Watch(network) is not { } watched) throw NoEtcd(network.Name);
        var keeper = new FlannelLeaseKeeper(watched.Store, new FlannelLease(subnet, self, mac), network.Vni, line => say($"network {network.Name}: {line}"));
        await watched.KeepAsync(keeper);
        string? whose;
        try
        {
            whose = await keeper.First.WaitAsync(Patience, cancellation);
        }
        catch (TimeoutException)
        {
            // After a start while etcd is away: what was there a moment ago is this host's still.
            return;
        }

        if (whose is null) return;
        await watched.KeepAsync(null);
        throw new HostException($"network {network.Name}: {whose}; try again");
    }

    /// <summary>Gives back what this host claimed.</summary>
    public async Task ReleaseAsync(string network)
    {
        if (!_watched.TryGetValue(network, out var watched) || watched.Keeper is not { } keeper) return;
        await watched.KeepAsync(null);
        try
        {
            await keeper.RemoveAsync(CancellationToken.None);
        }
        catch (IOException failure)
        {
            say($"warning: network {network}: the subnet in flannel's keys goes when its lease ends: {failure.Message}");
        }
    }

    private static CommandRefusedException NoEtcd(string network) =>
        new(RefusalKind.Conflict, [$"network {network}: shares flannel's keys, which are in etcd; this daemon's store is none (store: etcd://...)"]);

    private async Task WatchAsync(Watched watched, CancellationToken stop)
    {
        string? said = null;
        while (true)
        {
            try
            {
                var slice = await watched.Store.RangeAsync(FlannelKeys.Subnets, stop);
                var leases = ImmutableDictionary.CreateBuilder<string, (FlannelLease, long)>();
                foreach (var entry in slice.Entries.Take(MaxLeases)) Take(watched, leases, entry.Key, entry);
                Publish(watched, leases.ToImmutable());
                said = null;
                await foreach (var batch in watched.Store.WatchAsync(FlannelKeys.Subnets, slice.Revision + 1, stop))
                {
                    if (batch.Changes.Count == 0) continue;
                    leases = watched.Leases.ToBuilder();
                    foreach (var change in batch.Changes) Take(watched, leases, change.Key, change.Entry);
                    Publish(watched, leases.ToImmutable());
                }
            }
            catch (IOException failure)
            {
                if (failure is not StoreCompactedException && failure.Message != said) say($"warning: network {watched.Network.Name}: flannel's keys: {said = failure.Message}");
            }

            await Task.Delay(Pause, stop);
        }
    }

    private void Take(Watched watched, ImmutableDictionary<string, (FlannelLease, long)>.Builder leases, string key, StoreEntry? entry)
    {
        leases.Remove(key);
        if (entry is null) return;
        if (!FlannelKeys.TryReadLease(key, entry.Value, out var lease, out var fault)) say($"warning: network {watched.Network.Name}: flannel's key {StoreChecks.Show(key)}: {fault}");
        else if (leases.Count < MaxLeases) leases[key] = (lease, entry.ModRevision);
    }

    private void Publish(Watched watched, ImmutableDictionary<string, (FlannelLease Lease, long Revision)> leases)
    {
        watched.Leases = leases;
        watched.Tell();
        OnChange(watched.Network.Name);
    }

    /// <summary>Ends it; what stands in flannel's keys stays, until its lease ends.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_access) _isDisposed = true;
        foreach (var watched in _watched.Values) await watched.DisposeAsync();
    }

    // A network, what flannel's keys say of it, and what this host has there.
    private sealed class Watched(NetworkRecord network, IStore store) : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly TaskCompletionSource _known = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly SemaphoreSlim _turn = new(1);
        private CancellationTokenSource? _keeping;
        private Task _watching = Task.CompletedTask;
        private Task _keeper = Task.CompletedTask;
        private volatile ImmutableDictionary<string, (FlannelLease Lease, long Revision)> _leases = ImmutableDictionary<string, (FlannelLease, long)>.Empty;

        public NetworkRecord Network => network;

        public IStore Store => store;

        public Task Known => _known.Task;

        public FlannelLeaseKeeper? Keeper { get; private set; }

        public ImmutableDictionary<string, (FlannelLease Lease, long Revision)> Leases
        {
            get => _leases;
            set => _leases = value;
        }

        public void Tell() => _known.TrySetResult();

        public void Begin(Func<CancellationToken, Task> watch) => _watching = RunAsync(watch, _stop.Token);

        // One at a time; null for none.
        public async Task KeepAsync(FlannelLeaseKeeper? keeper)
        {
            await _turn.WaitAsync();
            try
            {
                if (_keeping is { } before)
                {
                    await before.CancelAsync();
                    await _keeper;
                    before.Dispose();
                }

                Keeper = keeper;
                _keeping = keeper is null ? null : new CancellationTokenSource();
                if (keeper is not null) _keeper = RunAsync(keeper.RunAsync, _keeping!.Token);
            }
            finally
            {
                _turn.Release();
            }
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await KeepAsync(null);
            await _watching;
            await store.DisposeAsync();
            _stop.Dispose();
            _turn.Dispose();
        }

        private static Task RunAsync(Func<CancellationToken, Task> work, CancellationToken stop) => Task.Run(async () =>
        {
            try
            {
                await work(stop);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                // Told to end.
            }
        }, CancellationToken.None);
    }
}
