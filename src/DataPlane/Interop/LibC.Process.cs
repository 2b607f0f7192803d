using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

// unistd.h, signal.h, sys/prctl.h, sys/mount.h, sched.h, pwd.h, grp.h, linux/capability.h
public static unsafe partial class LibC
{
    public const int SIGKILL = 9;
    public const int SIGTERM = 15;
    public const int PR_SET_PDEATHSIG = 1;
    public const int PR_SET_KEEPCAPS = 8;
    public const int PR_CAPBSET_DROP = 24;
    public const int PR_SET_NO_NEW_PRIVS = 38;
    public const int PR_CAP_AMBIENT = 47;
    public const int PR_CAP_AMBIENT_RAISE = 2;
    public const uint _LINUX_CAPABILITY_VERSION_3 = 0x20080522;
    public const int CAP_DAC_OVERRIDE = 1;
    public const int CAP_DAC_READ_SEARCH = 2;
    public const int CAP_NET_BIND_SERVICE = 10;
    public const int CAP_NET_ADMIN = 12;
    public const int CAP_NET_RAW = 13;
    public const int CAP_SYS_PTRACE = 19;
    public const int CAP_SYS_ADMIN = 21;
    public const int CAP_BPF = 39;
    public const nuint MS_NOSUID = 2;
    public const nuint MS_NODEV = 4;
    public const nuint MS_REC = 16384;
    public const nuint MS_PRIVATE = 1 << 18;

    [LibraryImport(libc, SetLastError = true)]
    public static partial int kill(int pid, int sig);

    [LibraryImport(libc)]
    public static partial int getppid();

    [LibraryImport(libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int setenv(string name, string value, int overwrite);

    [LibraryImport(libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int unsetenv(string name);

    /// <param name="file">Looked for in PATH if it has no slash.</param>
    /// <param name="argv">The last element is null.</param>
    [LibraryImport(libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int execvp(string file, string?[] argv);

    [LibraryImport(libc, SetLastError = true)]
    public static partial int prctl(int option, nuint arg2);

    [LibraryImport(libc, SetLastError = true)]
    public static partial int prctl(int option, nuint arg2, nuint arg3, nuint arg4, nuint arg5);

    [LibraryImport(libc)]
    public static partial uint geteuid();

    [LibraryImport(libc, SetLastError = true)]
    public static partial int setresuid(uint ruid, uint euid, uint suid);

    [LibraryImport(libc, SetLastError = true)]
    public static partial int setresgid(uint rgid, uint egid, uint sgid);

    [LibraryImport(libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int initgroups(string user, uint group);

    [LibraryImport(libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int lchown(string pathname, uint owner, uint group);

    /// <returns>Borrowed until the next call; null if there is no such user.</returns>
    [LibraryImport(libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial passwd* getpwnam(string name);

    /// <inheritdoc cref="getpwnam"/>
    [LibraryImport(libc, SetLastError = true)]
    public static partial passwd* getpwuid(uint uid);

    /// <summary>Of the calling thread; version 3 takes two elements of data, the low bits first.</summary>
    [LibraryImport(libc, SetLastError = true)]
    public static partial int capget(__user_cap_header_struct* header, __user_cap_data_struct* data);

    /// <inheritdoc cref="capget"/>
    [LibraryImport(libc, SetLastError = true)]
    public static partial int capset(__user_cap_header_struct* header, __user_cap_data_struct* data);

    [LibraryImport(libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int mount(string source, string target, string? filesystemtype, nuint mountflags, string? data);

    [LibraryImport(libc)]
    public static partial int sched_yield();

    public struct passwd
    {
        public byte* pw_name;
        public byte* pw_passwd;
        public uint pw_uid;
        public uint pw_gid;
        public byte* pw_gecos;
        public byte* pw_dir;
        public byte* pw_shell;
    }

    public struct __user_cap_header_struct
    {
        public uint version;
        public int pid;
    }

    public struct __user_cap_data_struct
    {
        public uint effective;
        public uint permitted;
        public uint inheritable;
    }
}
