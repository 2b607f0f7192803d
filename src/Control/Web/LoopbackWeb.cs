using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Sleeve.Control.Api;
using Sleeve.Control.Host;

namespace Sleeve.Control.Web;

/// <summary>
/// Lets a browser on this machine read an API that it cannot reach, a unix socket: the status page and GET of <c>/v1/</c>, captures aside, behind a path that nobody can guess.
/// Other users of the machine can connect to the port, but do not know the path; pages of other sites neither, and the name they would come by is refused (DNS rebinding).
/// </summary>
internal sealed class LoopbackWeb : IAsyncDisposable
{
    private const int MaxConnections = 64;
    private static readonly string[] Forwarded = ["Accept", ServerSentEvents.LastIdHeader];
    private static readonly string[] Returned = ["Content-Type", "Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Cache-Control"];

    private readonly WebApplication _application;
    private readonly HttpClient _api;
    private readonly byte[] _token;

    private LoopbackWeb(WebApplication application, string place, string token)
    {
        _application = application;
        _token = Encoding.ASCII.GetBytes(token);
        _api = new HttpClient(ApiPlace.NewHandler(place)) { BaseAddress = ApiPlace.BaseOf(place), Timeout = Timeout.InfiniteTimeSpan };
        Address = new Uri("http://localhost/");
    }

    /// <summary>What the browser is to open.</summary>
    public Uri Address { get; private set; }

    /// <summary>Starts to serve.</summary>
    /// <param name="listen">A loopback address.</param>
    /// <param name="place">The API.</param>
    /// <param name="cancellation">Ends the start.</param>
    /// <exception cref="HostException">The port is taken.</exception>
    public static async Task<LoopbackWeb> StartAsync(IPEndPoint listen, string place, CancellationToken cancellation)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = "/" });
        builder.WebHost.UseKestrelCore();
        builder.Services.AddSingleton<Microsoft.Extensions.Hosting.IHostLifetime, NoHostLifetime>();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxConcurrentConnections = MaxConnections;
            kestrel.Listen(listen, static endpoint => endpoint.Protocols = HttpProtocols.Http1);
        });
        var token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        var web = new LoopbackWeb(builder.Build(), place, token);
        web._application.Run(web.ServeAsync);
        try
        {
            await web._application.StartAsync(cancellation);
        }
        catch (Exception failure) when (failure is IOException or SocketException)
        {
            await web.DisposeAsync();
            throw new HostException($"--listen {listen}: {(failure.InnerException ?? failure).Message}; choose another port, or 0");
        }

        var bound = web._application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        web.Address = new Uri($"{bound.TrimEnd('/')}/{token}/");
        return web;
    }

    private async Task ServeAsync(HttpContext context)
    {
        var request = context.Request;
        var path = request.Path.Value ?? "";
        if (request.Host.Value != Address.Authority && request.Host.Value != $"localhost:{Address.Port}") await RefuseAsync(context, StatusCodes.Status421MisdirectedRequest, "this is another host");
        else if (path.Length <= _token.Length + 1 || path[_token.Length + 1] != '/' || !CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(path[1..(_token.Length + 1)]), _token)) await RefuseAsync(context, StatusCodes.Status404NotFound, "open the address that sleeve web printed");
        else if (!HttpMethods.IsGet(request.Method)) await RefuseAsync(context, StatusCodes.Status403Forbidden, "here one can only look");
        else if (path[(_token.Length + 1)..] is var rest && rest != "/" && (!rest.StartsWith("/v1/", StringComparison.Ordinal) || rest.StartsWith("/v1/capture", StringComparison.OrdinalIgnoreCase))) await RefuseAsync(context, StatusCodes.Status404NotFound, "there is nothing here");
        else await ForwardAsync(context, Uri.EscapeDataString(rest).Replace("%2F", "/", StringComparison.Ordinal) + request.QueryString);
    }

    private async Task ForwardAsync(HttpContext context, string target)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, target);
        foreach (var name in Forwarded)
            if (context.Request.Headers[name] is [var value, ..]) request.Headers.TryAddWithoutValidation(name, value);
        try
        {
            using var response = await _api.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, context.RequestAborted);
            context.Response.StatusCode = (int)response.StatusCode;
            foreach (var name in Returned)
                if (response.Headers.TryGetValues(name, out var values) || response.Content.Headers.TryGetValues(name, out values)) context.Response.Headers[name] = values.ToArray();
            await using var body = await response.Content.ReadAsStreamAsync(context.RequestAborted);
            // Bit by bit: events are to arrive when they happen.
            var buffer = new byte[16 * 1024];
            while (await body.ReadAsync(buffer, context.RequestAborted) is > 0 and var length)
            {
                await context.Response.Body.WriteAsync(buffer.AsMemory(0, length), context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
            }
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException)
        {
            if (context.Response.HasStarted) context.Abort();
            else await RefuseAsync(context, StatusCodes.Status502BadGateway, "the VTEP does not answer");
        }
        catch (OperationCanceledException)
        {
            // The browser went.
        }
    }

    private static Task RefuseAsync(HttpContext context, int status, string why)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync($"{why}\n");
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        // Streams of events end now.
        _api.CancelPendingRequests();
        using var patience = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
        await _application.StopAsync(patience.Token);
        await _application.DisposeAsync();
        _api.Dispose();
    }
}
