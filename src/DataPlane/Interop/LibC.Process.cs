using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

// unistd.h, signal.h, sys/prctl.h, sys/mount.h, sys/resource.h
public static unsafe partial class LibC
{
    public const int SIGKILL = 9;
    public const int SIGTERM = 15;
    public const int PR_SET_PDEATHSIG = 1;
    public const int RUSAGE_THREAD = 1;
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

    [LibraryImport(libc, SetLastError = true)]
    public static partial int getrusage(int who, rusage* usage);

    public struct timeval
    {
        public nint tv_sec;
        public nint tv_usec;
    }

    public struct rusage
    {
        public timeval ru_utime;
        public timeval ru_stime;
        public nint ru_maxrss;
        public nint ru_ixrss;
        public nint ru_idrss;
        public nint ru_isrss;
        public nint ru_minflt;
        public nint ru_majflt;
        public nint ru_nswap;
        public nint ru_inblock;
        public nint ru_oublock;
        public nint ru_msgsnd;
        public nint ru_msgrcv;
        public nint ru_nsignals;
        public nint ru_nvcsw;
        public nint ru_nivcsw;
    }
}
