using System.CommandLine;

namespace Sleeve.Control.Cli;

/// <summary>One word that was given for a setting.</summary>
/// <param name="Text">As it was given.</param>
/// <param name="Name">What an error calls its place: <c>--vni</c>, or <c>net.yaml:7: vni</c>.</param>
internal readonly record struct GivenWord(string Text, string Name);

/// <summary>What one place says about a setting.</summary>
/// <param name="Name">What an error calls the place.</param>
/// <param name="Words">The values; fewer than <paramref name="Times"/> if one is missing.</param>
/// <param name="Times">How often the setting was named, or how many values a list has.</param>
internal sealed record GivenSetting(string Name, IReadOnlyList<GivenWord> Words, int Times);

/// <summary>
/// Somewhere that settings are given: a command line, or a part of a configuration file. An option is declared once, as a <see cref="Setting"/>
/// or a flag of a command; every source finds it by that declaration.
/// </summary>
internal interface ISettingSource
{
    /// <summary>What is given here; null if nothing is.</summary>
    GivenSetting? Find(Option option);

    /// <summary>Whether a flag is on or off here; null if that is not said.</summary>
    bool? FindFlag(Option<bool> flag);
}

/// <summary>The settings of a command line.</summary>
internal sealed class CommandLineSettings(ParseResult result) : ISettingSource
{
    /// <inheritdoc/>
    public GivenSetting? Find(Option option)
    {
        if (result.GetResult(option) is not { Implicit: false } given) return null;
        var name = given.IdentifierToken?.Value ?? option.Name;
        return new GivenSetting(name, [.. given.Tokens.Select(token => new GivenWord(token.Value, name))], given.IdentifierTokenCount);
    }

    /// <inheritdoc/>
    public bool? FindFlag(Option<bool> flag) => result.GetValue(flag) ? true : null;
}
