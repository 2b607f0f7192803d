using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Runtime.CompilerServices;

namespace Sleeve.Control.Cli;

/// <summary>The command line as a whole: its verbs, its help and the form of its errors.</summary>
internal static class CommandLine
{
    private const string DebugVariable = "SLEEVE_DEBUG";

    private static readonly ConditionalWeakTable<Command, string> ExamplesOf = [];

    /// <summary>True if the user wants to see where an unexpected failure came from (SLEEVE_DEBUG=1).</summary>
    public static bool IsDebug => Environment.GetEnvironmentVariable(DebugVariable) is not (null or "" or "0");

    /// <summary>Makes the commands.</summary>
    public static RootCommand CreateRoot()
    {
        var root = new RootCommand("A VXLAN tunnel end point in user space: joins VXLAN segments without a kernel module.")
        {
            UpCommand.Create(),
            DaemonCommand.Create(),
            SegmentCommand.Create(),
            TokenCommand.Create(),
            JoinCommand.Create(),
            JoinCommand.CreateLeave(),
            PeerCommand.Create(),
            NetCommand.Create(),
            IpamCommand.Create(),
            EndpointCommands.CreateAttach(),
            EndpointCommands.CreateDetach(),
            EndpointCommands.CreateEndpoint(),
            CniCommand.Create(),
            NamesCommand.Create(),
            AuditCommand.Create(),
            FdbCommand.Create(),
            NeighCommand.Create(),
            StatsCommand.Create(),
            TopCommand.Create(),
            MonitorCommand.Create(),
            LogCommand.Create(),
            ExplainCommand.Create(),
            CaptureCommand.Create(),
            WebCommand.Create(),
            DoctorCommand.Create(),
            BenchCommand.Create(),
            ConfigCommand.Create(),
            HandoverCommand.Create(),
            PurgeCommand.Create(),
            DemoCommand.Create(),
            CompletionCommand.Create(),
            CompletionCommand.CreateAnswer(),
            ManualCommand.Create(),
        };
        root.WithExamples("""
            Examples:
              sleeve demo                                   see it work, in namespaces of its own
              sleeve up vx0 --vni 100 --local 192.0.2.1 --remote 192.0.2.2
              sleeve daemon                                 the same as a service, with all segments of the host
              sleeve fdb show dev vx0
              sleeve stats dev vx0 --json
              sleeve doctor                                 what is wrong here, and what to type

            Options work in iproute2's spelling too: vni 100 is --vni 100. After "--" every word is a name.
            """);
        return root;
    }

    /// <summary>Parses words in any of the spellings.</summary>
    /// <param name="root">The commands.</param>
    /// <param name="words">As given.</param>
    /// <param name="errors">What is wrong whatever the command makes of it, one line each.</param>
    public static ParseResult Parse(RootCommand root, IReadOnlyList<string> words, out IReadOnlyList<string> errors)
    {
        // Every word is what it is: @x is no file to read, -xy no bundle.
        var result = root.Parse(Spelling.Normalize(root, words, out var misspelled), new ParserConfiguration { EnablePosixBundling = false, ResponseFileTokenReplacer = null });
        if (misspelled.Count == 0 && (result.Errors.Count > 0 && result.Action is ParseErrorAction or null))
            misspelled.AddRange(result.Errors.Select(static error => error.Message.TrimEnd('.')).Distinct());
        errors = misspelled;
        return result;
    }

    /// <summary>Runs what the words say.</summary>
    /// <returns>One of <see cref="ExitCode"/>.</returns>
    public static async Task<int> RunAsync(string[] words)
    {
        Listing.Prepare();
        try
        {
            var result = Parse(CreateRoot(), words, out var errors);
            if (errors.Count > 0)
            {
                WriteErrors(result, errors, words);
                return ExitCode.BadInput;
            }

            // Signals are the verbs' own business: up has to undo what it made.
            return await result.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null, EnableDefaultExceptionHandler = false });
        }
        catch (Exception failure)
        {
            // The root of the process: whatever got this far becomes one line.
            return Fail(failure);
        }
    }

    /// <summary>Writes each error on a line of its own.</summary>
    public static void WriteErrors(ParseResult result, IReadOnlyList<string> errors) => WriteErrors(NameOf(result.CommandResult.Command), errors);

    /// <summary>Writes one error and gives the exit code of a failure.</summary>
    public static int Fail(string command, string error)
    {
        WriteErrors($"sleeve {command}", [error]);
        return ExitCode.Failed;
    }

    /// <summary>Writes a line on stderr, if there is one: a terminal that was closed must not end a VTEP.</summary>
    public static void Tell(string line)
    {
        try
        {
            Console.Error.WriteLine(line);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // There is nobody to tell.
        }
    }

    /// <summary>Says which words a shell may complete; asked when it does. Once for an argument that several trees of commands share.</summary>
    public static Argument<T> Suggesting<T>(this Argument<T> argument, Func<IEnumerable<string>> words)
    {
        argument.CompletionSources.Add(_ => words());
        return argument;
    }

    /// <summary>Puts examples under the help of a command and, one by one, under that of its subcommands.</summary>
    public static void WithExamples(this Command command, string examples)
    {
        if (command is RootCommand)
        {
            var help = command.Options.OfType<HelpOption>().Single();
            help.Action = new HelpWithExamples((HelpAction)help.Action!);
        }

        ExamplesOf.AddOrUpdate(command, examples);
    }

    /// <summary>The examples under the help of a command, as given to <see cref="WithExamples"/>; empty if there are none.</summary>
    public static string ExamplesFor(Command command) => ExamplesOf.TryGetValue(command, out var examples) ? examples : "";

    /// <summary>How a command is called: <c>sleeve fdb add</c>.</summary>
    public static string NameOf(Command command) =>
        command is RootCommand ? "sleeve" : $"{NameOf(command.Parents.OfType<Command>().FirstOrDefault() ?? new RootCommand())} {command.Name}";

    private static void WriteErrors(ParseResult result, IReadOnlyList<string> errors, string[] words)
    {
        // Words that could not be respelled were not parsed either, so that the command is only known from them.
        var command = result.RootCommandResult.Command;
        foreach (var word in words)
        {
            if (command.Subcommands.FirstOrDefault(child => child.Name == word || child.Aliases.Contains(word)) is not { } child) break;
            command = child;
        }

        WriteErrors(NameOf(command), errors);
    }

    private static void WriteErrors(string name, IReadOnlyList<string> errors)
    {
        foreach (var error in errors) Tell($"{name}: {OnOneLine(error)}");
    }

    private static int Fail(Exception failure)
    {
        // Stdout is full or closed, or the like: the operating system's reason says it all.
        var isOutside = failure is IOException or UnauthorizedAccessException;
        var reason = (failure as UnauthorizedAccessException)?.InnerException?.Message ?? failure.Message;
        Tell(isOutside
            ? $"sleeve: {OnOneLine(reason)}"
            : $"sleeve: internal error: {failure.GetType().Name}: {OnOneLine(reason)}; please report it with the command line and what {DebugVariable}=1 adds");
        if (IsDebug) Tell(failure.ToString());
        return ExitCode.Failed;
    }

    // A value may contain anything; an error is one line all the same, and does nothing to the terminal.
    private static string OnOneLine(string text) => string.Concat(text.Select(static c => char.IsControl(c) ? '?' : c));

    private sealed class HelpWithExamples(HelpAction usual) : SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parseResult)
        {
            var code = usual.Invoke(parseResult);
            var command = parseResult.CommandResult.Command;
            if (ExamplesOf.TryGetValue(command, out var examples)) Console.Out.WriteLine(examples);
            else if (command.Parents.OfType<Command>().FirstOrDefault() is { } parent && ExamplesOf.TryGetValue(parent, out var all)) WriteOwn(command, all);
            return code;
        }

        private static void WriteOwn(Command command, string all)
        {
            var start = $"  {NameOf(command)} ";
            Console.Out.WriteLine("Examples:");
            foreach (var line in all.Split('\n').Where(line => line.StartsWith(start, StringComparison.Ordinal))) Console.Out.WriteLine(line);
        }
    }
}
