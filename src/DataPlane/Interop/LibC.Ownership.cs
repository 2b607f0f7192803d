using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

// unistd.h, sys/socket.h
public static unsafe partial class LibC
{
    public const int SO_PEERCRED = 17;

    /// <param name="pathname">What it is about.</param>
    /// <param name="owner">uint.MaxValue leaves it as it is.</param>
    /// <param name="group">uint.MaxValue leaves it as it is.</param>
    [LibraryImport(libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int chown(string pathname, uint owner, uint group);

    /// <summary>sys/socket.h</summary>
    public struct ucred
    {
        public int pid;
        public uint uid;
        public uint gid;
    }
}
