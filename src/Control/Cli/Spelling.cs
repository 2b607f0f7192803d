using System.CommandLine;

namespace Sleeve.Control.Cli;

/// <summary>
/// Brings a command line to the one spelling that the parser knows: <c>vni 100</c>, as iproute2 spells it, becomes <c>--vni 100</c>. Finds on the
/// way what the parser would take for something else: unknown options, which look like a device to it, and flags with a value.
/// </summary>
internal static class Spelling
{
    private const string EndOfOptions = "--";
    private const char NotUtf8 = '\uFFFD';
    private static readonly string[] Help = ["-h", "--help", "-?"];

    /// <summary>Respells the words.</summary>
    /// <param name="root">The commands there are.</param>
    /// <param name="words">As given.</param>
    /// <param name="errors">One line each.</param>
    /// <returns>The words for the parser.</returns>
    public static string[] Normalize(Command root, IReadOnlyList<string> words, out List<string> errors)
    {
        var respelled = new List<string>(words.Count);
        errors = [.. words.Where(static word => word.Contains(NotUtf8)).Select(static word => $"{word}: is not UTF-8")];
        var command = root;
        var at = 0;
        for (; at < words.Count && Child(command, words[at]) is { } child; at++)
        {
            command = child;
            respelled.Add(words[at]);
        }

        var isDirective = at == 0 && words is [['[', ..], ..];
        // Some do something on their own too.
        var isWhole = command.Action is not null && (at == words.Count || Find(command, words[at]) is not null);
        if (command.Subcommands.Count > 0 && !isWhole && !isDirective && !words.Skip(at).Any(word => IsBuiltIn(command, word)))
        {
            var allowed = string.Join(", ", command.Subcommands.Where(static child => !child.Hidden).Select(static child => child.Name));
            errors.Add(at == words.Count ? $"a command is missing: one of {allowed}" : $"{words[at]}: unknown command; must be one of {allowed}");
            return [];
        }

        var seen = new HashSet<Option>();
        for (; at < words.Count; at++)
        {
            var word = words[at];
            if (word == EndOfOptions || isDirective)
            {
                respelled.AddRange(words.Skip(at));
                break;
            }

            if (Find(command, word) is { } option)
            {
                respelled.Add(Names(option).First(name => IsNamed(name, word)));
                if (option is Option<bool>)
                {
                    if (!seen.Add(option)) errors.Add($"{option.Name}: given more than once; only one is allowed");
                }
                else if (at + 1 < words.Count && words[at + 1] != EndOfOptions && !IsDashedOption(command, words[at + 1]))
                {
                    // Whatever it is, it is this option's value: a bridge may be called "local".
                    respelled.Add(words[++at]);
                }

                continue;
            }

            if (word.Length > 1 && word[0] == '-' && !IsBuiltIn(command, word))
            {
                var end = word.AsSpan().IndexOfAny('=', ':');
                var named = end > 0 ? Find(command, word[..end]) : null;
                if (named is null) errors.Add($"{word}: unknown option; {CommandLine.NameOf(command)} --help lists them");
                else if (named is Option<bool>) errors.Add($"{word}: {named.Name} takes no value");
            }

            respelled.Add(word);
        }

        return [.. respelled];
    }

    /// <summary>The command below another that a word names.</summary>
    internal static Command? Child(Command command, string word) => command.Subcommands.FirstOrDefault(child => child.Name == word || child.Aliases.Contains(word));

    /// <summary>The option of a command that a word names, with its dashes or as iproute2 spells it.</summary>
    internal static Option? Find(Command command, string word) =>
        command.Options.FirstOrDefault(option => Names(option).Any(name => IsNamed(name, word)) && !IsBuiltIn(command, option.Name));

    private static bool IsNamed(string name, string word) => name == word || (name.StartsWith("--", StringComparison.Ordinal) && name.AsSpan(2).SequenceEqual(word));

    /// <summary>All names of an option.</summary>
    internal static IEnumerable<string> Names(Option option) => option.Aliases.Prepend(option.Name);

    private static bool IsDashedOption(Command command, string word) =>
        IsBuiltIn(command, word) || (word.StartsWith('-') && Find(command, word.Split('=', ':')[0]) is not null);

    private static bool IsBuiltIn(Command command, string word) => Help.Contains(word) || (command is RootCommand && word == "--version");
}
