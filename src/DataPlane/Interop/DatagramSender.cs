using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

/// <summary>
/// Collects datagrams, each of one or more slices of a slab, and sends them by sendmmsg(2). Reused for every batch; one thread. The slices'
/// bytes are read when sent, so they must stay as they are until then.
/// </summary>
public sealed unsafe class DatagramSender : IDisposable
{
    private readonly PinnedSlab _slab;
    private readonly LibC.mmsghdr* _messages;
    private readonly LibC.iovec* _slices;
    private readonly byte* _names;
    private readonly byte* _controls;
    private readonly int _sliceCapacity;
    private int _sliceCount;
    private bool _isDisposed;

    // UDP_SEGMENT, whose place is kept free before the others, since it is known last; then up to three numbers, and the interface to leave by.
    private const int MaxNumbers = 3;
    private static readonly int SegmentSpace = Space(sizeof(ushort));
    private static readonly int ControlStride = SegmentSpace + (MaxNumbers * Space(sizeof(int))) + Space(sizeof(LibC.in6_pktinfo));

    /// <summary>Makes an empty collection.</summary>
    /// <param name="slab">Where the slices are; kept alive by this object.</param>
    /// <param name="capacity">Datagrams, at most.</param>
    /// <param name="sliceCapacity">Slices of all datagrams together, at most.</param>
    public DatagramSender(PinnedSlab slab, int capacity, int sliceCapacity)
    {
        _slab = slab;
        Capacity = capacity;
        _sliceCapacity = sliceCapacity;
        _messages = (LibC.mmsghdr*)NativeMemory.AllocZeroed((nuint)capacity, (nuint)sizeof(LibC.mmsghdr));
        _slices = (LibC.iovec*)NativeMemory.AllocZeroed((nuint)sliceCapacity, (nuint)sizeof(LibC.iovec));
        _names = (byte*)NativeMemory.AllocZeroed((nuint)capacity, SocketAddressLayout.Size);
        _controls = (byte*)NativeMemory.AllocZeroed((nuint)capacity, (nuint)ControlStride);
    }

    /// <summary>Datagrams, at most.</summary>
    public int Capacity { get; }

    /// <summary>Datagrams collected.</summary>
    public int Count { get; private set; }

    /// <summary>Forgets what was collected.</summary>
    public void Clear() => Count = _sliceCount = 0;

    /// <summary>Begins a datagram; its slices follow by <see cref="AddSlice"/>.</summary>
    /// <param name="address">4 or 16 bytes, network order; copied.</param>
    /// <param name="port">UDP destination port.</param>
    public void Begin(ReadOnlySpan<byte> address, ushort port)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(Count, Capacity);
        var name = _names + (Count * SocketAddressLayout.Size);
        _messages[Count].msg_hdr = new LibC.msghdr
        {
            msg_name = name,
            msg_namelen = SocketAddressLayout.Write(name, address, port),
            msg_iov = _slices + _sliceCount,
        };
        Count++;
    }

    /// <summary>Has the kernel cut the message begun last into datagrams of equal size (UDP_SEGMENT, udp(7)); the last may be shorter.</summary>
    /// <param name="size">UDP payload bytes of each.</param>
    public void CutInto(ushort size)
    {
        var first = _controls + ((Count - 1) * ControlStride);
        ref var message = ref _messages[Count - 1].msg_hdr;
        *(ushort*)BeginControl(first, LibC.SOL_UDP, LibC.UDP_SEGMENT, sizeof(ushort)) = size;
        if (message.msg_control == first) return;
        message.msg_control = first;
        message.msg_controllen += (nuint)SegmentSpace;
    }

    /// <summary>Has the kernel send the message begun last with a value that its socket does not have: IP_TOS, IP_TTL, IPV6_TCLASS, IPV6_HOPLIMIT, IPV6_FLOWINFO. At most three.</summary>
    /// <param name="level">IPPROTO_IP or IPPROTO_IPV6.</param>
    /// <param name="type">Which.</param>
    /// <param name="value">An int, in the byte order that the kind of message wants.</param>
    public void AddControl(int level, int type, int value) => *(int*)Append(level, type, sizeof(int)) = value;

    /// <summary>Has the kernel send the message begun last by one interface (IP_PKTINFO, IPV6_PKTINFO), whatever its socket says. At most once.</summary>
    /// <param name="interfaceIndex">The interface. One that is gone fails the message with ENODEV.</param>
    /// <param name="source">
    /// 4 bytes, network order: the address to send from, zero for the route's, since over IPv4 this message takes the place of the one that the socket is bound to. Over
    /// IPv6 empty: the socket's own stays.
    /// </param>
    public void LeaveBy(int interfaceIndex, ReadOnlySpan<byte> source)
    {
        if (source.IsEmpty)
        {
            *(LibC.in6_pktinfo*)Append(LibC.IPPROTO_IPV6, LibC.IPV6_PKTINFO, sizeof(LibC.in6_pktinfo)) = new LibC.in6_pktinfo { ipi6_ifindex = interfaceIndex };
            return;
        }

        *(LibC.in_pktinfo*)Append(LibC.IPPROTO_IP, LibC.IP_PKTINFO, sizeof(LibC.in_pktinfo)) =
            new LibC.in_pktinfo { ipi_ifindex = interfaceIndex, ipi_spec_dst = MemoryMarshal.Read<uint>(source) };
    }

    // Where the data of one more control message of the message begun last goes.
    private byte* Append(int level, int type, int size)
    {
        ref var message = ref _messages[Count - 1].msg_hdr;
        var first = _controls + ((Count - 1) * ControlStride);
        if (message.msg_control is null) message.msg_control = first + SegmentSpace;
        var next = (byte*)message.msg_control + message.msg_controllen;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(next + Space(size) - first, ControlStride);
        message.msg_controllen += (nuint)Space(size);
        return BeginControl(next, level, type, size);
    }

    private static byte* BeginControl(byte* control, int level, int type, int size)
    {
        *(LibC.cmsghdr*)control = new LibC.cmsghdr { cmsg_len = (nuint)(sizeof(LibC.cmsghdr) + size), cmsg_level = level, cmsg_type = type };
        return control + sizeof(LibC.cmsghdr);
    }

    // CMSG_SPACE, cmsg(3).
    private static int Space(int size) => sizeof(LibC.cmsghdr) + ((size + sizeof(nuint) - 1) & -sizeof(nuint));

    /// <summary>Slices that can still be added.</summary>
    public int SlicesLeft => _sliceCapacity - _sliceCount;

    /// <summary>Adds a slice of the slab to the datagram begun last.</summary>
    public void AddSlice(int offset, int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(_sliceCount, _sliceCapacity);
        _slices[_sliceCount++] = new LibC.iovec { iov_base = _slab.AddressOf(offset), iov_len = (nuint)length };
        _messages[Count - 1].msg_hdr.msg_iovlen++;
    }

    /// <summary>Sends a run of datagrams. An error of one does not keep the others from being sent, but a full socket does.</summary>
    /// <param name="socket">Where from.</param>
    /// <param name="first">Index of the first.</param>
    /// <param name="count">How many.</param>
    /// <param name="errors">One place a datagram of the run: 0 if the kernel took it, else its errno.</param>
    public void Send(UnderlaySocket socket, int first, int count, Span<int> errors)
    {
        ArgumentNullException.ThrowIfNull(socket);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(first + count, Count);
        errors = errors[..count];
        errors.Clear();
        for (var done = 0; done < count;)
        {
            var sent = LibC.sendmmsg(socket.Descriptor, _messages + first + done, (uint)(count - done), LibC.MSG_DONTWAIT | LibC.MSG_NOSIGNAL);
            if (sent > 0)
            {
                done += sent;
                continue;
            }

            var errno = Marshal.GetLastPInvokeError();
            if (errno == LibC.EINTR) continue;
            if (errno == LibC.EAGAIN)
            {
                errors[done..].Fill(LibC.EAGAIN);
                break;
            }

            errors[done++] = errno;
        }

        GC.KeepAlive(_slab);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_isDisposed) return;
        _isDisposed = true;
        NativeMemory.Free(_messages);
        NativeMemory.Free(_slices);
        NativeMemory.Free(_names);
        NativeMemory.Free(_controls);
    }
}
