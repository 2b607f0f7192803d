using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Sleeve.Control.Host;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Demo;

/// <summary>
/// A host of the demo: a network namespace and a /run of its own, both held by one thread and by open descriptors, so that nothing of it can
/// outlive this process. Sockets and processes that are made on the thread belong to the host.
/// </summary>
internal sealed class DemoHost : IDisposable
{
    private readonly BlockingCollection<Action> _work = [];
    private readonly Thread _thread;
    private readonly NetworkNamespace _space;

    private DemoHost(string name, NetworkNamespace space)
    {
        Name = name;
        _space = space;
        Net = RouteNetlink.Open(space);
        // Not a passing thread: the kernel takes the end of the thread that started a process for the end of its parent (ChildOfDemo).
        _thread = new Thread(Work) { IsBackground = true, Name = $"host {name}" };
        _thread.Start();
    }

    /// <summary>How it is called on the screen.</summary>
    public string Name { get; }

    /// <summary>Its network configuration.</summary>
    public RouteNetlink Net { get; }

    /// <summary>Its namespace.</summary>
    public NetworkNamespace Space => _space;

    /// <summary>Makes a host without any network but a loopback that is down.</summary>
    /// <exception cref="IOException">Not permitted; says in one line what to do.</exception>
    public static DemoHost Create(string name)
    {
        var host = new DemoHost(name, NetworkNamespace.CreateNew());
        try
        {
            host.Do(host.MoveIn);
            return host;
        }
        catch
        {
            host.Dispose();
            throw;
        }
    }

    /// <summary>Runs a function on the host's thread and waits for it; what it throws comes through.</summary>
    public T Do<T>(Func<T> function)
    {
        T? result = default;
        ExceptionDispatchInfo? failure = null;
        using var done = new ManualResetEventSlim();
        _work.Add(() =>
        {
            // The thread's root: whatever it was, it is thrown again in the caller.
            try
            {
                result = function();
            }
            catch (Exception exception)
            {
                failure = ExceptionDispatchInfo.Capture(exception);
            }

            done.Set();
        });
        done.Wait();
        failure?.Throw();
        return result!;
    }

    /// <inheritdoc cref="Do{T}"/>
    public void Do(Action action) => Do<object?>(() =>
    {
        action();
        return null;
    });

    /// <summary>Starts this program on the host with other words.</summary>
    public Process Start(IReadOnlyList<string> words) => Do(() =>
    {
        var start = new ProcessStartInfo(SleeveProgram.File, [.. SleeveProgram.Words, .. words])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment[ChildOfDemo.Variable] = $"{Environment.ProcessId}";
        // The runtime's diagnostic socket in /tmp is what a killed process would leave behind.
        start.Environment["DOTNET_EnableDiagnostics"] = "0";
        var process = Process.Start(start)!;
        process.StandardInput.Close();
        return process;
    });

    /// <inheritdoc/>
    public void Dispose()
    {
        _work.CompleteAdding();
        _thread.Join();
        _work.Dispose();
        Net.Dispose();
        _space.Dispose();
    }

    private void Work()
    {
        foreach (var action in _work.GetConsumingEnumerable()) action();
    }

    private void MoveIn()
    {
        _space.Enter();
        // Commands find a VTEP by /run/sleeve/DEV.sock; here each host has its own, in memory, and it is gone with the thread.
        if (LibC.unshare(LibC.CLONE_NEWNS) < 0) throw Refused("make a mount namespace");
        if (LibC.mount("none", "/", null, LibC.MS_REC | LibC.MS_PRIVATE, null) < 0) throw Refused("keep mounts to itself");
        if (LibC.mount("tmpfs", "/run", "tmpfs", LibC.MS_NOSUID | LibC.MS_NODEV, "mode=0755,size=1m") < 0) throw Refused("mount a /run of its own");
        Quieten();
    }

    // Router solicitations and the like would stand among the few packets that are counted. Where /proc/sys is read-only they do; counts are then repeated.
    private static void Quieten()
    {
        foreach (var scope in (ReadOnlySpan<string>)["all", "default"])
        {
            try
            {
                File.WriteAllText($"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6", "1");
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
            }
        }
    }

    private HostException Refused(string action)
    {
        var errno = Marshal.GetLastPInvokeError();
        var advice = errno is LibC.EPERM or LibC.EACCES ? ": needs CAP_SYS_ADMIN (run as root; in a container with --privileged)" : "";
        return new HostException($"host {Name} cannot {action}: {ErrnoException.Describe(errno)}{advice}", errno);
    }
}
