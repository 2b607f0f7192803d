using System.CommandLine;
using System.CommandLine.Help;
using Sleeve.Control.Cli;

namespace Sleeve.Control.Manual;

/// <summary>The page of the program, or of one verb with all that stand below it, out of the definitions that are parsed.</summary>
/// <param name="date">As YYYY-MM-DD.</param>
/// <param name="version">Of the program.</param>
internal sealed class CommandPage(string date, string version)
{
    private const string Bare = "Every option has two spellings: with its dashes, and without them as iproute2 has it. The value is the next word.";

    private static readonly string[] Others = ["sleeve.yaml(5)", "bridge(8)", "ip-link(8)"];

    private static readonly (string Code, string Meaning)[] ExitCodes =
    [
        ("0", "Done."),
        ("1", "The words were right, but it could not be done. The reason stands on stderr."),
        ("2", "The words were wrong. Each error stands on a line of its own on stderr, and nothing was changed."),
    ];

    /// <summary>The name of a verb's page: <c>sleeve-up</c>.</summary>
    public static string NameOf(Command command) => CommandLine.NameOf(command).Replace(' ', '-');

    /// <summary>Verbs that have a page.</summary>
    public static IEnumerable<Command> VerbsOf(Command root) => root.Subcommands.Where(static verb => !verb.Hidden);

    /// <summary>The page of the program: sleeve(1).</summary>
    public string WriteProgram(RootCommand root)
    {
        var page = Begin(root);
        page.Line(".SY sleeve").Line(RoffText.Italic("VERB")).Line(@"\&.\|.\|.").Line(".YS");
        page.Line(".SY sleeve").Line(RoffText.Italic("VERB")).Line(RoffText.Bold("--help")).Line(".YS");
        page.Line(".SY sleeve").Line(RoffText.Bold("--version")).Line(".YS");
        page.Section("Description")
            .Prose("Sleeve is a VXLAN tunnel end point (VTEP, RFC 7348) in one process of user space. Frames enter and leave by a TAP device a segment, VXLAN datagrams by UDP.")
            .Prose("It works with the vxlan devices of Linux, with Open vSwitch and with hardware VTEPs, and needs no kernel module but tun.")
            .Paragraph(Bare);
        page.Section("Verbs");
        foreach (var verb in VerbsOf(root)) page.Tagged($@"{RoffText.Bold(NameOf(verb))}(1)", verb.Description ?? "");
        WriteExamples(page, root);
        page.Section("Environment")
            .Tagged(RoffText.Bold("SLEEVE_DEBUG"), "If 1, an unexpected failure tells where it came from.")
            .Tagged(RoffText.Bold("NO_COLOR"), "If set, output on a terminal has no colours.");
        WriteExitCodes(page);
        WriteFiles(page);
        WriteSeeAlso(page, root, root);
        return page.ToString();
    }

    /// <summary>The page of a verb: sleeve-up(1).</summary>
    public string WriteVerb(Command root, Command verb)
    {
        var page = Begin(verb);
        foreach (var command in Leaves(verb)) WriteSynopsis(page, command);
        page.Section("Description").Prose(Sentence(verb.Description ?? ""));
        if (TakesFile(verb)) page.Paragraph("Most options may stand in a configuration file instead; sleeve.yaml(5) says which.");
        foreach (var note in Notes(CommandLine.ExamplesFor(verb))) page.Paragraph(note);
        if (Leaves(verb) is [var only] && only == verb) WriteWords(page, verb, "Arguments", "Options");
        else WriteSubcommands(page, verb);
        WriteExamples(page, verb);
        WriteExitCodes(page);
        if (TakesFile(verb)) WriteFiles(page);
        WriteSeeAlso(page, root, verb);
        return page.ToString();
    }

    private RoffText Begin(Command command)
    {
        var page = new RoffText(NameOf(command), 1, date, $"Sleeve {version}");
        var summary = (command.Description ?? "").TrimEnd('.');
        return page.Section("Name").Line($@"{RoffText.Escape(NameOf(command))} \- {RoffText.Escape(InSentence(summary))}").Section("Synopsis");
    }

    private static List<Command> Leaves(Command command) =>
        command.Subcommands.Count == 0 ? [command] : [.. command.Subcommands.Where(static child => !child.Hidden).SelectMany(Leaves)];

    private static IEnumerable<Option> OptionsOf(Command command) => command.Options.Where(static option => !option.Hidden && option is not HelpOption);

    private static bool TakesFile(Command command) => command.Options.Any(static option => option.Name == "--config");

    private static void WriteSynopsis(RoffText page, Command command)
    {
        page.Line($".SY {RoffText.Escape(CommandLine.NameOf(command)).Replace(" ", @"\ ", StringComparison.Ordinal)}");
        foreach (var argument in command.Arguments) page.Line(RoffText.Italic(NameOf(argument)));
        var options = OptionsOf(command).ToArray();
        // Some dozen options are not a synopsis.
        if (options.Length > 12) page.Line($"[{RoffText.Italic("OPTION")}\\ .\\|.\\|.]");
        else foreach (var option in options) page.Line($"[{Tag(OptionFacts.Of(option), all: false).Replace(" ", @"\ ", StringComparison.Ordinal)}]");
        page.Line(".YS");
    }

    // Help writes it between brackets of its own: "DEV] [KIND" is "[<DEV] [KIND>...]".
    private static string NameOf(Argument argument) => (argument.HelpName ?? argument.Name).Replace("] [", " ", StringComparison.Ordinal);

    private static void WriteSubcommands(RoffText page, Command verb)
    {
        page.Section("Commands");
        foreach (var command in Leaves(verb))
        {
            page.Subsection(CommandLine.NameOf(command)).Prose(Sentence(command.Description ?? ""));
            if (command.Aliases.Count > 0) page.Prose($"Also called {string.Join(", ", command.Aliases)}.");
            WriteWords(page, command, null, null);
        }
    }

    private static void WriteWords(RoffText page, Command command, string? arguments, string? options)
    {
        if (command.Arguments.Count > 0 && arguments is not null) page.Section(arguments);
        foreach (var argument in command.Arguments) page.Tagged(RoffText.Italic(NameOf(argument)), argument.Description ?? "");
        if (options is not null) page.Section(options);
        foreach (var facts in OptionsOf(command).Select(OptionFacts.Of)) page.Tagged(Tag(facts, all: true), facts.Text);
        if (options is not null) page.Tagged($"{RoffText.Bold("-h")}, {RoffText.Bold("--help")}", "Show all options, and examples.").Paragraph(Bare);
    }

    private static string Tag(OptionFacts facts, bool all)
    {
        var names = string.Join(", ", facts.Names.Take(all ? int.MaxValue : 1).Select(RoffText.Bold));
        return facts.Value is null ? names : $"{names} {RoffText.Italic(facts.Value)}";
    }

    private static void WriteExamples(RoffText page, Command command)
    {
        var lines = CommandLine.ExamplesFor(command).Split('\n').SkipWhile(static line => line != "Examples:").Skip(1)
            .TakeWhile(static line => line.StartsWith("  ", StringComparison.Ordinal)).Select(static line => line[2..]).ToArray();
        if (lines.Length > 0) page.Section("Examples").Verbatim(lines);
    }

    // What stands around the examples, a paragraph for each run of lines.
    private static IEnumerable<string> Notes(string examples) => examples.Split("\n\n")
        .Where(static part => !part.StartsWith("Examples:", StringComparison.Ordinal) && part.Length > 0).Select(static part => part.Replace('\n', ' '));

    private static void WriteExitCodes(RoffText page)
    {
        page.Section("Exit status");
        foreach (var (code, meaning) in ExitCodes) page.Tagged(RoffText.Bold(code), meaning);
    }

    private static void WriteFiles(RoffText page) => page.Section("Files")
        .Tagged(RoffText.Italic("/etc/sleeve/sleeve.yaml"), "Configuration of the service, see sleeve.yaml(5).")
        .Tagged(RoffText.Italic("/run/sleeve/sleeve.sock"), "Unix socket of the service, for commands and for programs (HTTP and JSON).")
        .Tagged(RoffText.Italic("/run/sleeve/DEV.sock"), "The same of a VTEP that sleeve up runs.")
        .Tagged(RoffText.Italic("/var/lib/sleeve"), "What the service keeps over restarts.")
        .Tagged(RoffText.Italic("/dev/net/tun"), "Where TAP devices come from.");

    private static void WriteSeeAlso(RoffText page, Command root, Command self)
    {
        page.Section("See also");
        var others = VerbsOf(root).Prepend(root).Where(command => command != self).Select(static command => $@"{RoffText.Bold(NameOf(command))}(1)");
        page.Line(string.Join(",\n", others.Concat(Others.Select(static other => $"{RoffText.Bold(other[..^3])}{other[^3..]}"))));
    }

    // "Show the entries" begins small there, "TAP devices" does not.
    private static string InSentence(string text) => text.Length > 1 && !char.IsUpper(text[1]) ? char.ToLowerInvariant(text[0]) + text[1..] : text;

    private static string Sentence(string text) => text.EndsWith('.') ? text : text + ".";
}
