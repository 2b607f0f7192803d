using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Sleeve.Control.Api;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Docker;

/// <summary>Serves the methods of the plugin on its socket as Docker's plugin protocol has it: POST /METHOD, JSON both ways, no Content-Type, Host: empty.</summary>
internal sealed class PluginServer : IAsyncDisposable
{
    private const string ContentType = "application/vnd.docker.plugins.v1.2+json";
    private const int MaxConnections = 256;
    private readonly WebApplication _application;

    private PluginServer(WebApplication application) => _application = application;

    /// <summary>Starts to serve. A socket file that a killed run left is replaced.</summary>
    /// <param name="path">The socket; its folder is there.</param>
    /// <param name="methods">What is served.</param>
    /// <param name="cancellation">Ends the start.</param>
    /// <exception cref="HostException">The socket cannot be made, or somebody serves it.</exception>
    public static async Task<PluginServer> StartAsync(string path, PluginMethods methods, CancellationToken cancellation)
    {
        SocketFile.Prepare(path);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = "/" });
        builder.WebHost.UseKestrelCore();
        // Signals belong to the daemon, not to the web host.
        builder.Services.AddSingleton<IHostLifetime, NoHostLifetime>();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = PluginMethods.MaxBytes;
            kestrel.Limits.MaxRequestHeadersTotalSize = 16 * 1024;
            kestrel.Limits.MaxConcurrentConnections = MaxConnections;
            kestrel.ListenUnixSocket(path, static endpoint => endpoint.Protocols = HttpProtocols.Http1);
        });
        var application = builder.Build();
        application.Run(context => ServeAsync(context, methods));
        var server = new PluginServer(application);
        // Who may connect here may do what Docker may: its owner alone, from the first moment.
        var mask = LibC.umask(0x7F);
        try
        {
            await application.StartAsync(cancellation);
            return server;
        }
        catch (Exception failure) when (failure is IOException or SocketException or UnauthorizedAccessException)
        {
            await server.DisposeAsync();
            throw new HostException($"cannot serve Docker on {path}: {failure.Message}");
        }
        finally
        {
            _ = LibC.umask(mask);
        }
    }

    private static async Task ServeAsync(HttpContext context, PluginMethods methods)
    {
        var name = context.Request.Path.Value?.TrimStart('/') ?? "";
        var cancellation = context.RequestAborted;
        PluginAnswer answer;
        try
        {
            using var body = new MemoryStream();
            if (HttpMethods.IsPost(context.Request.Method)) await context.Request.Body.CopyToAsync(body, cancellation);
            else name = $"{context.Request.Method} {name}";
            answer = await methods.AnswerAsync(name, body.ToArray(), cancellation);
        }
        catch (Microsoft.AspNetCore.Http.BadHttpRequestException wrong)
        {
            answer = PluginMethods.Refuse(name, wrong.StatusCode, wrong.Message);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // Nobody waits for it any more.
            return;
        }

        context.Response.StatusCode = answer.Status;
        context.Response.ContentType = ContentType;
        context.Response.ContentLength = answer.Body.Length;
        await context.Response.Body.WriteAsync(answer.Body, cancellation);
    }

    /// <summary>Stops; the socket file goes.</summary>
    public async ValueTask DisposeAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await _application.StopAsync(patience.Token);
        await _application.DisposeAsync();
    }
}
