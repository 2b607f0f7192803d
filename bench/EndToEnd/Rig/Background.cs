using System.Diagnostics;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Bench.EndToEnd.Rig;

/// <summary>A process that runs beside the benchmark; its lines are kept. Disposing ends it: SIGTERM, and SIGKILL if that is not enough.</summary>
internal sealed class Background : IDisposable
{
    private const int KeptLines = 200;
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(4);

    private readonly Process _process;
    private readonly Queue<string> _lines = [];
    private readonly string _shown;
    private bool _isDisposed;

    /// <summary>Starts it.</summary>
    public Background(params IReadOnlyList<string> words)
    {
        // What matters of "ip netns exec L /path/to/program words…" is the program; it mostly names itself when it complains.
        _shown = Path.GetFileName(words is ["ip", "netns", "exec", _, var program, ..] ? program : words[0]);
        _process = Command.Start(new ProcessStartInfo(words[0], words.Skip(1)) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true });
        _process.StandardInput.Close();
        _process.OutputDataReceived += Keep;
        _process.ErrorDataReceived += Keep;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>Process id; `ip netns exec` becomes the program, so it is the program's.</summary>
    public int Id => _process.Id;

    /// <summary>False once it has ended.</summary>
    public bool IsRunning => !_process.HasExited;

    /// <summary>The last line it said, or that it said nothing.</summary>
    public string LastWords
    {
        get
        {
            lock (_lines) return _lines.LastOrDefault(static line => line.Trim().Length > 0) ?? "said nothing";
        }
    }

    /// <summary>Waits for a line that contains a word.</summary>
    /// <returns>The line.</returns>
    /// <exception cref="BenchFailure">It ended before, or the time is over.</exception>
    public string WaitFor(string word, TimeSpan limit)
    {
        var deadline = Stopwatch.GetTimestamp() + (long)(limit.TotalSeconds * Stopwatch.Frequency);
        lock (_lines)
        {
            while (true)
            {
                if (_lines.FirstOrDefault(line => line.Contains(word, StringComparison.Ordinal)) is { } found) return found;
                if (Stopwatch.GetTimestamp() > deadline) throw new BenchFailure($"{_shown}: no \"{word}\" within {limit.TotalSeconds:0.#} s: {LastWords}");
                // A process that has ended may still have lines on their way.
                if (_process.HasExited && !Monitor.Wait(_lines, 100)) throw new BenchFailure($"{_shown}: {LastWords}");
                Monitor.Wait(_lines, 50);
            }
        }
    }

    /// <summary>Waits for its end.</summary>
    /// <exception cref="BenchFailure">It does not end in time.</exception>
    public void WaitForEnd(TimeSpan limit)
    {
        if (!_process.WaitForExit(limit)) throw new BenchFailure($"{_shown}: hung, killed after {limit.TotalSeconds:0.#} s");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_isDisposed) return;
        _isDisposed = true;
        if (!_process.HasExited)
        {
            _ = LibC.kill(_process.Id, LibC.SIGTERM);
            if (!_process.WaitForExit(Grace)) _process.Kill(entireProcessTree: true);
        }

        _process.Dispose();
    }

    private void Keep(object sender, DataReceivedEventArgs line)
    {
        if (line.Data is null) return;
        lock (_lines)
        {
            _lines.Enqueue(line.Data);
            if (_lines.Count > KeptLines) _lines.Dequeue();
            Monitor.PulseAll(_lines);
        }
    }
}
