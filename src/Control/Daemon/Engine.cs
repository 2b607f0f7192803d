using System.Collections.Immutable;
using System.Globalization;
using Sleeve.Control.Api;
using Sleeve.Control.Host;
using Sleeve.Control.Logging;
using Sleeve.Control.Up;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Events;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Daemon;

/// <summary>
/// One VTEP with its segments and their TAPs: what <c>sleeve up</c> and <c>sleeve daemon</c> share. Segments come, change and go while it runs; what is not
/// touched does not notice. Commands come from one thread at a time; reading from any.
/// </summary>
internal sealed class Engine : IDisposable
{
    private const int RunningPatienceMilliseconds = 2000;
    private const int ClosedAtOnce = 64;

    private readonly EngineOptions _options;
    private readonly StderrLogger _logger;
    private readonly RouteNetlink _underlayHost = RouteNetlink.Open();

    // By the namespace's name; the current one has none.
    private readonly Dictionary<string, TapPlace> _places = [];
    private UnderlayDevice? _underlayDevice;
    private LinkInfo? _underlayLink;
    private PathMtuKeeper? _pathMtus;
    private ImmutableDictionary<string, RunningSegment> _segments = ImmutableDictionary<string, RunningSegment>.Empty;
    private ImmutableDictionary<string, VtepSegment> _attached = ImmutableDictionary<string, VtepSegment>.Empty;
    private PassedDescriptors? _passed;
    private bool _isStarted;

    private Engine(EngineOptions options, StderrLogger logger)
    {
        _options = options;
        _logger = logger;
    }

    /// <summary>Opens the sockets in the calling thread's network namespace; no segment yet, and nothing moves before <see cref="Start"/>.</summary>
    /// <param name="options">How.</param>
    /// <param name="logger">Takes lines for whoever watches.</param>
    /// <param name="passed">What the run before left open; claimed as segments are added. Stays the caller's.</param>
    /// <exception cref="HostException">It cannot be done; nothing is left.</exception>
    public static Engine Open(EngineOptions options, StderrLogger logger, PassedDescriptors? passed = null)
    {
        var engine = new Engine(options, logger) { _passed = passed };
        try
        {
            engine.OpenUnderlay();
            return engine;
        }
        catch
        {
            engine.Dispose();
            throw;
        }
    }

    /// <summary>The VTEP.</summary>
    public Vtep Vtep { get; private set; } = null!;

    /// <summary>What it was opened with.</summary>
    public EngineOptions Options => _options;

    /// <summary>The segments by the name of their TAP, as they are now.</summary>
    public ImmutableDictionary<string, RunningSegment> Segments => Volatile.Read(ref _segments);

    /// <summary>The same as the VTEP has them.</summary>
    public ImmutableDictionary<string, VtepSegment> Attached => Volatile.Read(ref _attached);

    /// <summary>Told that a TAP was deleted or moved to another namespace by somebody else, or renamed; on a thread of its watch.</summary>
    public Action<RunningSegment, LinkChange> OnDeviceLost { get; set; } = static (_, _) => { };

    /// <summary>Told of a segment that is about to take the place of another with the same name, before commands reach it.</summary>
    public Action<Segment> OnReplacement { get; set; } = static _ => { };

    /// <summary>Told that something failed that the engine cannot do without.</summary>
    public Action<string> OnFault { get; set; } = static _ => { };

    private void OpenUnderlay()
    {
        _underlayLink = _options.Device is { } lower ? _underlayHost.FindLink(lower) ?? throw new HostException($"--dev {lower}: there is no such interface (ip link show)") : null;
        if (_options.Vtep.TransmitOffload is not (TransmitOffload.UdpGso or TransmitOffload.None))
        {
            _underlayDevice = UnderlayDevice.TryMake(_underlayHost, _options.Vtep.Local.IsIPv4, out var refusal);
            Vtep = OpenVtep(_options.Vtep with { UnderlayTap = _underlayDevice?.Options, UnderlayTapRefusal = refusal });
        }
        else
        {
            Vtep = OpenVtep(_options.Vtep);
        }
    }

    private Vtep OpenVtep(VtepOptions options)
    {
        try
        {
            return new Vtep(options with { InterfaceIndex = _underlayLink?.Index ?? 0, TakeReceiver = worker => _passed?.TryTake(ReceiverName(worker)) }, _logger);
        }
        catch (TransmitOffloadException failure)
        {
            throw new HostException($"--tx-offload {failure.Message}; auto takes what there is");
        }
        catch (ErrnoException failure) when (failure is { Call: nameof(LibC.bind), Errno: LibC.EADDRINUSE })
        {
            var any = options.Local.IsIPv4 ? InternetAddress.AnyIPv4 : InternetAddress.AnyIPv6;
            var holder = UdpPortHolder.Find(_underlayHost, options.Port, any);
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

    /// <summary>Something that says which MTU each TAP gets, by the routes as they are now; for a run of <see cref="Add"/>.</summary>
    public MtuFinder NewMtuFinder() => new(_underlayHost, _options.Vtep.Local, _underlayLink?.Index ?? 0, _logger);

    /// <summary>Adds a segment, before or after <see cref="Start"/>; afterwards it carries frames at once.</summary>
    /// <param name="asked">What to add; no segment has its name or VNI yet.</param>
    /// <param name="mtus">Says its MTU.</param>
    /// <param name="former">What an earlier run, or the segment before the loss of its TAP, left; null for a new one.</param>
    /// <exception cref="HostException">It cannot be done; nothing is left changed.</exception>
    public RunningSegment Add(UpSegment asked, MtuFinder mtus, FormerSegment? former = null)
    {
        if (DescriptorLimit.IsNearlyReached())
            throw new HostException($"too many open files: {DescriptorLimit.Read()} are allowed, and the last {DescriptorLimit.Reserve} are kept for frames and commands; raise the limit (LimitNOFILE= of the unit, ulimit -n)");
        var place = PlaceOf(asked.NetworkNamespace);
        OverlayDevice? device = null;
        try
        {
            var (mtu, source) = mtus.Find(asked);
            device = place.Make(asked, Vtep.Workers.Count, mtu, _options.KeepsDevices ? DeviceLife.Kept : DeviceLife.Process, TakeQueues(asked.Segment.Name));
            var segment = NewSegment(asked.Segment);
            (segment.DeviceMac, segment.Mtu, segment.IsBridgePort) = (device.Link.Mac, device.Link.Mtu, device.IsBridgePort(device.Link));
            segment.SetUp(device.Link.IsUp, Vtep.NowMilliseconds);
            if (former is null)
            {
                SegmentTables.Fill(segment, asked, _underlayHost);
            }
            else
            {
                former.Restore(segment);
                SegmentTables.Change(segment, former.Asked, asked, _underlayHost);
                device.Change(former.Asked, asked, mtu);
            }

            var running = new RunningSegment(asked, device, place, Vtep.AddSegment(segment, device.Queues), source);
            Publish(running);
            if (_isStarted) SetUp(running);
            return running;
        }
        catch
        {
            if (_segments.TryGetValue(asked.Segment.Name, out var half)) TakeOut(half);
            if (device is not null) place.Forget(device);
            device?.GiveUp();
            CloseIfEmpty(asked.NetworkNamespace);
            throw;
        }
    }

    private List<FileDescriptor> TakeQueues(string name)
    {
        var queues = new List<FileDescriptor>();
        while (_passed?.TryTake(QueueName(name, queues.Count)) is { } queue) queues.Add(queue);
        return queues;
    }

    private static string QueueName(string device, int number) => string.Create(CultureInfo.InvariantCulture, $"tap-{number}-{device}");

    private static string ReceiverName(int worker) => string.Create(CultureInfo.InvariantCulture, $"udp-{worker}");

    /// <summary>The descriptors that another run could go on with, sockets first, each with its name.</summary>
    public IEnumerable<(string Name, int Descriptor)> Descriptors =>
        Vtep.Workers.Select(static (worker, number) => (ReceiverName(number), worker.Underlay.ReceiverDescriptor)).Concat(Segments.Values.SelectMany(QueuesOf));

    /// <summary>The same of one segment.</summary>
    public static IEnumerable<(string Name, int Descriptor)> QueuesOf(RunningSegment running) =>
        running.Device.Queues.Select((queue, number) => (QueueName(running.Name, number), queue.Descriptor));

    /// <summary>Stops to move frames and leaves everything open; nothing but the end of the process may follow.</summary>
    public void Stop()
    {
        foreach (var place in _places.Values) place.StopWatching();
        _pathMtus?.Dispose();
        Vtep.Stop();
    }

    private Segment NewSegment(SegmentOptions options) => new(options, new VtepAddress(_options.Vtep.Local, _options.Vtep.Port), Vtep.Events);

    private TapPlace PlaceOf(string? name)
    {
        if (_places.TryGetValue(name ?? "", out var place)) return place;
        _places[name ?? ""] = place = TapPlace.Open(name);
        if (_isStarted) Watch(place);
        return place;
    }

    private void CloseIfEmpty(string? name)
    {
        if (!_places.TryGetValue(name ?? "", out var place) || place.Devices > 0) return;
        _places.Remove(name ?? "");
        place.Dispose();
    }

    private void Watch(TapPlace place) => place.Watch(OnLinkChange, fault => OnFault($"watching links failed: {fault.Message}"));

    /// <summary>Sets the TAP of a segment up and joins its group, again if that did not go before.</summary>
    /// <exception cref="HostException">It cannot be done.</exception>
    public void SetUp(RunningSegment running)
    {
        running.Place.Watch(running.Device);
        running.Device.SetUp();
        if (running.Segment.Options.Group is null) return;
        // Before it is said to be ready; from then on link changes say when.
        running.Segment.SetUp(true, Vtep.NowMilliseconds);
        if (TryFollowGroup(running) is { } refusal) throw new HostException($"--group {refusal}");
    }

    /// <summary>Sets all TAPs up and starts to move frames.</summary>
    /// <param name="onRefusal">Told which segment cannot be set up and why, and the others go on; null to have it thrown.</param>
    /// <exception cref="HostException">It cannot be done.</exception>
    public void Start(Action<RunningSegment, HostException>? onRefusal = null)
    {
        foreach (var place in _places.Values) Watch(place);
        foreach (var running in _segments.Values)
        {
            try
            {
                SetUp(running);
            }
            catch (HostException refusal) when (onRefusal is not null)
            {
                onRefusal(running, refusal);
            }
        }

        _pathMtus = PathMtuKeeper.Start(
            () => Segments.Values.Select(static running => running.Segment), new VtepAddress(_options.Vtep.Local, _options.Vtep.Port), _underlayLink?.Index ?? 0, _options.PathMtu,
            static () => Vtep.NowMilliseconds, fault => EngineLog.RoutesUnwatched(_logger, fault.Message));
        Vtep.Start();
        _isStarted = true;
    }

    /// <summary>
    /// Waits until the kernel has seen the carrier of links that were set up, at most 2 s: until then what the host sends into them is lost, and it looks about once a second.
    /// </summary>
    public static async Task WaitUntilRunningAsync(IReadOnlyCollection<RunningSegment> segments, CancellationToken cancellation)
    {
        var end = Vtep.NowMilliseconds + RunningPatienceMilliseconds;
        foreach (var running in segments)
            while (running.Place.Host.FindLink(running.Device.Link.Index) is { IsRunning: false } && Vtep.NowMilliseconds < end) await Task.Delay(10, cancellation);
    }

    /// <summary>Changes what differs from how a segment was asked for; its VNI and namespace do not. Frames go on meanwhile.</summary>
    /// <returns>What was changed, one phrase each; nothing if nothing differs.</returns>
    /// <exception cref="HostException">Something cannot be done; what was done before it stays.</exception>
    public IReadOnlyList<string> Change(string name, UpSegment wanted)
    {
        var before = _segments[name];
        var changes = new List<string>();
        var attached = before.Attached;
        if (before.Asked.Segment != wanted.Segment)
        {
            var segment = NewSegment(wanted.Segment);
            segment.SetUp(before.Segment.IsUp, Vtep.NowMilliseconds);
            (segment.DeviceMac, segment.Mtu, segment.IsBridgePort) = (before.Segment.DeviceMac, before.Segment.Mtu, before.Segment.IsBridgePort);
            segment.TakeOver(before.Segment, Vtep.NowMilliseconds);
            OnReplacement(segment);
            attached = Vtep.ReplaceSegment(segment);
            changes.Add("options");
        }

        var (mtu, source) = NewMtuFinder().Find(wanted);
        var running = new RunningSegment(wanted, before.Device, before.Place, attached, source);
        Publish(running);
        if (attached != before.Attached) SegmentTables.CatchUp(before.Segment, attached.Segment);
        try
        {
            changes.AddRange(SegmentTables.Change(attached.Segment, before.Asked, wanted, _underlayHost));
            changes.AddRange(before.Device.Change(before.Asked, wanted, mtu));
        }
        catch
        {
            // So that whoever asks again finds that there is still something different.
            Publish(running with { Asked = before.Asked });
            throw;
        }

        (running.Segment.DeviceMac, running.Segment.Mtu, running.Segment.IsBridgePort) = (running.Device.Link.Mac, running.Device.Link.Mtu, running.Device.IsBridgePort(running.Device.Link));
        if (TryFollowGroup(running) is { } refusal) throw new HostException($"--group {refusal}");
        return changes;
    }

    /// <summary>Removes a segment: its TAP too if it was made here, else what was changed on it is put back.</summary>
    public void Remove(string name)
    {
        var running = _segments[name];
        TakeOut(running);
        running.Device.Remove();
        CloseIfEmpty(running.Asked.NetworkNamespace);
    }

    /// <summary>Takes a segment out whose TAP is gone.</summary>
    public void Abandon(string name)
    {
        var running = _segments[name];
        running.Device.MarkGone();
        TakeOut(running);
        running.Device.Dispose();
        CloseIfEmpty(running.Asked.NetworkNamespace);
    }

    private void TakeOut(RunningSegment running)
    {
        running.Place.Forget(running.Device);
        Vtep.RemoveSegment(running.Segment.Options.Vni);
        Volatile.Write(ref _attached, _attached.Remove(running.Name));
        Volatile.Write(ref _segments, _segments.Remove(running.Name));
    }

    private void Publish(RunningSegment running)
    {
        Volatile.Write(ref _segments, _segments.SetItem(running.Name, running));
        Volatile.Write(ref _attached, _attached.SetItem(running.Name, running.Attached));
    }

    private string? TryFollowGroup(RunningSegment running)
    {
        try
        {
            Vtep.FollowGroup(running.Attached);
            return null;
        }
        catch (ErrnoException failure)
        {
            return $"{running.Segment.Options.Group}: cannot be joined on {_underlayLink?.Name}: {ErrnoException.Describe(failure.Errno)}";
        }
    }

    private void OnLinkChange(OverlayDevice device, LinkChange change)
    {
        if (!Segments.TryGetValue(device.Name, out var running) || running.Device != device) return;
        var segment = running.Segment;
        segment.DeviceMac = change.Now.Mac;
        segment.Mtu = change.Now.Mtu;
        segment.IsBridgePort = device.IsBridgePort(change.Now);
        if (change.Changes.HasFlag(LinkChanges.Mtu)) segment.Events.Publish(EventKind.MtuChanged, Vtep.NowMilliseconds, number: change.Now.Mtu);
        if (change.Changes.HasFlag(LinkChanges.Deleted))
        {
            device.MarkGone();
            Vtep.RemoveSegment(segment.Options.Vni);
        }

        if ((change.Changes & (LinkChanges.Deleted | LinkChanges.Name)) != 0) OnDeviceLost(running, change);
        if (change.Changes.HasFlag(LinkChanges.Deleted) || !change.Changes.HasFlag(LinkChanges.Up)) return;
        segment.SetUp(change.Now.IsUp, Vtep.NowMilliseconds);
        if (TryFollowGroup(running) is { } refusal) EngineLog.GroupRefused(_logger, running.Name, refusal);
        if (!_isStarted) return;
        if (change.Before.IsUp && !change.Now.IsUp) EngineLog.LinkDown(_logger, running.Name);
        if (!change.Before.IsUp && change.Now.IsUp) EngineLog.LinkUp(_logger, running.Name);
    }

    /// <summary>Takes everything down, in the reverse of the order it was made; TAPs stay if they are to be kept.</summary>
    public void Dispose()
    {
        foreach (var place in _places.Values) place.StopWatching();
        _pathMtus?.Dispose();
        Vtep?.Dispose();
        _underlayDevice?.Dispose();
        OverlayDevice[] devices = [.. _segments.Values.Select(static running => running.Device)];
        if (_options.KeepsDevices)
        {
            foreach (var device in devices) device.Release();
        }
        else
        {
            foreach (var device in devices.Where(static device => !device.IsMade)) device.Dispose();
            CloseAll([.. devices.Where(static device => device.IsMade)]);
        }

        foreach (var place in _places.Values) place.Dispose();
        _underlayHost.Dispose();
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
