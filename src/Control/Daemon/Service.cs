using System.CommandLine;
using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using Sleeve.Control.Api;
using Sleeve.Control.Cli;
using Sleeve.Control.Config;
using Sleeve.Control.Docker;
using Sleeve.Control.Host;
using Sleeve.Control.Logging;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

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
    private const int TrialSeconds = 20;
    private const int GapSeconds = 10;
    private const int AnswerMilliseconds = 50;

    // When frames began to wait, in ticks of the monotonic clock, which the next program shares.
    private const string StoodSince = "SLEEVE_STOOD_SINCE";

    // A snapshot of a million stations takes a second; it shall not take more than a twentieth of the time.
    private const int SnapshotShare = 20;

    private readonly ServiceOptions _options;
    private readonly CancellationTokenSource _stop;
    private readonly StderrLogger _logger = new("sleeve daemon");
    private readonly Supervisor _supervisor = new();
    private readonly PassedDescriptors _passed = PassedDescriptors.Take();
    private readonly TaskCompletionSource<string> _fault = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private StateStore? _store;
    private Engine? _engine;
    private SegmentKeeper? _keeper;
    private SocketLinks? _links;
    private Cluster? _cluster;
    private DockerService? _docker;
    private Frontend? _frontend;
    private volatile bool _isHandingOver;

    private Service(ServiceOptions options, CancellationTokenSource stop)
    {
        _options = options;
        _stop = stop;
    }

    /// <summary>Runs until it is told to stop, or fails.</summary>
    /// <returns>One of <see cref="ExitCode"/>.</returns>
    public static async Task<int> RunAsync(ServiceOptions options, CancellationToken cancellation)
    {
        if (DescriptorLimit.Read() is var limit && limit < DescriptorLimit.Least)
            return CommandLine.Fail("daemon", $"{limit} open files are allowed, which is too few: at least {DescriptorLimit.Least} are needed, better 4096 (LimitNOFILE= of the unit, ulimit -n)");
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        await using var service = new Service(options, stop);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, service.OnHangUp);
        try
        {
            if (service.ReadConfiguration() is not var (file, configuration)) return ExitCode.BadInput;
            await service.SetUpAsync(file, configuration);
            if (await service.MaintainAsync() is { } fault) return CommandLine.Fail("daemon", fault);
            return service._isHandingOver ? await service.BecomeNextAsync() : ExitCode.Done;
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
            // Whoever ends it has the last word.
            service._isHandingOver = false;
            stop.Cancel();
        }
    }

    private (ConfigFile File, Configuration Configuration)? ReadConfiguration()
    {
        var path = _options.ConfigPath ?? Configuration.DefaultFile;
        var errors = new List<string>();
        var isAbsent = _options.ConfigPath is null && !File.Exists(path);
        var file = isAbsent ? Configuration.ReadText(path, "{}", errors.Add) : Configuration.ReadFile(path, errors.Add);
        if (file is not null && UserSettings.IsGiven(new SettingReader(_options.Words).After(file.Top))) Become(file, errors);
        if (file is not null)
        {
            _store = StateStore.Open(_options.StateFolder, _logger.Say);
            if (isAbsent) _logger.Say($"there is no {path}: beginning without segments of its own; sleeve segment add makes some, sleeve config reload reads the file once it is there");
            if (Configuration.Read(_options.Words, file, errors, Readable(_store.Segments), out var refused) is { } configuration) return (file, configuration);
            errors = [.. refused];
        }

        CommandLine.WriteErrors(_options.Words, errors);
        return null;
    }

    // Before anything is made, so that it is the user's. What segments of the store need beyond those of the file they do without.
    private void Become(ConfigFile file, IReadOnlyList<string> errors)
    {
        // What is wrong is told when it is read in full.
        if (Configuration.Read(_options.Words, file, errors, [], out _) is not { } configuration) return;
        var segments = configuration.Segments.Values.Select(static segment => segment.Asked);
        if (UserSettings.TryBecome(configuration.User, configuration.Engine.Vtep, segments, configuration.Engine.PathMtu, _options.StateFolder) is { } failure) throw new HostException(failure);
    }

    private List<StoredSegment> Readable(IReadOnlyList<StoredSegment> stored)
    {
        var segments = new List<StoredSegment>();
        foreach (var segment in stored)
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
        return file is null ? null : Configuration.Read(_options.Words, file, [], Readable(_store.FormerSegments), out _);
    }

    private async Task SetUpAsync(ConfigFile file, Configuration configuration)
    {
        _logger.Apply(configuration.Frontend.Log);
        SocketFile.Prepare(_options.SocketPath);
        var former = ReadFormer();
        var passed = _passed.Count;
        _engine = Engine.Open(configuration.Engine, _logger, _passed);
        _engine.OnFault = fault => _fault.TrySetResult(fault);
        _keeper = new SegmentKeeper(_options.Words, file, configuration, _engine, _store!, _logger.Say);
        _links = new SocketLinks(_options.SocketPath);
        _keeper.Begin(former);
        _stop.Token.ThrowIfCancellationRequested();
        _engine.Start((running, refusal) => _keeper.Fail(running.Name, refusal.Message));
        var local = LocalAddress(configuration.Engine.Vtep.Local);
        if (local.IsUnspecified) _logger.Say($"warning: {EndpointRegistry.NoAddress}");
        var host = new ClusterHost(local, _options.StateFolder, _engine, _keeper, _store!, _logger.Say);
        _cluster = await Cluster.OpenAsync(configuration.Cluster, host, _stop.Token);
        _docker = DockerService.Start(configuration.Docker, () => _cluster, _store!, host.OwnResolvers, _logger.Say);
        TellPassed(passed - _passed.Count, passed);
        _passed.Dispose();
        TellHandover();
        await _keeper.Tables.SaveAsync();
        _keeper.OnSegments = OnSegments;
        _frontend = await Frontend.StartAsync(
            configuration.Frontend, [_options.SocketPath], new VtepState(_engine.Vtep, () => _engine.Attached, _logger) { Keeper = _keeper, Cluster = _cluster, Membership = _cluster.Membership, Handover = TryHandOverAsync }, _logger, _stop.Token);
        _keeper.OnSegments();
        RunningSegment[] segments = [.. _engine.Segments.Values.OrderBy(static running => running.Name, StringComparer.Ordinal)];
        await Engine.WaitUntilRunningAsync(segments, _stop.Token);
        foreach (var line in StartReport.Lines(_engine, segments)) _logger.Say(line);
        _logger.Say($"commands on {_options.SocketPath}, state in {_options.StateFolder}");
        _logger.Say("ready");
        _supervisor.Ready(StatusLine());
    }

    // What other hosts send to, if nothing was said: the address that this host has towards the rest of the world.
    private static InternetAddress LocalAddress(InternetAddress given)
    {
        if (!given.IsUnspecified) return given;
        using var host = RouteNetlink.Open();
        if (host.TryGetRoute(InternetAddress.FromIPAddress(IPAddress.Parse(given.IsIPv4 ? "192.0.2.1" : "2001:db8::1")), null, 0, out _)?.Source is { } source) return source;
        var routed = host.ListAddresses().Select(static each => each.Prefix.Address);
        return routed.FirstOrDefault(address => address.IsIPv4 == given.IsIPv4 && !address.IsLoopback && !address.IsIPv6LinkLocal && !address.ToString().StartsWith("169.254.", StringComparison.Ordinal), given);
    }

    private void OnSegments()
    {
        _links!.Follow(_keeper!.Configuration.Segments.Keys);
        _supervisor.Keep(_engine!.Descriptors);
    }

    private void TellPassed(int used, int passed)
    {
        if (passed > 0) _logger.Say($"{used} of {passed} descriptors of the run before are in use again, with what the kernel queued in them");
    }

    private void TellHandover()
    {
        if (!long.TryParse(Environment.GetEnvironmentVariable(StoodSince), NumberStyles.None, CultureInfo.InvariantCulture, out var since)) return;
        Environment.SetEnvironmentVariable(StoodSince, null);
        PassedDescriptors.SetVariable(StoodSince, "");
        _logger.Say(string.Create(CultureInfo.InvariantCulture, $"took over from the run before: frames waited for {Stopwatch.GetElapsedTime(since).TotalMilliseconds:0} ms"));
    }

    /// <summary>Sees whether this program, as it is installed now, would start, and if so begins to give way to it.</summary>
    /// <returns>Why not; null if it goes on.</returns>
    private async Task<string?> TryHandOverAsync()
    {
        try
        {
            IReadOnlyList<string> words = OwnProgram.Words;
            var start = new ProcessStartInfo(words[0], [.. words.Skip(1), .. File.Exists(_keeper!.Path) ? new[] { "config", "check", _keeper.Path } : ["--help"]]) { RedirectStandardError = true, RedirectStandardOutput = true };
            using var trial = Process.Start(start)!;
            var errors = trial.StandardError.ReadToEndAsync();
            var output = trial.StandardOutput.ReadToEndAsync();
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(TrialSeconds));
            await trial.WaitForExitAsync(patience.Token);
            await output;
            if (trial.ExitCode != 0) return $"the installed {words[^1]} would not take over: {(await errors).Trim()}";
        }
        catch (OperationCanceledException)
        {
            return $"the installed program does not start within {TrialSeconds} s";
        }
        catch (Exception failure) when (failure is Win32Exception or IOException)
        {
            return $"the installed program cannot be started: {failure.Message}";
        }

        _isHandingOver = true;
        // After the answer is out.
        _ = Task.Delay(AnswerMilliseconds).ContinueWith(_ => _stop.Cancel(), TaskScheduler.Default);
        return null;
    }

    // Same process, other program: whoever supervises it does not notice, and the kernel's queues hold what comes meanwhile.
    private async Task<int> BecomeNextAsync()
    {
        _supervisor.Reloading();
        if (_frontend is not null) await _frontend.DisposeAsync();
        _frontend = null;
        // Frames wait for it, and the others shall.
        _cluster?.Parts.Liveness.AskForPatience(TimeSpan.FromSeconds(GapSeconds));
        if (_docker is not null) await _docker.DisposeAsync();
        _docker = null;
        if (_cluster is not null) await _cluster.DisposeAsync();
        _cluster = null;
        await SaveLearnedAsync();
        await _keeper!.Tables.SaveAsync();
        _engine!.Stop();
        var since = Stopwatch.GetTimestamp();
        PassedDescriptors.Leave(_engine.Descriptors);
        _store!.Dispose();
        PassedDescriptors.SetVariable(StoodSince, since.ToString(CultureInfo.InvariantCulture));
        var errno = PassedDescriptors.Execute([.. OwnProgram.Words, .. Environment.GetCommandLineArgs()[1..]]);
        return CommandLine.Fail("daemon", $"cannot start {OwnProgram.Words[0]}: {ErrnoException.Describe(errno)}; TAPs stay, start it again");
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
        _supervisor.Reloading();
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

        _supervisor.Ready(StatusLine());
    }

    /// <returns>Why it cannot go on; null if it was told to stop.</returns>
    private async Task<string?> MaintainAsync()
    {
        var failure = _engine!.Vtep.Failure;
        var beat = TimeSpan.FromSeconds(1) is var second && _supervisor.WatchdogInterval is { } interval && interval < second ? interval : second;
        var (nextRetry, nextSnapshot) = (After(RetrySeconds), After(SnapshotSeconds));
        var status = StatusLine();
        var stopped = Task.Delay(Timeout.Infinite, _stop.Token);
        while (await Task.WhenAny(stopped, failure, _fault.Task, Task.Delay(beat)) is var first && first != stopped && first != failure && first != _fault.Task)
        {
            _supervisor.Alive();
            if (Stopwatch.GetTimestamp() >= nextRetry)
            {
                await _keeper!.RetryAsync();
                await _keeper.Tables.SaveAsync();
                nextRetry = After(RetrySeconds);
            }

            if (Stopwatch.GetTimestamp() >= nextSnapshot)
            {
                var start = Stopwatch.GetTimestamp();
                await Task.Run(SaveLearnedAsync);
                nextSnapshot = After(Math.Max(SnapshotSeconds, Stopwatch.GetElapsedTime(start).TotalSeconds * SnapshotShare));
            }

            if (StatusLine() is var now && now != status) _supervisor.Status(status = now);
        }

        if (failure.IsCompleted) return $"a worker failed: {(await failure).Message}";
        if (_fault.Task.IsCompleted) return await _fault.Task;
        _logger.Say(_isHandingOver ? "handing over" : "stopping; TAPs stay for the next run (sleeve purge removes them)");
        return null;
    }

    private static long After(double seconds) => Stopwatch.GetTimestamp() + (long)(seconds * Stopwatch.Frequency);

    private Task SaveLearnedAsync() => _keeper!.Tables.SaveLearnedAsync(_engine!.Segments.Values.Select(static running => running.Segment));

    /// <summary>Ends: commands first, then the frames; what is known is saved in between.</summary>
    public async ValueTask DisposeAsync()
    {
        _supervisor.Stopping();
        if (_frontend is not null) await _frontend.DisposeAsync();
        if (_docker is not null) await _docker.DisposeAsync();
        if (_cluster is not null) await _cluster.DisposeAsync();
        _links?.Dispose();
        if (_keeper is not null && _frontend is not null)
        {
            await SaveLearnedAsync();
            await _keeper.Tables.SaveAsync();
        }

        _engine?.Dispose();
        _keeper?.Dispose();
        _store?.Dispose();
        _passed.Dispose();
        _supervisor.Dispose();
    }
}
