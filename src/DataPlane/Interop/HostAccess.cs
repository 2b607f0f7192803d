namespace Sleeve.DataPlane.Interop;

/// <summary>What the calling thread may do with files, whatever the mode bits say (faccessat(2)).</summary>
public static class HostAccess
{
    /// <summary>Whether a file may be written, or files be made in a directory.</summary>
    public static bool MayWrite(string path) => May(path, LibC.W_OK);

    /// <summary>Whether a file or directory may be read.</summary>
    public static bool MayRead(string path) => May(path, LibC.R_OK);

    private static bool May(string path, int mode) => LibC.faccessat(LibC.AT_FDCWD, path, mode, LibC.AT_EACCESS) == 0;
}
