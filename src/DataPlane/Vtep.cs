using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Sleeve.DataPlane.Events;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane;

/// <summary>
/// A VXLAN tunnel end point: the workers with their UDP sockets, and the segments. What Control sees of the data plane. Every method may be called from any
/// thread.
/// </summary>
public sealed class Vtep : IDisposable
{
    private static readonly TimeSpan HousekeepingInterval = TimeSpan.FromSeconds(1);

    // A worker may wait for a listing of a large table, or for a machine that swaps.
    private const int StillSeconds = 15;

    private readonly ILogger _logger;
    private readonly int[] _stillFor;
    private readonly StrangerLog _strangers = new();
    private readonly Worker[] _workers;
    private readonly FlowSteering _steering;
    private readonly ulong _hashKey = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8));
    private readonly Timer _housekeeping;
    private TransmitOffload _loggedOffload;
    private bool _isCapturing;
    private readonly Lock _commands = new();
    private readonly Dictionary<Vni, VtepSegment> _segments = [];
    private readonly GroupMemberships _groups;
    private readonly TaskCompletionSource<Exception> _failure = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Opens the sockets in the calling thread's network namespace; no segment yet, and nothing moves before <see cref="Start"/>.</summary>
    /// <exception cref="ErrnoException">
    /// bind: EADDRINUSE, the port is taken by a process or a kernel vxlan device; EADDRNOTAVAIL, the local address is not this host's.
    /// </exception>
    /// <exception cref="TransmitOffloadException">The way of sending that the options name cannot be had.</exception>
    public Vtep(VtepOptions options, ILogger logger)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Workers, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.Workers, VtepOptions.MaxWorkers, nameof(options));
        Options = options;
        Echo = new EchoDesk { IsOn = options.Echo };
        _logger = logger;
        // A socket has one source port, and a worker its own sockets.
        _workers = new Worker[Math.Min(options.Workers, options.SourcePortMax - options.SourcePortMin + 1)];
        _stillFor = new int[_workers.Length];
        _steering = new FlowSteering(_workers.Length);
        OpenWorkers();
        _groups = new GroupMemberships(_workers);
        IsUnderlaySteered = _workers.Length == 1 || _workers[0].Underlay.TrySteer(_steering);
        _loggedOffload = TransmitOffload.Offload;
        _housekeeping = new Timer(_ => KeepHouse(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    private void OpenWorkers()
    {
        try
        {
            for (var i = 0; i < _workers.Length; i++)
                _workers[i] = new Worker(i, new UdpUnderlay(Options, static () => NowMilliseconds, i, _workers.Length), _hashKey, _strangers, Echo, OnWorkerFailure);
        }
        catch
        {
            foreach (var worker in _workers) worker?.Dispose();
            throw;
        }
    }

    /// <summary>What it was made with.</summary>
    public VtepOptions Options { get; }

    /// <summary>Milliseconds of the clock that every table uses; its zero is arbitrary.</summary>
    public static long NowMilliseconds => Environment.TickCount64;

    /// <summary>
    /// The longest super-frame, in bytes, whose segments fit one send: 64 of them, and 65,000 bytes with the headers that each gets (VXLAN 8,
    /// Ethernet 14, IPv6 40, TCP with timestamps 32).
    /// </summary>
    /// <param name="mtu">MTU of the TAP, bytes.</param>
    public static int SuperFrameLimit(int mtu)
    {
        const int Headers = 8 + 14 + 40 + 32;
        var payload = Math.Max(mtu - 72, 8);
        return Math.Clamp(65000 / (payload + Headers), 1, 64) * payload;
    }

    /// <summary>Ends with the exception that stopped a worker, or that says which one no longer moves, should that ever happen.</summary>
    public Task<Exception> Failure => _failure.Task;

    /// <summary>What happens on the segments that were made with it, for whoever listens.</summary>
    public EventRing Events { get; } = new();

    /// <summary>The threads that move frames, and their sockets: at most <see cref="VtepOptions.Workers"/>, and at most one a source port.</summary>
    public IReadOnlyList<Worker> Workers => _workers;

    /// <summary>Whether the datagrams of an inner flow stay with one worker by our own rule; if not, the outer flow decides. True with one worker.</summary>
    public bool IsUnderlaySteered { get; }

    /// <summary>Bytes the kernel may queue on each receiving socket.</summary>
    public int ReceiveBufferBytes => _workers[0].Underlay.ReceiveBuffer;

    /// <summary>Source ports in use.</summary>
    public int SourcePortsOpen => _workers.Sum(static worker => worker.Underlay.SourcePortsOpen);

    /// <summary>Source ports that can be in use, at most.</summary>
    public int SourcePortsLimit => _workers.Sum(static worker => worker.Underlay.SourcePortsLimit);

    /// <summary>How runs of datagrams reach the kernel, and why that way.</summary>
    public (TransmitOffload Offload, string Reason) TransmitOffload =>
        // They differ only while a way of one is in trouble: that is what is worth telling.
        _workers.Select(static worker => worker.Underlay.TransmitOffload).MinBy(static each => each.Offload);

    /// <summary>Super-frames handed over whole, how many of them the kernel refused, and how many were not seen leaving; those were sent again, cut.</summary>
    public (long Sent, long Refused, long Eaten) TunnelMessages => (
        _workers.Sum(static worker => worker.Underlay.TunnelMessages.Sent),
        _workers.Sum(static worker => worker.Underlay.TunnelMessages.Refused),
        _workers.Sum(static worker => worker.Underlay.TunnelMessages.Eaten));

    /// <summary>Messages of several datagrams that the kernel was to cut, and how many of them it refused.</summary>
    public (long Sent, long Refused) GsoMessages => (_workers.Sum(static worker => worker.Underlay.GsoMessages.Sent), _workers.Sum(static worker => worker.Underlay.GsoMessages.Refused));

    /// <summary>Whether the kernel hands over several datagrams of a flow at once (UDP_GRO).</summary>
    public bool IsCoalescing => _workers[0].Underlay.IsCoalescing;

    /// <summary>Why the kernel does or does not.</summary>
    public string CoalescingReason => _workers[0].Underlay.CoalescingReason;

    /// <summary>Messages received that held several datagrams.</summary>
    public long CoalescedMessages => _workers.Sum(static worker => worker.Underlay.CoalescedMessages);

    /// <summary>Datagrams the receiving sockets dropped because their buffers were full.</summary>
    public long SocketDrops
    {
        get
        {
            lock (_commands) return _workers.Sum(static worker => worker.Underlay.SocketDrops) + _groups.SocketDrops;
        }
    }

    /// <summary>Counters of datagrams that no segment could be found for.</summary>
    public Counters Unassigned => Counters.Sum(_workers.Select(static worker => worker.Decapsulation.Unassigned));

    /// <summary>What its workers share about echo messages.</summary>
    public EchoDesk Echo { get; }

    /// <summary>Sends echo requests by the first worker's sockets; <see cref="EchoDesk.TryBegin"/> comes first.</summary>
    public void Send(EchoOrder order)
    {
        ArgumentNullException.ThrowIfNull(order);
        ArgumentOutOfRangeException.ThrowIfLessThan(order.Length, EchoMessage.Size, nameof(order));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(order.Length, Buffers.FrameBatch.MaxFrameSize, nameof(order));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(order.Count, EchoPort.MaxAtOnce, nameof(order));
        _workers[0].Post(order);
    }

    /// <summary>Sends hellos by the first worker's sockets.</summary>
    public void Send(ReadOnlySpan<HelloOrder> hellos) => _workers[0].Post(hellos);

    /// <summary>The source port of a path of a run.</summary>
    public ushort EchoSourcePort(EchoRun run, byte path)
    {
        ArgumentNullException.ThrowIfNull(run);
        return _workers[0].Underlay.SourcePortOf(EchoPort.Hash(run.Nonce, path)).Port;
    }

    /// <summary>The senders that were turned away, each with the segment that it sent to; at most <see cref="StrangerLog.Capacity"/>.</summary>
    public IReadOnlyList<(Segment Segment, InternetAddress Sender)> Strangers => _strangers.All;

    /// <summary>Wakes every worker and waits until each has looked for work again.</summary>
    /// <param name="patienceMilliseconds">How long, at most.</param>
    /// <returns>Of each worker whether it did.</returns>
    public IReadOnlyList<bool> FindWorkersThatMove(int patienceMilliseconds)
    {
        var before = _workers.Select(static worker => worker.Rounds).ToArray();
        var moves = new bool[_workers.Length];
        for (var end = NowMilliseconds + patienceMilliseconds; ; Thread.Sleep(1))
        {
            for (var i = 0; i < moves.Length; i++)
            {
                moves[i] = moves[i] || _workers[i].Rounds > before[i];
                if (!moves[i]) _workers[i].Wake();
            }

            if (Array.TrueForAll(moves, static isMoving => isMoving) || NowMilliseconds >= end) return moves;
        }
    }

    /// <summary>Makes something that takes frames through the workers' own stages without consequences.</summary>
    public FrameTrial NewTrial() => new(_hashKey);

    /// <summary>Which worker the frames of a flow would have that the host sends into a TAP.</summary>
    /// <returns>Null if the kernel chooses by a rule of its own.</returns>
    public int? WorkerOf(VtepSegment segment, ReadOnlySpan<byte> frame)
    {
        ArgumentNullException.ThrowIfNull(segment);
        if (_workers.Length == 1) return 0;
        if (segment.Queues == 1) return (int)(segment.Segment.Options.Vni.Value % (uint)_workers.Length);
        return segment.IsSteered ? _steering.QueueOf(frame) : null;
    }

    /// <summary>Starts to copy packets for somebody to look at.</summary>
    /// <param name="only">The segment of interest; null for all, and datagrams of no segment.</param>
    /// <param name="snapLength">Bytes of each packet that are kept.</param>
    /// <param name="ringBytes">Room for packets that nobody has read yet, of each worker; a multiple of 8.</param>
    /// <returns>Null if somebody captures already.</returns>
    public CaptureSession? TryCapture(VtepSegment? only, int snapLength, int ringBytes = CaptureRing.Size)
    {
        lock (_commands)
        {
            if (_isCapturing) return null;
            _isCapturing = true;
            var rings = new CaptureRing[_workers.Length];
            for (var i = 0; i < rings.Length; i++)
                rings[i] = new CaptureRing(CaptureSession.NowNanoseconds, only?.Segment.Options.Vni.Value, snapLength, Options.Local, Options.Port, ringBytes);
            SetCapture(rings);
            return new CaptureSession(rings, () =>
            {
                lock (_commands)
                {
                    SetCapture(null);
                    _isCapturing = false;
                }
            });
        }
    }

    private void SetCapture(CaptureRing[]? rings)
    {
        for (var i = 0; i < _workers.Length; i++) _workers[i].SetCapture(rings?[i]);
        foreach (var segment in _segments.Values)
            for (var i = 0; i < segment.Ports.Count; i++) ((TapPort)segment.Ports[i].Tap).SetCapture(rings?[i], segment.Segment.Options.Vni.Value);
    }

    /// <summary>Starts to move frames. What came in since the sockets were opened waits in their queues; call it once, after the first segments.</summary>
    public void Start()
    {
        foreach (var worker in _workers) worker.Start();
        _housekeeping.Change(HousekeepingInterval, HousekeepingInterval);
    }

    /// <summary>Adds a segment, before or after <see cref="Start"/>.</summary>
    /// <param name="segment">Made with this VTEP's own address as its self.</param>
    /// <param name="queues">The queues of its TAP, one a worker, or only one, which all workers write to. They stay the caller's, who disposes them after the VTEP.</param>
    /// <exception cref="ArgumentException">There is a segment of that VNI, or neither one queue nor as many as workers.</exception>
    /// <returns>The segment with its counters.</returns>
    public VtepSegment AddSegment(Segment segment, IReadOnlyList<TapDevice> queues)
    {
        ArgumentNullException.ThrowIfNull(segment);
        ArgumentNullException.ThrowIfNull(queues);
        if (queues.Count != 1 && queues.Count != _workers.Length) throw new ArgumentException($"{queues.Count} queues for {_workers.Length} workers", nameof(queues));
        lock (_commands)
        {
            var receives = _workers[0].Underlay.TakesSuperFrames;
            var ports = new SegmentPort[_workers.Length];
            for (var i = 0; i < ports.Length; i++)
                ports[i] = new SegmentPort(segment, new TapPort(queues[i % queues.Count], receives, sends: Options.ReceiveOffload), new Counters());
            var isSteered = queues.Count == 1 || _steering.TryAttach(queues[0]);
            var added = new VtepSegment(segment, ports, queues.Count, isSteered);
            if (!_segments.TryAdd(segment.Options.Vni, added)) throw new ArgumentException($"vni {segment.Options.Vni} has a segment already", nameof(segment));
            for (var i = 0; i < ports.Length; i++) _workers[i].Add(ports[i], QueueToRead(added, i));
            return added;
        }
    }

    /// <summary>Joins the multicast group of a segment that has one while it is up, and leaves it when it is down. Call when either may have changed.</summary>
    /// <exception cref="ErrnoException">The group cannot be joined; ENODEV: its interface is gone.</exception>
    public void FollowGroup(VtepSegment segment)
    {
        ArgumentNullException.ThrowIfNull(segment);
        var options = segment.Segment.Options;
        if (options.Group is not { } group) return;
        lock (_commands)
        {
            if (!segment.Segment.IsUp || !_segments.ContainsKey(options.Vni)) LeaveGroup(segment.Segment, group);
            else if (_groups.Join(group, Options.InterfaceIndex, options.Vni)) segment.Segment.Events.Publish(EventKind.GroupJoined, NowMilliseconds, address: group);
        }
    }

    private void LeaveGroup(Segment segment, InternetAddress group)
    {
        if (_groups.Leave(group, segment.Options.Vni)) segment.Events.Publish(EventKind.GroupLeft, NowMilliseconds, address: group);
    }

    /// <summary>Whether a segment is in its multicast group now.</summary>
    public bool IsInGroup(VtepSegment segment)
    {
        ArgumentNullException.ThrowIfNull(segment);
        lock (_commands) return segment.Segment.Options.Group is { } group && _groups.Has(group, segment.Segment.Options.Vni);
    }

    /// <summary>
    /// Puts a segment with other options in the place of the one with its VNI: same TAP, same counters, and no frame lost. What the tables hold is the caller's to
    /// carry over; the multicast group too (<see cref="FollowGroup"/>), but for one that the new segment does not have, which is left.
    /// </summary>
    /// <exception cref="ArgumentException">There is no segment of that VNI.</exception>
    /// <returns>The segment with its counters.</returns>
    public VtepSegment ReplaceSegment(Segment segment)
    {
        ArgumentNullException.ThrowIfNull(segment);
        lock (_commands)
        {
            var vni = segment.Options.Vni;
            if (!_segments.TryGetValue(vni, out var before)) throw new ArgumentException($"vni {vni} has no segment", nameof(segment));
            if (before.Segment.Options.Group is { } group && group != segment.Options.Group) LeaveGroup(before.Segment, group);
            var ports = before.Ports.Select(port => port with { Segment = segment }).ToArray();
            var replaced = new VtepSegment(segment, ports, before.Queues, before.IsSteered);
            _segments[vni] = replaced;
            for (var i = 0; i < ports.Length; i++) _workers[i].Replace(before.Ports[i], ports[i]);
            return replaced;
        }
    }

    /// <summary>Stops moving a segment's frames; when it returns, its TAP is no longer in use. One that is not there is no error.</summary>
    public void RemoveSegment(Vni vni)
    {
        lock (_commands)
        {
            if (!_segments.Remove(vni, out var removed)) return;
            if (removed.Segment.Options.Group is { } group) LeaveGroup(removed.Segment, group);
            for (var i = 0; i < _workers.Length; i++) _workers[i].Remove(removed.Ports[i], QueueToRead(removed, i));
        }
    }

    // One thread reads a queue. Where there is but one, segments take turns over the workers.
    private int? QueueToRead(VtepSegment segment, int worker) =>
        segment.Queues > 1 || segment.Segment.Options.Vni.Value % (uint)_workers.Length == worker ? ((TapPort)segment.Ports[worker].Tap).Device.Descriptor : null;

    private void WatchWorkers()
    {
        for (var i = 0; i < _workers.Length; i++)
        {
            _stillFor[i] = _workers[i].IsMoving() ? 0 : _stillFor[i] + 1;
            if (_stillFor[i] == StillSeconds) OnWorkerFailure(new InvalidOperationException($"worker {i} has not moved for {StillSeconds} s: the kernel may have killed its thread (dmesg tells)"));
        }
    }

    private void KeepHouse()
    {
        WatchWorkers();
        VtepSegment[] segments;
        lock (_commands) segments = [.. _segments.Values];
        foreach (var segment in segments)
        {
            var aged = segment.Segment.Fdb.AgeOut(NowMilliseconds);
            if (aged > 0) Log.AgedOut(_logger, segment.Segment.Options.Name, aged);
            foreach (var (limit, frames, last) in segment.GuardLog.TakeNew(segment.Segment.Guards, NowMilliseconds))
                Log.GuardMet(_logger, segment.Segment.Options.Name, frames, GuardLog.What(limit), last, GuardLog.Option(limit));
        }

        var offload = TransmitOffload;
        if (offload.Offload != _loggedOffload) Log.OffloadChanged(_logger, offload.Offload.Name(), offload.Reason);
        _loggedOffload = offload.Offload;
        foreach (var (segment, sender) in _strangers.TakeNew()) Log.StrangerDropped(_logger, segment.Options.Name, sender, segment.Options.Vni);
    }

    private void OnWorkerFailure(Exception exception)
    {
        Log.WorkerFailed(_logger, exception);
        _failure.TrySetResult(exception);
    }

    /// <summary>Stops the workers and leaves everything open: what comes in from here on waits in the kernel's queues, for whoever takes the descriptors over.</summary>
    public void Stop()
    {
        _housekeeping.Dispose();
        foreach (var worker in _workers) worker.Stop();
    }

    /// <summary>Stops the workers and closes the sockets.</summary>
    public void Dispose()
    {
        _housekeeping.Dispose();
        foreach (var worker in _workers) worker.Dispose();
        lock (_commands) _groups.Close();
    }
}
