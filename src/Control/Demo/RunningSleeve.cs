using System.Diagnostics;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Demo;

/// <summary><c>sleeve up</c> on a host of the demo.</summary>
internal sealed class RunningSleeve : IAsyncDisposable
{
    // What a shell and .NET add to the number of a signal that ended a process.
    private const int SignalExitCode = 128;
    private const string ReadyLine = "sleeve up: ready";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly DemoHost _host;
    private readonly Process _process;
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string _lastLine = "";

    private RunningSleeve(DemoHost host, Process process)
    {
        _host = host;
        _process = process;
    }

    /// <summary>Why it is no longer running; null while it is.</summary>
    public string? Fault
    {
        get
        {
            if (!_process.HasExited) return null;
            var end = _process.ExitCode > SignalExitCode ? $"was ended by signal {_process.ExitCode - SignalExitCode}" : $"ended with {_process.ExitCode}";
            return $"sleeve up on the {_host.Name} {end}{(_lastLine is "" or ReadyLine ? "" : $", saying \"{_lastLine}\"")}";
        }
    }

    /// <summary>Starts it and waits until it is ready.</summary>
    /// <param name="host">Where.</param>
    /// <param name="words">The command, `up` first.</param>
    /// <param name="show">Called with each line that it writes until it is ready.</param>
    /// <param name="cancellation">Ends the wait; the process is then stopped.</param>
    /// <exception cref="DemoFailure">It ended, or is not ready in time.</exception>
    public static async Task<RunningSleeve> StartAsync(DemoHost host, IReadOnlyList<string> words, Action<string> show, CancellationToken cancellation)
    {
        var sleeve = new RunningSleeve(host, host.Start(words));
        try
        {
            sleeve._process.ErrorDataReceived += (_, line) => sleeve.OnLine(line.Data, show);
            sleeve._process.BeginErrorReadLine();
            sleeve._process.BeginOutputReadLine();
            if (await Task.WhenAny(sleeve._ready.Task, sleeve._process.WaitForExitAsync(cancellation), Task.Delay(Patience, cancellation)) == sleeve._ready.Task)
                return sleeve;
            cancellation.ThrowIfCancellationRequested();
            throw new DemoFailure(sleeve.Fault ?? $"sleeve up on the {host.Name} was not ready within {Patience.TotalSeconds} s");
        }
        catch
        {
            await sleeve.DisposeAsync();
            throw;
        }
    }

    /// <summary>Tells it to stop and waits.</summary>
    /// <exception cref="DemoFailure">It does not end in time, or not in order.</exception>
    public async Task StopAsync()
    {
        if (Fault is { } fault) throw new DemoFailure(fault);
        _ = LibC.kill(_process.Id, LibC.SIGTERM);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        try
        {
            await _process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            throw new DemoFailure($"sleeve up on the {_host.Name} did not stop on SIGTERM");
        }

        if (_process.ExitCode != 0) throw new DemoFailure(Fault!);
    }

    /// <summary>Ends it, if it has not ended.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            // Nothing of it outlives its host, so there is no order to keep.
            _process.Kill();
            await _process.WaitForExitAsync(CancellationToken.None);
        }

        _process.Dispose();
    }

    private void OnLine(string? line, Action<string> show)
    {
        if (line is null) return;
        _lastLine = line;
        if (_ready.Task.IsCompleted) return;
        show(line);
        if (line == ReadyLine) _ready.SetResult();
    }
}
