using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

/// <summary>
/// What stands before each frame on a TAP with IFF_VNET_HDR (struct virtio_net_hdr, linux/virtio_net.h): work that the sender left to a
/// device. Host byte order.
/// </summary>
public static class VirtioNetHeader
{
    /// <summary>Bytes before each frame.</summary>
    public const int Size = 10;

    /// <summary>Reads the header at the start of <paramref name="source"/>.</summary>
    public static LibC.virtio_net_hdr Read(ReadOnlySpan<byte> source) => MemoryMarshal.Read<LibC.virtio_net_hdr>(source);

    /// <summary>Writes a header to the start of <paramref name="destination"/>.</summary>
    public static void Write(Span<byte> destination, in LibC.virtio_net_hdr header) => MemoryMarshal.Write(destination, header);

    /// <summary>Bytes before each frame on a TAP that takes tunnel super-frames (struct virtio_net_hdr_v1_hash_tunnel; Linux 6.17).</summary>
    public const int TunnelSize = 24;

    /// <summary>Writes a header of <see cref="TunnelSize"/> bytes to the start of <paramref name="destination"/>.</summary>
    public static void Write(Span<byte> destination, in LibC.virtio_net_hdr_v1_hash_tunnel header) => MemoryMarshal.Write(destination, header);

    /// <summary>Bytes of the native struct; for the test that asks the C compiler.</summary>
    public static int NativeTunnelSize => Unsafe.SizeOf<LibC.virtio_net_hdr_v1_hash_tunnel>();

    /// <summary>Bytes of the native struct; for the test that asks the C compiler.</summary>
    public static int NativeSize => Unsafe.SizeOf<LibC.virtio_net_hdr>();
}
