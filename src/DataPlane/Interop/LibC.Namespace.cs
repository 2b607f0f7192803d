using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

// sched.h, linux/nsfs.h
public static unsafe partial class LibC
{
    public const int CLONE_NEWNS = 0x00020000;
    public const int CLONE_NEWNET = 0x40000000;
    public const uint NS_GET_USERNS = 0xb701;
    public const uint NS_GET_NSTYPE = 0xb703;
    public const uint NS_GET_OWNER_UID = 0xb704;

    [LibraryImport(libc, SetLastError = true)]
    public static partial int setns(int fd, int nstype);

    [LibraryImport(libc, SetLastError = true)]
    public static partial int unshare(int flags);
}
