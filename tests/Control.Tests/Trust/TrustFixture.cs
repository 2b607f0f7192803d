using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Sleeve.Control.Trust;

namespace Sleeve.Control.Tests.Trust;

/// <summary>A host that takes others in, on a port of its own, and folders for others; all gone at the end.</summary>
internal sealed class TrustFixture : IAsyncDisposable
{
    private readonly List<string> _folders = [];
    private readonly List<IDisposable> _stores = [];
    private ClusterListener? _listener;

    public TrustFixture()
    {
        Server = NewStore();
        Server.Serve("a", Now);
    }

    public DateTimeOffset Now { get; } = DateTimeOffset.UtcNow;

    public TrustStore Server { get; }

    public Func<string, bool> IsElsewhere { get; set; } = static _ => false;

    public List<string> Said { get; } = [];

    public JoinPlace Place => new("127.0.0.1", _listener!.Endpoint.Port);

    public TrustStore NewStore() => Reopen(NewFolder());

    public string NewFolder()
    {
        var folder = Directory.CreateTempSubdirectory("sleeve-trust-").FullName;
        _folders.Add(folder);
        return folder;
    }

    public TrustStore Reopen(string folder)
    {
        var store = TrustStore.Open(folder);
        _stores.Add(store);
        return store;
    }

    public JoinToken Token(TimeSpan? lifetime = null, int? uses = null) => Server.Tokens.Make(Server.Authority!.Hash, lifetime ?? TimeSpan.FromHours(1), uses, Now);

    /// <summary>Listens; /who says who asks, /hang never ends.</summary>
    public async Task<TrustFixture> ListenAsync()
    {
        _listener = await ClusterListener.StartAsync(new IPEndPoint(IPAddress.Loopback, FreePort()), Server, new JoinDesk(Server, name => IsElsewhere(name)), static routes =>
        {
            routes.MapGet("/who", (RequestDelegate)(static context => context.Response.WriteAsync(ClusterListener.HostOf(context))));
            routes.MapGet("/hang", (RequestDelegate)(static async context =>
            {
                await context.Response.WriteAsync("begun");
                await context.Response.Body.FlushAsync();
                await Task.Delay(Timeout.Infinite, context.RequestAborted);
            }));
        }, line =>
        {
            lock (Said) Said.Add(line);
        }, CancellationToken.None);
        return this;
    }

    public Task<JoinedCluster> JoinAsync(TrustStore store, JoinToken token, string name) => JoinClient.JoinAsync(store, Place, token, name, static _ => Task.CompletedTask, CancellationToken.None);

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    public async ValueTask DisposeAsync()
    {
        if (_listener is not null) await _listener.DisposeAsync();
        foreach (var store in _stores) store.Dispose();
        foreach (var folder in _folders) Directory.Delete(folder, recursive: true);
    }
}
