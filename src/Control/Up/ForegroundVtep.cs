using System.Globalization;
using System.Runtime.InteropServices;
using Sleeve.Control.Api;
using Sleeve.Control.Cli;
using Sleeve.Control.Host;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Up;

/// <summary>Runs one VTEP until it is told to stop: sets up, says what it made, waits, takes down in reverse.</summary>
internal sealed class ForegroundVtep : IAsyncDisposable
{
    private const int RunningPatienceMilliseconds = 2000;

    private readonly UpOptions _options;
    private readonly CancellationTokenSource _stop;
    private readonly StderrLogger _logger = new("sleeve up");
    private readonly List<OverlayDevice> _devices = [];
    private readonly Dictionary<string, VtepSegment> _segments = [];
    private NetworkNamespace? _tapNamespace;
    private RouteNetlink? _tapHost;
    private UnderlayDevice? _underlayDevice;
    private LinkInfo? _underlayLink;
    private Vtep? _vtep;
    private LinkMonitor? _monitor;
    private ApiServer? _api;
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
        _tapNamespace = _options.NetworkNamespace is { } name ? NetworkNamespace.Open(name) : null;
        _tapHost = RouteNetlink.Open(_tapNamespace);
        _underlayLink = _options.Device is { } lower ? underlayHost.FindLink(lower) ?? throw new HostException($"--dev {lower}: there is no such interface (ip link show)") : null;
        _vtep = OpenVtep(underlayHost);
        var mtu = FindMtu(underlayHost, out var mtuSource);

        foreach (var segment in _options.Segments)
        {
            _stop.Token.ThrowIfCancellationRequested();
            var device = OverlayDevice.Make(_tapHost, _tapNamespace, segment, _options, _vtep.Workers.Count, mtu);
            _devices.Add(device);
            _segments.Add(segment.Name, AddSegment(segment, device));
        }

        _monitor = LinkMonitor.Start(
            _tapNamespace, [.. _devices.Select(static device => device.Link.Index)], OnLinkChange, fault => Fail($"watching links failed: {fault.Message}"));
        foreach (var device in _devices) device.SetUp();
        JoinGroups();
        _vtep.Start();
        _api = await ApiServer.StartAsync(SocketPaths(), new VtepState(_vtep, _segments), _stop.Token);
        await WaitUntilRunningAsync(_tapHost);
        Report(mtuSource);
    }

    // Until the kernel has seen the carrier of a link that was set up, what the host sends into it is lost; it looks about once a second.
    private async Task WaitUntilRunningAsync(RouteNetlink host)
    {
        var end = Vtep.NowMilliseconds + RunningPatienceMilliseconds;
        foreach (var device in _devices)
            while (host.FindLink(device.Link.Index) is { IsRunning: false } && Vtep.NowMilliseconds < end) await Task.Delay(10, _stop.Token);
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
        // Forwarding goes by the route, whatever interface was asked for.
        if (_underlayLink is { } link) return options with { UnderlayTapRefusal = $"--dev {link.Name} fixes the interface, and super-frames would be routed" };
        _underlayDevice = UnderlayDevice.TryMake(host, options.Local.IsIPv4, out var refusal);
        return options with { UnderlayTap = _underlayDevice?.Options, UnderlayTapRefusal = refusal };
    }

    private int FindMtu(RouteNetlink host, out string source)
    {
        source = "--mtu";
        if (_options.Mtu is { } given) return given;
        var found = OverlayMtu.Find(host, _options.Vtep.Local, [.. Groups, .. _options.Remotes], _underlayLink?.Index ?? 0);
        foreach (var unreachable in found.Unreachable) _logger.Say($"{unreachable} (frames for it are dropped and counted until there is one)");
        source = found.Source;
        return found.Mtu;
    }

    private VtepSegment AddSegment(SegmentOptions options, OverlayDevice device)
    {
        var self = new VtepAddress(_options.Vtep.Local, _options.Vtep.Port);
        var segment = new Segment(options, self) { DeviceMac = device.Link.Mac, Mtu = device.Link.Mtu };
        segment.SetUp(device.Link.IsUp, Vtep.NowMilliseconds);
        if (options.Group is { } group) segment.Fdb.Append(MacAddress.Zero, new VtepAddress(group, self.Port), options.Vni, EntryKind.Permanent, Vtep.NowMilliseconds);
        foreach (var remote in _options.Remotes)
            segment.Fdb.Append(MacAddress.Zero, new VtepAddress(remote, self.Port), options.Vni, EntryKind.Permanent, Vtep.NowMilliseconds);
        return _vtep!.AddSegment(segment, device.Queues);
    }

    private IEnumerable<InternetAddress> Groups => _options.Segments.Select(static segment => segment.Group).OfType<InternetAddress>().Distinct();

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

    private void OnLinkChange(LinkChange change)
    {
        if (_devices.Find(candidate => candidate.Link.Index == change.Now.Index) is not { } device) return;
        var segment = _segments[device.Name].Segment;
        segment.DeviceMac = change.Now.Mac;
        segment.Mtu = change.Now.Mtu;
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

    private void Report(string mtuSource)
    {
        var vtep = _options.Vtep;
        foreach (var device in _devices)
        {
            var (link, segment) = (device.Link, _segments[device.Name].Segment);
            var origin = device.IsMade ? "made" : "found, will be left as it was";
            _logger.Say($"{link.Name} ({origin}) carries vni {segment.Options.Vni}: MTU {link.Mtu} from {mtuSource}, MAC {link.Mac}");
        }

        var buffer = _vtep!.ReceiveBufferBytes;
        var wish = UdpUnderlay.ReceiveBufferBytes;
        var shortfall = buffer < wish ? $" (asked for {Size(wish)}; without CAP_NET_ADMIN on the host raise it: sysctl net.core.rmem_max={wish})" : "";
        _logger.Say(
            $"underlay {(vtep.Local.IsUnspecified ? "address by route" : vtep.Local)}, UDP port {vtep.Port}, source ports {vtep.SourcePortMin}-{vtep.SourcePortMax} "
            + $"(at most {_vtep.SourcePortsLimit} open), receive buffer {Size(buffer)}{shortfall}");
        _logger.Say(WorkersLine());
        _logger.Say($"tx-offload {_vtep.TransmitOffload.Offload.Name()} ({_vtep.TransmitOffload.Reason}), rx-offload {(_vtep.IsCoalescing ? "udp-gro" : "none")} ({_vtep.CoalescingReason})");
        _logger.Say(FloodLine());
        _logger.Say($"commands on {string.Join(", ", SocketPaths())}");
        _logger.Say("ready");
    }

    private string FloodLine()
    {
        if (_options.Remotes.Count == 0 && !Groups.Any())
            return "no remote yet: add one with sleeve fdb append 00:00:00:00:00:00, or let them be learned; datagrams of any VTEP are admitted until one is configured";
        var isAny = _options.Segments[0].Admission == Admission.Any;
        var admission = isAny ? "datagrams of any VTEP are admitted" : _options.Remotes.Count == 0 ? "datagrams of any VTEP are admitted until one is configured" : "only configured VTEPs are admitted";
        var destinations = Groups.Select(group => $"{group} on {_underlayLink?.Name}").Concat(_options.Remotes.Select(static remote => remote.ToString()));
        return $"broadcast, unknown and multicast frames go to {string.Join(", ", destinations)}; {admission}";
    }

    private string WorkersLine()
    {
        var workers = _vtep!.Workers.Count;
        var line = workers == 1 ? "1 worker" : $"{workers} workers";
        if (workers < _options.Vtep.Workers) line += $" (not {_options.Vtep.Workers}: each needs a source port of its own)";
        if (!_vtep.IsUnderlaySteered) line += "; datagrams are spread by outer flow: this kernel has no SO_ATTACH_REUSEPORT_CBPF";
        foreach (var device in _devices)
        {
            if (workers > 1 && device.Queues.Count == 1) line += $"; {device.Name} has one queue, so one worker reads it (make it with: ip tuntap add {device.Name} mode tap multi_queue vnet_hdr)";
            else if (!_segments[device.Name].IsSteered) line += $"; the kernel spreads the flows of {device.Name}, and may reorder one that it moves: loading BPF was refused (CAP_BPF)";
        }

        return line;
    }

    private static string Size(int bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1024} KiB");

    private IReadOnlyList<string> SocketPaths() =>
        _options.Socket is { } socket ? [socket] : [.. _options.Segments.Select(static segment => SocketFile.Of(segment.Name))];

    /// <summary>Takes everything down, in the reverse of the order it was made.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_api is not null) await _api.DisposeAsync();
        _monitor?.Dispose();
        _vtep?.Dispose();
        _underlayDevice?.Dispose();
        for (var i = _devices.Count - 1; i >= 0; i--) _devices[i].Dispose();
        _tapHost?.Dispose();
        _tapNamespace?.Dispose();
    }
}
