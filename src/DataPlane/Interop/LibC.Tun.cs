namespace Sleeve.DataPlane.Interop;

// linux/if_tun.h, linux/if.h, linux/virtio_net.h
public static unsafe partial class LibC
{
    public const int IFNAMSIZ = 16;

    // _IOW('T', nr, int) and _IOR('T', nr, unsigned int): the same numbers on every architecture .NET runs on but PowerPC, MIPS and SPARC.
    public const uint TUNSETIFF = 0x400454CA;
    public const uint TUNSETPERSIST = 0x400454CB;
    public const uint TUNGETFEATURES = 0x800454CF;
    public const uint TUNSETOFFLOAD = 0x400454D0;
    public const uint TUNGETIFF = 0x800454D2;
    public const uint TUNSETVNETHDRSZ = 0x400454D8;
    public const uint TUNSETVNETLE = 0x400454DC;
    public const uint TUNSETSTEERINGEBPF = 0x800454E0;

    public const ushort IFF_TUN = 0x0001;
    public const ushort IFF_TAP = 0x0002;
    public const ushort IFF_MULTI_QUEUE = 0x0100;
    public const ushort IFF_PERSIST = 0x0800;
    public const ushort IFF_NO_PI = 0x1000;
    public const ushort IFF_VNET_HDR = 0x4000;

    public const uint TUN_F_CSUM = 0x01;
    public const uint TUN_F_TSO4 = 0x02;
    public const uint TUN_F_TSO6 = 0x04;
    public const uint TUN_F_TSO_ECN = 0x08;
    public const uint TUN_F_USO4 = 0x20;
    public const uint TUN_F_USO6 = 0x40;

    // Linux 6.17.
    public const uint TUN_F_UDP_TUNNEL_GSO = 0x80;
    public const uint TUN_F_UDP_TUNNEL_GSO_CSUM = 0x100;

    public const byte VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;
    public const byte VIRTIO_NET_HDR_GSO_NONE = 0;
    public const byte VIRTIO_NET_HDR_GSO_TCPV4 = 1;
    public const byte VIRTIO_NET_HDR_GSO_TCPV6 = 4;
    public const byte VIRTIO_NET_HDR_GSO_UDP_L4 = 5;
    public const byte VIRTIO_NET_HDR_GSO_ECN = 0x80;

    // The virtio specification 1.4, section 5.1.6; Linux 6.17.
    public const byte VIRTIO_NET_HDR_F_UDP_TUNNEL_CSUM = 8;
    public const byte VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV4 = 0x20;
    public const byte VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV6 = 0x40;

    /// <summary>linux/if.h, as far as TUNSETIFF uses it: name and flags, padded to the size of the union (24 bytes on 64-bit hosts).</summary>
    public struct ifreq
    {
        public fixed byte ifr_name[IFNAMSIZ];
        public short ifr_flags;
        private fixed byte _union[22];
    }

    /// <summary>linux/virtio_net.h; the integers are in host order (or little-endian once TUNSETVNETLE was set).</summary>
    public struct virtio_net_hdr
    {
        public byte flags;
        public byte gso_type;
        public ushort hdr_len;
        public ushort gso_size;
        public ushort csum_start;
        public ushort csum_offset;
    }

    /// <summary>
    /// linux/virtio_net.h: struct virtio_net_hdr_v1_hash_tunnel, its nested structs in a row. The last two are little-endian by the
    /// specification, the others as in <see cref="virtio_net_hdr"/>.
    /// </summary>
    public struct virtio_net_hdr_v1_hash_tunnel
    {
        public virtio_net_hdr hdr;
        public ushort num_buffers;
        public ushort hash_value_lo;
        public ushort hash_value_hi;
        public ushort hash_report;
        public ushort padding;
        public ushort outer_th_offset;
        public ushort inner_nh_offset;
    }
}
