using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// The underlay seam over real UDP sockets: one to receive (recvmmsg), and the <see cref="SourcePorts"/> to send (sendmmsg). One thread.
/// </summary>
public sealed class UdpUnderlay : IUnderlay, IDisposable
{
    /// <summary>What the receiving socket asks for: at 64-byte frames about 16,000 datagrams, some 50 ms of a full-rate burst.</summary>
    public const int ReceiveBufferBytes = 16 << 20;

    private const int PrivilegedPorts = 1024;

    private readonly VtepOptions _options;
    private readonly UnderlaySocket _receiver;
    private readonly SourcePorts _senders;
    private readonly Dictionary<FrameBatch, DatagramReceiver> _receivers = [];
    private readonly Dictionary<DatagramBatch, UdpTransmitter> _transmitters = [];
    private UdpTransmitter[] _allTransmitters = [];
    private readonly Func<long> _clock;
    private readonly UnderlayTap? _tap;
    private readonly TunnelTransmitter? _tunnel;
    private readonly TransmitOffload _cut;
    private readonly string _cutReason;
    private readonly string? _refusal;
    private CaptureRing? _capture;
    private long _coalescedMessages;
    private readonly int _maxSegments = 1;

    /// <summary>Opens and binds the sockets in the calling thread's network namespace.</summary>
    /// <param name="options">What the sockets are set to.</param>
    /// <param name="clock">Milliseconds; any zero.</param>
    /// <param name="worker">Whose sockets; where there are several workers, all must have theirs before datagrams are received.</param>
    /// <param name="workers">How many workers share the port to receive on.</param>
    /// <exception cref="ErrnoException">bind: EADDRINUSE, the port is taken; EADDRNOTAVAIL, the local address is not this host's; EACCES, a port below 1024.</exception>
    /// <exception cref="TransmitOffloadException">The way of sending that the options name cannot be had.</exception>
    public UdpUnderlay(VtepOptions options, Func<long> clock, int worker = 0, int workers = 1)
    {
        ArgumentNullException.ThrowIfNull(options);
        _clock = clock;
        _options = options;
        var passed = options.TakeReceiver(worker) is { } open ? UnderlaySocket.TryAdopt(open, !options.Local.IsIPv4, options.Port) : null;
        _receiver = passed ?? new UnderlaySocket(!options.Local.IsIPv4);
        try
        {
            Prepare(_receiver);
            (_cut, _cutReason) = ChooseCut(options);
            if (_cut == Pipeline.TransmitOffload.UdpGso) _maxSegments = UdpOffloadSelfTest.MaxSegments(!options.Local.IsIPv4);
            _tap = OpenTap(options, out var refusal);
            if (_tap is not null) _tunnel = new TunnelTransmitter(_tap, options);
            _refusal = refusal;
            var ways = (tunnel: _tunnel is not null, gso: _cut == Pipeline.TransmitOffload.UdpGso);
            if (options.TransmitOffload == Pipeline.TransmitOffload.TunnelGso && !ways.tunnel) throw new TransmitOffloadException($"tunnel-gso cannot be had: {refusal}");
            if (options.TransmitOffload == Pipeline.TransmitOffload.UdpGso && !ways.gso) throw new TransmitOffloadException($"udp-gso cannot be had: {_cutReason}");
            (IsCoalescing, CoalescingReason) = ChooseCoalescing(options);
            // Any address of the host, as the kernel's device: local is only what is sent from.
            Span<byte> any = stackalloc byte[16];
            any.Clear();
            // Another process must find the port taken, and so must we if it is another's: the first socket is bound alone, before it shares.
            if (worker > 0) _receiver.Set(LibC.SOL_SOCKET, LibC.SO_REUSEPORT, 1);
            var errno = passed is not null ? 0 : _receiver.TryBind(any[..options.Local.Size], options.Port);
            if (errno != 0) throw new ErrnoException(errno, nameof(LibC.bind), $"UDP port {options.Port}");
            if (workers > 1) _receiver.Set(LibC.SOL_SOCKET, LibC.SO_REUSEPORT, 1);
            _senders = new SourcePorts(options, worker, workers);
        }
        catch
        {
            _tap?.Dispose();
            _receiver.Dispose();
            throw;
        }
    }

    private void Prepare(UnderlaySocket receiver)
    {
        if (!receiver.TrySet(LibC.SOL_SOCKET, LibC.SO_RCVBUFFORCE, ReceiveBufferBytes)) receiver.TrySet(LibC.SOL_SOCKET, LibC.SO_RCVBUF, ReceiveBufferBytes);
        receiver.ReportTypeOfService();
        Multicast.IgnoreOthersGroups(receiver);
        if (receiver.IsIPv6 && _options.ZeroChecksum6Receive) receiver.Set(LibC.IPPROTO_UDP, LibC.UDP_NO_CHECK6_RX, 1);
    }

    /// <summary>Lets sockets of groups have the same port. From any thread.</summary>
    internal void SharePort() => _receiver.Set(LibC.SOL_SOCKET, LibC.SO_REUSEPORT, 1);

    /// <summary>Opens a socket that is in a multicast group. From any thread; every worker's port must be shared.</summary>
    /// <param name="group">The group, of the underlay's family.</param>
    /// <param name="interfaceIndex">Where to join.</param>
    /// <exception cref="ErrnoException">ENODEV: there is no such interface.</exception>
    internal GroupReceiver OpenGroup(InternetAddress group, int interfaceIndex)
    {
        var socket = new UnderlaySocket(!group.IsIPv4);
        try
        {
            Span<byte> address = stackalloc byte[16];
            group.Write(address);
            address = address[..group.Size];
            Prepare(socket);
            if (IsCoalescing) socket.TrySet(LibC.SOL_UDP, LibC.UDP_GRO, 1);
            socket.Set(LibC.SOL_SOCKET, LibC.SO_REUSEPORT, 1);
            // Another program may have joined the same group elsewhere; and a link-local group means nothing without its interface.
            socket.Set(LibC.SOL_SOCKET, LibC.SO_BINDTOIFINDEX, interfaceIndex);
            var errno = socket.TryBind(address, _options.Port);
            if (errno != 0) throw new ErrnoException(errno, nameof(LibC.bind), $"{group} port {_options.Port}");
            Multicast.Join(socket, address, interfaceIndex);
            return new GroupReceiver(this, socket, OwnAddress(group, interfaceIndex));
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private InternetAddress OwnAddress(InternetAddress group, int interfaceIndex)
    {
        if (!_options.Local.IsUnspecified) return _options.Local;
        using var probe = new UnderlaySocket(!group.IsIPv4);
        Multicast.SendBy(probe, interfaceIndex);
        Span<byte> address = stackalloc byte[16];
        group.Write(address);
        Span<byte> found = stackalloc byte[16];
        if (probe.TryFindSource(address[..group.Size], _options.Port, found) != 0) return default;
        return group.IsIPv4 ? InternetAddress.ReadIPv4(found) : InternetAddress.ReadIPv6(found);
    }

    /// <summary>
    /// What the thread that uses it needs beyond open descriptors: to open a socket for a new flow (its buffer, a privileged port), and to watch whether
    /// super-frames leave.
    /// </summary>
    internal CapabilitySet NeededCapabilities => CapabilitySet.Of(LibC.CAP_NET_ADMIN)
        .With(_tap is not null ? CapabilitySet.Of(LibC.CAP_NET_RAW) : default)
        .With(_options.SourcePortMin < PrivilegedPorts ? CapabilitySet.Of(LibC.CAP_NET_BIND_SERVICE) : default);

    /// <summary>The receiving socket's descriptor, which stays this object's.</summary>
    public int ReceiverDescriptor => _receiver.Descriptor;

    /// <summary>How super-frames and runs of datagrams reach the kernel now, and why that way. From any thread.</summary>
    public (TransmitOffload Offload, string Reason) TransmitOffload =>
        _tunnel is null ? (_cut, _refusal is null ? _cutReason : $"{_cutReason}; no tunnel-gso: {_refusal}")
        : _tunnel.Trouble is { } trouble ? (_cut, trouble)
        : (Pipeline.TransmitOffload.TunnelGso, "self-test passed");

    /// <summary>Whether super-frames are worth having from a TAP.</summary>
    public bool TakesSuperFrames => _tunnel is not null || _cut == Pipeline.TransmitOffload.UdpGso;

    /// <summary>Super-frames handed over whole, how many of them the kernel refused, and how many were not seen leaving; those were sent again, cut.</summary>
    public (long Sent, long Refused, long Eaten) TunnelMessages => _tunnel?.Messages ?? default;

    /// <summary>Messages of several datagrams that the kernel was to cut, and how many of them it refused.</summary>
    public (long Sent, long Refused) GsoMessages
    {
        get
        {
            long sent = 0, refused = 0;
            foreach (var transmitter in Volatile.Read(ref _allTransmitters))
            {
                sent += transmitter.GsoMessages;
                refused += transmitter.GsoRefused;
            }

            return (sent, refused);
        }
    }

    /// <summary>Whether the kernel hands over several datagrams of a flow at once (UDP_GRO).</summary>
    public bool IsCoalescing { get; }

    /// <summary>Why it does or does not.</summary>
    public string CoalescingReason { get; }

    /// <summary>Messages received that held several datagrams.</summary>
    public long CoalescedMessages => Volatile.Read(ref _coalescedMessages);

    /// <summary>
    /// Has the kernel give the datagrams of an inner flow to one worker's socket, the worker that <paramref name="steering"/> gives its frames to as well.
    /// </summary>
    /// <returns>False if the kernel refuses: then it is the outer flow that decides.</returns>
    public bool TrySteer(FlowSteering steering)
    {
        ArgumentNullException.ThrowIfNull(steering);
        return steering.TryAttach(_receiver);
    }

    /// <summary>Descriptor of the receiving socket, for a poll.</summary>
    public int Descriptor => _receiver.Descriptor;

    /// <summary>Bytes the kernel may queue on the receiving socket; it sets aside as much again for its bookkeeping (socket(7)).</summary>
    public int ReceiveBuffer => _receiver.Get(LibC.SOL_SOCKET, LibC.SO_RCVBUF) / 2;

    /// <summary>Datagrams the receiving socket dropped because its buffer was full.</summary>
    public long SocketDrops => _receiver.Drops;

    /// <summary>Sending sockets open now.</summary>
    public int SourcePortsOpen => _senders.OpenCount;

    /// <summary>Copies what is sent into a ring from here on, or no more; from any thread.</summary>
    internal void SetCapture(CaptureRing? ring) => Volatile.Write(ref _capture, ring);

    /// <inheritdoc cref="SourcePorts.PortOf"/>
    public (ushort Port, bool IsOpen) SourcePortOf(uint flowHash) => _senders.PortOf(flowHash);

    /// <summary>Sending sockets, at most.</summary>
    public int SourcePortsLimit => _senders.Limit;

    // How what is no super-frame, or cannot go whole, is sent.
    private static (TransmitOffload Offload, string Reason) ChooseCut(VtepOptions options)
    {
        var isIPv6 = !options.Local.IsIPv4;
        // UDP_SEGMENT answers EINVAL on a socket that sends no checksums.
        var hasChecksum = isIPv6 ? !options.ZeroChecksum6Transmit : options.UdpChecksum;
        if (options.TransmitOffload == Pipeline.TransmitOffload.None) return (Pipeline.TransmitOffload.None, "switched off");
        if (!hasChecksum) return (Pipeline.TransmitOffload.None, "UDP checksums are off, and the kernel cuts only what has one");
        return UdpOffloadSelfTest.Cuts(isIPv6)
            ? (Pipeline.TransmitOffload.UdpGso, "self-test passed")
            : (Pipeline.TransmitOffload.None, "the self-test of UDP_SEGMENT failed on this kernel");
    }

    private (bool IsCoalescing, string Reason) ChooseCoalescing(VtepOptions options)
    {
        if (!options.ReceiveOffload) return (false, "switched off");
        // What is not cut arrives in parts on loopback, too: then there is nothing to test it with.
        var isTested = _cut == Pipeline.TransmitOffload.UdpGso;
        if (isTested && !UdpOffloadSelfTest.Coalesces(!options.Local.IsIPv4)) return (false, "the self-test of UDP_GRO failed on this kernel");
        return _receiver.TrySet(LibC.SOL_UDP, LibC.UDP_GRO, 1)
            ? (true, isTested ? "self-test passed" : "not tested, for want of UDP_SEGMENT")
            : (false, "this kernel has no UDP_GRO");
    }

    private static UnderlayTap? OpenTap(VtepOptions options, out string? refusal)
    {
        refusal = null;
        if (options.TransmitOffload is Pipeline.TransmitOffload.None or Pipeline.TransmitOffload.UdpGso) return null;
        if (options.UnderlayTap is { } tap) return UnderlayTap.TryOpen(tap, options.InterfaceIndex, out refusal);
        refusal = options.UnderlayTapRefusal;
        return null;
    }

    /// <inheritdoc/>
    public void Receive(FrameBatch batch) => Receive(_receiver, batch);

    /// <summary>Receives from a socket of this worker.</summary>
    internal void Receive(UnderlaySocket socket, FrameBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        // The VXLAN header lands in the headroom, so that the frame itself starts where every frame does.
        const int Offset = FrameBatch.Headroom - VxlanHeader.Size;
        if (!_receivers.TryGetValue(batch, out var receiver))
            _receivers[batch] = receiver = new DatagramReceiver(batch.Slab, batch.Capacity, FrameBatch.SlotSize, Offset);

        var count = receiver.Receive(socket);
        for (var i = 0; i < count; i++)
        {
            ref var frame = ref batch.Add(receiver.LengthOf(i));
            frame.Offset -= VxlanHeader.Size;
            frame.DatagramLength = receiver.SegmentSizeOf(i);
            frame.OuterTypeOfService = receiver.TypeOfServiceOf(i);
            if (frame.DatagramLength != 0) _coalescedMessages++;
            var address = receiver.AddressOf(i);
            frame.Sender = address.Length == 4 ? InternetAddress.ReadIPv4(address) : InternetAddress.ReadIPv6(address);
        }
    }

    /// <inheritdoc/>
    public void Send(DatagramBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        if (!_transmitters.TryGetValue(batch, out var transmitter))
        {
            _transmitters[batch] = transmitter = new UdpTransmitter(batch) { Local = _options.Local, UsesGso = _cut == Pipeline.TransmitOffload.UdpGso, MaxSegments = _maxSegments, Tunnel = _tunnel };
            Volatile.Write(ref _allTransmitters, [.. _transmitters.Values]);
        }

        transmitter.Send(_senders, _clock());
        if (_capture is { } ring) ring.AddSent(batch, _senders);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var receiver in _receivers.Values) receiver.Dispose();
        foreach (var transmitter in _transmitters.Values) transmitter.Dispose();
        _tap?.Dispose();
        _senders.Dispose();
        _receiver.Dispose();
    }
}
