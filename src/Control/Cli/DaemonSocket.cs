using Sleeve.Control.Api;

namespace Sleeve.Control.Cli;

/// <summary>The option of commands that are for the daemon and not for a device.</summary>
internal static class DaemonSocket
{
    /// <summary>Which socket.</summary>
    public static Setting Option { get; } = new("--socket", "PATH", "Unix socket of the daemon, or https://HOST:PORT. [SLEEVE_API, or /run/sleeve/sleeve.sock]", Words.PlaceAllowed);

    /// <summary>Reads it.</summary>
    public static string PathOf(SettingReader reader) => reader.Read<string?>(Option, Words.Place!, null) ?? SocketFile.Of(SocketFile.DaemonName);
}
