using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Sleeve.Control.Store;

namespace Sleeve.Control.Tests.Store;

/// <summary>An embedded store in a folder of its own, served on a unix socket. Whoever asks says in a header which host it is.</summary>
internal sealed class ServedStore : IAsyncDisposable
{
    private const string HostHeader = "Test-Host";

    private readonly string _folder = Directory.CreateTempSubdirectory("sleeve-gateway-").FullName;
    private readonly StoreGatewayOptions _options;
    private readonly EmbeddedStoreOptions? _limits;
    private WebApplication? _application;

    private ServedStore(StoreGatewayOptions? options, EmbeddedStoreOptions? limits) => (_options, _limits) = (options ?? new StoreGatewayOptions(), limits);

    public EmbeddedStore Store { get; private set; } = null!;

    public string Socket => Path.Combine(_folder, "gateway.sock");

    public string StateFolder => Path.Combine(_folder, "state");

    /// <summary>Without rules, for whoever tests something else.</summary>
    public static StoreGatewayOptions Lawless { get; } = new() { Rule = static (_, _, _, _) => null, RequestsPerSecond = 1e9, Burst = 1e9 };

    public static async Task<ServedStore> StartAsync(StoreGatewayOptions? options = null, EmbeddedStoreOptions? limits = null)
    {
        var served = new ServedStore(options, limits);
        await served.StartAsync();
        return served;
    }

    public async Task StartAsync()
    {
        Store = EmbeddedStore.Open(StateFolder, TimeProvider.System, _limits);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = "/" });
        builder.WebHost.UseKestrelCore();
        builder.Services.AddRoutingCore();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(Socket));
        _application = builder.Build();
        StoreGateway.Map(_application, Store, static context => context.Request.Headers[HostHeader] is [{ Length: > 0 } host, ..] ? host : null, _options);
        await _application.StartAsync();
    }

    public async Task StopAsync()
    {
        if (_application is null) return;
        using var patience = new CancellationTokenSource(TimeSpan.Zero);
        await _application.StopAsync(patience.Token);
        await _application.DisposeAsync();
        _application = null;
        await Store.DisposeAsync();
        File.Delete(Socket);
    }

    /// <summary>A client that is a host.</summary>
    public EtcdStore ClientOf(string? host, Func<EtcdStoreOptions, EtcdStoreOptions>? change = null)
    {
        // The host stands where a real client has its certificate: beside what it says.
        var options = new EtcdStoreOptions([new Uri("http://store/")]) { Socket = Socket, Header = host is null ? null : (HostHeader, host) };
        return new EtcdStore(change?.Invoke(options) ?? options);
    }

    /// <summary>Asks as a program that is no <see cref="EtcdStore"/> may.</summary>
    public async Task<(int Status, string Body)> PostAsync(string path, byte[] body, string? host = "a", bool firstLineOnly = false)
    {
        using var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellation) =>
            {
                var socket = new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Unspecified);
                await socket.ConnectAsync(new System.Net.Sockets.UnixDomainSocketEndPoint(Socket), cancellation);
                return new System.Net.Sockets.NetworkStream(socket, ownsSocket: true);
            },
        };
        using var client = new HttpClient(handler);
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri($"http://store{path}")) { Content = new ByteArrayContent(body) };
        if (host is not null) request.Headers.Add(HostHeader, host);
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        if (!firstLineOnly) return ((int)response.StatusCode, await response.Content.ReadAsStringAsync());
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync());
        return ((int)response.StatusCode, await lines.ReadLineAsync() ?? "");
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        Directory.Delete(_folder, recursive: true);
    }
}
