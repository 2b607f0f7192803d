using System.Collections.Concurrent;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Up;

/// <summary>A path to be measured.</summary>
/// <param name="Remote">Where it leads.</param>
/// <param name="Port">The VXLAN port there.</param>
/// <param name="Most">Bytes that the interface or the route takes.</param>
internal readonly record struct ProbeTarget(InternetAddress Remote, ushort Port, int Most);

/// <summary>Measures the path to every remote once an interval (<see cref="PathMtuProbe"/>), one after the other, on a thread of its own.</summary>
internal sealed class PathMtuProber : IDisposable
{
    // Between two remotes, so that a thousand of them are no burst.
    private const int PauseMilliseconds = 20;

    private readonly PathMtuProbe _probe;
    private readonly int _intervalMilliseconds;
    private readonly ConcurrentDictionary<InternetAddress, ProbeResult> _results = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Thread _thread;
    private volatile IReadOnlyList<ProbeTarget> _targets = [];

    /// <summary>Starts in the network namespace of the process.</summary>
    public PathMtuProber(InternetAddress local, int intervalSeconds)
    {
        _probe = new PathMtuProbe(local, _stop.Token);
        _intervalMilliseconds = intervalSeconds * 1000;
        _thread = new Thread(Run) { IsBackground = true, Name = "path MTU probes" };
        _thread.Start();
    }

    /// <summary>What to measure from now on.</summary>
    public IReadOnlyList<ProbeTarget> Targets
    {
        set => _targets = value;
    }

    /// <summary>What was last found; null before.</summary>
    public ProbeResult? ResultOf(InternetAddress remote) => _results.TryGetValue(remote, out var result) ? result : null;

    private void Run()
    {
        var due = new Dictionary<InternetAddress, long>();
        while (!HasStoppedAfter(PauseMilliseconds))
        {
            var targets = _targets;
            foreach (var target in targets)
            {
                var now = Environment.TickCount64;
                if (due.TryGetValue(target.Remote, out var next) && now < next) continue;
                due[target.Remote] = now + _intervalMilliseconds;
                _results[target.Remote] = _probe.Run(target.Remote, target.Port, target.Most);
                if (HasStoppedAfter(PauseMilliseconds)) return;
            }

            if (due.Count > targets.Count) Forget(due, targets);
            if (HasStoppedAfter(Math.Min(_intervalMilliseconds, 1000))) return;
        }
    }

    private bool HasStoppedAfter(int milliseconds) => _stop.Token.WaitHandle.WaitOne(milliseconds);

    private void Forget(Dictionary<InternetAddress, long> due, IReadOnlyList<ProbeTarget> targets)
    {
        var known = targets.Select(static target => target.Remote).ToHashSet();
        foreach (var gone in due.Keys.Where(remote => !known.Contains(remote)).ToArray())
        {
            due.Remove(gone);
            _results.TryRemove(gone, out _);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_stop.IsCancellationRequested) return;
        _stop.Cancel();
        _thread.Join();
        _stop.Dispose();
    }
}
