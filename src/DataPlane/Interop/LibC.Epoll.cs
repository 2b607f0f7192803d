using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

// sys/epoll.h, sys/eventfd.h, poll.h
public static unsafe partial class LibC
{
    public const int EPOLL_CLOEXEC = 0x80000;
    public const int EPOLL_CTL_ADD = 1;
    public const int EPOLL_CTL_DEL = 2;
    public const int EPOLL_CTL_MOD = 3;
    public const uint EPOLLIN = 0x1;
    public const uint EPOLLERR = 0x8;
    public const uint EPOLLHUP = 0x10;
    public const int EFD_CLOEXEC = 0x80000;
    public const int EFD_NONBLOCK = 0x800;

    public const short POLLIN = 1;

    [LibraryImport(libc, SetLastError = true)]
    public static partial int poll(pollfd* fds, nuint nfds, int timeout);

    public struct pollfd
    {
        public int fd;
        public short events;
        public short revents;
    }

    [LibraryImport(libc, SetLastError = true)]
    public static partial int epoll_create1(int flags);

    // The kernel packs struct epoll_event on x86-64 and on no other architecture; so it travels as bytes, see EventPoll.
    [LibraryImport(libc, SetLastError = true)]
    public static partial int epoll_ctl(int epfd, int op, int fd, byte* @event);

    [LibraryImport(libc, SetLastError = true)]
    public static partial int epoll_wait(int epfd, byte* events, int maxevents, int timeout);

    [LibraryImport(libc, SetLastError = true)]
    public static partial int eventfd(uint initval, int flags);
}
