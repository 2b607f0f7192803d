using System.CommandLine;
using Sleeve.Control.Telemetry;

namespace Sleeve.Control.Cli;

/// <summary>The options of a running VTEP that say who is told what it counts.</summary>
internal static class TelemetrySettings
{
    private static readonly Setting Otlp = new("--otlp", "URL", "Push metrics to a collector by OTLP/HTTP; to URL/v1/metrics if it has no path. [off]", "an http:// or https:// URL of at most 2048 characters");
    private static readonly Setting Interval = new("--otlp-interval", "SECONDS", "How often. [60]", "1 to 3600 (seconds)");

    /// <summary>Adds them to a command.</summary>
    public static void AddTo(Command command)
    {
        foreach (var setting in (ReadOnlySpan<Setting>)[Otlp, Interval]) command.Options.Add(setting.Option);
    }

    /// <summary>What was asked for; null if nothing is pushed.</summary>
    public static OtlpOptions? Read(SettingReader reader)
    {
        var endpoint = reader.Read<Uri?>(Otlp, Url!, null);
        var seconds = reader.Read(Interval, Words.Number(1, 3600), OtlpOptions.DefaultIntervalSeconds);
        if (reader.IsGiven(Interval) && !reader.IsGiven(Otlp)) reader.Refuse($"{reader.NameOf(Interval)}: needs --otlp");
        return endpoint is null ? null : new OtlpOptions(endpoint, seconds);
    }

    private static bool Url(string text, out Uri value) =>
        Uri.TryCreate(text, UriKind.Absolute, out value!) && value.Scheme is "http" or "https" && value.Host.Length > 0 && value.UserInfo.Length == 0 && text.Length <= 2048;
}
