using System.Runtime.InteropServices;
using System.Text;

namespace Sleeve.DataPlane.Interop;

/// <summary>What a TAP descriptor is attached to (TUNGETIFF).</summary>
/// <param name="Name">Interface name in its own namespace.</param>
/// <param name="Flags">IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE, IFF_PERSIST.</param>
public readonly record struct TapIdentity(string Name, ushort Flags);

/// <summary>
/// One queue of a TAP interface (Documentation/networking/tuntap.rst): whole Ethernet frames, each behind a <see cref="VirtioNetHeader"/>.
/// Reads and writes never block. One thread uses a queue at a time.
/// </summary>
public sealed unsafe class TapDevice : IDisposable
{
    /// <summary>Slices of one written frame, at most: a super-frame of 128 segments and its headers.</summary>
    public const int MaxSlices = 129;

    private const string ClonePath = "/dev/net/tun";
    private readonly FileDescriptor _fd;

    private TapDevice(FileDescriptor fd, TapIdentity identity)
    {
        _fd = fd;
        Name = identity.Name;
        Flags = identity.Flags;
    }

    /// <summary>The interface's name when it was opened.</summary>
    public string Name { get; }

    /// <summary>The flags the kernel gave it, IFF_….</summary>
    public ushort Flags { get; }

    /// <summary>The descriptor, for a poll; it stays this object's.</summary>
    public int Descriptor => _fd.Number;

    /// <summary>
    /// Makes a TAP, or attaches to an existing one that nobody holds. A TAP that was made here vanishes with its last descriptor unless it was persistent.
    /// </summary>
    /// <param name="name">Interface name, 1 to 15 bytes.</param>
    /// <param name="multiQueue">Must be what an existing interface was made with.</param>
    /// <param name="where">Its network namespace; null for the calling thread's.</param>
    /// <exception cref="ErrnoException">
    /// open: ENOENT, no tun in this kernel; EACCES, no permission. TUNSETIFF: EPERM, CAP_NET_ADMIN is missing; EBUSY, held by another
    /// process or the name belongs to an interface of another kind; EINVAL, bad name or multi-queue mismatch.
    /// </exception>
    /// <exception cref="NetworkNamespaceException">The namespace cannot be entered.</exception>
    public static TapDevice Open(string name, bool multiQueue = false, NetworkNamespace? where = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        // A device is made where its descriptor was opened, whoever attaches it.
        var fd = where is null ? NamespaceAgent.OpenHere(NamespaceOpening.Tun) : where.Open(NamespaceOpening.Tun);
        if (fd.IsInvalid) throw ErrnoException.Last(nameof(LibC.open), ClonePath);

        LibC.ifreq request = default;
        var bytes = Encoding.UTF8.GetBytes(name);
        if (bytes.Length >= LibC.IFNAMSIZ) throw new ErrnoException(LibC.EINVAL, nameof(LibC.TUNSETIFF), name);
        bytes.CopyTo(new Span<byte>(request.ifr_name, LibC.IFNAMSIZ));
        request.ifr_flags = (short)(LibC.IFF_TAP | LibC.IFF_NO_PI | LibC.IFF_VNET_HDR | (multiQueue ? LibC.IFF_MULTI_QUEUE : 0));
        if (LibC.ioctl(fd.Number, LibC.TUNSETIFF, &request) < 0)
        {
            var failure = ErrnoException.Last(nameof(LibC.TUNSETIFF), name);
            fd.Dispose();
            throw failure;
        }

        return Adopt(fd);
    }

    /// <summary>Takes over an open descriptor of /dev/net/tun that is already attached to an interface, wherever that interface is.</summary>
    /// <exception cref="ErrnoException">EBADF, not open; ENOTTY or EBADFD, not an attached tun descriptor.</exception>
    /// <exception cref="NotSupportedException">Attached as TUN, or without IFF_NO_PI or IFF_VNET_HDR, which cannot be changed any more.</exception>
    public static TapDevice FromDescriptor(int descriptor)
    {
        var flags = LibC.fcntl(descriptor, LibC.F_GETFL, 0);
        if (flags < 0) throw ErrnoException.Last(nameof(LibC.fcntl), $"descriptor {descriptor}");
        LibC.fcntl(descriptor, LibC.F_SETFL, flags | LibC.O_NONBLOCK);
        return Adopt(new FileDescriptor(descriptor));
    }

    /// <summary>What a descriptor is attached to, without taking it.</summary>
    /// <exception cref="ErrnoException">Not an attached tun descriptor.</exception>
    public static TapIdentity Identify(int descriptor)
    {
        LibC.ifreq request = default;
        if (LibC.ioctl(descriptor, LibC.TUNGETIFF, &request) < 0) throw ErrnoException.Last(nameof(LibC.TUNGETIFF), $"descriptor {descriptor}");
        return new TapIdentity(Marshal.PtrToStringUTF8((nint)request.ifr_name)!, (ushort)request.ifr_flags);
    }

    /// <inheritdoc cref="FromDescriptor(int)"/>
    /// <param name="descriptor">Closed by this object, also if it is something else.</param>
    public static TapDevice FromDescriptor(FileDescriptor descriptor) => Adopt(descriptor);

    private static TapDevice Adopt(FileDescriptor fd)
    {
        try
        {
            var identity = Identify(fd.Number);
            const ushort Wanted = LibC.IFF_TAP | LibC.IFF_NO_PI | LibC.IFF_VNET_HDR;
            if ((identity.Flags & Wanted) != Wanted)
                throw new NotSupportedException($"{identity.Name} must be a TAP opened with IFF_NO_PI and IFF_VNET_HDR");

            var headerSize = VirtioNetHeader.Size;
            if (LibC.ioctl(fd.Number, LibC.TUNSETVNETHDRSZ, &headerSize) < 0) throw ErrnoException.Last(nameof(LibC.TUNSETVNETHDRSZ), identity.Name);
            var device = new TapDevice(fd, identity);
            if (!device.TrySetOffload(0)) throw ErrnoException.Last(nameof(LibC.TUNSETOFFLOAD), identity.Name);
            return device;
        }
        catch
        {
            fd.Dispose();
            throw;
        }
    }

    /// <summary>Reads one frame behind its <see cref="VirtioNetHeader"/>.</summary>
    /// <returns>Bytes read, header included; 0 if there is none; a negative errno otherwise (EIO and EBADFD: the interface is gone or down).</returns>
    public int Read(Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            nint read;
            while ((read = LibC.read(_fd.Number, start, (nuint)buffer.Length)) < 0)
            {
                var errno = Marshal.GetLastPInvokeError();
                if (errno == LibC.EINTR) continue;
                return errno == LibC.EAGAIN ? 0 : -errno;
            }

            return (int)read;
        }
    }

    /// <summary>
    /// Tells the kernel what it may leave undone in frames that are read (TUNSETOFFLOAD). With 0 it finishes checksums and segments first.
    /// </summary>
    /// <param name="offloads">TUN_F_… combined.</param>
    /// <returns>False if this kernel does not know one of them; nothing is changed then.</returns>
    public bool TrySetOffload(uint offloads) => LibC.ioctl(_fd.Number, LibC.TUNSETOFFLOAD, (void*)offloads) == 0;

    /// <summary>Writes one frame, scattered over a slab; the first slice begins with its <see cref="VirtioNetHeader"/>.</summary>
    /// <returns>As <see cref="Write(ReadOnlySpan{byte})"/>.</returns>
    public int Write(PinnedSlab slab, ReadOnlySpan<SlabSlice> slices)
    {
        ArgumentNullException.ThrowIfNull(slab);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(slices.Length, MaxSlices);
        var vectors = stackalloc LibC.iovec[MaxSlices];
        for (var i = 0; i < slices.Length; i++)
            vectors[i] = new LibC.iovec { iov_base = slab.AddressOf(slices[i].Offset), iov_len = (nuint)slices[i].Length };
        while (LibC.writev(_fd.Number, vectors, slices.Length) < 0)
        {
            var errno = Marshal.GetLastPInvokeError();
            if (errno != LibC.EINTR) return -errno;
        }

        GC.KeepAlive(slab);
        return 0;
    }

    /// <summary>Writes one frame behind its <see cref="VirtioNetHeader"/>.</summary>
    /// <returns>0 when the kernel took it, else a negative errno (EIO: the interface is down; EINVAL: header or frame refused).</returns>
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

    /// <summary>Makes the interface outlive its descriptors, or not (TUNSETPERSIST).</summary>
    public void SetPersistent(bool persistent)
    {
        if (LibC.ioctl(_fd.Number, LibC.TUNSETPERSIST, (void*)(persistent ? 1 : 0)) < 0)
            throw ErrnoException.Last(nameof(LibC.TUNSETPERSIST), Name);
    }

    /// <summary>Closes the queue; an interface that is not persistent vanishes with its last queue.</summary>
    public void Dispose() => _fd.Dispose();
}
