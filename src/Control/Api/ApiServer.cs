using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Api;

/// <summary>
/// Serves the commands of a running VTEP as HTTP/JSON on unix sockets, each of which serves all segments of the process, and over TCP with mutual TLS if asked.
/// </summary>
internal sealed partial class ApiServer : IAsyncDisposable
{
    private const long MaxBodyBytes = 64 * 1024;

    /// <summary>Connections at once, if there are descriptors for as many.</summary>
    private const int MaxConnections = 16 * 1024;

    /// <summary>Descriptors that the rest of the process never has to share: its sockets, a TAP a segment and worker.</summary>
    private const int ReservedDescriptors = 4096;

    /// <summary>Connections that the kernel keeps for us until we take them; it keeps no more than net.core.somaxconn.</summary>
    private const int Backlog = 4096;

    private readonly WebApplication _application;
    private readonly IReadOnlyList<string> _paths;

    private ApiServer(WebApplication application, IReadOnlyList<string> paths)
    {
        _application = application;
        _paths = paths;
    }

    /// <summary>Starts to serve on sockets that only their owner may connect to.</summary>
    /// <exception cref="HostException">A socket cannot be made there, or is in use.</exception>
    public static Task<ApiServer> StartAsync(IReadOnlyList<string> paths, VtepState state, CancellationToken cancellation) =>
        StartAsync(new ApiOptions { Sockets = paths }, state, NullLogger.Instance, cancellation);

    /// <summary>Starts to serve.</summary>
    /// <param name="options">Where, and for whom. A socket file left by a process that is gone is replaced, one that is served is an error.</param>
    /// <param name="state">What is served.</param>
    /// <param name="logger">Gets who changed what, at debug level, and what becomes of certificates.</param>
    /// <param name="cancellation">Ends the start.</param>
    /// <exception cref="HostException">A socket cannot be made there, or is in use; a certificate cannot be read.</exception>
    public static async Task<ApiServer> StartAsync(ApiOptions options, VtepState state, ILogger logger, CancellationToken cancellation)
    {
        IReadOnlyList<string> twins = options.ReadOnlySockets ? [.. options.Sockets.Select(SocketAccess.ReadOnlyTwin)] : [];
        IReadOnlyList<string> paths = [.. options.Sockets, .. twins];
        foreach (var path in paths) SocketFile.Prepare(path);
        var group = options.SocketGroup is { } name ? SocketAccess.GroupOf(name) : (uint?)null;
        var tls = options.Network is { } network ? ApiTls.Load(network, logger) : null;

        var application = Build(options, twins, tls);
        ApiErrors.Use(application, MaxBodyBytes);
        application.Use(next => context =>
        {
            SegmentRoutes.SaveBeforeAnswering(context, state);
            return ServeAsync(context, next, logger);
        });
        MapRoutes(application, state);
        OpenApiDocuments.Map(application);
        StatusPage.Map(application);

        var server = new ApiServer(application, paths);
        // The kernel makes the socket file as Kestrel binds; without group and others from the first moment.
        var mask = LibC.umask(0x7F);
        try
        {
            await application.StartAsync(cancellation);
        }
        catch (Exception failure)
        {
            // Kestrel removes the socket files that it made. One that it could not make is somebody else's.
            await server.StopAsync();
            if (failure is not (IOException or SocketException)) throw;
            if (options.Network is { Endpoint: var endpoint } && failure.Message.Contains($"{endpoint.Port}", StringComparison.Ordinal))
                throw new HostException($"--api {endpoint}: cannot be served: {(failure.InnerException ?? failure).Message}");
            throw new HostException($"cannot serve commands on {string.Join(", ", paths)}: {failure.Message} (--socket names another)");
        }
        finally
        {
            _ = LibC.umask(mask);
        }

        try
        {
            foreach (var path in options.Sockets) SocketAccess.Apply(path, group, options.SocketMode);
            foreach (var path in twins) SocketAccess.Apply(path, group, options.ReadOnlyMode);
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }

        if (twins.Count > 0) LogReadOnly(logger, twins[0], twins.Count == 1 ? "" : $" and {twins.Count - 1} more");
        if (options.Network is { } served) LogNetwork(logger, served.Endpoint, served.ClientAuthority);
        return server;
    }

    [LoggerMessage(EventId = 303, Level = LogLevel.Information, Message = "API: {Path}{More} is read-only")]
    private static partial void LogReadOnly(ILogger logger, string path, string more);

    [LoggerMessage(EventId = 304, Level = LogLevel.Information, Message = "API on https://{Endpoint} for clients whom {Authority} vouches for")]
    private static partial void LogNetwork(ILogger logger, System.Net.IPEndPoint endpoint, string authority);

    private static WebApplication Build(ApiOptions options, IReadOnlyList<string> twins, ApiTls? tls)
    {
        // Nothing but what is said here: no appsettings.json of the current folder, no ASPNETCORE_ variables, no file watches.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = "/" });
        builder.WebHost.UseKestrelCore();
        builder.WebHost.UseSockets(static sockets => sockets.Backlog = Backlog);
        builder.Services.AddRoutingCore();
        builder.Services.ConfigureHttpJsonOptions(static json =>
        {
            // The web's defaults would take an unknown field, a number in quotes and a name in any case.
            json.SerializerOptions.TypeInfoResolverChain.Insert(0, ApiJson.Default);
            json.SerializerOptions.PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower;
            json.SerializerOptions.UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow;
            json.SerializerOptions.NumberHandling = JsonNumberHandling.Strict;
            json.SerializerOptions.PropertyNameCaseInsensitive = false;
        });
        OpenApiDocuments.AddTo(builder.Services);
        // What a request lacks is an answer like any other, so the reason has to get to where answers are written.
        builder.Services.Configure<RouteHandlerOptions>(static routes => routes.ThrowOnBadRequest = true);
        // Signals belong to the verb that runs the server, not to the web host.
        builder.Services.AddSingleton<Microsoft.Extensions.Hosting.IHostLifetime, NoHostLifetime>();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            SetLimits(kestrel.Limits);
            kestrel.AddServerHeader = false;
            kestrel.ConfigureEndpointDefaults(static endpoint => endpoint.Protocols = HttpProtocols.Http1);
            foreach (var path in options.Sockets) kestrel.ListenUnixSocket(path, new ApiAccess(MayChange: true, StatusPage: true).AddTo);
            foreach (var path in twins) kestrel.ListenUnixSocket(path, new ApiAccess(MayChange: false, StatusPage: true).AddTo);
            if (tls is null) return;
            kestrel.Listen(options.Network!.Endpoint, endpoint =>
            {
                new ApiAccess(MayChange: true, options.Network.StatusPage).AddTo(endpoint);
                endpoint.UseHttps(new Microsoft.AspNetCore.Server.Kestrel.Https.TlsHandshakeCallbackOptions
                {
                    OnConnection = _ => ValueTask.FromResult(tls.ForServer()),
                    HandshakeTimeout = TimeSpan.FromSeconds(10),
                });
            });
        });
        return builder.Build();
    }

    // Whoever is slow, or says nothing, holds a connection for so long and no longer.
    private static void SetLimits(KestrelServerLimits limits)
    {
        limits.MaxRequestBodySize = MaxBodyBytes;
        limits.MaxRequestHeadersTotalSize = 16 * 1024;
        limits.MaxConcurrentConnections = Math.Min(MaxConnections, Math.Max(DescriptorLimit.Read() / 2, DescriptorLimit.Read() - ReservedDescriptors));
        limits.KeepAliveTimeout = TimeSpan.FromSeconds(30);
        limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
        limits.MinRequestBodyDataRate = new MinDataRate(bytesPerSecond: 4096, gracePeriod: TimeSpan.FromSeconds(5));
        // Streams take it off: whoever captures may look at a packet for as long as it likes.
        limits.MinResponseDataRate = new MinDataRate(bytesPerSecond: 16 * 1024, gracePeriod: TimeSpan.FromSeconds(10));
    }

    private static async Task ServeAsync(HttpContext context, RequestDelegate next, ILogger logger)
    {
        if (ApiAccess.Refuse(context) is { } refusal)
        {
            await refusal.ExecuteAsync(context);
            return;
        }

        await next(context);
        if (HttpMethods.IsGet(context.Request.Method) || !logger.IsEnabled(LogLevel.Debug)) return;
        var peer = ApiAccess.PeerOf(context);
        LogChange(logger, peer, context.Request.Method, context.Request.Path, context.Response.StatusCode);
    }

    [LoggerMessage(EventId = 300, Level = LogLevel.Debug, Message = "API: {Peer}: {Method} {Path}: {Status}")]
    private static partial void LogChange(ILogger logger, string peer, string method, PathString path, int status);

    private static void MapRoutes(WebApplication application, VtepState state)
    {
        SegmentRoutes.Map(application, state);
        FdbRoutes.Map(application, state);
        RemoteRoutes.Map(application, state);
        NeighbourRoutes.Map(application, state);
        NetworkRoutes.Map(application, state);
        EndpointRoutes.Map(application, state);
        StatsRoutes.Map(application, state);
        DoctorRoutes.Map(application, state);
        PeerRoutes.Map(application, state);
        TrustRoutes.Map(application, state, application.Lifetime.ApplicationStopping);
        MetricRoutes.Map(application, state);
        LogRoutes.Map(application, state);
        TalkerRoutes.Map(application, state);
        NameRoutes.Map(application, state);
        AuditRoutes.Map(application, state);
        ExplainRoutes.Map(application, state);
        PathRoutes.Map(application, state, application.Lifetime.ApplicationStopping);
        CaptureRoutes.Map(application, state, application.Lifetime.ApplicationStopping);
        EventRoutes.Map(application, state, application.Lifetime.ApplicationStopping);
    }

    /// <summary>Stops and removes the socket files.</summary>
    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        foreach (var path in _paths) File.Delete(path);
    }

    private async Task StopAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await _application.StopAsync(patience.Token);
        await _application.DisposeAsync();
    }
}
