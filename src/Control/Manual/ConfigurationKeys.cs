using System.CommandLine;
using Sleeve.Control.Cli;

namespace Sleeve.Control.Manual;

/// <summary>A key of the configuration file.</summary>
/// <param name="Names">Its name and other ones for the same.</param>
/// <param name="Opposite">The key that says the opposite; null if there is none.</param>
/// <param name="IsSegments">Whether a segment may have it of its own.</param>
/// <param name="IsDaemons">Whether the file of <c>sleeve daemon</c> may have it; if not, only that of <c>sleeve up --config</c>.</param>
/// <param name="IsUps">Whether the file of <c>sleeve up</c> may have it; if not, only that of <c>sleeve daemon</c>.</param>
/// <param name="Facts">What the option of that name is declared as.</param>
internal sealed record ConfigurationKey(IReadOnlyList<string> Names, string? Opposite, bool IsSegments, bool IsDaemons, bool IsUps, OptionFacts Facts)
{
    /// <summary>What may stand behind it.</summary>
    public string Allowed => Facts.Value is null ? "true or false" : Facts.Allowed ?? "";

    /// <summary>What its number counts; empty if nothing.</summary>
    public string Unit => Facts.Unit ?? "";

    /// <summary>What holds without it.</summary>
    public string Default => Facts switch
    {
        { Value: null, Default: "on" } => "true",
        { Value: null } => "false",
        _ => Facts.Default ?? "none",
    };
}

/// <summary>Every key that a configuration file may have, from the options that read it.</summary>
internal static class ConfigurationKeys
{
    // What each segment must have and what names it are read apart from its other settings.
    private const string Vni = "--vni";

    /// <summary>All of them, as they stand in the help of <c>sleeve up</c> and <c>sleeve daemon</c>.</summary>
    public static IReadOnlyList<ConfigurationKey> All { get; } = Find();

    private static List<ConfigurationKey> Find()
    {
        var root = CommandLine.CreateRoot();
        var up = root.Subcommands.Single(static command => command.Name == "up");
        var asked = new Asked();
        // Whatever is asked for here may stand in a segment.
        SegmentSettings.Read(new SettingReader(root.Parse(["up"])).Before(asked));
        // What only a daemon has stands behind what both have.
        var alone = new Command("cluster");
        ClusterSettings.AddTo(alone);
        DockerSettings.AddTo(alone);
        var options = up.Options.Concat(alone.Options).Where(static option => !option.Hidden && option is Option<string[]> or Option<bool> && !UpCommand.NotInFile.Contains(option) && option.Name != "--help").ToArray();
        var names = options.Select(static option => option.Name).ToHashSet();
        var keys = new List<ConfigurationKey>();
        foreach (var option in options.Where(option => !IsOpposite(option.Name, names)))
        {
            var opposite = option is Option<bool> && names.Contains("--no" + option.Name[2..]) ? "no" + option.Name[2..] : null;
            var facts = OptionFacts.Of(option);
            string[] own = [.. facts.Names.Where(static name => name.StartsWith("--", StringComparison.Ordinal)).Select(static name => name[2..])];
            keys.Add(new ConfigurationKey(own, opposite, option.Name == Vni || asked.Options.Contains(option), !UpCommand.NotInDaemonFile.Contains(option), up.Options.Contains(option), facts));
        }

        return keys;
    }

    private static bool IsOpposite(string name, HashSet<string> names) =>
        name.StartsWith("--no", StringComparison.Ordinal) && names.Contains("--" + name[4..]);

    /// <summary>Notes what it is asked for, and has nothing.</summary>
    private sealed class Asked : ISettingSource
    {
        public HashSet<Option> Options { get; } = [];

        public GivenSetting? Find(Option option)
        {
            Options.Add(option);
            return null;
        }

        public bool? FindFlag(Option<bool> flag)
        {
            Options.Add(flag);
            return null;
        }
    }
}
