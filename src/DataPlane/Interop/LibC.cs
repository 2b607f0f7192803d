using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

[assembly: DisableRuntimeMarshalling]
[assembly: DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]

namespace Sleeve.DataPlane.Interop;

/// <summary>
/// libc as it stands: native names, constants and structs, one file per C header, nothing clever. It follows the shape of Tmds.LibC so that
/// that package can take its place. A test has the C compiler check every constant, size and offset. Structs are of the host's ABI.
/// </summary>
public static unsafe partial class LibC
{
    internal const string libc = "libc";

    // errno.h
    public const int EPERM = 1;
    public const int ENOENT = 2;
    public const int ESRCH = 3;
    public const int EINTR = 4;
    public const int EIO = 5;
    public const int ENXIO = 6;
    public const int EBADF = 9;
    public const int EAGAIN = 11;
    public const int ENOMEM = 12;
    public const int EACCES = 13;
    public const int EFAULT = 14;
    public const int EBUSY = 16;
    public const int EEXIST = 17;
    public const int ENODEV = 19;
    public const int EINVAL = 22;
    public const int EMFILE = 24;
    public const int ENOSPC = 28;
    public const int ERANGE = 34;
    public const int EBADFD = 77;
    public const int EMSGSIZE = 90;
    public const int EOPNOTSUPP = 95;
    public const int EAFNOSUPPORT = 97;
    public const int EADDRINUSE = 98;
    public const int EADDRNOTAVAIL = 99;
    public const int ENETDOWN = 100;
    public const int ENETUNREACH = 101;
    public const int ENOBUFS = 105;
    public const int ECONNREFUSED = 111;
    public const int EHOSTUNREACH = 113;

    // fcntl.h, unistd.h
    public const int O_RDONLY = 0x0;
    public const int O_RDWR = 0x2;
    public const int O_NONBLOCK = 0x800;
    public const int O_CLOEXEC = 0x80000;
    public const int F_DUPFD = 0;
    public const int F_SETFD = 2;
    public const int FD_CLOEXEC = 1;
    public const int F_GETFL = 3;
    public const int F_SETFL = 4;

    [LibraryImport(libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int open(string pathname, int flags);

    public const int W_OK = 2;
    public const int R_OK = 4;
    public const int AT_FDCWD = -100;
    public const int AT_EACCESS = 0x200;

    [LibraryImport(libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int faccessat(int dirfd, string pathname, int mode, int flags);

    [LibraryImport(libc, SetLastError = true)]
    public static partial int close(int fd);

    [LibraryImport(libc, SetLastError = true)]
    public static partial nint read(int fd, void* buf, nuint count);

    [LibraryImport(libc, SetLastError = true)]
    public static partial nint write(int fd, void* buf, nuint count);

    [LibraryImport(libc, SetLastError = true)]
    public static partial nint writev(int fd, iovec* iov, int iovcnt);

    [LibraryImport(libc, SetLastError = true)]
    public static partial int fcntl(int fd, int cmd, nint arg);

    [LibraryImport(libc, SetLastError = true)]
    public static partial int ioctl(int fd, nuint request, void* argp);

    // sys/stat.h
    public const int AT_SYMLINK_NOFOLLOW = 0x100;
    public const uint STATX_UID = 0x8;

    /// <summary>struct statx is the same everywhere, unlike struct stat.</summary>
    [LibraryImport(libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int statx(int dirfd, string pathname, int flags, uint mask, void* statxbuf);

    [LibraryImport(libc)]
    public static partial uint umask(uint mask);

    /// <summary>sys/uio.h</summary>
    public struct iovec
    {
        public void* iov_base;
        public nuint iov_len;
    }
}
