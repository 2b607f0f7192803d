using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

/// <summary>How the kernel answered a request: 0, or an error number and, where it has one, its own sentence (NLMSGERR_ATTR_MSG).</summary>
/// <param name="Errno">0, or one of LibC.E….</param>
/// <param name="KernelText">The kernel's extended acknowledgement; null if it sent none.</param>
public readonly record struct NetlinkOutcome(int Errno, string? KernelText)
{
    /// <summary>True if the kernel did as asked.</summary>
    public bool Succeeded => Errno == 0;

    /// <summary>The kernel's sentence, or else what strerror(3) says.</summary>
    public string Reason => KernelText is { Length: > 0 } ? KernelText.TrimEnd('.') : ErrnoException.Describe(Errno);
}

/// <summary>Receives a message of an answer or a notification. The message is borrowed for the call.</summary>
public delegate void NetlinkReceiver(in NetlinkMessage message);

/// <summary>
/// An rtnetlink(7) socket of the namespace in which it was made. One thread at a time. The receive buffer grows to the datagram at hand, which
/// the kernel bounds; a request's answer is in the socket's queue before its send returns, so a request never waits for long.
/// </summary>
public sealed unsafe class NetlinkSocket : IDisposable
{
    private const int InitialBufferBytes = 32 * 1024; // what the kernel fills a dump's datagrams up to
    private const int MaxDumpAttempts = 16;

    private readonly FileDescriptor _socket;
    private byte[] _buffer = new byte[InitialBufferBytes];
    private uint _sequence;

    /// <summary>Opens a socket in the calling thread's network namespace.</summary>
    /// <exception cref="ErrnoException">No descriptors left, or the kernel has no rtnetlink.</exception>
    public NetlinkSocket()
        : this(NamespaceAgent.OpenHere(NamespaceOpening.RouteSocket))
    {
    }

    private NetlinkSocket(FileDescriptor socket)
    {
        _socket = socket;
        if (_socket.IsInvalid) throw ErrnoException.Last(nameof(LibC.socket), "AF_NETLINK");
        var address = new LibC.sockaddr_nl { nl_family = LibC.AF_NETLINK };
        if (LibC.bind(_socket.Number, &address, (uint)sizeof(LibC.sockaddr_nl)) < 0)
        {
            var failure = ErrnoException.Last(nameof(LibC.bind), "AF_NETLINK");
            _socket.Dispose();
            throw failure;
        }

        // Kernels before 4.12 have neither; then errors come without a sentence and with the request behind them.
        _ = TrySetOption(LibC.SOL_NETLINK, LibC.NETLINK_EXT_ACK, 1);
        _ = TrySetOption(LibC.SOL_NETLINK, LibC.NETLINK_CAP_ACK, 1);
    }

    /// <summary>Opens a socket in a namespace.</summary>
    /// <param name="where">The namespace; null for the calling thread's.</param>
    /// <exception cref="ErrnoException">No descriptors left.</exception>
    /// <exception cref="NetworkNamespaceException">The namespace cannot be entered.</exception>
    public static NetlinkSocket Open(NetworkNamespace? where) => where is null ? new NetlinkSocket() : new NetlinkSocket(where.Open(NamespaceOpening.RouteSocket));

    /// <summary>The descriptor, valid while this object lives; for <see cref="EventPoll.Add"/>.</summary>
    public int Descriptor => _socket.Number;

    /// <summary>Subscribes to notifications.</summary>
    /// <param name="group">One of LibC.RTNLGRP_….</param>
    /// <exception cref="ErrnoException">The kernel has no such group.</exception>
    public void Join(int group)
    {
        if (!TrySetOption(LibC.SOL_NETLINK, LibC.NETLINK_ADD_MEMBERSHIP, group))
            throw ErrnoException.Last(nameof(LibC.setsockopt), nameof(LibC.NETLINK_ADD_MEMBERSHIP));
    }

    /// <summary>Asks for a receive queue of so many bytes; the kernel doubles it and bounds it (net.core.rmem_max).</summary>
    public void SetReceiveBuffer(int bytes) => TrySetOption(LibC.SOL_SOCKET, LibC.SO_RCVBUF, bytes);

    /// <summary>Sends a request that changes something and reads the acknowledgement.</summary>
    /// <returns>The kernel's verdict.</returns>
    /// <exception cref="ErrnoException">The socket failed, not the request.</exception>
    public NetlinkOutcome Execute(NetlinkRequest request) => Transact(request, LibC.NLM_F_ACK, static (in _) => { });

    /// <summary>Sends a request and hands over each message of the answer.</summary>
    /// <param name="request">With LibC.NLM_F_DUMP for a list. A list that changed while it was read is read again.</param>
    /// <param name="begin">Called before the first message of each attempt: forget what came before.</param>
    /// <param name="receiver">Called for each message.</param>
    /// <returns>The kernel's verdict.</returns>
    /// <exception cref="ErrnoException">The socket failed, not the request.</exception>
    public NetlinkOutcome Query(NetlinkRequest request, Action begin, NetlinkReceiver receiver)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(begin);
        ArgumentNullException.ThrowIfNull(receiver);
        var isDump = (request.Flags & LibC.NLM_F_DUMP) == LibC.NLM_F_DUMP;
        for (var attempt = 1; ; attempt++)
        {
            begin();
            var interrupted = false;
            var outcome = Transact(request, isDump ? 0 : LibC.NLM_F_ACK, (in message) =>
            {
                interrupted |= (message.Flags & LibC.NLM_F_DUMP_INTR) != 0;
                receiver(in message);
            });
            // A list that never holds still is as good as it gets after so many attempts.
            if (!interrupted || attempt == MaxDumpAttempts) return outcome;
        }
    }

    /// <summary>Hands over the notifications that are there now; does not wait (sleep with <see cref="EventPoll"/>).</summary>
    /// <returns>False if the kernel had to drop some (ENOBUFS): what they would have said must be read anew.</returns>
    /// <exception cref="ErrnoException">The socket failed.</exception>
    public bool Drain(NetlinkReceiver receiver)
    {
        ArgumentNullException.ThrowIfNull(receiver);
        var complete = true;
        while (true)
        {
            var length = Receive(LibC.MSG_DONTWAIT, out var errno);
            if (length < 0)
            {
                if (errno == LibC.EAGAIN) return complete;
                if (errno != LibC.ENOBUFS) throw new ErrnoException(errno, nameof(LibC.recvfrom), "AF_NETLINK");
                complete = false;
                continue;
            }

            foreach (var message in new NetlinkMessages(_buffer.AsSpan(0, length)))
            {
                if (message.Type == LibC.NLMSG_OVERRUN) complete = false;
                else receiver(in message);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private NetlinkOutcome Transact(NetlinkRequest request, int extraFlags, NetlinkReceiver receiver)
    {
        ArgumentNullException.ThrowIfNull(request);
        var sequence = ++_sequence;
        Send(request.Complete(sequence, extraFlags));
        while (true)
        {
            var length = Receive(0, out var errno);
            if (length < 0) throw new ErrnoException(errno, nameof(LibC.recvfrom), "AF_NETLINK");
            foreach (var message in new NetlinkMessages(_buffer.AsSpan(0, length)))
            {
                // What is left of a request that ended in an exception.
                if (message.Sequence != sequence) continue;
                if (message.Type is LibC.NLMSG_ERROR or LibC.NLMSG_DONE) return ReadOutcome(message);
                if (message.Type > LibC.NLMSG_OVERRUN) receiver(in message);
            }
        }
    }

    private void Send(ReadOnlySpan<byte> bytes)
    {
        var kernel = new LibC.sockaddr_nl { nl_family = LibC.AF_NETLINK };
        fixed (byte* data = bytes)
        {
            while (LibC.sendto(_socket.Number, data, (nuint)bytes.Length, 0, &kernel, (uint)sizeof(LibC.sockaddr_nl)) < 0)
            {
                if (Marshal.GetLastPInvokeError() != LibC.EINTR) throw ErrnoException.Last(nameof(LibC.sendto), "AF_NETLINK");
            }
        }
    }

    /// <summary>Receives one datagram of the kernel's into the buffer, growing it first; −1 and an error number if there is none.</summary>
    private int Receive(int flags, out int errno)
    {
        while (true)
        {
            var length = ReceiveOnce(flags | LibC.MSG_PEEK | LibC.MSG_TRUNC, out var sender, out errno);
            if (length > _buffer.Length) _buffer = new byte[length];
            if (length >= 0) length = ReceiveOnce(flags, out sender, out errno);
            if (length >= 0 && sender != 0) continue; // only the kernel is believed
            if (length >= 0 || errno != LibC.EINTR) return length;
        }
    }

    private int ReceiveOnce(int flags, out uint sender, out int errno)
    {
        LibC.sockaddr_nl address = default;
        var addressLength = (uint)sizeof(LibC.sockaddr_nl);
        int length;
        fixed (byte* buffer = _buffer)
            length = (int)LibC.recvfrom(_socket.Number, buffer, (nuint)_buffer.Length, flags, &address, &addressLength);
        errno = length < 0 ? Marshal.GetLastPInvokeError() : 0;
        sender = address.nl_pid;
        return length;
    }

    private bool TrySetOption(int level, int option, int value) => LibC.setsockopt(_socket.Number, level, option, &value, sizeof(int)) == 0;

    /// <summary>
    /// Reads struct nlmsgerr, or the int at the end of a list, and the attributes after it:
    /// <code>
    ///  NLMSG_ERROR │ error │ the request's header │ the request, unless capped │ attributes if NLM_F_ACK_TLVS │
    ///  NLMSG_DONE  │ error │                                                   │ attributes if NLM_F_ACK_TLVS │
    /// </code>
    /// </summary>
    private static NetlinkOutcome ReadOutcome(in NetlinkMessage message)
    {
        var payload = message.Payload;
        if (payload.Length < sizeof(int)) return default;
        var errno = -MemoryMarshal.Read<int>(payload);
        if ((message.Flags & LibC.NLM_F_ACK_TLVS) == 0) return new NetlinkOutcome(errno, null);

        var start = sizeof(int);
        if (message.Type == LibC.NLMSG_ERROR && payload.Length >= sizeof(LibC.nlmsgerr))
        {
            var echoed = MemoryMarshal.Read<LibC.nlmsgerr>(payload);
            start = sizeof(LibC.nlmsgerr);
            if ((message.Flags & LibC.NLM_F_CAPPED) == 0) start += ((int)echoed.msg.nlmsg_len - sizeof(LibC.nlmsghdr) + 3) & -4;
        }

        if (start > payload.Length) return new NetlinkOutcome(errno, null);
        foreach (var attribute in new NetlinkAttributes(payload[start..]))
        {
            if (attribute.Type == LibC.NLMSGERR_ATTR_MSG) return new NetlinkOutcome(errno, attribute.Text);
        }

        return new NetlinkOutcome(errno, null);
    }
}
