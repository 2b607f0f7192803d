using System.CommandLine;
using System.Globalization;

namespace Sleeve.Control.Cli;

/// <summary>The option for a TAP in a namespace of an ordinary user.</summary>
internal static class RootlessSettings
{
    private static readonly Setting Rootless = new(
        "--rootless", "NS", "As its user, put the TAP into a rootless container; the UDP sockets stay here.", "a process id, or a path such as /proc/PID/ns/net");

    /// <summary>Adds it to the command.</summary>
    public static void AddTo(Command command) => command.Options.Add(Rootless.Option);

    /// <summary>Reads which network namespace a TAP is in; null for the current one.</summary>
    /// <param name="reader">What was given.</param>
    /// <param name="netns">The option that names one in any way; how it is entered is found out when it is.</param>
    public static string? ReadNamespace(SettingReader reader, Setting netns)
    {
        var named = reader.Read<string?>(netns, Words.Text!, null);
        var rootless = reader.Read<string?>(Rootless, IsProcessOrPath, null);
        if (rootless is null) return named;
        if (named is not null) reader.Refuse($"{reader.NameOf(netns)} {named}: not with {reader.NameOf(Rootless)} {rootless}; a TAP is in one network namespace");
        return rootless;
    }

    private static bool IsProcessOrPath(string text, out string? value)
    {
        value = text;
        return text.Contains('/', StringComparison.Ordinal) ? !text.Contains('\0', StringComparison.Ordinal)
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var process) && process > 0;
    }
}
