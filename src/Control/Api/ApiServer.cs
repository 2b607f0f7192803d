using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Api;

/// <summary>
/// Serves the commands of a running VTEP as HTTP/JSON on unix sockets, one a device; each serves all segments of the process. Only the owner
/// may connect (mode 0600).
/// </summary>
internal sealed class ApiServer : IAsyncDisposable
{
    private const long MaxBodyBytes = 64 * 1024;
    private const int MaxConnections = 256;

    private readonly WebApplication _application;
    private readonly IReadOnlyList<string> _paths;

    private ApiServer(WebApplication application, IReadOnlyList<string> paths)
    {
        _application = application;
        _paths = paths;
    }

    /// <summary>Starts to serve.</summary>
    /// <param name="paths">Socket files; one left by a process that is gone is replaced, one that is served is an error.</param>
    /// <param name="state">What is served.</param>
    /// <param name="cancellation">Ends the start.</param>
    /// <exception cref="HostException">A socket cannot be made there, or is in use.</exception>
    public static async Task<ApiServer> StartAsync(IReadOnlyList<string> paths, VtepState state, CancellationToken cancellation)
    {
        foreach (var path in paths) SocketFile.Prepare(path);

        // Nothing but what is said here: no appsettings.json of the current folder, no ASPNETCORE_ variables, no file watches.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = "/" });
        builder.WebHost.UseKestrelCore();
        builder.Services.AddRoutingCore();
        builder.Services.ConfigureHttpJsonOptions(static json =>
        {
            // The web's defaults would take an unknown field, a number in quotes and a name in any case.
            json.SerializerOptions.TypeInfoResolverChain.Insert(0, ApiJson.Default);
            json.SerializerOptions.UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow;
            json.SerializerOptions.NumberHandling = JsonNumberHandling.Strict;
            json.SerializerOptions.PropertyNameCaseInsensitive = false;
        });
        // What a request lacks is an answer like any other, so the reason has to get to where answers are written.
        builder.Services.Configure<RouteHandlerOptions>(static routes => routes.ThrowOnBadRequest = true);
        // Signals belong to the verb that runs the server, not to the web host.
        builder.Services.AddSingleton<Microsoft.Extensions.Hosting.IHostLifetime, NoLifetime>();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = MaxBodyBytes;
            kestrel.Limits.MaxConcurrentConnections = MaxConnections;
            kestrel.AddServerHeader = false;
            // Whoever captures may look at a packet for as long as it likes.
            kestrel.Limits.MinResponseDataRate = null;
            foreach (var path in paths) kestrel.ListenUnixSocket(path);
        });

        var application = builder.Build();
        application.UseExceptionHandler(static failed => failed.Run(static async context =>
        {
            var (status, detail) = context.Features.Get<IExceptionHandlerFeature>()?.Error switch
            {
                BadHttpRequestException bad => (bad.StatusCode, bad.InnerException is JsonException json ? json.Message : bad.Message),
                var other => (StatusCodes.Status500InternalServerError, other?.Message),
            };
            context.Response.StatusCode = status;
            await WriteAsync(context, new ProblemJson(status < 500 ? "Invalid argument" : "Internal error", status, detail));
        }));
        application.UseStatusCodePages(static pages =>
        {
            var (request, status) = (pages.HttpContext.Request, pages.HttpContext.Response.StatusCode);
            var (title, detail) = status switch
            {
                StatusCodes.Status404NotFound => ("Not found", $"{request.Path}: there is nothing here"),
                StatusCodes.Status405MethodNotAllowed => ("Method not allowed", $"{request.Method}: must be {pages.HttpContext.Response.Headers.Allow}"),
                StatusCodes.Status413PayloadTooLarge => ("Invalid argument", $"the body must be at most {MaxBodyBytes} bytes"),
                StatusCodes.Status415UnsupportedMediaType => ("Invalid argument", "Content-Type: must be application/json"),
                _ => ("Invalid argument", (string?)null),
            };
            return WriteAsync(pages.HttpContext, new ProblemJson(title, status, detail));
        });
        MapRoutes(application, state);

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
            throw new HostException($"cannot serve commands on {string.Join(", ", paths)}: {failure.Message} (--socket names another)");
        }
        finally
        {
            _ = LibC.umask(mask);
        }

        foreach (var path in paths) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return server;
    }

    private static void MapRoutes(WebApplication application, VtepState state)
    {
        FdbRoutes.Map(application, state);
        NeighbourRoutes.Map(application, state);
        StatsRoutes.Map(application, state);
        DoctorRoutes.Map(application, state);
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

    private static Task WriteAsync(HttpContext context, ProblemJson problem) =>
        context.Response.WriteAsJsonAsync(problem, ApiJson.Default.ProblemJson, "application/problem+json");

    private sealed class NoLifetime : Microsoft.Extensions.Hosting.IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
