using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

// sys/timex.h
public static unsafe partial class LibC
{
    public const int STA_UNSYNC = 0x0040;

    [LibraryImport(libc, SetLastError = true)]
    public static partial int adjtimex(timex* buf);

    /// <summary>sys/timex.h</summary>
    public struct timex
    {
        public uint modes;
        public nint offset;
        public nint freq;
        public nint maxerror;
        public nint esterror;
        public int status;
        public nint constant;
        public nint precision;
        public nint tolerance;
        public nint __tv_sec;
        public nint __tv_usec;
        public nint tick;
        public nint ppsfreq;
        public nint jitter;
        public int shift;
        public nint stabil;
        public nint jitcnt;
        public nint calcnt;
        public nint errcnt;
        public nint stbcnt;
        public int tai;
        public fixed int __reserved[11];
    }
}
