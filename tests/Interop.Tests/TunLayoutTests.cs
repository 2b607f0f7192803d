using Sleeve.DataPlane.Interop;

namespace Sleeve.Interop.Tests;

/// <summary>What stands before each frame on a TAP, and what a wrong descriptor comes to.</summary>
public sealed class TunLayoutTests
{
    [SkippableFact]
    public void The_virtio_header_is_as_long_as_the_C_compiler_says()
    {
        CCompiler.SkipIfMissing();
        var size = CCompiler.Evaluate(["linux/virtio_net.h"], ["sizeof(struct virtio_net_hdr)"]).Values.Single();
        Assert.Equal(size, VirtioNetHeader.Size);
        Assert.Equal(size, VirtioNetHeader.NativeSize);
    }

    [SkippableFact]
    public void An_interface_request_is_as_long_as_the_C_compiler_says()
    {
        // The kernel copies all of it, the unused end of the union included.
        CCompiler.SkipIfMissing();
        Assert.Equal(CCompiler.Evaluate(["sys/socket.h", "linux/if.h"], ["sizeof(struct ifreq)"]).Values.Single(), System.Runtime.InteropServices.Marshal.SizeOf<LibC.ifreq>());
    }

    [Fact]
    public void The_virtio_header_is_written_in_the_order_of_the_host_over_whatever_was_there()
    {
        // The virtio specification, section 5.1.6.
        var buffer = Enumerable.Repeat((byte)0xAA, 12).ToArray();
        LibC.virtio_net_hdr header = new()
        {
            flags = LibC.VIRTIO_NET_HDR_F_NEEDS_CSUM, gso_type = LibC.VIRTIO_NET_HDR_GSO_TCPV6, hdr_len = 0x0102, gso_size = 0x0304, csum_start = 0x0506, csum_offset = 0x0708,
        };
        VirtioNetHeader.Write(buffer, header);
        byte[] little = [1, 4, 0x02, 0x01, 0x04, 0x03, 0x06, 0x05, 0x08, 0x07, 0xAA, 0xAA];
        byte[] big = [1, 4, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0xAA, 0xAA];
        Assert.Equal(BitConverter.IsLittleEndian ? little : big, buffer);
        Assert.Equal(header, VirtioNetHeader.Read(buffer));
    }

    [Fact]
    public void The_virtio_header_of_tunnels_is_laid_out_as_its_specification_says()
    {
        // The virtio specification 1.4, section 5.1.6; headers older than Linux 6.17 do not have it, so the C compiler cannot be asked.
        Assert.Equal(VirtioNetHeader.TunnelSize, VirtioNetHeader.NativeTunnelSize);
        var buffer = Enumerable.Repeat((byte)0xAA, 24).ToArray();
        VirtioNetHeader.Write(buffer, new LibC.virtio_net_hdr_v1_hash_tunnel
        {
            hdr = new LibC.virtio_net_hdr { flags = 9, gso_type = 0x21, hdr_len = 0x0101, gso_size = 0x0202, csum_start = 0x0303, csum_offset = 0x0404 },
            outer_th_offset = 0x0505,
            inner_nh_offset = 0x0606,
        });
        Assert.Equal([9, 0x21, 1, 1, 2, 2, 3, 3, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 5, 6, 6], buffer);
    }

    [Fact]
    public void A_descriptor_that_is_no_TAP_is_refused_with_its_errno()
    {
        Assert.Equal(LibC.EBADF, Assert.Throws<ErrnoException>(() => TapDevice.FromDescriptor(1_000_000)).Errno);
        using var socket = new UnderlaySocket(isIPv6: false);
        var failure = Assert.Throws<ErrnoException>(() => TapDevice.Identify(socket.Descriptor));
        Assert.Equal("TUNGETIFF", failure.Call);
        Assert.Contains("TUNGETIFF", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("sixteen-bytes-ab")]
    [InlineData("a-name-that-is-far-too-long-for-an-interface")]
    public void A_name_that_is_too_long_is_refused(string name)
    {
        if (!File.Exists("/dev/net/tun")) return;
        var failure = Assert.Throws<ErrnoException>(() => TapDevice.Open(name));
        Assert.True(failure.Errno is LibC.EINVAL or LibC.EACCES or LibC.EPERM or LibC.ENOENT, failure.Message);
    }
}
