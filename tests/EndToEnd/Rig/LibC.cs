using System.Runtime.InteropServices;

namespace Sleeve.EndToEnd.Rig;

/// <summary>The few calls of libc that .NET does not offer, under their own names. Written apart from the product's, which the tests judge.</summary>
internal static class LibC
{
    public const int SIGINT = 2;
    public const int SIGKILL = 9;
    public const int SIGTERM = 15;
    public const int SIGCONT = 18;
    public const int SIGSTOP = 19;
    public const int CLONE_NEWNET = 0x40000000;
    public const int MSG_DONTWAIT = 0x40;
    public const int SOL_PACKET = 263;
    public const int PACKET_AUXDATA = 8;

    [DllImport("libc", SetLastError = true)]
    public static extern int setns(SafeHandle fd, int nstype);

    [DllImport("libc", SetLastError = true)]
    public static extern int kill(int pid, int sig);

    [DllImport("libc", SetLastError = true)]
    public static extern nint recvmsg(SafeHandle sockfd, ref msghdr msg, int flags);

    [StructLayout(LayoutKind.Sequential)]
    public struct msghdr
    {
        public nint msg_name;
        public uint msg_namelen;
        public nint msg_iov;
        public nuint msg_iovlen;
        public nint msg_control;
        public nuint msg_controllen;
        public int msg_flags;
    }
}
