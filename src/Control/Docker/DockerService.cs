using Sleeve.Control.Daemon;
using Sleeve.Control.Naming;
using Sleeve.Control.Store;

namespace Sleeve.Control.Docker;

/// <summary>A daemon as network and IPAM driver of this host's Docker: serves its plugin socket as soon as there is a Docker, and keeps Docker's networks and the cluster's alike.</summary>
internal sealed class DockerService : IAsyncDisposable
{
    private static readonly TimeSpan Pace = TimeSpan.FromSeconds(2);

    private readonly DockerOptions _options;
    private readonly Action<string> _say;
    private readonly CancellationTokenSource _stop = new();
    private readonly PluginMethods _methods = new();
    private readonly DockerEngine _engine;
    private readonly DockerMirror _mirror;
    private readonly ContainerNames _names;
    private readonly Task _running;
    private PluginServer? _server;
    private string _told = "";

    private DockerService(DockerOptions options, Func<Cluster> cluster, StateStore store, OwnResolvers resolvers, Action<string> say)
    {
        (_options, _say, _engine) = (options, say, new DockerEngine(options.Socket));
        var networks = new DockerNetworks(store);
        var addresses = new IpamDriver(cluster, networks);
        var names = _names = new ContainerNames(cluster, _engine, say);
        DockerMirror mirror = null!;
        var endpoints = new EndpointDriver(cluster, networks, resolvers)
        {
            WaitForName = (id, cancellation) => mirror.WaitForNameAsync(id, cancellation),
            OnContainer = (network, endpoint, isJoined) => _ = isJoined ? names.JoinedAsync(network, endpoint, _stop.Token) : names.LeftAsync(network, endpoint, _stop.Token),
        };
        _mirror = mirror = new DockerMirror(cluster, networks, _engine, endpoints, options.Driver, say);
        new NetworkDriver(cluster, networks, addresses, say) { OnChange = mirror.Wake }.AddTo(_methods);
        addresses.AddTo(_methods);
        endpoints.AddTo(_methods);
        endpoints.Begin();
        _running = Task.Run(RunAsync);
    }

    /// <summary>Begins; where there is no Docker yet it waits for one.</summary>
    /// <param name="options">When and where.</param>
    /// <param name="cluster">The cluster at the moment.</param>
    /// <param name="store">Keeps Docker's networks.</param>
    /// <param name="resolvers">Told who asks Docker for names too.</param>
    /// <param name="say">Takes lines for whoever watches.</param>
    /// <returns>Null if it is not to be.</returns>
    public static DockerService? Start(DockerOptions options, Func<Cluster> cluster, StateStore store, OwnResolvers resolvers, Action<string> say) =>
        options.Use == DockerUse.Off ? null : new DockerService(options, cluster, store, resolvers, say);

    private async Task RunAsync()
    {
        try
        {
            while (!await TryServeAsync()) await Task.Delay(Pace, _stop.Token);
            await _mirror.RunAsync(_stop.Token);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Told to end.
        }
    }

    private async Task<bool> TryServeAsync()
    {
        try
        {
            // The folder above is dockerd's: where it is not, there is no Docker, or not yet.
            if (_options.Use == DockerUse.Auto && !Directory.Exists(Path.GetDirectoryName(_options.Folder))) return false;
            Directory.CreateDirectory(_options.Folder);
            _server = await PluginServer.StartAsync(_options.PluginPath, _methods, _stop.Token);
            _say($"driver of Docker on {_options.PluginPath}: docker network create -d {_options.Driver} NAME");
            return true;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            if (_told != failure.Message) _say($"warning: {_told = failure.Message}; it is tried again (--docker off leaves it)");
            return false;
        }
    }

    /// <summary>Ends it; containers go on.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        if (_server is not null) await _server.DisposeAsync();
        _mirror.Dispose();
        _names.Dispose();
        _engine.Dispose();
        _stop.Dispose();
    }
}
