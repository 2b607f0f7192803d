using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Threading.RateLimiting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Sleeve.Control.Api;
using Sleeve.Control.Host;
using Sleeve.Control.Store;

namespace Sleeve.Control.Trust;

/// <summary>
/// Where other hosts come in: TLS on TCP. Anybody may fetch the authority's certificate (<c>GET /ca</c>) and ask to join (<c>POST /join</c>); everything else is for holders of a certificate that counts, and knows them by it.
/// Each request asks the authority's list anew, and what a host has open ends when it is forgotten.
/// </summary>
internal sealed class ClusterListener : IAsyncDisposable
{
    /// <summary>TCP port if nothing else is said: the number of VXLAN's UDP port.</summary>
    public const int DefaultPort = 4789;

    /// <summary>Bytes of a request to join or to renew, at most.</summary>
    public const int MaxJoinBytes = 16 * 1024;

    // What the store's routes take: the most changes of the longest values.
    private const long MaxBodyBytes = 32 << 20;
    private const int MaxConnections = 16 * 1024;
    private const string HostItem = "sleeve.host";
    private const int PermissionDenied = 7;
    private const string AuthorityPath = "/ca";
    private const string JoinPath = "/join";
    private const string RenewPath = "/renew";
    private const string LeavePath = "/leave";

    // Requests of those who have no certificate: of one address, and of all.
    private static readonly TokenBucketRateLimiterOptions OfOne = Bucket(perSecond: 5, burst: 20);
    private static readonly TokenBucketRateLimiterOptions OfAll = Bucket(perSecond: 100, burst: 200);

    private readonly TrustStore _trust;
    private readonly JoinDesk _desk;
    private readonly Authority _authority;
    private readonly Action<string> _say;
    private readonly ConcurrentDictionary<HttpContext, string> _open = new();
    private readonly PartitionedRateLimiter<HttpContext> _limit = PartitionedRateLimiter.CreateChained(
        PartitionedRateLimiter.Create<HttpContext, IPAddress>(static context => RateLimitPartition.GetTokenBucketLimiter(context.Connection.RemoteIpAddress ?? IPAddress.None, static _ => OfOne)),
        PartitionedRateLimiter.Create<HttpContext, int>(static _ => RateLimitPartition.GetTokenBucketLimiter(0, static _ => OfAll)));
    private WebApplication? _application;

    private ClusterListener(TrustStore trust, JoinDesk desk, Authority authority, IPEndPoint endpoint, Action<string> say)
    {
        _trust = trust;
        _desk = desk;
        _authority = authority;
        _say = say;
        Endpoint = endpoint;
    }

    /// <summary>Where it listens.</summary>
    public IPEndPoint Endpoint { get; }

    /// <summary>Starts to listen.</summary>
    /// <param name="endpoint">Where.</param>
    /// <param name="trust">With an authority (<see cref="TrustStore.Serve"/>).</param>
    /// <param name="desk">Decides who may join.</param>
    /// <param name="map">Adds what holders of a certificate may ask for: the store. <see cref="HostOf"/> says who asks.</param>
    /// <param name="say">Takes lines for whoever watches.</param>
    /// <param name="cancellation">Ends the start.</param>
    /// <exception cref="HostException">It cannot listen there.</exception>
    public static async Task<ClusterListener> StartAsync(
        IPEndPoint endpoint, TrustStore trust, JoinDesk desk, Action<IEndpointRouteBuilder>? map, Action<string> say, CancellationToken cancellation)
    {
        var authority = trust.Authority ?? throw new InvalidOperationException("nobody serves without an authority");
        var listener = new ClusterListener(trust, desk, authority, endpoint, say);
        var application = listener.Build();
        application.Use(next => context => listener.ServeAsync(context, next));
        listener.MapJoin(application);
        map?.Invoke(application);
        try
        {
            await application.StartAsync(cancellation);
        }
        catch (Exception failure)
        {
            await application.DisposeAsync();
            if (failure is not (IOException or SocketException)) throw;
            throw new HostException($"hosts cannot be served on {endpoint} (TCP): {(failure.InnerException ?? failure).Message}");
        }

        listener._application = application;
        authority.OnRevoked = listener.Cut;
        return listener;
    }

    /// <summary>The host that a request comes from, by its certificate; for the routes that <c>map</c> added.</summary>
    public static string HostOf(HttpContext context) => context.Items[HostItem] as string ?? throw new InvalidOperationException("asked of a request that nobody let in");

    private WebApplication Build()
    {
        // Nothing but what is said here: no appsettings.json of the current folder, no ASPNETCORE_ variables, no file watches.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = "/" });
        builder.WebHost.UseKestrelCore();
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton<Microsoft.Extensions.Hosting.IHostLifetime, NoHostLifetime>();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            SetLimits(kestrel.Limits);
            kestrel.Listen(Endpoint, endpoint =>
            {
                endpoint.Protocols = HttpProtocols.Http1AndHttp2;
                endpoint.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = _ => ValueTask.FromResult(ForHandshake()), HandshakeTimeout = TimeSpan.FromSeconds(10) });
            });
        });
        return builder.Build();
    }

    private static void SetLimits(KestrelServerLimits limits)
    {
        limits.MaxRequestBodySize = MaxBodyBytes;
        limits.MaxRequestHeadersTotalSize = 16 * 1024;
        limits.MaxConcurrentConnections = MaxConnections;
        limits.KeepAliveTimeout = TimeSpan.FromMinutes(2);
        limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
        limits.MinRequestBodyDataRate = new MinDataRate(bytesPerSecond: 4096, gracePeriod: TimeSpan.FromSeconds(5));
    }

    // Of its own for each handshake, which adds to it; the certificate is that of the moment, so a renewed one counts from the next connection on.
    private SslServerAuthenticationOptions ForHandshake() => new()
    {
        ServerCertificateContext = SslStreamCertificateContext.Create(_trust.Certificate!, null, offline: true),
        ClientCertificateRequired = true,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        CertificateChainPolicy = Certificates.Trust(_authority.Certificate, Certificates.ClientPurpose),
        // Whoever has none may join; one that is there must be of this authority. Whether it still counts is asked with each request, where it can be answered in words.
        RemoteCertificateValidationCallback = static (_, certificate, _, errors) => certificate is null ? errors == SslPolicyErrors.RemoteCertificateNotAvailable : errors == SslPolicyErrors.None,
        AllowRenegotiation = false,
        AllowTlsResume = false,
    };

    private async Task ServeAsync(HttpContext context, RequestDelegate next)
    {
        try
        {
            if (IsForAnybody(context.Request.Path))
            {
                using var lease = _limit.AttemptAcquire(context);
                if (lease.IsAcquired) await next(context);
                else await AnswerAsync(context, new JoinFault(StatusCodes.Status429TooManyRequests, "too-many", "too many requests: try again in a few seconds"));
                return;
            }

            if (context.Connection.ClientCertificate is not { } certificate || Certificates.HostOf(certificate) is not { } host)
            {
                await RefuseAsync(context, "this is for hosts of the cluster: sleeve join, with a token");
                return;
            }

            if (!_authority.IsGood(certificate))
            {
                await RefuseAsync(context, $"{host} is no host of this cluster any more, it was forgotten: sleeve leave --force, then sleeve join with a new token");
                return;
            }

            context.Items[HostItem] = host;
            _open[context] = host;
            try
            {
                // Forgotten just now: whoever cuts may have looked before this was open.
                if (_authority.IsGood(certificate)) await next(context);
                else context.Abort();
            }
            finally
            {
                _open.TryRemove(context, out _);
            }
        }
        catch (Microsoft.AspNetCore.Http.BadHttpRequestException bad) when (!context.Response.HasStarted)
        {
            await AnswerAsync(context, new JoinFault(bad.StatusCode, "bad-request", bad.Message));
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Whoever asked is gone, or was cut.
        }
    }

    private static bool IsForAnybody(PathString path) => path == AuthorityPath || path == JoinPath;

    private void MapJoin(WebApplication application)
    {
        application.MapGet(AuthorityPath, (RequestDelegate)(context => context.Response.WriteAsync(_authority.Certificate.ExportCertificatePem(), context.RequestAborted)));
        application.MapPost(JoinPath, (RequestDelegate)(async context =>
        {
            var asked = await ReadAsync(context, TrustJson.Default.JoinRequestJson);
            var (answer, fault) = _desk.Join(asked, DateTimeOffset.UtcNow);
            _say(fault is null ? $"host {asked!.Name} joined from {context.Connection.RemoteIpAddress} with token {asked.Id}" : $"{context.Connection.RemoteIpAddress} may not join: {fault.Detail}");
            await AnswerAsync(context, answer, fault);
        }));
        application.MapPost(RenewPath, (RequestDelegate)(async context =>
        {
            var (answer, fault) = _desk.Renew(HostOf(context), await ReadAsync(context, TrustJson.Default.RenewRequestJson), DateTimeOffset.UtcNow);
            _say($"host {HostOf(context)}: certificate {(fault is null ? "renewed" : $"not renewed: {fault.Detail}")}");
            await AnswerAsync(context, answer, fault);
        }));
        // The host leaves: it says so itself, by its certificate.
        application.MapPost(LeavePath, (RequestDelegate)(context =>
        {
            var host = HostOf(context);
            context.Response.StatusCode = StatusCodes.Status204NoContent;
            context.Response.OnCompleted(() =>
            {
                _authority.Revoke(host);
                _say($"host {host} left");
                return Task.CompletedTask;
            });
            return Task.CompletedTask;
        }));
    }

    private static async Task<T?> ReadAsync<T>(HttpContext context, JsonTypeInfo<T> type)
        where T : class
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit) limit.MaxRequestBodySize = MaxJoinBytes;
        try
        {
            return await JsonSerializer.DeserializeAsync(context.Request.Body, type, context.RequestAborted);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static Task AnswerAsync(HttpContext context, JoinAnswerJson? answer, JoinFault? fault) => fault is null
        ? context.Response.WriteAsJsonAsync(answer!, TrustJson.Default.JoinAnswerJson, cancellationToken: context.RequestAborted)
        : AnswerAsync(context, fault);

    private static Task AnswerAsync(HttpContext context, JoinFault fault)
    {
        context.Response.StatusCode = fault.Status;
        return context.Response.WriteAsJsonAsync(new JoinProblemJson(fault.Code, fault.Detail), TrustJson.Default.JoinProblemJson, Problem.MediaType, context.RequestAborted);
    }

    // In the words of whoever asks: the store's clients speak etcd's.
    private static Task RefuseAsync(HttpContext context, string why)
    {
        if (!context.Request.Path.StartsWithSegments("/v3", StringComparison.Ordinal)) return AnswerAsync(context, new JoinFault(StatusCodes.Status403Forbidden, "unknown-host", why));
        context.Response.StatusCode = StatusCodes.Status403Forbidden;
        return context.Response.WriteAsJsonAsync(new EtcdError(PermissionDenied, null, why), EtcdJson.Default.EtcdError, cancellationToken: context.RequestAborted);
    }

    private void Cut(string host)
    {
        foreach (var (context, whose) in _open)
            if (whose == host) context.Abort();
    }

    private static TokenBucketRateLimiterOptions Bucket(int perSecond, int burst) =>
        new() { TokenLimit = burst, TokensPerPeriod = perSecond, ReplenishmentPeriod = TimeSpan.FromSeconds(1), QueueLimit = 0, AutoReplenishment = true };

    /// <summary>Stops to listen, and ends what is open.</summary>
    public async ValueTask DisposeAsync()
    {
        _authority.OnRevoked = static _ => { };
        if (_application is null) return;
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await _application.StopAsync(patience.Token);
        await _application.DisposeAsync();
        await _limit.DisposeAsync();
    }
}
