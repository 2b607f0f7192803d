using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

// unistd.h, signal.h, sys/prctl.h, sys/mount.h, sched.h
public static unsafe partial class LibC
{
    public const int SIGKILL = 9;
    public const int SIGTERM = 15;
    public const int PR_SET_PDEATHSIG = 1;
    public const nuint MS_NOSUID = 2;
    public const nuint MS_NODEV = 4;
    public const nuint MS_REC = 16384;
    public const nuint MS_PRIVATE = 1 << 18;

    [LibraryImport(libc, SetLastError = true)]
    public static partial int kill(int pid, int sig);

    [LibraryImport(libc)]
    public static partial int getppid();

    /// <param name="file">Looked for in PATH if it has no slash.</param>
    /// <param name="argv">The last element is null.</param>
    [LibraryImport(libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int execvp(string file, string?[] argv);

    [LibraryImport(libc, SetLastError = true)]
    public static partial int prctl(int option, nuint arg2);

    [LibraryImport(libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int mount(string source, string target, string? filesystemtype, nuint mountflags, string? data);

    [LibraryImport(libc)]
    public static partial int sched_yield();
}
