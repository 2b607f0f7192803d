using System.CommandLine;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Sleeve.Control.Api;
using Sleeve.Control.Cli;
using Sleeve.Control.Config;
using Sleeve.Control.Store;
using Sleeve.Control.Up;

namespace Sleeve.Control.Daemon;

/// <summary>What <c>sleeve daemon</c> was asked for.</summary>
/// <param name="Words">Its command line.</param>
/// <param name="ConfigPath">The configuration file; null for the usual one, which need not be there.</param>
/// <param name="StateFolder">Where the state is.</param>
/// <param name="SocketPath">Where commands come in.</param>
internal sealed record ServiceOptions(ParseResult Words, string? ConfigPath, string StateFolder, string SocketPath);

/// <summary>
/// <c>sleeve daemon</c>: all segments of a host, until SIGTERM or SIGINT; SIGHUP reads the configuration again. TAPs and what was learned outlive it, and the next run goes on
/// with them.
/// </summary>
internal sealed class Service : IAsyncDisposable
{
    /// <summary>Seconds after which what could not be had is tried again.</summary>
    public const int RetrySeconds = 5;

    private const int SnapshotSeconds = 30;

    // A snapshot of a million stations takes a second; it shall not take more than a twentieth of the time.
    private const int SnapshotShare = 20;

    private readonly ServiceOptions _options;
    private readonly CancellationTokenSource _stop;
    private readonly StderrLogger _logger = new("sleeve daemon");
    private readonly ServiceManager _manager = new();
    private readonly TaskCompletionSource<string> _fault = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private StateStore? _store;
    private Engine? _engine;
    private SegmentKeeper? _keeper;
    private SocketLinks? _links;
    private Frontend? _frontend;

    private Service(ServiceOptions options, CancellationTokenSource stop)
    {
        _options = options;
        _stop = stop;
    }

    /// <summary>Runs until it is told to stop, or fails.</summary>
    /// <returns>One of <see cref="ExitCode"/>.</returns>
    public static async Task<int> RunAsync(ServiceOptions options, CancellationToken cancellation)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        await using var service = new Service(options, stop);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, service.OnHangUp);
        try
        {
            if (service.ReadConfiguration() is not var (file, configuration)) return ExitCode.BadInput;
            await service.SetUpAsync(file, configuration);
            return await service.MaintainAsync() is { } fault ? CommandLine.Fail("daemon", fault) : ExitCode.Done;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Told to stop while still setting up: as good an end as any.
            return ExitCode.Done;
        }
        catch (IOException failure)
        {
            return CommandLine.Fail("daemon", failure.Message);
        }

        void OnSignal(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.Cancel();
        }
    }

    private (ConfigFile File, Configuration Configuration)? ReadConfiguration()
    {
        var path = _options.ConfigPath ?? Configuration.DefaultFile;
        var errors = new List<string>();
        var isAbsent = _options.ConfigPath is null && !File.Exists(path);
        var file = isAbsent ? Configuration.ReadText(path, "{}", errors.Add) : Configuration.ReadFile(path, errors.Add);
        if (file is not null)
        {
            _store = StateStore.Open(_options.StateFolder, _logger.Say);
            if (isAbsent) _logger.Say($"there is no {path}: beginning without segments of its own; sleeve segment add makes some, sleeve config reload reads the file once it is there");
            if (Configuration.Read(_options.Words, file, errors, StoredSegments(_store), out var refused) is { } configuration) return (file, configuration);
            errors = [.. refused];
        }

        CommandLine.WriteErrors(_options.Words, errors);
        return null;
    }

    private List<StoredSegment> StoredSegments(StateStore store)
    {
        var segments = new List<StoredSegment>();
        foreach (var segment in store.Segments)
        {
            try
            {
                Configuration.Parse(segment.Settings);
                segments.Add(segment);
            }
            catch (ConfigSyntaxException failure)
            {
                _logger.Say($"warning: segment {segment.Name} is left out: its stored settings are damaged ({failure.Message})");
            }
        }

        return segments;
    }

    // What the run before had in use: null if there was none, or if it cannot be read by now.
    private Configuration? ReadFormer()
    {
        if (_store!.Configuration is not { } json) return null;
        // A key that is none any more is no reason to forget the rest.
        var file = Configuration.ReadText("the configuration before", json, static _ => { });
        return file is null ? null : Configuration.Read(_options.Words, file, [], StoredSegments(_store), out _);
    }

    private async Task SetUpAsync(ConfigFile file, Configuration configuration)
    {
        SocketFile.Prepare(_options.SocketPath);
        var former = ReadFormer();
        _engine = Engine.Open(configuration.Engine, _logger);
        _engine.OnFault = fault => _fault.TrySetResult(fault);
        _keeper = new SegmentKeeper(_options.Words, file, configuration, _engine, _store!, _logger.Say);
        _links = new SocketLinks(_options.SocketPath);
        _keeper.Begin(former);
        _stop.Token.ThrowIfCancellationRequested();
        _engine.Start((running, refusal) => _keeper.Fail(running.Name, refusal.Message));
        await _keeper.Tables.SaveAsync();
        _keeper.OnSegments = () => _links.Follow(_keeper.Configuration.Segments.Keys);
        _frontend = await Frontend.StartAsync(configuration.Frontend, [_options.SocketPath], new VtepState(_engine.Vtep, () => _engine.Attached) { Keeper = _keeper }, _logger, _stop.Token);
        _keeper.OnSegments();
        RunningSegment[] segments = [.. _engine.Segments.Values.OrderBy(static running => running.Name, StringComparer.Ordinal)];
        await Engine.WaitUntilRunningAsync(segments, _stop.Token);
        foreach (var line in StartReport.Lines(_engine, segments)) _logger.Say(line);
        _logger.Say($"commands on {_options.SocketPath}, state in {_options.StateFolder}");
        _logger.Say("ready");
        _manager.Ready(StatusLine());
    }

    private string StatusLine()
    {
        var failed = _keeper!.Failed.Count == 0 ? "" : $", {_keeper.Failed.Count} cannot be had: {string.Join(", ", _keeper.Failed.Keys.Order().Take(StartReport.OneByOne))}";
        var unsaved = _keeper.Tables.Unsaved is { } reason ? $", state not saved: {reason}" : "";
        return $"{_engine!.Segments.Count} segments{failed}{unsaved}";
    }

    private void OnHangUp(PosixSignalContext context)
    {
        context.Cancel = true;
        // Before everything stands there is nothing to read again.
        if (_frontend is not null) _ = ReloadAsync();
    }

    private async Task ReloadAsync()
    {
        _manager.Reloading();
        try
        {
            var changes = await _keeper!.ReloadAsync();
            if (changes.Count == 0) _logger.Say("configuration read again: nothing differs");
            foreach (var change in changes) _logger.Say($"{change.Name} {change.What}{(change.Details.Count == 0 ? "" : $": {string.Join(", ", change.Details)}")}");
        }
        catch (CommandRefusedException refusal)
        {
            foreach (var error in refusal.Errors) _logger.Say($"error: {error}");
            _logger.Say("the configuration is refused and nothing is changed");
        }

        _manager.Ready(StatusLine());
    }

    /// <returns>Why it cannot go on; null if it was told to stop.</returns>
    private async Task<string?> MaintainAsync()
    {
        var failure = _engine!.Vtep.Failure;
        var beat = TimeSpan.FromSeconds(1) is var second && _manager.WatchdogInterval is { } interval && interval < second ? interval : second;
        var (nextRetry, nextSnapshot) = (After(RetrySeconds), After(SnapshotSeconds));
        var status = StatusLine();
        var stopped = Task.Delay(Timeout.Infinite, _stop.Token);
        while (await Task.WhenAny(stopped, failure, _fault.Task, Task.Delay(beat)) is var first && first != stopped && first != failure && first != _fault.Task)
        {
            _manager.Alive();
            if (Stopwatch.GetTimestamp() >= nextRetry)
            {
                await _keeper!.RetryAsync();
                await _keeper.Tables.SaveAsync();
                nextRetry = After(RetrySeconds);
            }

            if (Stopwatch.GetTimestamp() >= nextSnapshot)
            {
                var start = Stopwatch.GetTimestamp();
                await Task.Run(SaveLearned);
                nextSnapshot = After(Math.Max(SnapshotSeconds, Stopwatch.GetElapsedTime(start).TotalSeconds * SnapshotShare));
            }

            if (StatusLine() is var now && now != status) _manager.Status(status = now);
        }

        if (failure.IsCompleted) return $"a worker failed: {(await failure).Message}";
        if (_fault.Task.IsCompleted) return await _fault.Task;
        _logger.Say("stopping; TAPs stay for the next run (sleeve purge removes them)");
        return null;
    }

    private static long After(double seconds) => Stopwatch.GetTimestamp() + (long)(seconds * Stopwatch.Frequency);

    private void SaveLearned() => _keeper!.Tables.SaveLearned(_engine!.Segments.Values.Select(static running => running.Segment));

    /// <summary>Ends: commands first, then the frames; what is known is saved in between.</summary>
    public async ValueTask DisposeAsync()
    {
        _manager.Stopping();
        if (_frontend is not null) await _frontend.DisposeAsync();
        _links?.Dispose();
        if (_keeper is not null && _frontend is not null)
        {
            SaveLearned();
            await _keeper.Tables.SaveAsync();
        }

        _engine?.Dispose();
        _keeper?.Dispose();
        _store?.Dispose();
        _manager.Dispose();
    }
}
