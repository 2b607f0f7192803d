using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

/// <summary>What became of a probe.</summary>
/// <param name="Length">Bytes of an answer; 0 if none came.</param>
/// <param name="Errno">What an ICMP message or the kernel said: EMSGSIZE, ECONNREFUSED, EHOSTUNREACH …; 0 if neither said anything.</param>
/// <param name="Mtu">With EMSGSIZE, the MTU of the next hop; 0 if it was not said.</param>
public readonly record struct ProbeAnswer(int Length, int Errno, int Mtu);

/// <summary>
/// A socket that sends packets of one size to one destination, with DF set and whatever path MTU the kernel has learned (IP_PMTUDISC_PROBE, ip(7)), and
/// reads what ICMP says about them (IP_RECVERR). One thread.
/// </summary>
public sealed unsafe class ProbeSocket : IDisposable
{
    private readonly FileDescriptor _fd;
    private readonly bool _isIPv6;

    private ProbeSocket(bool isIPv6, int type, int protocol, ReadOnlySpan<byte> local, ReadOnlySpan<byte> remote, ushort port)
    {
        _isIPv6 = isIPv6;
        _fd = new FileDescriptor(LibC.socket(isIPv6 ? LibC.AF_INET6 : LibC.AF_INET, type | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, protocol));
        try
        {
            if (_fd.IsInvalid) throw ErrnoException.Last(nameof(LibC.socket), "path MTU probe");
            if (isIPv6)
            {
                Set(LibC.IPPROTO_IPV6, LibC.IPV6_MTU_DISCOVER, LibC.IPV6_PMTUDISC_PROBE);
                Set(LibC.IPPROTO_IPV6, LibC.IPV6_RECVERR, 1);
            }
            else
            {
                Set(LibC.IPPROTO_IP, LibC.IP_MTU_DISCOVER, LibC.IP_PMTUDISC_PROBE);
                Set(LibC.IPPROTO_IP, LibC.IP_RECVERR, 1);
            }

            var storage = stackalloc byte[SocketAddressLayout.Size];
            var length = SocketAddressLayout.Write(storage, local, 0);
            if (LibC.bind(_fd.Number, storage, length) != 0) throw ErrnoException.Last(nameof(LibC.bind), "path MTU probe");
            length = SocketAddressLayout.Write(storage, remote, port);
            if (LibC.connect(_fd.Number, storage, length) != 0) throw ErrnoException.Last(nameof(LibC.connect), "path MTU probe");
        }
        catch
        {
            _fd.Dispose();
            throw;
        }
    }

    /// <summary>Makes a socket that sends UDP datagrams.</summary>
    /// <param name="local">4 or 16 bytes to send from, network order; all zero for any.</param>
    /// <param name="remote">As many bytes to send to.</param>
    /// <param name="port">UDP port to send to.</param>
    /// <exception cref="ErrnoException">connect: ENETUNREACH and others, no route.</exception>
    public static ProbeSocket Udp(ReadOnlySpan<byte> local, ReadOnlySpan<byte> remote, ushort port) =>
        new(remote.Length == 16, LibC.SOCK_DGRAM, 0, local, remote, port);

    /// <summary>Makes a socket that sends ICMP or ICMPv6 messages, and receives all that come from there, with their IPv4 header.</summary>
    /// <exception cref="ErrnoException">socket: EPERM, CAP_NET_RAW is missing. connect: no route.</exception>
    public static ProbeSocket Icmp(ReadOnlySpan<byte> local, ReadOnlySpan<byte> remote) =>
        new(remote.Length == 16, LibC.SOCK_RAW, remote.Length == 16 ? LibC.IPPROTO_ICMPV6 : LibC.IPPROTO_ICMP, local, remote, 0);

    /// <summary>Sends a payload.</summary>
    /// <returns>0, or the errno; EMSGSIZE: more than the interface takes.</returns>
    public int Send(ReadOnlySpan<byte> payload)
    {
        fixed (byte* start = payload)
        {
            // What an earlier probe left behind is told with the next call, which then sends nothing.
            for (var attempt = 0; ; attempt++)
            {
                if (LibC.send(_fd.Number, start, (nuint)payload.Length, LibC.MSG_DONTWAIT | LibC.MSG_NOSIGNAL) >= 0) return 0;
                var errno = Marshal.GetLastPInvokeError();
                if (errno == LibC.EINTR || attempt > 0) return errno;
            }
        }
    }

    /// <summary>Waits for an answer or for an error.</summary>
    /// <param name="buffer">Where an answer goes, cut if it is longer.</param>
    /// <param name="waitMilliseconds">How long.</param>
    public ProbeAnswer Await(Span<byte> buffer, int waitMilliseconds)
    {
        var poll = new LibC.pollfd { fd = _fd.Number, events = LibC.POLLIN };
        _ = LibC.poll(&poll, 1, waitMilliseconds);
        if (ReadError() is { Errno: not 0 } error) return error;
        fixed (byte* start = buffer)
        {
            var read = LibC.recv(_fd.Number, start, (nuint)buffer.Length, LibC.MSG_DONTWAIT);
            return new ProbeAnswer((int)Math.Max(read, 0), 0, 0);
        }
    }

    private ProbeAnswer ReadError()
    {
        const int ControlSize = 512;
        var control = stackalloc byte[ControlSize];
        var payload = stackalloc byte[64];
        var slice = new LibC.iovec { iov_base = payload, iov_len = 64 };
        var message = new LibC.mmsghdr { msg_hdr = new LibC.msghdr { msg_iov = &slice, msg_iovlen = 1, msg_control = control, msg_controllen = ControlSize } };
        if (LibC.recvmmsg(_fd.Number, &message, 1, LibC.MSG_ERRQUEUE | LibC.MSG_DONTWAIT, null) != 1) return default;
        var (level, type) = _isIPv6 ? (LibC.IPPROTO_IPV6, LibC.IPV6_RECVERR) : (LibC.IPPROTO_IP, LibC.IP_RECVERR);
        var header = (nuint)sizeof(LibC.cmsghdr);
        for (nuint at = 0; at + header <= message.msg_hdr.msg_controllen;)
        {
            var each = (LibC.cmsghdr*)(control + at);
            if (each->cmsg_len < header) break;
            if (each->cmsg_level == level && each->cmsg_type == type && each->cmsg_len >= header + (nuint)sizeof(LibC.sock_extended_err))
            {
                var error = (LibC.sock_extended_err*)(control + at + header);
                return new ProbeAnswer(0, (int)error->ee_errno, error->ee_errno == LibC.EMSGSIZE ? (int)error->ee_info : 0);
            }

            at += (each->cmsg_len + (nuint)sizeof(nuint) - 1) & ~((nuint)sizeof(nuint) - 1);
        }

        return default;
    }

    private void Set(int level, int option, int value)
    {
        if (LibC.setsockopt(_fd.Number, level, option, &value, sizeof(int)) != 0) throw ErrnoException.Last(nameof(LibC.setsockopt), "path MTU probe");
    }

    /// <inheritdoc/>
    public void Dispose() => _fd.Dispose();
}
