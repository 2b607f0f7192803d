using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Sleeve.EndToEnd.Rig;

/// <summary>A program that runs until it is told to stop; both its outputs are kept. Disposing kills it.</summary>
public sealed class BackgroundProcess : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _error = new();

    /// <summary>Starts the program.</summary>
    public BackgroundProcess(IReadOnlyList<string> words)
    {
        Line = string.Join(' ', words);
        _process = new Process { StartInfo = Command.Describe(words, redirectInput: false) };
        _process.OutputDataReceived += (_, e) => Append(_output, e.Data);
        _process.ErrorDataReceived += (_, e) => Append(_error, e.Data);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>The command as started.</summary>
    public string Line { get; }

    /// <summary>Its process id; `ip netns exec` becomes the program it starts, so this is the program's own.</summary>
    public int Id => _process.Id;

    /// <summary>True once it has ended.</summary>
    public bool HasExited => _process.HasExited;

    /// <summary>Its exit code; 128 + n after signal n.</summary>
    public int ExitCode => _process.ExitCode;

    /// <summary>Standard output so far.</summary>
    public string Output => Read(_output);

    /// <summary>Standard error so far.</summary>
    public string Error => Read(_error);

    /// <summary>Resident memory now, in bytes.</summary>
    public long ResidentBytes()
    {
        var line = File.ReadLines($"/proc/{Id}/status").First(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
        return long.Parse(line.AsSpan(6).Trim().TrimEnd("kB ").ToString(), CultureInfo.InvariantCulture) * 1024;
    }

    /// <summary>Sends a signal, `SIGTERM` unless said otherwise.</summary>
    public void Signal(int signal = LibC.SIGTERM)
    {
        if (!_process.HasExited) _ = LibC.kill(_process.Id, signal);
    }

    /// <summary>Waits for the end; false if it is still running then.</summary>
    public bool WaitForExit(TimeSpan timeout)
    {
        if (!_process.WaitForExit(timeout)) return false;
        _process.WaitForExit();
        return true;
    }

    /// <summary>Waits until standard error or output contains a text; throws with all it said if it ends or is late.</summary>
    public void WaitForText(string text, TimeSpan timeout)
    {
        var until = Stopwatch.GetTimestamp() + (long)(timeout.TotalSeconds * Stopwatch.Frequency);
        while (!Error.Contains(text, StringComparison.Ordinal) && !Output.Contains(text, StringComparison.Ordinal))
        {
            if (HasExited)
            {
                _process.WaitForExit();
                if (Error.Contains(text, StringComparison.Ordinal)) return;
                throw new CommandFailedException($"`{Line}` ended with {ExitCode} before it said \"{text}\": {Error}{Output}");
            }

            if (Stopwatch.GetTimestamp() > until) throw new TimeoutException($"`{Line}` did not say \"{text}\" in {timeout.TotalSeconds} s: {Error}");
            Thread.Sleep(5);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Signal(LibC.SIGKILL);
        _process.WaitForExit(5000);
        _process.Dispose();
    }

    private static void Append(StringBuilder text, string? line)
    {
        if (line is null) return;
        lock (text) text.AppendLine(line);
    }

    private static string Read(StringBuilder text)
    {
        lock (text) return text.ToString();
    }
}
