using System.CommandLine;

namespace Sleeve.Control.Cli;

/// <summary>
/// An option whose words are read by us and not by the parser, so that every error can name the option, the value and what is allowed.
/// <see cref="Spelling"/> makes its name work without its dashes too.
/// </summary>
internal sealed class Setting
{
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
    }

    /// <summary>What the parser sees.</summary>
    public Option<string[]> Option { get; }

    /// <summary>What an error says is allowed.</summary>
    public string Allowed { get; }

    /// <summary>Whether it may be given more than once.</summary>
    public bool IsRepeatable { get; }

    /// <summary>An option without a value.</summary>
    public static Option<bool> Flag(string name, string description) =>
        new(name) { Description = description, Arity = ArgumentArity.Zero };
}

/// <summary>Reads a value out of a word.</summary>
internal delegate bool ReadWord<T>(string text, out T value);

/// <summary>Reads the settings of one command line and collects every error there is, one line each.</summary>
internal sealed class SettingReader(ParseResult result)
{
    private readonly List<string> _errors = [];

    /// <summary>Errors so far: option, value, what is allowed.</summary>
    public IReadOnlyList<string> Errors => _errors;

    /// <summary>Adds an error that no single value makes.</summary>
    public void Refuse(string error) => _errors.Add(error);

    /// <summary>Whether the setting was given at all.</summary>
    public bool IsGiven(Setting setting) => result.GetResult(setting.Option) is { Implicit: false };

    /// <summary>Reads every value of a setting; those that cannot be read are errors.</summary>
    public IReadOnlyList<T> ReadAll<T>(Setting setting, ReadWord<T> read)
    {
        if (result.GetResult(setting.Option) is not { Implicit: false } given) return [];
        var name = given.IdentifierToken?.Value ?? setting.Option.Name;
        var words = given.Tokens;
        if (words.Count < given.IdentifierTokenCount) _errors.Add($"{name}: a value is missing: {setting.Allowed}");
        if (!setting.IsRepeatable && given.IdentifierTokenCount > 1)
        {
            _errors.Add($"{name} {string.Join(' ', words.Select(static word => word.Value))}: given more than once; only one is allowed");
            return [];
        }

        var values = new List<T>(words.Count);
        foreach (var word in words)
        {
            if (!read(word.Value, out var value)) _errors.Add($"{name} {word.Value}: must be {setting.Allowed}");
            else if (values.Contains(value)) _errors.Add($"{name} {word.Value}: given twice");
            else values.Add(value);
        }

        return values;
    }

    /// <summary>Reads a setting, or takes <paramref name="fallback"/> if it was not given.</summary>
    public T Read<T>(Setting setting, ReadWord<T> read, T fallback) => ReadAll(setting, read) is [var value, ..] ? value : fallback;

    /// <summary>Reads a setting that must be given.</summary>
    public T Require<T>(Setting setting, ReadWord<T> read)
    {
        if (!IsGiven(setting)) _errors.Add($"{setting.Option.Name}: missing; it must be {setting.Allowed}");
        return Read(setting, read, default!);
    }

    /// <summary>Reads a pair of flags, <c>--x</c> and <c>--nox</c>.</summary>
    public bool ReadFlag(Option<bool> yes, Option<bool> no, bool fallback)
    {
        var (on, off) = (result.GetValue(yes), result.GetValue(no));
        if (on && off) _errors.Add($"{yes.Name} {no.Name}: contradict each other; only one is allowed");
        return on || (!off && fallback);
    }
}
