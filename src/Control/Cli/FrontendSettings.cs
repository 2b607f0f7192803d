using System.CommandLine;
using Sleeve.Control.Daemon;

namespace Sleeve.Control.Cli;

/// <summary>The settings of whatever runs a VTEP, about how it is asked and what it tells by itself.</summary>
internal static class FrontendSettings
{
    /// <summary>Adds them to a command.</summary>
    public static void AddTo(Command command)
    {
        ApiSettings.AddTo(command);
        TelemetrySettings.AddTo(command);
        LogSettings.AddTo(command);
    }

    /// <summary>Reads them.</summary>
    public static FrontendOptions Read(SettingReader reader) => new() { Api = ApiSettings.Read(reader), Otlp = TelemetrySettings.Read(reader), Log = LogSettings.Read(reader) };
}
