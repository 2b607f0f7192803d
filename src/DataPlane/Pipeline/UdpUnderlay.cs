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

    private readonly UnderlaySocket _receiver;
    private readonly SourcePorts _senders;
    private readonly Dictionary<FrameBatch, DatagramReceiver> _receivers = [];
    private readonly Dictionary<DatagramBatch, DatagramSender> _outgoing = [];
    private readonly int[] _errors = new int[DatagramBatch.DefaultCapacity];
    private long _socketDrops;

    /// <summary>Opens and binds the sockets in the calling thread's network namespace.</summary>
    /// <exception cref="ErrnoException">bind: EADDRINUSE, the port is taken; EADDRNOTAVAIL, the local address is not this host's; EACCES, a port below 1024.</exception>
    public UdpUnderlay(VtepOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        _receiver = new UnderlaySocket(!options.Local.IsIPv4);
        try
        {
            if (!_receiver.TrySet(LibC.SOL_SOCKET, LibC.SO_RCVBUFFORCE, ReceiveBufferBytes)) _receiver.TrySet(LibC.SOL_SOCKET, LibC.SO_RCVBUF, ReceiveBufferBytes);
            _receiver.TrySet(LibC.SOL_SOCKET, LibC.SO_RXQ_OVFL, 1);
            if (_receiver.IsIPv6 && options.ZeroChecksum6Receive) _receiver.Set(LibC.IPPROTO_UDP, LibC.UDP_NO_CHECK6_RX, 1);
            // Any address of the host, as the kernel's device: local is only what is sent from.
            Span<byte> any = stackalloc byte[16];
            any.Clear();
            var errno = _receiver.TryBind(any[..options.Local.Size], options.Port);
            if (errno != 0) throw new ErrnoException(errno, nameof(LibC.bind), $"UDP port {options.Port}");
            _senders = new SourcePorts(options);
        }
        catch
        {
            _receiver.Dispose();
            throw;
        }
    }

    /// <summary>Descriptor of the receiving socket, for a poll.</summary>
    public int Descriptor => _receiver.Descriptor;

    /// <summary>Bytes the kernel may queue on the receiving socket, its own bookkeeping included.</summary>
    public int ReceiveBuffer => _receiver.Get(LibC.SOL_SOCKET, LibC.SO_RCVBUF);

    /// <summary>Datagrams the receiving socket dropped because its buffer was full.</summary>
    public long SocketDrops => Volatile.Read(ref _socketDrops);

    /// <summary>Sending sockets open now.</summary>
    public int SourcePortsOpen => _senders.OpenCount;

    /// <summary>Sending sockets, at most.</summary>
    public int SourcePortsLimit => _senders.Limit;

    /// <inheritdoc/>
    public void Receive(FrameBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        // The VXLAN header lands in the headroom, so that the frame itself starts where every frame does.
        const int Offset = FrameBatch.Headroom - VxlanHeader.Size;
        if (!_receivers.TryGetValue(batch, out var receiver))
            _receivers[batch] = receiver = new DatagramReceiver(batch.Slab, batch.Capacity, FrameBatch.SlotSize, Offset);

        var count = receiver.Receive(_receiver);
        Volatile.Write(ref _socketDrops, receiver.Overflows);
        for (var i = 0; i < count; i++)
        {
            ref var frame = ref batch.Add(receiver.LengthOf(i));
            frame.Offset -= VxlanHeader.Size;
            var address = receiver.AddressOf(i);
            frame.Sender = address.Length == 4 ? InternetAddress.ReadIPv4(address) : InternetAddress.ReadIPv6(address);
        }
    }

    /// <inheritdoc/>
    public void Send(DatagramBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        if (!_outgoing.TryGetValue(batch, out var sender))
            _outgoing[batch] = sender = new DatagramSender(batch.Frames.Slab, DatagramBatch.DefaultCapacity, 2 * DatagramBatch.DefaultCapacity);

        sender.Clear();
        Span<byte> address = stackalloc byte[16];
        for (var i = 0; i < batch.Count; i++)
        {
            ref var datagram = ref batch[i];
            var to = datagram.Remote.Address;
            to.Address.Write(address);
            sender.Begin(address[..to.Address.Size], to.Port);
            if (datagram.IsContiguous)
            {
                sender.AddSlice(datagram.HeaderOffset, datagram.Length);
            }
            else
            {
                sender.AddSlice(datagram.HeaderOffset, VxlanHeader.Size);
                sender.AddSlice(datagram.FrameOffset, datagram.FrameLength);
            }
        }

        for (var first = 0; first < batch.Count;)
        {
            // One system call for a run of datagrams from one source port.
            var port = _senders.IndexOf(batch[first].FlowHash);
            var end = first + 1;
            while (end < batch.Count && _senders.IndexOf(batch[end].FlowHash) == port) end++;
            sender.Send(_senders.Get(port), first, end - first, _errors);
            for (var i = first; i < end; i++) batch[i].Drop = ReasonOf(_errors[i - first]);
            first = end;
        }
    }

    private static DropReason? ReasonOf(int errno) => errno switch
    {
        0 => null,
        LibC.EAGAIN or LibC.ENOBUFS => DropReason.WouldBlock,
        LibC.EMSGSIZE => DropReason.TooBig,
        LibC.ENETUNREACH or LibC.EHOSTUNREACH or LibC.ENETDOWN or LibC.EADDRNOTAVAIL or LibC.EINVAL => DropReason.NoRoute,
        _ => DropReason.Rejected,
    };

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var receiver in _receivers.Values) receiver.Dispose();
        foreach (var sender in _outgoing.Values) sender.Dispose();
        _senders.Dispose();
        _receiver.Dispose();
    }
}
