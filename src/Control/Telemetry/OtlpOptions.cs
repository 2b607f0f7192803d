namespace Sleeve.Control.Telemetry;

/// <summary>Where metrics are pushed to.</summary>
/// <param name="Endpoint">The collector, http or https.</param>
/// <param name="IntervalSeconds">How often, 1 to 3600.</param>
internal sealed record OtlpOptions(Uri Endpoint, int IntervalSeconds)
{
    /// <summary>What the specification has for it.</summary>
    public const int DefaultIntervalSeconds = 60;

    /// <summary>Just where requests go: OTLP's own path unless the URL has one.</summary>
    public Uri Target => Endpoint.AbsolutePath == "/" && Endpoint.Query.Length == 0 ? new Uri(Endpoint, "/v1/metrics") : Endpoint;
}
