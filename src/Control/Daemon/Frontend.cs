using Sleeve.Control.Api;
using Sleeve.Control.Host;
using Sleeve.Control.Logging;
using Sleeve.Control.Telemetry;

namespace Sleeve.Control.Daemon;

/// <summary>How a running VTEP is asked and what it tells by itself; the same for <c>sleeve up</c> and <c>sleeve daemon</c>.</summary>
internal sealed record FrontendOptions
{
    /// <summary>Who may ask; the sockets are whoever starts it's.</summary>
    public ApiOptions Api { get; init; } = new() { Sockets = [] };

    /// <summary>How it logs.</summary>
    public LogOptions Log { get; init; } = new();

    /// <summary>Where metrics are pushed to; null for nowhere.</summary>
    public OtlpOptions? Otlp { get; init; }
}

/// <summary>What stands between a running VTEP and those who ask.</summary>
internal sealed class Frontend : IAsyncDisposable
{
    private readonly ApiServer _api;
    private readonly OtlpExport? _otlp;

    private Frontend(ApiServer api, OtlpExport? otlp)
    {
        _api = api;
        _otlp = otlp;
    }

    /// <summary>Starts it.</summary>
    /// <exception cref="HostException">A socket cannot be made, or is in use; a certificate cannot be read.</exception>
    public static async Task<Frontend> StartAsync(FrontendOptions options, IReadOnlyList<string> sockets, VtepState state, StderrLogger logger, CancellationToken cancellation)
    {
        var api = await ApiServer.StartAsync(options.Api with { Sockets = sockets }, state, logger, cancellation);
        return new Frontend(api, options.Otlp is { } otlp ? OtlpExport.Start(state.Metrics, otlp, logger) : null);
    }

    /// <summary>Ends it; the socket files go.</summary>
    public async ValueTask DisposeAsync()
    {
        _otlp?.Dispose();
        await _api.DisposeAsync();
    }
}
