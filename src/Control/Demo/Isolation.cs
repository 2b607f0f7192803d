using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Sleeve.Control.Host;
using Sleeve.Control.Up;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Demo;

/// <summary>The right to make namespaces: had already, or got by becoming root of a user namespace.</summary>
internal static class Isolation
{
    private const string Unshare = "unshare";

    // User, network and mount namespace; the caller becomes root inside.
    private const string Flags = "-Urnm";

    /// <summary>
    /// Returns if namespaces and a TAP can be made; else replaces this process (same id, so that signals and the exit code need no messenger) by
    /// the same command in a user namespace.
    /// </summary>
    /// <param name="options">What was asked for.</param>
    /// <param name="words">The words of the command line after the verb.</param>
    /// <exception cref="IOException">It cannot be done; says in one line why and what to do.</exception>
    public static void Ensure(DemoOptions options, IReadOnlyList<string> words)
    {
        RequireTun();
        try
        {
            NetworkNamespace.CreateNew().Dispose();
            return;
        }
        catch (NetworkNamespaceException refused) when (refused.Errno == LibC.EPERM && !options.IsInside)
        {
        }

        RequireUserNamespace();
        string?[] arguments = [Unshare, Flags, SleeveProgram.File, .. SleeveProgram.Words, "demo", "--inside", .. words, null];
        _ = LibC.execvp(Unshare, arguments);
        throw new HostException($"cannot run {Unshare}: {ErrnoException.Describe(Marshal.GetLastPInvokeError())}");
    }

    private static void RequireTun()
    {
        using var tun = new FileDescriptor(LibC.open(OverlayDevice.TunPath, LibC.O_RDWR | LibC.O_CLOEXEC));
        if (tun.IsInvalid) throw new HostException(OverlayDevice.ExplainTun(Marshal.GetLastPInvokeError()));
    }

    private static void RequireUserNamespace()
    {
        const string Advice = "run it as root (in a container also with --privileged)";
        try
        {
            using var trial = Process.Start(new ProcessStartInfo(Unshare, [Flags, "true"]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
            var reason = trial.StandardError.ReadToEnd().Trim().Split('\n')[0];
            trial.WaitForExit();
            if (trial.ExitCode != 0) throw new HostException($"this user may not make namespaces ({reason}): {Advice}, or allow user namespaces on this host");
        }
        catch (Win32Exception)
        {
            throw new HostException($"this user may not make network namespaces, and there is no {Unshare} to make a user namespace: {Advice}, or install util-linux");
        }
    }
}
