using System.Globalization;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

/// <summary>A network namespace cannot be opened, made or entered; the message is one line that says which, why, and what to do.</summary>
public sealed class NetworkNamespaceException : IOException
{
    /// <summary>Makes an exception.</summary>
    /// <param name="message">One line.</param>
    /// <param name="errno">The error number, one of LibC.E….</param>
    public NetworkNamespaceException(string message, int errno)
        : base(message) => Errno = errno;

    /// <summary>The error number, one of LibC.E….</summary>
    public int Errno { get; }
}

/// <summary>
/// A network namespace (network_namespaces(7)), held by an open descriptor: it lives at least as long as this object. A thread belongs to one
/// namespace and a socket keeps that of the thread that made it, so to work in another, <see cref="Run{T}"/> makes a thread, moves it there
/// and ends it: no thread of the pool ever finds itself in the wrong network.
/// </summary>
public sealed unsafe class NetworkNamespace : IDisposable
{
    private const string OwnPath = "/proc/thread-self/ns/net";
    private static readonly string[] NameFolders = ["/run/netns", "/var/run/netns"];

    private readonly FileDescriptor _descriptor;
    private NamespaceAgent? _agent;

    private NetworkNamespace(FileDescriptor descriptor, string name)
    {
        _descriptor = descriptor;
        Name = name;
    }

    /// <summary>How it was named when opened; for messages.</summary>
    public string Name { get; }

    /// <summary>The open descriptor, valid while this object lives; what netlink's IFLA_NET_NS_FD takes.</summary>
    public int Descriptor => _descriptor.Number;

    /// <summary>Opens the calling thread's namespace.</summary>
    /// <exception cref="NetworkNamespaceException">/proc is not mounted.</exception>
    public static NetworkNamespace Current() => Open(OwnPath, "the current network namespace");

    /// <summary>
    /// Opens what an operator names, as `ip link set netns` takes it: a path if it has a slash, else a name in /run/netns, else a process id.
    /// </summary>
    /// <exception cref="NetworkNamespaceException">There is none, or no permission.</exception>
    public static NetworkNamespace Open(string text)
    {
        ArgumentException.ThrowIfNullOrEmpty(text);
        if (text.Contains('/', StringComparison.Ordinal)) return OpenPath(text);
        return IsProcess(text, out var process) ? OpenProcess(process) : OpenName(text);
    }

    /// <summary>Whether what an operator names is found by way of a process, which takes the right to look into it.</summary>
    public static bool IsProcess(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.StartsWith("/proc/", StringComparison.Ordinal) || IsProcess(text, out _);
    }

    private static bool IsProcess(string text, out int process) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out process) && !NameFolders.Any(folder => File.Exists($"{folder}/{text}"));

    /// <summary>Opens a namespace that `ip netns add` made.</summary>
    /// <exception cref="NetworkNamespaceException">There is none of that name, or no permission.</exception>
    public static NetworkNamespace OpenName(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (name is "." or ".." || name.Contains('/', StringComparison.Ordinal))
            throw new NetworkNamespaceException($"'{name}' cannot name a network namespace: it is no file name in {NameFolders[0]}", LibC.EINVAL);
        var folder = NameFolders.FirstOrDefault(folder => File.Exists($"{folder}/{name}"))
            ?? throw new NetworkNamespaceException($"there is no network namespace '{name}' in {NameFolders[0]}: `ip netns` lists them", LibC.ENOENT);
        return Open($"{folder}/{name}", $"network namespace '{name}'");
    }

    /// <summary>Opens the namespace of a process.</summary>
    /// <exception cref="NetworkNamespaceException">There is no such process, or it may not be inspected.</exception>
    public static NetworkNamespace OpenProcess(int process)
    {
        var id = process.ToString(CultureInfo.InvariantCulture);
        return Open($"/proc/{id}/ns/net", $"network namespace of process {id}");
    }

    /// <summary>Opens a file that stands for a namespace, such as /proc/PID/ns/net or a bind mount of one.</summary>
    /// <exception cref="NetworkNamespaceException">There is no such file, it is something else, or no permission.</exception>
    public static NetworkNamespace OpenPath(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return Open(path, $"network namespace {path}");
    }

    /// <summary>
    /// Makes an empty namespace that is held by this object's descriptor alone: nothing appears in /run/netns, and a crash leaves nothing
    /// behind. Its loopback interface is down.
    /// </summary>
    /// <exception cref="NetworkNamespaceException">Needs CAP_SYS_ADMIN, or the limit of namespaces is reached.</exception>
    public static NetworkNamespace CreateNew() => OnNewThread(static () =>
    {
        if (LibC.unshare(LibC.CLONE_NEWNET) < 0) throw Failed("make a network namespace", Marshal.GetLastPInvokeError());
        return Open(OwnPath, "a fresh network namespace");
    });

    /// <summary>Runs a function on a thread of its own inside this namespace and waits for it.</summary>
    /// <param name="function">Opens sockets, starts processes (which inherit the namespace); the thread ends when it returns.</param>
    /// <exception cref="NetworkNamespaceException">
    /// Needs CAP_SYS_ADMIN. Whatever <paramref name="function"/> throws comes through with its stack.
    /// </exception>
    public T Run<T>(Func<T> function)
    {
        ArgumentNullException.ThrowIfNull(function);
        return OnNewThread(() =>
        {
            Enter();
            return function();
        });
    }

    /// <inheritdoc cref="Run{T}"/>
    public void Run(Action action)
    {
        ArgumentNullException.ThrowIfNull(action);
        Run<object?>(() =>
        {
            action();
            return null;
        });
    }

    /// <summary>
    /// Has everything that is opened here from now on opened by another process, if the threads of this one may not enter and the namespace belongs to a
    /// user namespace of this user (`unshare -Urn`, a rootless container). Otherwise nothing changes, and what is refused is refused when it is opened.
    /// </summary>
    /// <param name="program">How to start this program so that it calls <see cref="NamespaceAgent.Serve"/> with the number that is put behind these words.</param>
    /// <returns>True if another process opens things.</returns>
    /// <exception cref="NetworkNamespaceException">It may not be entered, and belongs to no user namespace below the one that this process is in.</exception>
    public bool UseAgentIfNeeded(IReadOnlyList<string> program)
    {
        ArgumentNullException.ThrowIfNull(program);
        if (CanEnter()) return false;
        var user = new FileDescriptor(LibC.ioctl(Descriptor, LibC.NS_GET_USERNS, null));
        if (user.IsInvalid || IsOwn(user))
        {
            user.Dispose();
            throw new NetworkNamespaceException(
                $"cannot enter {Name}: needs CAP_SYS_ADMIN (run as root), unless it is in a user namespace of this user's own (unshare -Urn, a rootless container)", LibC.EPERM);
        }

        _agent = new NamespaceAgent(this, user, program);
        return true;
    }

    /// <summary>The user who owns the user namespace that this belongs to; null if that is our own, or not below it.</summary>
    public uint? OwnerId
    {
        get
        {
            using var user = new FileDescriptor(LibC.ioctl(Descriptor, LibC.NS_GET_USERNS, null));
            uint owner;
            return user.IsInvalid || IsOwn(user) || LibC.ioctl(user.Number, LibC.NS_GET_OWNER_UID, &owner) < 0 ? null : owner;
        }
    }

    private bool CanEnter()
    {
        try
        {
            Run(static () => { });
            return true;
        }
        catch (NetworkNamespaceException refused) when (refused.Errno == LibC.EPERM)
        {
            return false;
        }
    }

    private static bool IsOwn(FileDescriptor user) =>
        File.ResolveLinkTarget(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{user.Number}"), returnFinalTarget: false)?.Name
        == File.ResolveLinkTarget("/proc/self/ns/user", returnFinalTarget: false)?.Name;

    /// <summary>Opens something that stays in this namespace.</summary>
    /// <returns>Invalid, with the thread's last error, if it cannot be opened.</returns>
    internal FileDescriptor Open(NamespaceOpening what)
    {
        if (_agent is { } agent) return agent.Open(what);
        var (opened, errno) = Run(() => (NamespaceAgent.OpenHere(what), Marshal.GetLastPInvokeError()));
        Marshal.SetLastPInvokeError(errno);
        return opened;
    }

    /// <summary>Moves the calling thread here for the rest of its life; only for threads that were made for it.</summary>
    /// <exception cref="NetworkNamespaceException">Needs CAP_SYS_ADMIN.</exception>
    public void Enter()
    {
        if (LibC.setns(Descriptor, LibC.CLONE_NEWNET) < 0) throw Failed($"enter {Name}", Marshal.GetLastPInvokeError());
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _agent?.Dispose();
        _descriptor.Dispose();
    }

    private static NetworkNamespace Open(string path, string name)
    {
        var descriptor = new FileDescriptor(LibC.open(path, LibC.O_RDONLY | LibC.O_CLOEXEC | LibC.O_NONBLOCK));
        if (descriptor.IsInvalid) throw Failed($"open {name}", Marshal.GetLastPInvokeError());
        if (LibC.ioctl(descriptor.Number, LibC.NS_GET_NSTYPE, null) == LibC.CLONE_NEWNET) return new NetworkNamespace(descriptor, name);
        descriptor.Dispose();
        throw new NetworkNamespaceException($"cannot open {name}: {path} is not a network namespace", LibC.EINVAL);
    }

    private static NetworkNamespaceException Failed(string action, int errno) =>
        new($"cannot {action}: {ErrnoException.Describe(errno)}{Advice(errno)}", errno);

    private static string Advice(int errno) => errno switch
    {
        LibC.EPERM or LibC.EACCES => ": needs CAP_SYS_ADMIN (run as root)",
        LibC.ENOSPC => ": the limit /proc/sys/user/max_net_namespaces is reached",
        _ => "",
    };

    private static T OnNewThread<T>(Func<T> function)
    {
        T? result = default;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            // A thread's root: whatever it was, it is thrown again in the caller.
            try
            {
                result = function();
            }
            catch (Exception exception)
            {
                failure = ExceptionDispatchInfo.Capture(exception);
            }
        })
        { IsBackground = true, Name = "network namespace" };
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result!;
    }
}
