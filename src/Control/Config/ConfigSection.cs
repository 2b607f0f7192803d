using System.CommandLine;
using Sleeve.Control.Cli;

namespace Sleeve.Control.Config;

/// <summary>One mapping of a configuration file as a source of settings: an option's name without its dashes is its key.</summary>
internal sealed class ConfigSection : ISettingSource
{
    private const string FlagAllowed = "true or false";

    private readonly string _path;
    private readonly ConfigMap _map;

    // Keys that were asked for, or judged already.
    private readonly HashSet<string> _asked;

    /// <summary>Takes a mapping, and tells of each key that is none and of each value that cannot be one.</summary>
    /// <param name="path">The file, for errors.</param>
    /// <param name="map">The mapping.</param>
    /// <param name="command">Whose options may stand in it.</param>
    /// <param name="excluded">Options that may not.</param>
    /// <param name="more">Keys that are no options.</param>
    /// <param name="errors">Gets every error, one line each.</param>
    public ConfigSection(string path, ConfigMap map, Command command, IReadOnlyCollection<Option> excluded, IReadOnlyCollection<string> more, Action<string> errors)
    {
        _path = path;
        _map = map;
        _asked = [.. more];
        var options = command.Options.Where(option => !excluded.Contains(option) && option is Option<string[]> or Option<bool> && !option.Hidden).ToArray();
        foreach (var member in map.Members)
        {
            if (more.Contains(member.Key)) continue;
            var option = options.FirstOrDefault(option => KeysOf(option).Contains(member.Key));
            if (option is null)
            {
                _asked.Add(member.Key);
                errors($"{path}:{member.Line}: {Shown(member.Key)}: unknown key; {CommandLine.NameOf(command)} --help lists the options, whose names without dashes are the keys");
            }
            else if (option is Option<bool>) CheckFlag(member, errors);
            else CheckValue(member, errors);
        }
    }

    /// <summary>The mapping as it stands.</summary>
    public ConfigMap Map => _map;

    /// <summary>Where it begins, from 1.</summary>
    public int Line => _map.Line;

    /// <summary>What an error calls the mapping as a whole.</summary>
    public string Place => $"{_path}:{_map.Line}";

    /// <summary>Keys that nobody asked for: settings that are not to be had here.</summary>
    public IEnumerable<GivenWord> Unasked => _map.Members.Where(member => !_asked.Contains(member.Key))
        .Select(member => new GivenWord(member.Key, NameOf(member)));

    /// <summary>A value under a key that is no option.</summary>
    public GivenWord? FindWord(string key) =>
        _map.Find(key) is { } member ? new GivenWord((member.Value as ConfigScalar)?.Text ?? "", NameOf(member)) : null;

    /// <inheritdoc/>
    public GivenSetting? Find(Option option)
    {
        GivenSetting? found = null;
        foreach (var key in KeysOf(option))
        {
            _asked.Add(key);
            if (_map.Find(key) is not { } member) continue;
            // What is no value at all was told of at the start.
            var times = member.Value switch { ConfigScalar => 1, ConfigList list => list.Items.Count(static item => item is ConfigScalar), _ => 0 };
            var given = new GivenSetting(NameOf(member), [.. WordsOf(member)], times);
            found = found is null ? given : new GivenSetting(found.Name, [.. found.Words, .. given.Words], found.Times + given.Times);
        }

        return found;
    }

    /// <inheritdoc/>
    public bool? FindFlag(Option<bool> flag) =>
        Find(flag) is { Words: [var word, ..] } && TryReadFlag(word.Text, out var isOn) ? isOn : null;

    private static IEnumerable<string> KeysOf(Option option) =>
        option.Aliases.Prepend(option.Name).Where(static name => name.StartsWith("--", StringComparison.Ordinal)).Select(static name => name[2..]);

    private static bool TryReadFlag(string text, out bool isOn)
    {
        isOn = text == "true";
        return isOn || text == "false";
    }

    private IEnumerable<GivenWord> WordsOf(ConfigMember member) => member.Value switch
    {
        ConfigScalar { Text: "" } => [],
        ConfigScalar scalar => [new GivenWord(scalar.Text, NameOf(member))],
        ConfigList list => list.Items.OfType<ConfigScalar>().Where(static item => item.Text != "").Select(item => new GivenWord(item.Text, $"{_path}:{item.Line}: {member.Key}")),
        _ => [],
    };

    private void CheckFlag(ConfigMember member, Action<string> errors)
    {
        if (member.Value is ConfigScalar scalar && TryReadFlag(scalar.Text, out _)) return;
        errors($"{NameOf(member)} {(member.Value as ConfigScalar)?.Text}".TrimEnd() + $": must be {FlagAllowed}");
    }

    private void CheckValue(ConfigMember member, Action<string> errors)
    {
        if (member.Value is ConfigMap) errors($"{NameOf(member)}: must be a value, not a mapping");
        if (member.Value is not ConfigList list) return;
        if (list.Items.Count == 0) errors($"{NameOf(member)}: the list is empty; leave the key out, or give a value");
        foreach (var item in list.Items)
            if (item is not ConfigScalar) errors($"{_path}:{item.Line}: {Shown(member.Key)}: a member of the list must be a value, not a {(item is ConfigMap ? "mapping" : "list")}");
    }

    private string NameOf(ConfigMember member) => $"{_path}:{member.Line}: {Shown(member.Key)}";

    private static string Shown(string key) => key.Length <= 64 ? key : key[..64] + "…";
}
