using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

/// <summary>
/// A non-blocking UDP socket of one address family (udp(7), ip(7), ipv6(7)). Datagrams move in batches, by <see cref="DatagramReceiver"/> and
/// <see cref="DatagramSender"/>.
/// </summary>
public sealed unsafe class UnderlaySocket : IDisposable
{
    private readonly FileDescriptor _fd;
    private ushort _localPort;

    /// <summary>Opens a socket, unbound. IPv6 sockets take IPv6 only.</summary>
    /// <exception cref="ErrnoException">EMFILE: no descriptors left; EAFNOSUPPORT: the kernel has no IPv6.</exception>
    public UnderlaySocket(bool isIPv6)
    {
        IsIPv6 = isIPv6;
        _fd = new FileDescriptor(LibC.socket(isIPv6 ? LibC.AF_INET6 : LibC.AF_INET, LibC.SOCK_DGRAM | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, 0));
        if (_fd.IsInvalid) throw ErrnoException.Last(nameof(LibC.socket), isIPv6 ? "UDP over IPv6" : "UDP over IPv4");
        if (isIPv6) Set(LibC.IPPROTO_IPV6, LibC.IPV6_V6ONLY, 1);
    }

    private UnderlaySocket(FileDescriptor fd, bool isIPv6)
    {
        IsIPv6 = isIPv6;
        _fd = fd;
    }

    /// <summary>Takes over an open socket, with what is queued in it.</summary>
    /// <param name="fd">Closed by this object, or at once if it is something else.</param>
    /// <param name="isIPv6">The family it must have.</param>
    /// <param name="port">The port it must be bound to.</param>
    /// <returns>Null if it is something else.</returns>
    public static UnderlaySocket? TryAdopt(FileDescriptor fd, bool isIPv6, ushort port)
    {
        ArgumentNullException.ThrowIfNull(fd);
        var storage = stackalloc byte[SocketAddressLayout.Size];
        uint length = SocketAddressLayout.Size;
        int kind = 0;
        uint kindLength = sizeof(int);
        var isOurs = LibC.getsockname(fd.Number, storage, &length) == 0 && *(ushort*)storage == (isIPv6 ? LibC.AF_INET6 : LibC.AF_INET) && SocketAddressLayout.Port(storage) == port
            && LibC.getsockopt(fd.Number, LibC.SOL_SOCKET, LibC.SO_TYPE, &kind, &kindLength) == 0 && kind == LibC.SOCK_DGRAM;
        if (isOurs) return new UnderlaySocket(fd, isIPv6);
        fd.Dispose();
        return null;
    }

    /// <summary>The address family.</summary>
    public bool IsIPv6 { get; }

    /// <summary>The descriptor, for a poll; it stays this object's.</summary>
    public int Descriptor => _fd.Number;

    /// <summary>Sets an integer option; false if the kernel refuses it.</summary>
    public bool TrySet(int level, int option, int value) => LibC.setsockopt(_fd.Number, level, option, &value, sizeof(int)) == 0;

    /// <summary>Sets an integer option.</summary>
    /// <exception cref="ErrnoException">The kernel refuses it.</exception>
    public void Set(int level, int option, int value)
    {
        if (!TrySet(level, option, value)) throw ErrnoException.Last(nameof(LibC.setsockopt), $"level {level} option {option}");
    }

    /// <summary>Reads an integer option; −1 if the kernel refuses.</summary>
    public int Get(int level, int option)
    {
        int value;
        uint length = sizeof(int);
        return LibC.getsockopt(_fd.Number, level, option, &value, &length) == 0 ? value : -1;
    }

    /// <summary>
    /// Datagrams it dropped because its buffer was full; wraps at 2³² (SO_MEMINFO, Linux 4.12; 0 before). Asked for and not received with each datagram
    /// (SO_RXQ_OVFL): there the kernel copies from a place that its hardened usercopy forbids where the datagram is a TCP segment of a kernel VTEP on the same machine, and
    /// kills the thread (seen on Linux 6.18: usercopy_abort below put_cmsg).
    /// </summary>
    public long Drops
    {
        get
        {
            const int Count = 9, DropsAt = 8; // SK_MEMINFO_VARS, SK_MEMINFO_DROPS of linux/sock_diag.h
            var values = stackalloc uint[Count];
            uint length = Count * sizeof(uint);
            var known = LibC.getsockopt(_fd.Number, LibC.SOL_SOCKET, LibC.SO_MEMINFO, values, &length) == 0;
            return known && length == Count * sizeof(uint) ? values[DropsAt] : 0;
        }
    }

    /// <summary>Binds to an address and port.</summary>
    /// <param name="address">4 or 16 bytes, network order; all zero for any.</param>
    /// <param name="port">0 to 65535; 0 lets the kernel choose.</param>
    /// <returns>0, or the errno: EADDRINUSE, EADDRNOTAVAIL (not an address of this host), EACCES (privileged port).</returns>
    public int TryBind(ReadOnlySpan<byte> address, ushort port)
    {
        var storage = stackalloc byte[SocketAddressLayout.Size];
        var length = SocketAddressLayout.Write(storage, address, port);
        return LibC.bind(_fd.Number, storage, length) == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    /// <summary>Which address the host would send from to a destination (a connected UDP socket sends nothing).</summary>
    /// <param name="address">4 or 16 bytes, network order.</param>
    /// <param name="port">Its port.</param>
    /// <param name="source">Where to: as many bytes.</param>
    /// <returns>0, or the errno: ENETUNREACH and others, no route.</returns>
    public int TryFindSource(ReadOnlySpan<byte> address, ushort port, Span<byte> source)
    {
        var storage = stackalloc byte[SocketAddressLayout.Size];
        var length = SocketAddressLayout.Write(storage, address, port);
        if (LibC.connect(_fd.Number, storage, length) != 0) return Marshal.GetLastPInvokeError();
        length = SocketAddressLayout.Size;
        if (LibC.getsockname(_fd.Number, storage, &length) != 0) return Marshal.GetLastPInvokeError();
        SocketAddressLayout.Address(storage).CopyTo(source);
        return 0;
    }

    /// <summary>The port it is bound to; 0 before that.</summary>
    public ushort LocalPort => _localPort != 0 ? _localPort : _localPort = FindLocalPort();

    private ushort FindLocalPort()
    {
        var storage = stackalloc byte[SocketAddressLayout.Size];
        uint length = SocketAddressLayout.Size;
        return LibC.getsockname(_fd.Number, storage, &length) == 0 ? SocketAddressLayout.Port(storage) : (ushort)0;
    }

    /// <summary>Whether IPv4 datagrams leave with DF set; false until <see cref="SetDontFragment"/> says otherwise.</summary>
    public bool DontFragment { get; private set; }

    /// <summary>
    /// Sets DF of what is sent from now on (IP_MTU_DISCOVER, ip(7)): it belongs to a socket, no control message has it. What is longer than the path is then refused with
    /// EMSGSIZE, and fragmented without. IPv6 routers never fragment, so there it changes nothing.
    /// </summary>
    public void SetDontFragment(bool value)
    {
        DontFragment = value;
        if (!IsIPv6) Set(LibC.IPPROTO_IP, LibC.IP_MTU_DISCOVER, value ? LibC.IP_PMTUDISC_DO : LibC.IP_PMTUDISC_DONT);
    }

    /// <summary>Has the TOS or traffic class of each datagram reported (IP_RECVTOS, IPV6_RECVTCLASS): congestion marks are in it.</summary>
    public void ReportTypeOfService()
    {
        if (IsIPv6) Set(LibC.IPPROTO_IPV6, LibC.IPV6_RECVTCLASS, 1);
        else Set(LibC.IPPROTO_IP, LibC.IP_RECVTOS, 1);
    }

    /// <summary>Drops whatever arrives, in the kernel: for sockets that only send (SO_ATTACH_FILTER with "return 0", bpf(4)).</summary>
    public void RefuseInput()
    {
        const ushort Return = 0x06;
        LibC.sock_filter instruction = new() { code = Return };
        LibC.sock_fprog program = new() { len = 1, filter = &instruction };
        if (LibC.setsockopt(_fd.Number, LibC.SOL_SOCKET, LibC.SO_ATTACH_FILTER, &program, (uint)sizeof(LibC.sock_fprog)) < 0)
            throw ErrnoException.Last(nameof(LibC.SO_ATTACH_FILTER), "sending socket");
    }

    /// <inheritdoc/>
    public void Dispose() => _fd.Dispose();
}

/// <summary>struct sockaddr_in and sockaddr_in6, written and read as bytes: the same on every Linux architecture but for the family's order.</summary>
internal static unsafe class SocketAddressLayout
{
    internal const int Size = 28;
    private const int IPv4Size = 16;
    private const int PortOffset = 2;
    private const int IPv4AddressOffset = 4;
    private const int IPv6AddressOffset = 8;

    internal static uint Write(byte* storage, ReadOnlySpan<byte> address, ushort port)
    {
        var bytes = new Span<byte>(storage, Size);
        bytes.Clear();
        BinaryPrimitives.WriteUInt16BigEndian(bytes[PortOffset..], port);
        if (address.Length == 4)
        {
            *(ushort*)storage = LibC.AF_INET;
            address.CopyTo(bytes[IPv4AddressOffset..]);
            return IPv4Size;
        }

        *(ushort*)storage = LibC.AF_INET6;
        address.CopyTo(bytes[IPv6AddressOffset..]);
        return Size;
    }

    internal static ushort Port(byte* storage) => BinaryPrimitives.ReadUInt16BigEndian(new ReadOnlySpan<byte>(storage + PortOffset, 2));

    internal static ReadOnlySpan<byte> Address(byte* storage) => *(ushort*)storage == LibC.AF_INET
        ? new ReadOnlySpan<byte>(storage + IPv4AddressOffset, 4)
        : new ReadOnlySpan<byte>(storage + IPv6AddressOffset, 16);
}
