namespace Sleeve.DataPlane.Interop;

/// <summary>What the calling thread may do with files, whatever the mode bits say (faccessat(2)).</summary>
public static class HostAccess
{
    // struct statx, the same on every architecture.
    private const int StatusSize = 256;
    private const int StatusUserOffset = 20;

    /// <summary>Whether a file may be written, or files be made in a directory.</summary>
    public static bool MayWrite(string path) => May(path, LibC.W_OK);

    /// <summary>Whether a file or directory may be read.</summary>
    public static bool MayRead(string path) => May(path, LibC.R_OK);

    /// <summary>Whether a file or directory belongs to a user (statx(2)); a link is not followed.</summary>
    public static unsafe bool IsOwnedBy(string path, uint user)
    {
        var status = stackalloc byte[StatusSize];
        return LibC.statx(LibC.AT_FDCWD, path, LibC.AT_SYMLINK_NOFOLLOW, LibC.STATX_UID, status) == 0 && *(uint*)(status + StatusUserOffset) == user;
    }

    private static bool May(string path, int mode) => LibC.faccessat(LibC.AT_FDCWD, path, mode, LibC.AT_EACCESS) == 0;
}
