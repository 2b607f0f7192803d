using System.Diagnostics.Metrics;
using System.Reflection;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;

namespace Sleeve.Control.Telemetry;

/// <summary>Pushes the metrics to a collector by OTLP/HTTP until it is disposed, which pushes once more.</summary>
internal sealed partial class OtlpExport : IDisposable
{
    // A collector that hangs must not hold up the end of the process for longer.
    private const int TimeoutMilliseconds = 5000;
    private const int LastPushMilliseconds = 2000;

    // The SDK makes room for all series of an instrument at once, some 150 bytes each.
    private const int MaxSeries = 4096 + 2;
    private const int MaxDropSeries = 16384;

    private readonly MeterProvider _provider;

    private OtlpExport(MeterProvider provider) => _provider = provider;

    /// <summary>Starts to push.</summary>
    /// <param name="metrics">What.</param>
    /// <param name="options">Where to, and how often.</param>
    /// <param name="logger">Told when pushing begins to fail and when it works again.</param>
    public static OtlpExport Start(VtepMetrics metrics, OtlpOptions options, ILogger logger)
    {
        ArgumentNullException.ThrowIfNull(metrics);
        var version = Assembly.GetExecutingAssembly().GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion;
        var provider = Sdk.CreateMeterProviderBuilder()
            // In this order what the environment says (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) goes before ours.
            .SetResourceBuilder(ResourceBuilder.CreateEmpty()
                .AddService("sleeve", serviceVersion: version, serviceInstanceId: Environment.MachineName)
                .AddAttributes([new("host.name", Environment.MachineName), new("process.pid", (long)Environment.ProcessId)])
                .AddTelemetrySdk().AddEnvironmentVariableDetector())
            .AddMeter(VtepMetrics.MeterName)
            .AddView(ViewOf)
            .AddOtlpExporter((exporter, reader) =>
            {
                exporter.Protocol = OtlpExportProtocol.HttpProtobuf;
                exporter.Endpoint = options.Target;
                exporter.TimeoutMilliseconds = TimeoutMilliseconds;
                exporter.HttpClientFactory = () => new HttpClient(new Outcome(options.Target, logger) { InnerHandler = new SocketsHttpHandler() }) { Timeout = TimeSpan.FromMilliseconds(TimeoutMilliseconds) };
                reader.PeriodicExportingMetricReaderOptions.ExportIntervalMilliseconds = options.IntervalSeconds * 1000;
            })
            .Build();
        return new OtlpExport(provider);
    }

    private static MetricStreamConfiguration ViewOf(Instrument instrument)
    {
        var definition = MetricTable.All.FirstOrDefault(metric => metric.Name == instrument.Name);
        var isOfSegment = definition?.Labels.StartsWith("device", StringComparison.Ordinal) == true;
        return new MetricStreamConfiguration { CardinalityLimit = !isOfSegment ? 256 : definition!.Labels.Contains("reason", StringComparison.Ordinal) ? MaxDropSeries : MaxSeries };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _provider.Shutdown(LastPushMilliseconds);
        _provider.Dispose();
    }

    /// <summary>Tells of the first failure and of the first success after it; the SDK by itself says nothing.</summary>
    private sealed partial class Outcome(Uri target, ILogger logger) : DelegatingHandler
    {
        private bool _isFailing;

        protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            try
            {
                return Note(base.Send(request, cancellationToken));
            }
            catch (Exception failure) when (failure is HttpRequestException or OperationCanceledException)
            {
                Note(failure.Message);
                throw;
            }
        }

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            try
            {
                return Note(await base.SendAsync(request, cancellationToken));
            }
            catch (Exception failure) when (failure is HttpRequestException or OperationCanceledException)
            {
                Note(failure.Message);
                throw;
            }
        }

        private HttpResponseMessage Note(HttpResponseMessage response)
        {
            Note(response.IsSuccessStatusCode ? null : $"{(int)response.StatusCode} {response.StatusCode}");
            return response;
        }

        private void Note(string? failure)
        {
            var wasFailing = _isFailing;
            _isFailing = failure is not null;
            if (failure is not null && !wasFailing) Failed(logger, target, failure);
            if (failure is null && wasFailing) Works(logger, target);
        }

        [LoggerMessage(201, LogLevel.Warning, "metrics cannot be pushed to {Target}: {Failure}; sums go on, and it is tried again (--otlp)")]
        private static partial void Failed(ILogger logger, Uri target, string failure);

        [LoggerMessage(202, LogLevel.Information, "metrics are pushed to {Target} again")]
        private static partial void Works(ILogger logger, Uri target);
    }
}
