using System.Globalization;
using Sleeve.Control.Cli;

namespace Sleeve.Control.Tests.Cli;

/// <summary>Tests that capture the console's streams, of which there is one each in a process.</summary>
[CollectionDefinition(Name)]
public sealed class ConsoleTests
{
    public const string Name = "console";
}

/// <summary>What a command did.</summary>
internal sealed record Outcome(int Code, string Output, string Errors)
{
    public string[] ErrorLines => Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Runs a command line in this process; the words are split at blanks.</summary>
    public static Outcome Of(string line) => OfWords(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    public static Outcome OfWords(params string[] words)
    {
        var (output, errors) = (Console.Out, Console.Error);
        using var capturedOutput = new StringWriter(CultureInfo.InvariantCulture);
        using var capturedErrors = new StringWriter(CultureInfo.InvariantCulture);
        Console.SetOut(capturedOutput);
        Console.SetError(capturedErrors);
        try
        {
            // The runner's own scheduler would not let this thread wait.
            var code = Task.Run(() => CommandLine.RunAsync(words)).GetAwaiter().GetResult();
            return new Outcome(code, capturedOutput.ToString(), capturedErrors.ToString());
        }
        finally
        {
            Console.SetOut(output);
            Console.SetError(errors);
        }
    }
}
