using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

/// <summary>What can be opened in a namespace. What is opened there stays there, whoever uses it.</summary>
internal enum NamespaceOpening : byte
{
    /// <summary>An rtnetlink socket, not bound.</summary>
    RouteSocket = (byte)'n',

    /// <summary>/dev/net/tun, attached to no interface.</summary>
    Tun = (byte)'t',
}

/// <summary>
/// A process inside a network namespace of a user namespace that this user owns (user_namespaces(7)), where no thread of ours can go: to enter a
/// user namespace a process must have but one thread, and a network namespace alone cannot be entered without CAP_SYS_ADMIN where one comes from.
/// So nsenter(1) starts this program there. It opens what it is asked for and passes the descriptors over a socket (SCM_RIGHTS, unix(7)); what
/// is then done with them the kernel allows by who asks, and the owner of a user namespace has every capability in it.
/// <para>
/// Started when it is needed and ended when nothing was asked for a while. It also ends when the other end of its socket is closed. From any thread.
/// </para>
/// </summary>
public sealed unsafe class NamespaceAgent : IDisposable
{
    private const string Enter = "nsenter";
    private const string TunPath = "/dev/net/tun";
    private const int ReplySize = sizeof(int);
    private const int PatienceMilliseconds = 20_000; // to start a program, on a host that is busy
    private static readonly TimeSpan IdleTime = TimeSpan.FromSeconds(5);

    // Descriptors that a program is to inherit are open for every program that is started meanwhile.
    private static readonly Lock Starting = new();

    private readonly IReadOnlyList<string> _program;
    private readonly NetworkNamespace _network;
    private readonly FileDescriptor _user;
    private readonly Lock _turn = new();
    private readonly Timer _idle;
    private FileDescriptor? _socket;
    private Process? _process;

    /// <summary>Prepares an agent; nothing is started yet.</summary>
    /// <param name="network">Where; stays the caller's, who keeps it open.</param>
    /// <param name="user">The user namespace that owns it; taken over.</param>
    /// <param name="program">How to start this program so that it calls <see cref="Serve"/> with the number that is put behind these words.</param>
    internal NamespaceAgent(NetworkNamespace network, FileDescriptor user, IReadOnlyList<string> program)
    {
        (_network, _user, _program) = (network, user, program);
        _idle = new Timer(_ => End(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Has something opened inside.</summary>
    /// <exception cref="ErrnoException">It could not be opened there.</exception>
    /// <exception cref="NetworkNamespaceException">The namespace cannot be entered, with the reason.</exception>
    internal FileDescriptor Open(NamespaceOpening what)
    {
        lock (_turn)
        {
            Start();
            var request = (byte)what;
            var errno = LibC.ENOENT;
            var received = LibC.send(_socket!.Number, &request, 1, LibC.MSG_NOSIGNAL) == 1 ? Receive(_socket, out errno) : null;
            if (received is null) throw Ended();
            _idle.Change(IdleTime, Timeout.InfiniteTimeSpan);
            if (!received.IsInvalid) return received;
            received.Dispose();
            throw what == NamespaceOpening.Tun ? new ErrnoException(errno, nameof(LibC.open), TunPath) : new ErrnoException(errno, nameof(LibC.socket), "AF_NETLINK");
        }
    }

    /// <summary>The other side: opens what it is asked for in the namespaces that the process is in, until the socket is closed.</summary>
    /// <param name="socket">The descriptor that was passed.</param>
    public static void Serve(int socket)
    {
        byte request;
        while (LibC.recv(socket, &request, 1, 0) is var length and not 0)
        {
            if (length < 0 && Marshal.GetLastPInvokeError() == LibC.EINTR) continue;
            if (length < 0) return;
            using var opened = OpenHere((NamespaceOpening)request);
            if (!Send(socket, opened.IsInvalid ? Marshal.GetLastPInvokeError() : 0, opened)) return;
        }
    }

    /// <summary>Opens something in the namespace of the calling thread; invalid, with the thread's last error, if it cannot be opened.</summary>
    internal static FileDescriptor OpenHere(NamespaceOpening what) => new(what switch
    {
        NamespaceOpening.RouteSocket => LibC.socket(LibC.AF_NETLINK, LibC.SOCK_RAW | LibC.SOCK_CLOEXEC, LibC.NETLINK_ROUTE),
        _ => LibC.open(TunPath, LibC.O_RDWR | LibC.O_NONBLOCK | LibC.O_CLOEXEC),
    });

    private void Start()
    {
        if (_process is { HasExited: false }) return;
        End();
        var pair = stackalloc int[2];
        if (LibC.socketpair(LibC.AF_UNIX, LibC.SOCK_SEQPACKET | LibC.SOCK_CLOEXEC, 0, pair) < 0) throw ErrnoException.Last(nameof(LibC.socketpair), Enter);
        _socket = new FileDescriptor(pair[0]);
        using var theirs = new FileDescriptor(pair[1]);
        lock (Starting)
        {
            // A copy that the program inherits. It names the namespaces by our descriptors, which stay open while nsenter opens them.
            using var inherited = new FileDescriptor(LibC.fcntl(theirs.Number, LibC.F_DUPFD, 3));
            if (inherited.IsInvalid) throw ErrnoException.Last(nameof(LibC.fcntl), Enter);
            var number = inherited.Number.ToString(CultureInfo.InvariantCulture);
            string[] words = ["--user=" + PathOf(_user.Number), "--net=" + PathOf(_network.Descriptor), "--preserve-credentials", "--", .. _program, number];
            try
            {
                _process = Process.Start(new ProcessStartInfo(Enter, words) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true });
            }
            catch (Win32Exception failure)
            {
                throw new NetworkNamespaceException($"cannot enter {_network.Name}: {Enter} cannot be started ({failure.Message}): install util-linux", LibC.ENOENT);
            }
        }
    }

    private static string PathOf(int descriptor) => string.Create(CultureInfo.InvariantCulture, $"/proc/{Environment.ProcessId}/fd/{descriptor}");

    // The reply is an error number, and with 0 a descriptor beside it. Null if none came: the other side is gone, or hangs.
    private static FileDescriptor? Receive(FileDescriptor socket, out int errno)
    {
        var control = stackalloc byte[ControlSize];
        int answer;
        var part = new LibC.iovec { iov_base = &answer, iov_len = ReplySize };
        var message = new LibC.msghdr { msg_iov = &part, msg_iovlen = 1, msg_control = control, msg_controllen = (nuint)ControlSize };
        var poll = new LibC.pollfd { fd = socket.Number, events = LibC.POLLIN };
        errno = 0;
        int ready;
        while ((ready = LibC.poll(&poll, 1, PatienceMilliseconds)) < 0 && Marshal.GetLastPInvokeError() == LibC.EINTR)
        {
        }

        if (ready <= 0 || LibC.recvmsg(socket.Number, &message, LibC.MSG_CMSG_CLOEXEC | LibC.MSG_DONTWAIT) != ReplySize) return null;
        errno = answer;
        var header = (LibC.cmsghdr*)control;
        var isPassed = message.msg_controllen >= (nuint)ControlSize && header->cmsg_level == LibC.SOL_SOCKET && header->cmsg_type == LibC.SCM_RIGHTS;
        return new FileDescriptor(isPassed ? *(int*)(control + sizeof(LibC.cmsghdr)) : -1);
    }

    private static bool Send(int socket, int errno, FileDescriptor opened)
    {
        var control = stackalloc byte[ControlSize];
        var part = new LibC.iovec { iov_base = &errno, iov_len = ReplySize };
        var message = new LibC.msghdr { msg_iov = &part, msg_iovlen = 1 };
        if (!opened.IsInvalid)
        {
            message.msg_control = control;
            message.msg_controllen = (nuint)ControlSize;
            *(LibC.cmsghdr*)control = new LibC.cmsghdr { cmsg_len = (nuint)(sizeof(LibC.cmsghdr) + sizeof(int)), cmsg_level = LibC.SOL_SOCKET, cmsg_type = LibC.SCM_RIGHTS };
            *(int*)(control + sizeof(LibC.cmsghdr)) = opened.Number;
        }

        return LibC.sendmsg(socket, &message, LibC.MSG_NOSIGNAL) == ReplySize;
    }

    // CMSG_SPACE(sizeof(int)): padded to the size of a long.
    private static int ControlSize => sizeof(LibC.cmsghdr) + sizeof(nint);

    private NetworkNamespaceException Ended()
    {
        var reason = "it did not answer";
        if (_process is { } process && process.WaitForExit(1000))
            reason = process.StandardError.ReadToEnd().Trim().Split('\n')[0] is { Length: > 0 } said ? said : string.Create(CultureInfo.InvariantCulture, $"{Enter} ended with {process.ExitCode}");
        End();
        return new NetworkNamespaceException($"cannot enter {_network.Name}: {reason}", LibC.EPERM);
    }

    private void End()
    {
        lock (_turn)
        {
            _socket?.Dispose();
            _socket = null;
            if (_process is not { } process) return;
            _process = null;
            // It ends with its socket.
            if (!process.WaitForExit(1000)) process.Kill();
            process.Dispose();
        }
    }

    /// <summary>Ends the process, if there is one; what it opened stays open.</summary>
    public void Dispose()
    {
        _idle.Dispose();
        End();
        _user.Dispose();
    }
}
