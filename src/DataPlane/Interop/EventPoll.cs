using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

/// <summary>
/// Sleeps until a descriptor is readable, a time is over, or another thread calls <see cref="Wake"/> (epoll(7) with an eventfd(2) inside).
/// One thread waits; <see cref="Wake"/>, <see cref="Add"/> and <see cref="Remove"/> may come from any.
/// </summary>
public sealed unsafe class EventPoll : IDisposable
{
    private const int WakeTag = -1;
    private const int MaxEvents = 64;

    private static readonly int DataOffset = DataOffsetOn(RuntimeInformation.ProcessArchitecture);
    private static readonly int EventSize = DataOffset + 8;

    private readonly FileDescriptor _epoll;
    private readonly FileDescriptor _wake;

    /// <summary>Makes a poll with nothing but its own wake-up in it.</summary>
    /// <exception cref="ErrnoException">No descriptors left.</exception>
    public EventPoll()
    {
        _epoll = new FileDescriptor(LibC.epoll_create1(LibC.EPOLL_CLOEXEC));
        if (_epoll.IsInvalid) throw ErrnoException.Last(nameof(LibC.epoll_create1), "event poll");
        _wake = new FileDescriptor(LibC.eventfd(0, LibC.EFD_CLOEXEC | LibC.EFD_NONBLOCK));
        if (_wake.IsInvalid) throw ErrnoException.Last(nameof(LibC.eventfd), "event poll");
        Control(LibC.EPOLL_CTL_ADD, _wake.Number, WakeTag);
    }

    /// <summary>Bytes of the kernel's struct epoll_event on this architecture; for the test that asks the C compiler.</summary>
    public static int NativeEventSize => EventSize;

    /// <summary>Where the data of struct epoll_event { uint32_t events; uint64_t data } begins, which is packed on x86-64 only.</summary>
    public static int DataOffsetOn(Architecture architecture) => architecture == Architecture.X64 ? 4 : 8;

    /// <summary>Watches a descriptor for input.</summary>
    /// <param name="fd">An open descriptor.</param>
    /// <param name="tag">What <see cref="Wait"/> reports; 0 or more.</param>
    public void Add(int fd, int tag)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(tag);
        Control(LibC.EPOLL_CTL_ADD, fd, tag);
    }

    /// <summary>Stops watching a descriptor; one that is not watched is no error.</summary>
    public void Remove(int fd) => LibC.epoll_ctl(_epoll.Number, LibC.EPOLL_CTL_DEL, fd, null);

    /// <summary>Ends a <see cref="Wait"/>, the current or the next one.</summary>
    public void Wake()
    {
        ulong one = 1;
        // EAGAIN means the counter is full, so the waiter will wake anyway.
        _ = LibC.write(_wake.Number, &one, sizeof(ulong));
    }

    /// <summary>Waits for input. A signal or a wake-up ends it with what is ready, perhaps nothing.</summary>
    /// <param name="ready">Filled with the tags of ready descriptors; at most 64 at a time.</param>
    /// <param name="timeoutMilliseconds">0 returns at once; −1 waits without limit.</param>
    /// <returns>How many tags were written.</returns>
    public int Wait(Span<int> ready, int timeoutMilliseconds)
    {
        var events = stackalloc byte[MaxEvents * EventSize];
        // One more than the caller takes, for the wake-up's own event.
        var count = LibC.epoll_wait(_epoll.Number, events, Math.Min(ready.Length + 1, MaxEvents), timeoutMilliseconds);
        if (count < 0)
            return Marshal.GetLastPInvokeError() == LibC.EINTR ? 0 : throw ErrnoException.Last(nameof(LibC.epoll_wait), "event poll");

        var written = 0;
        for (var i = 0; i < count; i++)
        {
            var tag = (int)*(long*)(events + (i * EventSize) + DataOffset);
            if (tag == WakeTag)
            {
                ulong drained;
                _ = LibC.read(_wake.Number, &drained, sizeof(ulong));
            }
            else if (written < ready.Length)
            {
                ready[written++] = tag;
            }
        }

        return written;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _wake.Dispose();
        _epoll.Dispose();
    }

    private void Control(int operation, int fd, int tag)
    {
        var native = stackalloc byte[EventSize];
        new Span<byte>(native, EventSize).Clear();
        *(uint*)native = LibC.EPOLLIN;
        *(long*)(native + DataOffset) = tag;
        if (LibC.epoll_ctl(_epoll.Number, operation, fd, native) < 0) throw ErrnoException.Last(nameof(LibC.epoll_ctl), $"descriptor {fd}");
    }
}
