using Sleeve.Control.Audit;
using Sleeve.Control.Cli;
using Sleeve.Control.Naming;
using Sleeve.Control.Networks;
using Sleeve.Control.Peers;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Wire;
using Membership = Sleeve.Control.Trust.Membership;

namespace Sleeve.Control.Daemon;

/// <summary>All that hangs at one store: the copy of it, what is claimed and published there, the networks of this host, and those who watch over them.</summary>
internal sealed class ClusterParts : IAsyncDisposable
{
    private static readonly TimeSpan StorePatience = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan MendInterval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan RestartPause = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _running = [];
    private readonly ClusterHost _host;
    private readonly ClusterOptions _options;
    private readonly ReplicaCache _cache;
    private readonly NameServers? _nameServers;
    private readonly Membership _membership;
    private readonly HostWires _wires;
    private readonly FlannelNetworks _flannel;
    private readonly Lock _following = new();
    private PeerRecord _self;

    private ClusterParts(IStore store, string name, ClusterOptions options, ClusterHost host, Membership membership, Func<string, IStore>? beside)
    {
        (_host, _options, _membership, Store, Name) = (host, options, membership, store, name);
        _self = new PeerRecord(name, host.Local, host.Engine.Options.Vtep.Port) { Version = ProgramVersion.Full, Location = options.Location, Since = DateTimeOffset.UtcNow };
        _cache = new ReplicaCache(host.StateFolder, host.Say);
        Replica = new Replica(store, _cache, host.Say);
        Liveness = new Liveness(new LivenessOptions { IntervalMilliseconds = options.ProbeMilliseconds, Multiplier = options.ProbeMultiplier }, host.Engine.Vtep, host.Say);
        Networks = new NetworkRegistry(store, Replica) { VniRange = ((uint)options.VniMin, (uint)options.VniMax) };
        _flannel = new FlannelNetworks(beside, host.Local, host.Say) { OnChange = OnFlannel };
        NetworkDesk = new NetworkDesk(store, Replica, Networks) { Beside = beside, Complete = Complete };
        Claims = new EndpointRegistry(store, Replica, () => Volatile.Read(ref _self)) { Complete = Complete, PrepareAsync = _flannel.PrepareAsync };
        var names = options.Names ? new NameWiring(NameOptions, host.Say) : null;
        Local = new LocalNetworks(host.Keeper, host.Engine, name, NetworkOf, Liveness.IsUp, host.Say) { OnChange = Follow, NameAddresses = record => names?.BridgeAddresses(record) ?? [], Flannel = _flannel };
        _wires = new HostWires(Local, names);
        Endpoints = new Endpoints(host.State, _wires, Claims, () => Replica.View, host.Say) { WaitForView = Replica.WaitForAsync, PutBackNetwork = Networks.PutBackAsync };
        Reclaimer = new Reclaimer(store, Replica, name, host.Say) { Grace = TimeSpan.FromSeconds(options.ReclaimSeconds) };
        Presence = new Presence(store, () => Volatile.Read(ref _self), membership.Trust.Instance, membership.Trust.NextGeneration, host.Say)
        {
            View = () => Replica.View,
            OnPublished = OnPublished,
        };
        Peers = new PeerDirectory
        {
            Self = name,
            Store = store,
            View = () => Replica.View,
            Liveness = Liveness,
            ShutsOutForgotten = options.Store is null,
            WaitForAsync = Replica.WaitForAsync,
            ForgetClaimsAsync = async (lost, cancellation) =>
            {
                var freed = await Reclaimer.ReclaimAsync(lost, "it is to be forgotten", cancellation);
                return freed.Endpoints + freed.Claims + freed.Blocks + freed.Memberships;
            },
        };
        Auditor = new Auditor(store, Replica, name, CheckAsync, host.Say);
        if (options.Names) _nameServers = new NameServers(NameOptions, NetworkOf, Liveness.IsUp, host.Say) { OwnResolvers = host.OwnResolvers, Memberships = new Memberships(() => Endpoints.List) };
        Replica.OnChange = OnChange;
        Replica.OnConnection += OnConnection;
        Replica.OnReadAgain = Endpoints.Reassert;
        Replica.OnAnotherHistory = Endpoints.ExpectGhosts;
        Liveness.OnChange = OnLiveness;
    }

    /// <summary>Name of this host.</summary>
    public string Name { get; }

    /// <summary>The store.</summary>
    public IStore Store { get; }

    /// <summary>The copy of it.</summary>
    public Replica Replica { get; }

    /// <summary>Whose VTEPs are alive.</summary>
    public Liveness Liveness { get; }

    /// <summary>Makes and removes networks.</summary>
    public NetworkRegistry Networks { get; }

    /// <summary>Answers commands about networks and addresses.</summary>
    public NetworkDesk NetworkDesk { get; }

    /// <summary>Claims and publishes endpoints.</summary>
    public EndpointRegistry Claims { get; }

    /// <summary>The networks of this host.</summary>
    public LocalNetworks Local { get; }

    /// <summary>The endpoints of this host.</summary>
    public Endpoints Endpoints { get; }

    /// <summary>Frees what dead hosts had.</summary>
    public Reclaimer Reclaimer { get; }

    /// <summary>This host's sign of life.</summary>
    public Presence Presence { get; }

    /// <summary>The hosts.</summary>
    public PeerDirectory Peers { get; }

    /// <summary>Compares hosts and store.</summary>
    public Auditor Auditor { get; }

    /// <summary>Answers commands about names; null where none are served.</summary>
    public NameDesk? Names => _nameServers?.Desk;

    private NameOptions NameOptions => new() { Domain = _options.Domain };

    /// <summary>Begins. What an earlier run left carries frames when it returns; the store may be away.</summary>
    /// <param name="store">The store; stays the caller's unless it is disposed with this.</param>
    /// <param name="name">Name of this host.</param>
    /// <param name="options">How.</param>
    /// <param name="host">What it works on.</param>
    /// <param name="membership">Told which hosts are forgotten.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <param name="beside">Opens the etcd that is the store below another prefix; null where it is none.</param>
    public static async Task<ClusterParts> StartAsync(
        IStore store, string name, ClusterOptions options, ClusterHost host, Membership membership, CancellationToken cancellation, Func<string, IStore>? beside = null)
    {
        var parts = new ClusterParts(store, name, options, host, membership, beside);
        try
        {
            parts.Begin(parts.Replica.RunAsync);
            parts.Begin(parts.Presence.RunAsync);
            await parts.Endpoints.ReconcileAsync(cancellation);
            await parts.WaitForStoreAsync(cancellation);
            parts.Follow();
            parts.Begin(parts.Endpoints.RunAsync);
            parts.Begin(parts.Reclaimer.RunAsync);
            parts.Begin(parts.Auditor.RunAsync);
            parts.Begin(parts.MendAsync);
            return parts;
        }
        catch
        {
            await parts.DisposeAsync();
            throw;
        }
    }

    // Whatever ends one of these but the end of all would leave the host half alive: it is told, and begun again.
    private void Begin(Func<CancellationToken, Task> work) => _running.Add(Task.Run(async () =>
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await work(_stop.Token);
                return;
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                // Told to end.
            }
            catch (Exception failure) when (failure is IOException)
            {
                _host.Say($"warning: {failure.Message}; it is tried again");
            }
            catch (Exception failure) when (failure is not OutOfMemoryException)
            {
                _host.Say($"error: {work.Method.DeclaringType?.Name}: {failure}; it is begun again: please report this");
            }

            await Task.Delay(RestartPause, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }));

    // A command that comes right after the start is to find the store; one that is away keeps nobody waiting.
    private async Task WaitForStoreAsync(CancellationToken cancellation)
    {
        var begin = TimeProvider.System.GetTimestamp();
        while ((!Replica.IsConnected || Presence.Published is null) && TimeProvider.System.GetElapsedTime(begin) < StorePatience) await Task.Delay(10, cancellation);
    }

    private NetworkView? NetworkOf(string network) => Replica.View.Networks.GetValueOrDefault(network) is { } view ? Complete(view) : null;

    private NetworkView Complete(NetworkView view) => _flannel.Complete(view, _host.Engine.Options.Vtep.Port);

    private void OnFlannel(string network)
    {
        Program([network]);
        // A lease that ended meanwhile may be another's: what hangs at it is given up as whatever another claimed.
        if (Local.Current.TryGetValue(network, out var local) && NetworkOf(network)?.Foreign.Values.Any(host => host.Value.Subnets.Any(subnet => local.Blocks.Any(own => own.Overlaps(subnet)))) == true) Endpoints.Reassert();
    }

    private void OnChange(ClusterView before, ClusterView after, IReadOnlySet<string> networks)
    {
        _flannel.Follow(after);
        Program(networks);
        _membership.Follow(before, after);
        // Endpoints come and go all the time: who has which network changes nothing by that.
        if (networks.Any(network => Local.Current.ContainsKey(network) && before.Networks.GetValueOrDefault(network)?.Members != after.Networks.GetValueOrDefault(network)?.Members)) Follow();
    }

    // Whoever removed the record of this host (sleeve peer forget) removed what it has too: both come back together.
    private void OnPublished(PeerRecord record)
    {
        Volatile.Write(ref _self, record);
        Endpoints.Reassert();
    }

    private void OnConnection(string? fault)
    {
        if (fault is null) Endpoints.Reassert();
    }

    private void OnLiveness(string host, bool isUp, string reason)
    {
        _host.Say($"host {host} is {(isUp ? "up" : "down")}: {reason}");
        Program([.. Local.Current.Keys.Where(network => NetworkOf(network)?.Members.ContainsKey(host) ?? false)]);
    }

    private void Program(IReadOnlyCollection<string> networks)
    {
        try
        {
            Local.Program(networks);
        }
        catch (IOException failure)
        {
            _host.Say($"warning: {failure.Message}; it is tried again");
        }
    }

    // Who is to be probed, and where names are served, follows from which networks are here and who else has them.
    private void Follow()
    {
        lock (_following)
        {
            var hosts = new Dictionary<string, VtepAddress>(StringComparer.Ordinal);
            foreach (var network in Local.Current.Keys)
            {
                if (NetworkOf(network) is not { } view) continue;
                foreach (var member in view.Members.Values)
                    if (member.Host != Name) hosts[member.Host] = new VtepAddress(member.Value.Vtep, member.Value.Port);
            }

            Liveness.Follow(hosts);
        }

        if (_nameServers is { } servers) _ = servers.Place([.. Local.Current.Values.Select(PlaceOf)]);
    }

    private NamePlace PlaceOf(LocalNetwork network)
    {
        var advice = ResolverAdvice.Of(network.Record, NameOptions, network.Bridge, network.Gateways);
        return new NamePlace(network.Record.Name, network.Bridge, advice.Servers);
    }

    private async Task MendAsync(CancellationToken cancellation)
    {
        while (true)
        {
            await Task.Delay(MendInterval, cancellation);
            await Local.MendAsync(cancellation);
        }
    }

    /// <summary>Takes all of this host out of the store: it leaves.</summary>
    public async Task ForgetSelfAsync(CancellationToken cancellation)
    {
        if (Endpoints.List is [var first, ..]) throw new Host.HostException($"this host has endpoints, {first.Record?.Name}/{first.Id} first: detach them, then leave");
        await Reclaimer.ReclaimAsync(Name, "it leaves", cancellation);
        await Store.CommitAsync(new StoreTransaction([], [new StoreWrite(ClusterKeys.AliveOf(Name), null), new StoreWrite(ClusterKeys.Peer(Name), null)]), cancellation);
    }

    // What is on this host, against this host's copy of the store.
    private async Task<HostFindings> CheckAsync(CancellationToken cancellation)
    {
        var found = new List<Difference>();
        foreach (var network in Local.Current.Values)
        {
            if (Local.Audit(network.Device) is not { } differences) found.Add(new Difference(Name, $"network {network.Record.Name}", "has no segment at the moment"));
            else found.AddRange(differences.Select(each => new Difference(Name, $"network {network.Record.Name}", each.ToString())));
        }

        // What is on its way either way is no difference.
        await Endpoints.TellStoreAsync(cancellation);
        var view = Replica.View;
        var links = _wires.Links();
        var entries = Endpoints.List;
        foreach (var entry in entries.Where(static entry => entry.State == EndpointState.Attached))
        {
            var network = entry.Record!;
            var what = $"endpoint {network.Name}/{entry.Id}";
            if (view.Networks.GetValueOrDefault(network.Name)?.Endpoints.ContainsKey((Name, entry.Id)) != true) found.Add(new Difference(Name, what, "is attached here and not published"));
            if (!links.Contains(entry.Link)) found.Add(new Difference(Name, what, "has no wire"));
            if (!Local.Current.ContainsKey(network.Name)) found.Add(new Difference(Name, what, "its network is not on this host"));
        }

        var own = entries.Select(static entry => (entry.Record!.Name, entry.Id)).ToHashSet();
        foreach (var (name, network) in view.Networks)
            foreach (var (host, id) in network.Endpoints.Keys.Where(key => key.Host == Name && !own.Contains((name, key.Id))))
                found.Add(new Difference(Name, $"endpoint {name}/{id}", "is published and not attached here"));
        return new HostFindings(Local.Current.Count, entries.Count, found);
    }

    /// <summary>Ends it; what carries frames goes on to. Other hosts are told nothing: most ends are followed by a start.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_running);
        await _flannel.DisposeAsync();
        Liveness.Dispose();
        if (_nameServers is not null) await _nameServers.DisposeAsync();
        await _cache.DisposeAsync();
        Local.Dispose();
        if (Store is EtcdStore) await Store.DisposeAsync();
        _stop.Dispose();
    }
}
