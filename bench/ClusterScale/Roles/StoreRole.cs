using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Sleeve.Bench.ClusterScale.Model;
using Sleeve.Control.Store;

namespace Sleeve.Bench.ClusterScale.Roles;

/// <summary>
/// The embedded store as the host that serves it has it: file, gateway, Kestrel, TLS. What differs: hosts are known by a header instead of a certificate, and rules of who may write what and how often are off, since one process
/// writes for all.
/// </summary>
internal static class StoreRole
{
    private static readonly StoreGatewayOptions Lawless = new() { Rule = static (_, _, _, _) => null, RequestsPerSecond = 1e9, Burst = 1e9, MaxRunning = 4096, MaxWatches = 4096 };

    /// <summary>Serves a folder at a port of the loopback device until it is told to end.</summary>
    public static async Task<int> RunAsync(string folder, int port)
    {
        var requests = 0L;
        await using var store = EmbeddedStore.Open(folder, TimeProvider.System);
        using var certificate = SelfSigned();
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = "/" });
        builder.WebHost.UseKestrelCore();
        builder.Services.AddRoutingCore();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, endpoint => endpoint.UseHttps(certificate)));
        var application = builder.Build();
        application.Use(next => context =>
        {
            Interlocked.Increment(ref requests);
            return next(context);
        });
        StoreGateway.Map(application, store, static context => context.Request.Headers[StorePlace.HostHeader] is [{ Length: > 0 } host, ..] ? host : null, Lawless);
        await application.StartAsync();
        RoleLines.Say("ready");
        await RoleLines.ObeyAsync(word =>
        {
            if (word == "quick") RoleLines.Say("quick", ("cpu", ProcessFigures.Cpu), ("requests", Interlocked.Read(ref requests)));
            else ProcessFigures.Say("figures", ("requests", Interlocked.Read(ref requests)), ("keys", store.Totals.Keys), ("bytes", store.Totals.Bytes));
            return Task.CompletedTask;
        });
        using var patience = new CancellationTokenSource(TimeSpan.Zero);
        await application.StopAsync(patience.Token);
        return 0;
    }

    private static X509Certificate2 SelfSigned()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var now = DateTimeOffset.UtcNow;
        using var certificate = new CertificateRequest("CN=bench", key, HashAlgorithmName.SHA256).CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), null);
    }
}
