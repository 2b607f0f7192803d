using System.Runtime.InteropServices;
using Sleeve.Control.Api;
using Sleeve.Control.Cli;
using Sleeve.Control.Host;
using Sleeve.Control.Logging;
using Sleeve.Control.Up;

namespace Sleeve.Control.Daemon;

/// <summary><c>sleeve up</c>: runs an <see cref="Engine"/> until it is told to stop: sets up, says what it made, waits, takes down in reverse.</summary>
internal sealed class ForegroundVtep : IAsyncDisposable
{
    private readonly UpOptions _options;
    private readonly CancellationTokenSource _stop;
    private readonly StderrLogger _logger;
    private readonly List<RunningSegment> _segments = [];
    private Engine? _engine;
    private Frontend? _frontend;
    private string? _fault;

    private ForegroundVtep(UpOptions options, CancellationTokenSource stop)
    {
        _options = options;
        _stop = stop;
        _logger = new StderrLogger("sleeve up", options.Frontend.Log);
    }

    /// <summary>Runs until SIGINT, SIGTERM, SIGHUP or a failure.</summary>
    /// <returns>One of <see cref="ExitCode"/>.</returns>
    public static async Task<int> RunAsync(UpOptions options, CancellationToken cancellation)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        // From here on a signal no longer kills but ends in order; a second one does not break off the taking down.
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnSignal);
        await using var run = new ForegroundVtep(options, stop);
        try
        {
            await run.SetUpAsync();
            await run.WaitAsync();
        }
        catch (OperationCanceledException) when (run._stop.IsCancellationRequested)
        {
            // Told to stop while still setting up: as good an end as any.
        }
        catch (IOException failure)
        {
            // Every failure of the host and of a system call says in one line what happened and what to do.
            return CommandLine.Fail("up", failure.Message);
        }

        return run._fault is { } fault ? CommandLine.Fail("up", fault) : ExitCode.Done;

        void OnSignal(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.Cancel();
        }
    }

    private async Task SetUpAsync()
    {
        // What can fail without leaving a trace comes first.
        foreach (var path in SocketPaths()) SocketFile.Prepare(path);
        _engine = Engine.Open(new EngineOptions { Vtep = _options.Vtep, Device = _options.Device, PathMtu = _options.PathMtu }, _logger);
        _engine.OnFault = Fail;
        _engine.OnDeviceLost = OnDeviceLost;
        var mtus = _engine.NewMtuFinder();
        foreach (var asked in _options.Devices)
        {
            _stop.Token.ThrowIfCancellationRequested();
            _segments.Add(_engine.Add(asked, mtus));
        }

        _engine.Start();
        _frontend = await Frontend.StartAsync(_options.Frontend, SocketPaths(), new VtepState(_engine.Vtep, () => _engine.Attached, _logger), _logger, _stop.Token);
        await Engine.WaitUntilRunningAsync(_segments, _stop.Token);
        foreach (var line in StartReport.Lines(_engine, _segments)) _logger.Say(line);
        var paths = SocketPaths();
        _logger.Say(paths.Count <= StartReport.OneByOne ? $"commands on {string.Join(", ", paths)}" : $"commands on {paths[0]} and {paths.Count - 1} more in {SocketFile.Folder}, each for all segments");
        _logger.Say("ready");
    }

    private void OnDeviceLost(RunningSegment segment, LinkChange change)
    {
        if (change.Changes.HasFlag(LinkChanges.Deleted)) Fail($"{segment.Name} was deleted or moved to another network namespace by somebody else; start again");
    }

    private void Fail(string fault)
    {
        _fault = fault;
        _stop.Cancel();
    }

    private async Task WaitAsync()
    {
        var stopped = Task.Delay(Timeout.Infinite, _stop.Token);
        var failure = _engine!.Vtep.Failure;
        if (await Task.WhenAny(stopped, failure) == failure) _fault = $"a worker failed: {(await failure).Message}";
        else if (_fault is null) _logger.Say("stopping");
    }

    private IReadOnlyList<string> SocketPaths() =>
        _options.Socket is { } socket ? [socket] : [.. _options.Devices.Select(static device => SocketFile.PathFor(device.Segment.Name))];

    /// <summary>Takes everything down, in the reverse of the order it was made.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_frontend is not null) await _frontend.DisposeAsync();
        _engine?.Dispose();
        _logger.Dispose();
    }
}
