using System.Diagnostics;

namespace Sleeve.EndToEnd.Rig;

/// <summary>What a finished program left behind.</summary>
public sealed record CommandResult(string Line, int ExitCode, string Output, string Error)
{
    /// <summary>The standard output; throws with the standard error if the program failed.</summary>
    public string Ok() => ExitCode == 0 ? Output : throw new CommandFailedException($"`{Line}` exited with {ExitCode}: {Error.Trim()}");
}

/// <summary>A program that was expected to succeed did not.</summary>
public sealed class CommandFailedException(string message) : Exception(message);

/// <summary>Runs a program to its end, without a shell, never longer than a timeout.</summary>
public static class Command
{
    /// <summary>How long a set-up command may take.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(20);

    /// <summary>Runs and waits; standard input is closed or <paramref name="input"/>.</summary>
    public static CommandResult Run(IReadOnlyList<string> words, string? input = null, TimeSpan? timeout = null)
    {
        using var process = new Process { StartInfo = Describe(words, redirectInput: true) };
        process.Start();
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        if (input is not null) process.StandardInput.Write(input);
        process.StandardInput.Close();
        if (!process.WaitForExit(timeout ?? Timeout))
        {
            process.Kill();
            throw new TimeoutException($"`{string.Join(' ', words)}` did not end in {(timeout ?? Timeout).TotalSeconds} s");
        }

        process.WaitForExit();
        return new CommandResult(string.Join(' ', words), process.ExitCode, output.GetAwaiter().GetResult(), error.GetAwaiter().GetResult());
    }

    /// <summary>Words separated by blanks; nothing is quoted or expanded.</summary>
    public static string[] Split(string line) => line.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    internal static ProcessStartInfo Describe(IReadOnlyList<string> words, bool redirectInput)
    {
        var description = new ProcessStartInfo(words[0])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = redirectInput,
            UseShellExecute = false,
        };
        foreach (var word in words.Skip(1)) description.ArgumentList.Add(word);
        return description;
    }
}
