using System.CommandLine;
using System.Text.RegularExpressions;
using Sleeve.Control.Cli;

namespace Sleeve.Control.Manual;

/// <summary>What the declaration of an option says about it, taken apart for a reader.</summary>
/// <param name="Names">All of them, with their dashes; the one to use first.</param>
/// <param name="Value">What stands for its value in a synopsis; null if it is a flag.</param>
/// <param name="Meaning">A sentence.</param>
/// <param name="Default">What holds without it; null if nothing does.</param>
/// <param name="Allowed">Which values may be given; null if that was not declared.</param>
/// <param name="Unit">What its number counts, or null.</param>
/// <param name="IsRepeatable">Whether it may be given more than once.</param>
internal sealed partial record OptionFacts(IReadOnlyList<string> Names, string? Value, string Meaning, string? Default, string? Allowed, string? Unit, bool IsRepeatable)
{
    /// <summary>Reads a declaration.</summary>
    public static OptionFacts Of(Option option)
    {
        var description = option.Description ?? "";
        var match = WithDefault().Match(description);
        var setting = Setting.Of(option);
        return new OptionFacts(
            [option.Name, .. option.Aliases.Where(static alias => alias != "-?").Order(StringComparer.Ordinal)],
            option.Arity.MaximumNumberOfValues == 0 ? null : option.HelpName ?? "VALUE",
            (match.Success ? match.Groups["text"].Value : description).Replace(" Repeatable.", "", StringComparison.Ordinal),
            match.Success ? Explained(match.Groups["default"].Value) : null,
            setting?.Allowed, setting?.Unit, setting?.IsRepeatable ?? false);
    }

    /// <summary>Its meaning with what is allowed, in which unit, and what holds without it.</summary>
    public string Text
    {
        get
        {
            var text = Meaning;
            if (Allowed is not null) text += $" Allowed: {Allowed}{(NamesUnit ? "" : $" ({Unit})")}.";
            if (Default == "default") text += " This is the default.";
            else if (Default is not null) text += $" Default: {Default}.";
            if (IsRepeatable) text += " May be given several times.";
            return text;
        }
    }

    /// <summary>Whether there is no unit, or what is allowed names it already.</summary>
    public bool NamesUnit => Unit is null || Allowed?.Contains($"({Unit})", StringComparison.Ordinal) == true;

    // "auto: the first that passes" is a value and a word about it.
    private static string Explained(string text) => text.IndexOf(": ", StringComparison.Ordinal) is > 0 and var colon ? $"{text[..colon]} ({text[(colon + 2)..]})" : text;

    // "Forget a station after this long. [300]"
    [GeneratedRegex(@"^(?<text>.*\S)\s+\[(?<default>[^\[\]]+)\]$")]
    private static partial Regex WithDefault();
}
