using System.CommandLine;
using System.CommandLine.Completions;

namespace Sleeve.Control.Cli;

/// <summary>
/// What may stand where the cursor is, from the same commands, options and spellings that are parsed. (The parser's own directive knows neither
/// iproute2's spelling nor that a word behind an option is its value.)
/// </summary>
internal static class Completer
{
    /// <summary>Words that fit.</summary>
    /// <param name="root">The commands.</param>
    /// <param name="words">Those up to the cursor, without the program's name; the last is the one under it and may be empty.</param>
    public static IReadOnlyList<string> Complete(Command root, IReadOnlyList<string> words)
    {
        if (words.Count == 0) return [];
        var current = words[^1];
        var command = root;
        var at = 0;
        for (; at < words.Count - 1 && Spelling.Child(command, words[at]) is { } child; at++) command = child;
        return [.. Candidates(command, words, at).Where(word => word.StartsWith(current, StringComparison.Ordinal)).Distinct()];
    }

    private static IEnumerable<string> Candidates(Command command, IReadOnlyList<string> words, int at)
    {
        if (command.Subcommands.Count > 0)
        {
            // Behind a word that is none of them there is nothing to say.
            return at < words.Count - 1 ? [] : [.. command.Subcommands.Where(static child => !child.Hidden).Select(static child => child.Name), .. OptionNames(command, isDashed: true)];
        }

        var flags = new HashSet<Option>();
        var positions = 0;
        for (; at < words.Count - 1; at++)
        {
            if (words[at] == "--") return [];
            if (Spelling.Find(command, words[at]) is not { } option) positions++;
            else if (option is Option<bool>) flags.Add(option);
            else if (++at == words.Count - 1) return Values(option);
        }

        // Without a dash iproute2's spelling is meant.
        var isDashed = words[^1].StartsWith('-');
        var options = OptionNames(command, isDashed, flags).Concat(isDashed ? ["--help"] : []);
        return positions == 0 && command.Arguments is [var argument, ..] ? Values(argument).Concat(options) : options;
    }

    private static IEnumerable<string> Values(Symbol symbol) => symbol.GetCompletions(CompletionContext.Empty).Select(static item => item.Label);

    private static IEnumerable<string> OptionNames(Command command, bool isDashed, HashSet<Option>? given = null)
    {
        foreach (var option in command.Options.Where(option => !option.Hidden && given?.Contains(option) != true))
        {
            foreach (var name in Spelling.Names(option).Where(static name => name.StartsWith('-') && name != "-?"))
            {
                if (isDashed) yield return name;
                else if (name.StartsWith("--", StringComparison.Ordinal) && Spelling.Find(command, name) is not null) yield return name[2..];
            }
        }
    }
}
