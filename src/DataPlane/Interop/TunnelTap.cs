using System.Runtime.InteropServices;
using System.Text;

namespace Sleeve.DataPlane.Interop;

/// <summary>
/// One queue of the underlay TAP: a TAP that takes whole VXLAN super-frames, outer headers in front, and that the kernel routes on as it does
/// those of its own vxlan device (TUN_F_UDP_TUNNEL_GSO; Linux 6.17). It is only written to, never blocking. One thread uses a queue at a time.
/// </summary>
public sealed unsafe class TunnelTap : IDisposable
{
    private const string ClonePath = "/dev/net/tun";

    private const uint Offloads = LibC.TUN_F_CSUM | LibC.TUN_F_TSO4 | LibC.TUN_F_TSO6 | LibC.TUN_F_TSO_ECN | LibC.TUN_F_USO4 | LibC.TUN_F_USO6
        | LibC.TUN_F_UDP_TUNNEL_GSO | LibC.TUN_F_UDP_TUNNEL_GSO_CSUM;

    private readonly FileDescriptor _fd;

    private TunnelTap(FileDescriptor fd, string name)
    {
        _fd = fd;
        Name = name;
    }

    /// <summary>The interface's name.</summary>
    public string Name { get; }

    /// <summary>Makes a multi-queue TAP or opens one more queue of it, in the calling thread's network namespace; it vanishes with its last queue.</summary>
    /// <param name="name">Interface name; with <c>%d</c> in it the kernel chooses the number.</param>
    /// <exception cref="ErrnoException">
    /// open: no tun, no permission. TUNSETIFF: EPERM, CAP_NET_ADMIN is missing; EINVAL, another kind of interface has the name. TUNSETOFFLOAD:
    /// EINVAL, the kernel is older than 6.17.
    /// </exception>
    public static TunnelTap Open(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        var fd = new FileDescriptor(LibC.open(ClonePath, LibC.O_RDWR | LibC.O_NONBLOCK | LibC.O_CLOEXEC));
        try
        {
            if (fd.IsInvalid) throw ErrnoException.Last(nameof(LibC.open), ClonePath);
            LibC.ifreq request = default;
            Encoding.UTF8.GetBytes(name).AsSpan().CopyTo(new Span<byte>(request.ifr_name, LibC.IFNAMSIZ - 1));
            request.ifr_flags = (short)(LibC.IFF_TAP | LibC.IFF_NO_PI | LibC.IFF_VNET_HDR | LibC.IFF_MULTI_QUEUE);
            if (LibC.ioctl(fd.Number, LibC.TUNSETIFF, &request) < 0) throw ErrnoException.Last(nameof(LibC.TUNSETIFF), name);
            // Both belong to the interface, so that a queue which is opened later says again what is true already.
            var headerSize = VirtioNetHeader.TunnelSize;
            if (LibC.ioctl(fd.Number, LibC.TUNSETVNETHDRSZ, &headerSize) < 0) throw ErrnoException.Last(nameof(LibC.TUNSETVNETHDRSZ), name);
            if (LibC.ioctl(fd.Number, LibC.TUNSETOFFLOAD, (void*)Offloads) < 0) throw ErrnoException.Last(nameof(LibC.TUNSETOFFLOAD), name);
            return new TunnelTap(fd, Marshal.PtrToStringUTF8((nint)request.ifr_name)!);
        }
        catch
        {
            fd.Dispose();
            throw;
        }
    }

    /// <summary>Writes one frame behind its header of <see cref="VirtioNetHeader.TunnelSize"/> bytes; the kernel routes it before this returns.</summary>
    /// <returns>0 when the kernel took it, whatever became of it then; else a negative errno (EIO: the interface is down; EINVAL: refused).</returns>
    public int Write(ReadOnlySpan<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            while (LibC.write(_fd.Number, start, (nuint)buffer.Length) < 0)
            {
                var errno = Marshal.GetLastPInvokeError();
                if (errno != LibC.EINTR) return -errno;
            }

            return 0;
        }
    }

    /// <summary>Closes the queue.</summary>
    public void Dispose() => _fd.Dispose();
}
