using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane;

/// <summary>
/// A VXLAN tunnel end point: the UDP sockets, the worker and the segments. What Control sees of the data plane. Every method may be called from any
/// thread.
/// </summary>
public sealed class Vtep : IDisposable
{
    private static readonly TimeSpan HousekeepingInterval = TimeSpan.FromSeconds(1);

    private readonly ILogger _logger;
    private readonly StrangerLog _strangers = new();
    private readonly UdpUnderlay _underlay;
    private readonly Worker _worker;
    private readonly Timer _housekeeping;
    private TransmitOffload _loggedOffload;
    private readonly Lock _commands = new();
    private readonly Dictionary<Vni, SegmentPort> _ports = [];
    private readonly TaskCompletionSource<Exception> _failure = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Opens the sockets in the calling thread's network namespace; no segment yet, and nothing moves before <see cref="Start"/>.</summary>
    /// <exception cref="ErrnoException">
    /// bind: EADDRINUSE, the port is taken by a process or a kernel vxlan device; EADDRNOTAVAIL, the local address is not this host's.
    /// </exception>
    /// <exception cref="TransmitOffloadException">The way of sending that the options name cannot be had.</exception>
    public Vtep(VtepOptions options, ILogger logger)
    {
        ArgumentNullException.ThrowIfNull(options);
        Options = options;
        _logger = logger;
        _underlay = new UdpUnderlay(options, static () => NowMilliseconds);
        var hashKey = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8));
        _worker = new Worker(_underlay, hashKey, _strangers, OnWorkerFailure);
        _loggedOffload = TransmitOffload.Offload;
        _housekeeping = new Timer(_ => KeepHouse(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
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

    /// <summary>Ends with the exception that stopped the worker, should that ever happen.</summary>
    public Task<Exception> Failure => _failure.Task;

    /// <summary>Bytes the kernel may queue on the receiving socket.</summary>
    public int ReceiveBufferBytes => _underlay.ReceiveBuffer;

    /// <summary>Source ports in use.</summary>
    public int SourcePortsOpen => _underlay.SourcePortsOpen;

    /// <summary>Source ports that can be in use, at most.</summary>
    public int SourcePortsLimit => _underlay.SourcePortsLimit;

    /// <summary>How runs of datagrams reach the kernel, and why that way.</summary>
    public (TransmitOffload Offload, string Reason) TransmitOffload => _underlay.TransmitOffload;

    /// <summary>Super-frames handed over whole, how many of them the kernel refused, and how many were not seen leaving; those were sent again, cut.</summary>
    public (long Sent, long Refused, long Eaten) TunnelMessages => _underlay.TunnelMessages;

    /// <summary>Messages of several datagrams that the kernel was to cut, and how many of them it refused.</summary>
    public (long Sent, long Refused) GsoMessages => _underlay.GsoMessages;

    /// <summary>Whether the kernel hands over several datagrams of a flow at once (UDP_GRO).</summary>
    public bool IsCoalescing => _underlay.IsCoalescing;

    /// <summary>Datagrams the receiving socket dropped because its buffer was full.</summary>
    public long SocketDrops => _underlay.SocketDrops;

    /// <summary>Counters of datagrams that no segment could be found for.</summary>
    public Counters Unassigned => _worker.Decapsulation.Unassigned;

    /// <summary>Starts to move frames. What came in since the sockets were opened waits in their queues; call it once, after the first segments.</summary>
    public void Start()
    {
        _worker.Start();
        _housekeeping.Change(HousekeepingInterval, HousekeepingInterval);
    }

    /// <summary>Adds a segment, before or after <see cref="Start"/>.</summary>
    /// <param name="segment">Made with this VTEP's own address as its self.</param>
    /// <param name="tap">Its TAP; stays the caller's, who disposes it after the VTEP.</param>
    /// <exception cref="ArgumentException">There is a segment of that VNI.</exception>
    /// <returns>The segment with its counters.</returns>
    public SegmentPort AddSegment(Segment segment, TapDevice tap)
    {
        ArgumentNullException.ThrowIfNull(segment);
        ArgumentNullException.ThrowIfNull(tap);
        lock (_commands)
        {
            var port = new SegmentPort(segment, new TapPort(tap, receives: _underlay.TakesSuperFrames, sends: Options.ReceiveOffload), new Counters());
            if (!_ports.TryAdd(segment.Options.Vni, port)) throw new ArgumentException($"vni {segment.Options.Vni} has a segment already", nameof(segment));
            _worker.Add(port, tap.Descriptor);
            return port;
        }
    }

    /// <summary>Stops moving a segment's frames; when it returns, its TAP is no longer in use. One that is not there is no error.</summary>
    public void RemoveSegment(Vni vni)
    {
        lock (_commands)
        {
            if (_ports.Remove(vni, out var port)) _worker.Remove(port, ((TapPort)port.Tap).Device.Descriptor);
        }
    }

    private void KeepHouse()
    {
        SegmentPort[] ports;
        lock (_commands) ports = [.. _ports.Values];
        foreach (var port in ports)
        {
            var aged = port.Segment.Fdb.AgeOut(NowMilliseconds);
            if (aged > 0) Log.AgedOut(_logger, port.Segment.Options.Name, aged);
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

    /// <summary>Stops the worker and closes the sockets.</summary>
    public void Dispose()
    {
        _housekeeping.Dispose();
        _worker.Dispose();
    }
}
