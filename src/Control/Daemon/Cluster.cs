using System.Globalization;
using System.Net;
using Sleeve.Control.Audit;
using Sleeve.Control.Host;
using Sleeve.Control.Naming;
using Sleeve.Control.Networks;
using Sleeve.Control.Peers;
using Sleeve.Control.Store;
using Sleeve.Control.Trust;
using Sleeve.DataPlane.Wire;
using Membership = Sleeve.Control.Trust.Membership;

namespace Sleeve.Control.Daemon;

/// <summary>
/// What a daemon shares with other hosts: which cluster it is in (<see cref="Trust.Membership"/>), and all that hangs at that cluster's store (<see cref="ClusterParts"/>), which is made anew when the host joins
/// another or leaves it. A store that is away keeps nothing here from running.
/// </summary>
internal sealed class Cluster : IAsyncDisposable
{
    private readonly ClusterOptions _options;
    private readonly ClusterHost _host;
    private readonly SemaphoreSlim _turn = new(1);
    private EmbeddedStore? _embedded;
    private volatile ClusterParts _parts = null!;

    private Cluster(ClusterOptions options, ClusterHost host, TrustStore trust, IPEndPoint listen)
    {
        (_options, _host) = (options, host);
        Membership = new Membership(
            new MembershipOptions
            {
                Host = options.Name,
                Listen = listen,
                Advertise = (listen.Address.Equals(IPAddress.Any) || listen.Address.Equals(IPAddress.IPv6Any) ? host.Local.ToIPAddress() : listen.Address).ToString(),
                Serves = options.Serve is not null,
                Refusal = options.Store is null ? null : "--store etcd: hosts find each other by the same etcd; start each with that --store instead of a token",
            },
            trust,
            host.Say)
        {
            MapStore = routes => StoreGateway.Map(routes, _embedded!, ClusterListener.HostOf),
            IsElsewhere = name => _parts.Replica.View.Alive.Contains(name),
            OnJoining = RefuseWhileInUse,
            OnJoined = (_, cancellation) => ChangeOverAsync(cancellation),
            OnLeaving = cancellation => _parts.ForgetSelfAsync(cancellation),
            OnLeft = ChangeOverAsync,
        };
    }

    /// <summary>Opens the store and takes up what an earlier run left; networks carry frames when it returns, also if the store is away.</summary>
    /// <param name="options">How.</param>
    /// <param name="host">What it works on.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="HostException">The state cannot be read or written, a file of the settings cannot be read.</exception>
    public static async Task<Cluster> OpenAsync(ClusterOptions options, ClusterHost host, CancellationToken cancellation)
    {
        var trust = TrustStore.Open(host.StateFolder);
        var listen = options.Serve ?? new IPEndPoint(host.Local.ToIPAddress(), ClusterListener.DefaultPort);
        var cluster = new Cluster(options, host, trust, listen);
        try
        {
            cluster._parts = await ClusterParts.StartAsync(cluster.NewStore(), cluster.NameHere, options, host, cluster.Membership, cancellation, cluster.Beside);
            await cluster.Membership.StartAsync(cancellation);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Name of this host in it.</summary>
    public string Host => NameHere;

    /// <summary>The cluster that this host is in, and who may join it.</summary>
    public Membership Membership { get; }

    /// <summary>All that hangs at its store at the moment. Ask once an answer.</summary>
    public ClusterParts Parts => _parts;

    /// <summary>The copy of the store.</summary>
    public Replica Replica => _parts.Replica;

    /// <summary>The networks of the cluster.</summary>
    public NetworkDesk Networks => _parts.NetworkDesk;

    /// <summary>The hosts.</summary>
    public PeerDirectory Peers => _parts.Peers;

    /// <summary>Answers commands about names; null where none are served.</summary>
    public NameDesk? Names => _parts.Names;

    /// <summary>Compares all hosts and the store.</summary>
    public Auditor Auditor => _parts.Auditor;

    /// <summary>What is attached on this host.</summary>
    public Endpoints Endpoints => _parts.Endpoints;

    /// <summary>The networks that are used on this host.</summary>
    public LocalNetworks Local => _parts.Local;

    private string NameHere => Membership.Trust.Joined?.Name ?? _options.Name;

    private IStore NewStore()
    {
        if (_options.Store is { } uri) return OpenEtcd(uri);
        if (Membership.Trust.Joined is { } joined)
        {
            if (!JoinPlace.TryParse(joined.Server, out var server)) throw new HostException($"{joined.Server}: is no host that could be joined; sleeve leave --force, then join again");
            return new EtcdStore(new EtcdStoreOptions([server.Uri]) { Tls = Membership.Trust.NewTls() });
        }

        return OwnStore();
    }

    private EtcdStore OpenEtcd(string uri, string? root = null)
    {
        var place = StoreUri.Parse(uri, out var fault) ?? throw new HostException($"--store: {fault}");
        return new EtcdStore(new EtcdStoreOptions(place.Endpoints) { Root = root ?? place.Root, Tls = place.IsTls ? EtcdTls.Load(_options.StoreAuthority, _options.StoreCertificate, _options.StoreKey) : null, User = _options.StoreUser, PasswordFile = _options.StorePasswordFile });
    }

    // What others keep in the same etcd, below a prefix of theirs.
    private Func<string, IStore>? Beside => _options.Store is { } uri ? root => OpenEtcd(uri, root) : null;

    private EmbeddedStore OwnStore() => _embedded ??= EmbeddedStore.Open(_host.StateFolder, TimeProvider.System);

    private Task RefuseWhileInUse(CancellationToken cancellation)
    {
        var used = _parts.Endpoints.List;
        if (used.Count > 0)
            throw new HostException(string.Create(CultureInfo.InvariantCulture, $"this host has {used.Count} endpoints in networks of its own, {used[0].Record?.Name}/{used[0].Id} first: detach them, then join"));
        return Task.CompletedTask;
    }

    // To another store: nothing of the one before is true there.
    private async Task ChangeOverAsync(CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation);
        try
        {
            await _parts.DisposeAsync();
            if (Membership.Trust.Joined is not null && _embedded is not null)
            {
                await _embedded.DisposeAsync();
                _embedded = null;
            }

            _parts = await ClusterParts.StartAsync(NewStore(), NameHere, _options, _host, Membership, cancellation, Beside);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Ends it; networks stay as they are for the next run, or go with the engine.</summary>
    public async ValueTask DisposeAsync()
    {
        await Membership.DisposeAsync();
        if (_parts is not null) await _parts.DisposeAsync();
        if (_embedded is not null) await _embedded.DisposeAsync();
        Membership.Trust.Dispose();
        _turn.Dispose();
    }
}

/// <summary>What a cluster works on.</summary>
/// <param name="Local">Address of this host's VTEP.</param>
/// <param name="StateFolder">Where the state is.</param>
/// <param name="Engine">Has the VTEP.</param>
/// <param name="Keeper">Makes segments.</param>
/// <param name="State">Has the journal of endpoints.</param>
/// <param name="Say">Takes lines for whoever watches.</param>
internal sealed record ClusterHost(InternetAddress Local, string StateFolder, Engine Engine, SegmentKeeper Keeper, StateStore State, Action<string> Say)
{
    /// <summary>Which members of networks have another resolver.</summary>
    public OwnResolvers OwnResolvers { get; } = new();
}
