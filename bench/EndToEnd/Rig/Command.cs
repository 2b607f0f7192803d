using System.Diagnostics;

namespace Sleeve.Bench.EndToEnd.Rig;

/// <summary>What a command printed and how it ended.</summary>
/// <param name="Code">Exit code.</param>
/// <param name="Output">Standard output.</param>
/// <param name="Errors">Standard error.</param>
internal readonly record struct Outcome(int Code, string Output, string Errors)
{
    /// <summary>The last line that says something, for a report of one line.</summary>
    public string LastWords
    {
        get
        {
            var lines = (Errors + "\n" + Output).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            return lines.Length == 0 ? $"exit code {Code}" : (Errors.Trim().Length > 0 ? Errors.Trim().Split('\n')[^1] : lines[^1]).Trim();
        }
    }
}

/// <summary>Runs commands to their end, never longer than they are given.</summary>
internal static class Command
{
    private static readonly TimeSpan Short = TimeSpan.FromSeconds(20);

    /// <summary>Runs a command that must succeed.</summary>
    /// <returns>Its standard output.</returns>
    /// <exception cref="BenchFailure">It did not succeed; the message is its own.</exception>
    public static string Run(params IReadOnlyList<string> words)
    {
        var outcome = Try(Short, words);
        return outcome.Code == 0 ? outcome.Output : throw new BenchFailure($"{Shown(words)}: {outcome.LastWords}");
    }

    /// <summary>Runs a command that may fail.</summary>
    /// <exception cref="BenchFailure">It is not installed, or did not end in time and was killed.</exception>
    public static Outcome Try(TimeSpan limit, params IReadOnlyList<string> words)
    {
        var start = new ProcessStartInfo(words[0], words.Skip(1)) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Start(start);
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(limit))
        {
            process.Kill(entireProcessTree: true);
            throw new BenchFailure($"{Shown(words)}: hung, killed after {limit.TotalSeconds:0.#} s");
        }

        return new Outcome(process.ExitCode, output.GetAwaiter().GetResult(), errors.GetAwaiter().GetResult());
    }

    /// <summary>Counts the lines that a command prints, without keeping them: there may be millions.</summary>
    public static int CountLines(params IReadOnlyList<string> words)
    {
        using var process = Start(new ProcessStartInfo(words[0], words.Skip(1)) { RedirectStandardOutput = true });
        var lines = 0;
        while (process.StandardOutput.ReadLine() is not null) lines++;
        process.WaitForExit();
        return lines;
    }

    /// <summary>Starts a process, with one sentence if there is none of the name.</summary>
    public static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception missing)
        {
            throw new BenchFailure($"{start.FileName}: cannot be started: {missing.Message}", missing);
        }
    }

    /// <summary>The words as one line that is not endless.</summary>
    public static string Shown(IReadOnlyList<string> words)
    {
        var line = string.Join(' ', words);
        return line.Length <= 120 ? line : line[..117] + "...";
    }
}
