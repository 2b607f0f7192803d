using System.Globalization;
using System.Runtime.InteropServices;
using Sleeve.Control.Api;
using Sleeve.Control.Cli;
using Sleeve.Control.Host;
using Sleeve.Control.Telemetry;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Events;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Up;

/// <summary>Runs one VTEP until it is told to stop: sets up, says what it made, waits, takes down in reverse.</summary>
internal sealed class ForegroundVtep : IAsyncDisposable
{
    private const int RunningPatienceMilliseconds = 2000;

    // Of a thousand segments nobody reads a thousand lines.
    private const int ReportedOneByOne = 8;
    private const int MaxListedCharacters = 400;
    private const int ClosedAtOnce = 64;

    private readonly UpOptions _options;
    private readonly CancellationTokenSource _stop;
    private readonly StderrLogger _logger = new("sleeve up");
    private readonly List<OverlayDevice> _devices = [];
    private readonly List<string> _mtuSources = [];
    private readonly Dictionary<string, VtepSegment> _segments = [];
    // By the namespace's name; the current one has none.
    private readonly Dictionary<string, TapPlace> _places = [];
    private UnderlayDevice? _underlayDevice;
    private LinkInfo? _underlayLink;
    private Vtep? _vtep;
    private PathMtuKeeper? _pathMtus;
    private ApiServer? _api;
    private OtlpExport? _otlp;
    private string? _fault;

    private ForegroundVtep(UpOptions options, CancellationTokenSource stop)
    {
        _options = options;
        _stop = stop;
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
        using var underlayHost = RouteNetlink.Open();
        foreach (var name in _options.Devices.Select(static device => device.NetworkNamespace).Distinct()) _places[name ?? ""] = TapPlace.Open(name);
        _underlayLink = _options.Device is { } lower ? underlayHost.FindLink(lower) ?? throw new HostException($"--dev {lower}: there is no such interface (ip link show)") : null;
        _vtep = OpenVtep(underlayHost);
        var mtus = new MtuFinder(underlayHost, _options.Vtep.Local, _underlayLink?.Index ?? 0, _logger);

        foreach (var asked in _options.Devices)
        {
            _stop.Token.ThrowIfCancellationRequested();
            var (mtu, source) = mtus.Find(asked);
            var device = _places[asked.NetworkNamespace ?? ""].Make(asked, _vtep.Workers.Count, mtu);
            _devices.Add(device);
            _mtuSources.Add(source);
            _segments.Add(device.Name, AddSegment(asked, device, underlayHost));
        }

        foreach (var place in _places.Values) place.Watch(OnLinkChange, fault => Fail($"watching links failed: {fault.Message}"));
        foreach (var place in _places.Values) place.SetUp();
        JoinGroups();
        _pathMtus = PathMtuKeeper.Start(
            [.. _segments.Values.Select(static attached => attached.Segment)], new VtepAddress(_options.Vtep.Local, _options.Vtep.Port), _underlayLink?.Index ?? 0, _options.PathMtu, static () => Vtep.NowMilliseconds,
            fault => _logger.Say($"watching routes failed: path MTUs stay as they are: {fault.Message}"));
        _vtep.Start();
        var state = new VtepState(_vtep, _segments);
        _api = await ApiServer.StartAsync(SocketPaths(), state, _stop.Token);
        if (_options.Otlp is { } otlp) _otlp = OtlpExport.Start(state.Metrics, otlp, _logger);
        await WaitUntilRunningAsync();
        Report();
    }

    // Until the kernel has seen the carrier of a link that was set up, what the host sends into it is lost; it looks about once a second.
    private async Task WaitUntilRunningAsync()
    {
        var end = Vtep.NowMilliseconds + RunningPatienceMilliseconds;
        for (var i = 0; i < _devices.Count; i++)
        {
            var host = _places[_options.Devices[i].NetworkNamespace ?? ""].Host;
            while (host.FindLink(_devices[i].Link.Index) is { IsRunning: false } && Vtep.NowMilliseconds < end) await Task.Delay(10, _stop.Token);
        }
    }

    private Vtep OpenVtep(RouteNetlink host)
    {
        var options = WithUnderlayTap(host, _options.Vtep) with { InterfaceIndex = _underlayLink?.Index ?? 0 };
        try
        {
            return new Vtep(options, _logger);
        }
        catch (TransmitOffloadException failure)
        {
            throw new HostException($"--tx-offload {failure.Message}; auto takes what there is");
        }
        catch (ErrnoException failure) when (failure is { Call: nameof(LibC.bind), Errno: LibC.EADDRINUSE })
        {
            var any = options.Local.IsIPv4 ? InternetAddress.AnyIPv4 : InternetAddress.AnyIPv6;
            var holder = UdpPortHolder.Find(host, options.Port, any);
            throw new HostException(holder is null
                ? $"no UDP port of {options.SourcePortMin}-{options.SourcePortMax} is free: choose another range with --srcport"
                : $"UDP port {options.Port} is held by {holder}: stop it, or choose another port with --dstport");
        }
        catch (ErrnoException failure) when (failure is { Call: nameof(LibC.bind), Errno: LibC.EADDRNOTAVAIL })
        {
            throw new HostException($"--local {options.Local}: is not an address of this host (ip address show)");
        }
        catch (ErrnoException failure) when (failure is { Call: nameof(LibC.bind), Errno: LibC.EACCES })
        {
            throw new HostException($"{failure.Message}: ports below 1024 need CAP_NET_BIND_SERVICE");
        }
    }

    private VtepOptions WithUnderlayTap(RouteNetlink host, VtepOptions options)
    {
        if (options.TransmitOffload is TransmitOffload.UdpGso or TransmitOffload.None) return options;
        _underlayDevice = UnderlayDevice.TryMake(host, options.Local.IsIPv4, out var refusal);
        return options with { UnderlayTap = _underlayDevice?.Options, UnderlayTapRefusal = refusal };
    }

    private VtepSegment AddSegment(UpSegment asked, OverlayDevice device, RouteNetlink host)
    {
        var self = new VtepAddress(_options.Vtep.Local, _options.Vtep.Port);
        var (options, now) = (asked.Segment, Vtep.NowMilliseconds);
        var segment = new Segment(options, self, _vtep!.Events) { DeviceMac = device.Link.Mac, Mtu = device.Link.Mtu };
        segment.IsBridgePort = device.IsBridgePort(device.Link);
        segment.SetUp(device.Link.IsUp, now);
        foreach (var remote in asked.Remotes) segment.Fdb.Append(MacAddress.Zero, new VtepAddress(remote, self.Port), options.Vni, EntryKind.Permanent, now);
        foreach (var entry in asked.Fdb)
        {
            var via = entry.Via is null ? 0 : host.FindLink(entry.Via)?.Index ?? throw new HostException($"{options.Name}: --fdb {entry.Mac} dst {entry.Destination} via {entry.Via}: there is no such interface (ip link show)");
            var result = segment.Fdb.Append(entry.Mac, new VtepAddress(entry.Destination, entry.Port ?? self.Port), entry.Vni ?? options.Vni, entry.Kind, now, via);
            if (result != TableResult.Done) throw new HostException($"{options.Name}: --fdb {entry.Mac} dst {entry.Destination}: the table refuses it ({result})");
        }

        foreach (var neighbour in asked.Neighbours)
            if (segment.Neighbours.Replace(neighbour) is var result and not TableResult.Done) throw new HostException($"{options.Name}: --neigh {neighbour.Address}: the table refuses it ({result})");
        return _vtep.AddSegment(segment, device.Queues);
    }

    // Before anything is said to be ready; from then on link changes say when.
    private void JoinGroups()
    {
        foreach (var segment in _segments.Values.Where(static segment => segment.Segment.Options.Group is not null))
        {
            segment.Segment.SetUp(true, Vtep.NowMilliseconds);
            try
            {
                _vtep!.FollowGroup(segment);
            }
            catch (ErrnoException failure)
            {
                throw new HostException($"--group {segment.Segment.Options.Group}: cannot be joined on {_underlayLink?.Name}: {ErrnoException.Describe(failure.Errno)}");
            }
        }
    }

    private void FollowGroup(VtepSegment segment)
    {
        try
        {
            _vtep!.FollowGroup(segment);
        }
        catch (ErrnoException failure)
        {
            _logger.Say($"{segment.Segment.Options.Name}: group {segment.Segment.Options.Group} cannot be joined on {_underlayLink?.Name}: {ErrnoException.Describe(failure.Errno)}; frames that others flood do not arrive");
        }
    }

    private void OnLinkChange(OverlayDevice device, LinkChange change)
    {
        var segment = _segments[device.Name].Segment;
        segment.DeviceMac = change.Now.Mac;
        segment.Mtu = change.Now.Mtu;
        segment.IsBridgePort = device.IsBridgePort(change.Now);
        if (change.Changes.HasFlag(LinkChanges.Mtu)) segment.Events.Publish(EventKind.MtuChanged, Vtep.NowMilliseconds, number: change.Now.Mtu);
        if (change.Changes.HasFlag(LinkChanges.Deleted))
        {
            device.MarkGone();
            _vtep!.RemoveSegment(segment.Options.Vni);
            Fail($"{segment.Options.Name} was deleted or moved to another network namespace by somebody else; start again");
            return;
        }

        if (!change.Changes.HasFlag(LinkChanges.Up)) return;
        segment.SetUp(change.Now.IsUp, Vtep.NowMilliseconds);
        FollowGroup(_segments[device.Name]);
        if (_api is null) return;
        if (change.Before.IsUp && !change.Now.IsUp) _logger.Say($"{segment.Options.Name} is down: what was learned is forgotten, frames are dropped and counted");
        if (!change.Before.IsUp && change.Now.IsUp) _logger.Say($"{segment.Options.Name} is up");
    }

    private void Fail(string fault)
    {
        _fault = fault;
        _stop.Cancel();
    }

    private async Task WaitAsync()
    {
        var stopped = Task.Delay(Timeout.Infinite, _stop.Token);
        if (await Task.WhenAny(stopped, _vtep!.Failure) == _vtep.Failure) _fault = $"a worker failed: {(await _vtep.Failure).Message}";
        else if (_fault is null) _logger.Say("stopping");
    }

    private void Report()
    {
        var vtep = _options.Vtep;
        for (var i = 0; i < Math.Min(_devices.Count, ReportedOneByOne); i++)
        {
            var (device, link, segment) = (_devices[i], _devices[i].Link, _segments[_devices[i].Name].Segment);
            var origin = device.IsMade ? "made" : "found, will be left as it was";
            _logger.Say($"{link.Name} ({origin}) carries vni {segment.Options.Vni}: MTU {link.Mtu} from {_mtuSources[i]}, MAC {link.Mac}");
        }

        if (_devices.Count > ReportedOneByOne) _logger.Say(RestLine());

        var buffer = _vtep!.ReceiveBufferBytes;
        var wish = UdpUnderlay.ReceiveBufferBytes;
        var shortfall = buffer < wish ? $" (asked for {Size(wish)}; without CAP_NET_ADMIN on the host raise it: sysctl net.core.rmem_max={wish})" : "";
        _logger.Say(
            $"underlay {(vtep.Local.IsUnspecified ? "address by route" : vtep.Local)}, UDP port {vtep.Port}, source ports {vtep.SourcePortMin}-{vtep.SourcePortMax} "
            + $"(at most {_vtep.SourcePortsLimit} open), receive buffer {Size(buffer)}{shortfall}");
        _logger.Say(WorkersLine());
        _logger.Say($"tx-offload {_vtep.TransmitOffload.Offload.Name()} ({_vtep.TransmitOffload.Reason}), rx-offload {(_vtep.IsCoalescing ? "udp-gro" : "none")} ({_vtep.CoalescingReason})");
        foreach (var line in FloodLines()) _logger.Say(line);
        var paths = SocketPaths();
        _logger.Say(paths.Count <= ReportedOneByOne ? $"commands on {string.Join(", ", paths)}" : $"commands on {paths[0]} and {paths.Count - 1} more in {SocketFile.Folder}, each for all segments");
        _logger.Say("ready");
    }

    private string RestLine()
    {
        var rest = _devices.Skip(ReportedOneByOne).ToArray();
        var mtus = rest.Select(static device => device.Link.Mtu);
        var mtu = mtus.Min() == mtus.Max() ? $"{mtus.Min()}" : $"{mtus.Min()} to {mtus.Max()}";
        return $"and {rest.Length} more, {rest[0].Name} to {rest[^1].Name} ({rest.Count(static device => device.IsMade)} made): MTU {mtu}; sleeve stats lists them";
    }

    // Segments that flood to the same VTEPs share a line.
    private IEnumerable<string> FloodLines()
    {
        var groups = _options.Devices.GroupBy(static device => (string.Join(", ", device.Remotes), device.Segment.Admission)).ToArray();
        foreach (var group in groups.Take(ReportedOneByOne))
        {
            var whose = groups.Length == 1 ? "" : group.Count() == 1 ? $"{group.First().Segment.Name}: " : $"{group.First().Segment.Name} and {group.Count() - 1} more: ";
            var (remotes, admission) = group.Key;
            if (remotes.Length > MaxListedCharacters) remotes = $"{group.First().Remotes.Count} VTEPs";
            yield return whose + (remotes.Length == 0
                ? "no remote yet: add one with sleeve fdb append 00:00:00:00:00:00, or let them be learned; datagrams of any VTEP are admitted until one is configured"
                : $"broadcast, unknown and multicast frames go to {remotes}; {Admitted(group.First(), admission)}");
        }

        if (groups.Length > ReportedOneByOne) yield return $"and {groups.Length - ReportedOneByOne} more lists of remotes; sleeve fdb show lists them";
    }

    // A group is no VTEP.
    private static string Admitted(UpSegment segment, Admission admission) =>
        admission == Admission.Any ? "datagrams of any VTEP are admitted"
        : segment.Remotes.All(static remote => remote.IsMulticast) ? "datagrams of any VTEP are admitted until one is configured"
        : "only configured VTEPs are admitted";

    private string WorkersLine()
    {
        var workers = _vtep!.Workers.Count;
        var line = workers == 1 ? "1 worker" : $"{workers} workers";
        if (workers < _options.Vtep.Workers) line += $" (not {_options.Vtep.Workers}: each needs a source port of its own)";
        if (!_vtep.IsUnderlaySteered) line += "; datagrams are spread by outer flow: this kernel has no SO_ATTACH_REUSEPORT_CBPF";
        var single = _devices.Where(device => workers > 1 && device.Queues.Count == 1).ToArray();
        var unsteered = _devices.Except(single).Where(device => !_segments[device.Name].IsSteered).ToArray();
        if (single is [var first, ..]) line += $"; {Names(single)} {(single.Length == 1 ? "has" : "have")} one queue, so one worker reads it (make it with: ip tuntap add {first.Name} mode tap multi_queue vnet_hdr)";
        if (unsteered.Length > 0) line += $"; the kernel spreads the flows of {Names(unsteered)}, and may reorder one that it moves: loading BPF was refused (CAP_BPF)";
        return line;
    }

    private static string Names(OverlayDevice[] devices) =>
        devices.Length <= ReportedOneByOne ? string.Join(", ", devices.Select(static device => device.Name)) : $"{devices[0].Name} and {devices.Length - 1} more";

    private static string Size(int bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1024} KiB");

    private IReadOnlyList<string> SocketPaths() =>
        _options.Socket is { } socket ? [socket] : [.. _options.Devices.Select(static device => SocketFile.Of(device.Segment.Name))];

    /// <summary>Takes everything down, in the reverse of the order it was made.</summary>
    public async ValueTask DisposeAsync()
    {
        _otlp?.Dispose();
        if (_api is not null) await _api.DisposeAsync();
        foreach (var place in _places.Values) place.StopWatching();
        _pathMtus?.Dispose();
        _vtep?.Dispose();
        _underlayDevice?.Dispose();
        for (var i = _devices.Count - 1; i >= 0; i--)
            if (!_devices[i].IsMade) _devices[i].Dispose();
        CloseAll([.. _devices.Where(static device => device.IsMade)]);
        foreach (var place in _places.Values) place.Dispose();
    }

    // The kernel waits some 20 ms for each link that goes, mostly for what several can wait for at once; nothing is to be undone on a link that was
    // made here, so they go side by side. Threads of our own: the pool's would come one by one.
    private static void CloseAll(OverlayDevice[] devices)
    {
        var threads = Enumerable.Range(0, Math.Min(ClosedAtOnce, devices.Length)).Select(first => new Thread(() =>
        {
            for (var i = first; i < devices.Length; i += ClosedAtOnce) devices[i].Dispose();
        })).ToArray();
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) thread.Join();
    }
}
