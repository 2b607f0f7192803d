using System.CommandLine;
using System.Runtime.CompilerServices;

namespace Sleeve.Control.Cli;

/// <summary>
/// An option whose words are read by us and not by the parser, so that every error can name the option, the value and what is allowed.
/// <see cref="Spelling"/> makes its name work without its dashes too.
/// </summary>
internal sealed class Setting
{
    private static readonly ConditionalWeakTable<Option, Setting> SettingOf = [];

    /// <summary>Makes an option that takes one value each time it is given.</summary>
    /// <param name="name">With its dashes.</param>
    /// <param name="value">How help shows the value.</param>
    /// <param name="description">One line for help.</param>
    /// <param name="allowed">What an error says is allowed.</param>
    /// <param name="repeatable">Whether it may be given more than once.</param>
    /// <param name="aliases">Other names.</param>
    public Setting(string name, string value, string description, string allowed, bool repeatable = false, params ReadOnlySpan<string> aliases)
    {
        Option = new Option<string[]>(name, [.. aliases])
        {
            Description = description,
            HelpName = value,
            Arity = ArgumentArity.ZeroOrMore,
            AllowMultipleArgumentsPerToken = false,
        };
        Allowed = allowed;
        IsRepeatable = repeatable;
        Unit = value switch { "SECONDS" => "seconds", "BYTES" => "bytes", _ => null };
        SettingOf.Add(Option, this);
    }

    /// <summary>What the parser sees.</summary>
    public Option<string[]> Option { get; }

    /// <summary>What an error says is allowed.</summary>
    public string Allowed { get; }

    /// <summary>Whether it may be given more than once.</summary>
    public bool IsRepeatable { get; }

    /// <summary>What its number counts; null if it takes no number, or one that counts nothing (a VNI, a port).</summary>
    public string? Unit { get; private set; }

    /// <summary>The declaration of an option; null if it is a flag, or read by the parser.</summary>
    public static Setting? Of(Option option) => SettingOf.TryGetValue(option, out var setting) ? setting : null;

    /// <summary>Says what its number counts: "frames a second".</summary>
    public Setting In(string unit)
    {
        Unit = unit;
        return this;
    }

    /// <summary>Says which values a shell may complete; asked when it does.</summary>
    public Setting Suggesting(Func<IEnumerable<string>> values)
    {
        Option.CompletionSources.Add(_ => values());
        return this;
    }

    /// <summary>An option without a value.</summary>
    public static Option<bool> Flag(string name, string description) =>
        new(name) { Description = description, Arity = ArgumentArity.Zero };
}

/// <summary>Reads a value out of a word.</summary>
internal delegate bool ReadWord<T>(string text, out T value);

/// <summary>A value, and what an error calls the place it came from.</summary>
internal readonly record struct Given<T>(T Value, string Name)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Name} {Value}";
}

/// <summary>
/// Reads settings and collects every error there is, one line each. Of several sources the first that says something about a setting decides:
/// a segment's own part of a configuration file, the command line, the top of the file.
/// </summary>
internal sealed class SettingReader
{
    private readonly IReadOnlyList<ISettingSource> _sources;
    private readonly List<string> _errors;
    private readonly HashSet<string> _told;

    /// <summary>Reads a command line.</summary>
    public SettingReader(ParseResult result)
        : this([new CommandLineSettings(result)], [], [])
    {
    }

    private SettingReader(IReadOnlyList<ISettingSource> sources, List<string> errors, HashSet<string> told)
    {
        _sources = sources;
        _errors = errors;
        _told = told;
    }

    /// <summary>Errors so far: option, value, what is allowed.</summary>
    public IReadOnlyList<string> Errors => _errors;

    /// <summary>A reader that asks another source first; both have the same errors.</summary>
    public SettingReader Before(ISettingSource source) => new([source, .. _sources], _errors, _told);

    /// <summary>A reader that asks another source last; both have the same errors.</summary>
    public SettingReader After(ISettingSource source) => new([.. _sources, source], _errors, _told);

    /// <summary>Adds an error that no single value makes. Said once, however many segments have it from one place.</summary>
    public void Refuse(string error)
    {
        if (_told.Add(error)) _errors.Add(error);
    }

    /// <summary>Whether the setting was given at all.</summary>
    public bool IsGiven(Setting setting) => Find(setting.Option) is not null;

    /// <summary>What an error calls the place where a setting was given, or its name if it was not.</summary>
    public string NameOf(Setting setting) => Find(setting.Option)?.Name ?? setting.Option.Name;

    /// <summary>Reads every value of a setting; those that cannot be read are errors.</summary>
    public IReadOnlyList<T> ReadAll<T>(Setting setting, ReadWord<T> read) => [.. ReadGiven(setting, read).Select(static given => given.Value)];

    /// <summary>Reads every value of a setting, and where it stands.</summary>
    public IReadOnlyList<Given<T>> ReadGiven<T>(Setting setting, ReadWord<T> read)
    {
        if (Find(setting.Option) is not { } given) return [];
        var words = given.Words;
        if (words.Count < given.Times) Refuse($"{given.Name}: a value is missing: {setting.Allowed}");
        if (!setting.IsRepeatable && given.Times > 1)
        {
            Refuse($"{given.Name} {string.Join(' ', words.Select(static word => word.Text))}: given more than once; only one is allowed");
            return [];
        }

        var values = new List<Given<T>>(words.Count);
        var seen = new HashSet<T>();
        foreach (var word in words)
        {
            if (!read(word.Text, out var value)) Refuse($"{word.Name} {word.Text}: must be {setting.Allowed}");
            else if (!seen.Add(value)) Refuse($"{word.Name} {word.Text}: given twice");
            else values.Add(new Given<T>(value, word.Name));
        }

        return values;
    }

    /// <summary>Reads a setting, or takes <paramref name="fallback"/> if it was not given.</summary>
    public T Read<T>(Setting setting, ReadWord<T> read, T fallback) => ReadAll(setting, read) is [var value, ..] ? value : fallback;

    /// <summary>Reads a setting that must be given.</summary>
    public T Require<T>(Setting setting, ReadWord<T> read)
    {
        if (!IsGiven(setting)) Refuse($"{setting.Option.Name}: missing; it must be {setting.Allowed}");
        return Read(setting, read, default!);
    }

    /// <summary>Reads a pair of flags, <c>--x</c> and <c>--nox</c>.</summary>
    public bool ReadFlag(Option<bool> yes, Option<bool> no, bool fallback)
    {
        foreach (var source in _sources)
        {
            var (on, off) = (source.FindFlag(yes), source.FindFlag(no));
            if (on is null && off is null) continue;
            if (on is { } isOn && isOn == off) Refuse($"{source.Find(yes)?.Name ?? yes.Name} {no.Name}: contradict each other; only one is allowed");
            return on ?? !off!.Value;
        }

        return fallback;
    }

    /// <summary>Reads a flag that there is no opposite of.</summary>
    public bool ReadFlag(Option<bool> flag)
    {
        foreach (var source in _sources)
            if (source.FindFlag(flag) is { } isOn) return isOn;
        return false;
    }

    private GivenSetting? Find(Option option)
    {
        // Every source is asked, so that each knows what it can be asked for.
        GivenSetting? first = null;
        foreach (var source in _sources) first = source.Find(option) is { } given ? first ?? given : first;
        return first;
    }
}
