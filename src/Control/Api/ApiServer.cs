using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
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

        // Empty: the usual builders read appsettings.json and ASPNETCORE_… where they happen to be started, and watch that folder and all below it.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore();
        builder.Services.AddRoutingCore();
        builder.Services.ConfigureHttpJsonOptions(static json => json.SerializerOptions.TypeInfoResolverChain.Insert(0, ApiJson.Default));
        builder.Services.AddProblemDetails();
        // Signals belong to the verb that runs the server, not to the web host.
        builder.Services.AddSingleton<Microsoft.Extensions.Hosting.IHostLifetime, NoLifetime>();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = MaxBodyBytes;
            kestrel.Limits.MaxConcurrentConnections = MaxConnections;
            kestrel.AddServerHeader = false;
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
            await context.Response.WriteAsJsonAsync(
                new ProblemJson(status < 500 ? "Invalid argument" : "Internal error", status, detail), ApiJson.Default.ProblemJson, "application/problem+json");
        }));
        FdbRoutes.Map(application, state);
        NeighbourRoutes.Map(application, state);
        StatsRoutes.Map(application, state);

        var server = new ApiServer(application, paths);
        // The kernel makes the socket file as Kestrel binds; without group and others from the first moment.
        var mask = LibC.umask(0x7F);
        try
        {
            await application.StartAsync(cancellation);
        }
        catch (IOException failure)
        {
            await server.DisposeAsync();
            throw new HostException($"cannot serve commands on {string.Join(", ", paths)}: {failure.Message}");
        }
        finally
        {
            _ = LibC.umask(mask);
        }

        foreach (var path in paths) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return server;
    }

    /// <summary>Stops and removes the socket files.</summary>
    public async ValueTask DisposeAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await _application.StopAsync(patience.Token);
        await _application.DisposeAsync();
        foreach (var path in _paths) File.Delete(path);
    }

    private sealed class NoLifetime : Microsoft.Extensions.Hosting.IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
