using System.CommandLine;
using Sleeve.Control.Docker;

namespace Sleeve.Control.Cli;

/// <summary>The settings of a daemon about this host's Docker.</summary>
internal static class DockerSettings
{
    private static readonly Setting Use = new("--docker", "WHEN", "Be a driver of Docker: auto as soon as there is one, on, off. [auto]", "auto, on or off");
    private static readonly Setting Folder = new("--docker-plugins", "DIR", $"Where dockerd looks for its plugins. [{DockerOptions.DefaultFolder}]", "an absolute path");
    private static readonly Setting Socket = new("--docker-socket", "PATH", $"Where dockerd answers. [{DockerOptions.DefaultSocket}]", "an absolute path");
    private static readonly Setting Driver = new("--docker-driver", "NAME", $"What Docker calls the driver: as a managed plugin NAME:TAG. [{DockerOptions.DefaultDriver}]", "a name of a plugin of Docker: letters, digits and . _ - / :, at most 255");

    /// <summary>Adds them to a command.</summary>
    public static void AddTo(Command command)
    {
        foreach (var setting in (ReadOnlySpan<Setting>)[Use, Folder, Socket, Driver]) command.Options.Add(setting.Option);
    }

    /// <summary>Reads them.</summary>
    public static DockerOptions Read(SettingReader reader) => new()
    {
        Use = reader.Read(Use, ReadUse, DockerUse.Auto),
        Folder = reader.Read(Folder, ReadPath, DockerOptions.DefaultFolder),
        Socket = reader.Read(Socket, ReadPath, DockerOptions.DefaultSocket),
        Driver = reader.Read(Driver, ReadDriver, DockerOptions.DefaultDriver),
    };

    private static bool ReadUse(string text, out DockerUse value)
    {
        value = text switch { "on" => DockerUse.On, "off" => DockerUse.Off, _ => DockerUse.Auto };
        return text is "auto" or "on" or "off";
    }

    private static bool ReadDriver(string text, out string value) =>
        (value = text).Length is > 0 and <= 255 && char.IsAsciiLetterOrDigit(text[0]) && text.All(static each => char.IsAsciiLetterOrDigit(each) || "._-/:".Contains(each, StringComparison.Ordinal));

    private static bool ReadPath(string text, out string value) => Path.IsPathFullyQualified(value = text);
}
