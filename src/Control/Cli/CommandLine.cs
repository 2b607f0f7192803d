using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;

namespace Sleeve.Control.Cli;

/// <summary>The command line as a whole: its verbs, its help and the form of its errors.</summary>
internal static class CommandLine
{
    /// <summary>Runs what the words say.</summary>
    /// <returns>One of <see cref="ExitCode"/>.</returns>
    public static async Task<int> RunAsync(string[] words)
    {
        var root = new RootCommand("A VXLAN tunnel end point in user space: joins VXLAN segments without a kernel module.")
        {
            UpCommand.Create(),
            FdbCommand.Create(),
            NeighCommand.Create(),
            StatsCommand.Create(),
            DemoCommand.Create(),
        };
        root.WithExamples("""
            Examples:
              sleeve demo                                   see it work, in namespaces of its own
              sleeve up vx0 --vni 100 --local 192.0.2.1 --remote 192.0.2.2
              sleeve fdb show dev vx0
              sleeve stats dev vx0 --json
            """);
        var result = root.Parse(words);
        if (result.Errors.Count > 0 && result.Action is ParseErrorAction or null)
        {
            WriteErrors(result, [.. result.Errors.Select(error => error.Message.TrimEnd('.')).Distinct()]);
            return ExitCode.BadInput;
        }

        // Signals are the verbs' own business: up has to undo what it made.
        return await result.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null, EnableDefaultExceptionHandler = false });
    }

    /// <summary>Writes each error on a line of its own, then where to read on.</summary>
    public static void WriteErrors(ParseResult result, IReadOnlyList<string> errors)
    {
        var name = CommandName(result.CommandResult);
        foreach (var error in errors) Console.Error.WriteLine($"{name}: {error}");
    }

    /// <summary>Writes one error and gives the exit code of a failure.</summary>
    public static int Fail(string command, string error)
    {
        Console.Error.WriteLine($"sleeve {command}: {error}");
        return ExitCode.Failed;
    }

    /// <summary>Puts examples under a command's help.</summary>
    public static void WithExamples(this Command command, string examples)
    {
        if (command is RootCommand)
        {
            var help = command.Options.OfType<HelpOption>().Single();
            help.Action = new HelpWithExamples((HelpAction)help.Action!);
        }

        ExamplesOf[command] = examples;
    }

    private static readonly Dictionary<Command, string> ExamplesOf = [];

    private static string CommandName(CommandResult result)
    {
        var names = new Stack<string>();
        for (SymbolResult? at = result; at is not null; at = at.Parent)
            if (at is CommandResult command) names.Push(command.Command is RootCommand ? "sleeve" : command.Command.Name);
        return string.Join(' ', names);
    }

    private sealed class HelpWithExamples(HelpAction usual) : SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parseResult)
        {
            var code = usual.Invoke(parseResult);
            if (ExamplesOf.TryGetValue(parseResult.CommandResult.Command, out var examples)) Console.Out.WriteLine(examples);
            return code;
        }
    }
}
