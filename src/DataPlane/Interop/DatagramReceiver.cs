using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

/// <summary>
/// Receives up to a fixed number of datagrams in one recvmmsg(2), each into its own slot of a slab. Reused for every batch; one thread.
/// </summary>
public sealed unsafe class DatagramReceiver : IDisposable
{
    private const int ControlSize = 128;
    private static readonly int ControlHeaderSize = Align(sizeof(LibC.cmsghdr));

    private readonly PinnedSlab _slab;
    private readonly LibC.mmsghdr* _messages;
    private readonly LibC.iovec* _slices;
    private readonly byte* _names;
    private readonly byte* _controls;
    private readonly int[] _segmentSizes;
    private readonly byte[] _typesOfService;
    private int _toReset;
    private bool _isDisposed;

    /// <summary>Points every message at its slot.</summary>
    /// <param name="slab">Where datagrams land; kept alive by this object.</param>
    /// <param name="count">Datagrams a batch, at most.</param>
    /// <param name="slotSize">Bytes from one slot to the next.</param>
    /// <param name="offset">Bytes left free at the start of each slot.</param>
    public DatagramReceiver(PinnedSlab slab, int count, int slotSize, int offset)
    {
        ArgumentNullException.ThrowIfNull(slab);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)count * slotSize, slab.Length);
        _slab = slab;
        Capacity = count;
        _toReset = count;
        _segmentSizes = new int[count];
        _typesOfService = new byte[count];
        _messages = (LibC.mmsghdr*)NativeMemory.AllocZeroed((nuint)count, (nuint)sizeof(LibC.mmsghdr));
        _slices = (LibC.iovec*)NativeMemory.AllocZeroed((nuint)count, (nuint)sizeof(LibC.iovec));
        _names = (byte*)NativeMemory.AllocZeroed((nuint)count, SocketAddressLayout.Size);
        _controls = (byte*)NativeMemory.AllocZeroed((nuint)count, ControlSize);
        for (var i = 0; i < count; i++)
        {
            _slices[i] = new LibC.iovec { iov_base = slab.AddressOf((i * slotSize) + offset), iov_len = (nuint)(slotSize - offset) };
            _messages[i].msg_hdr = new LibC.msghdr
            {
                msg_name = _names + (i * SocketAddressLayout.Size),
                msg_iov = _slices + i,
                msg_iovlen = 1,
                msg_control = _controls + (i * ControlSize),
            };
        }
    }

    /// <summary>Datagrams a batch, at most.</summary>
    public int Capacity { get; }

    /// <summary>Receives what is there.</summary>
    /// <returns>Datagrams received; 0 if there are none. A pending error of the socket counts as none and is gone with this call.</returns>
    public int Receive(UnderlaySocket socket)
    {
        ArgumentNullException.ThrowIfNull(socket);
        // The kernel wrote over these in what it filled, and only there.
        for (var i = 0; i < _toReset; i++)
        {
            _messages[i].msg_hdr.msg_namelen = SocketAddressLayout.Size;
            _messages[i].msg_hdr.msg_controllen = ControlSize;
        }

        var received = LibC.recvmmsg(socket.Descriptor, _messages, (uint)Capacity, LibC.MSG_DONTWAIT, null);
        GC.KeepAlive(_slab);
        _toReset = Math.Max(received, 0);
        if (received <= 0) return 0;
        for (var i = 0; i < received; i++) _segmentSizes[i] = ReadControl(_messages[i].msg_hdr, out _typesOfService[i]);
        return received;
    }

    /// <summary>Bytes of a received datagram.</summary>
    public int LengthOf(int index) => (int)_messages[index].msg_len;

    /// <summary>Bytes of each datagram but the last, if the kernel coalesced several of one flow (UDP_GRO); 0 if it is a single one.</summary>
    public int SegmentSizeOf(int index) => _segmentSizes[index];

    /// <summary>TOS or traffic class of the IP header; 0 if the socket was not told to say (IP_RECVTOS, IPV6_RECVTCLASS).</summary>
    public byte TypeOfServiceOf(int index) => _typesOfService[index];

    /// <summary>True if the datagram was longer than its slot, so that its end is lost.</summary>
    public bool IsCut(int index) => (_messages[index].msg_hdr.msg_flags & LibC.MSG_TRUNC) != 0;

    /// <summary>Sender's address, 4 or 16 bytes, valid until the next <see cref="Receive"/>.</summary>
    public ReadOnlySpan<byte> AddressOf(int index) => SocketAddressLayout.Address(_names + (index * SocketAddressLayout.Size));

    /// <summary>Sender's UDP port.</summary>
    public ushort PortOf(int index) => SocketAddressLayout.Port(_names + (index * SocketAddressLayout.Size));

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

    // CMSG_FIRSTHDR and CMSG_NXTHDR of cmsg(3): records aligned to the size of size_t.
    private static int ReadControl(in LibC.msghdr message, out byte typeOfService)
    {
        var segmentSize = 0;
        typeOfService = 0;
        var at = (byte*)message.msg_control;
        var left = (int)message.msg_controllen;
        while (left >= ControlHeaderSize)
        {
            var header = (LibC.cmsghdr*)at;
            var length = (int)header->cmsg_len;
            if (length < ControlHeaderSize || length > left) break;
            if (header->cmsg_level == LibC.SOL_UDP && header->cmsg_type == LibC.UDP_GRO) segmentSize = *(int*)(at + ControlHeaderSize);
            // A byte of IPv4, an int of IPv6.
            else if (header->cmsg_level == LibC.IPPROTO_IP && header->cmsg_type == LibC.IP_TOS) typeOfService = *(at + ControlHeaderSize);
            else if (header->cmsg_level == LibC.IPPROTO_IPV6 && header->cmsg_type == LibC.IPV6_TCLASS) typeOfService = (byte)*(int*)(at + ControlHeaderSize);
            at += Align(length);
            left -= Align(length);
        }

        return segmentSize;
    }

    private static int Align(int length) => (length + sizeof(nuint) - 1) & ~(sizeof(nuint) - 1);
}
