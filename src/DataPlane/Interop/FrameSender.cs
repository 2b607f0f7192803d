using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

/// <summary>Sends Ethernet frames by one network device, as a host of its namespace would (packet(7)). Needs CAP_NET_RAW.</summary>
public sealed unsafe class FrameSender : IDisposable
{
    private readonly FileDescriptor _fd;

    private FrameSender(FileDescriptor fd) => _fd = fd;

    /// <summary>Opens a device.</summary>
    /// <param name="ifindex">Its index in its namespace.</param>
    /// <param name="where">That namespace; null for the calling thread's.</param>
    /// <exception cref="ErrnoException">EPERM: CAP_NET_RAW is missing; ENODEV: there is no such device.</exception>
    /// <exception cref="NetworkNamespaceException">The namespace cannot be entered.</exception>
    public static FrameSender Open(int ifindex, NetworkNamespace? where = null) => where is null ? OpenHere(ifindex) : where.Run(() => OpenHere(ifindex));

    private static FrameSender OpenHere(int ifindex)
    {
        // Protocol 0: nothing is received.
        var fd = new FileDescriptor(LibC.socket(LibC.AF_PACKET, LibC.SOCK_RAW | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, 0));
        try
        {
            if (fd.IsInvalid) throw ErrnoException.Last(nameof(LibC.socket), "AF_PACKET");
            LibC.sockaddr_ll address = new() { sll_family = LibC.AF_PACKET, sll_ifindex = ifindex };
            if (LibC.bind(fd.Number, &address, (uint)sizeof(LibC.sockaddr_ll)) < 0) throw ErrnoException.Last(nameof(LibC.bind), "AF_PACKET");
            return new FrameSender(fd);
        }
        catch
        {
            fd.Dispose();
            throw;
        }
    }

    /// <summary>Sends one frame, from its Ethernet header on.</summary>
    /// <returns>False if the device did not take it: it is down, or its queue is full.</returns>
    public bool TrySend(ReadOnlySpan<byte> frame)
    {
        fixed (byte* start = frame)
        {
            while (LibC.send(_fd.Number, start, (nuint)frame.Length, LibC.MSG_NOSIGNAL) < 0)
                if (Marshal.GetLastPInvokeError() != LibC.EINTR) return false;
            return true;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _fd.Dispose();
}
