using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

// sys/socket.h, netinet/in.h, netinet/udp.h, asm-generic/socket.h, linux/filter.h
public static unsafe partial class LibC
{
    public const int AF_UNIX = 1;
    public const int AF_INET = 2;
    public const int AF_INET6 = 10;
    public const int SOCK_DGRAM = 2;
    public const int SOCK_SEQPACKET = 5;
    public const int SOCK_NONBLOCK = 0x800;
    public const int SOCK_CLOEXEC = 0x80000;

    public const int SOL_SOCKET = 1;
    public const int SO_TYPE = 3;
    public const int SCM_RIGHTS = 1;
    public const int SO_SNDBUF = 7;
    public const int SO_RCVBUF = 8;
    public const int SO_NO_CHECK = 11;
    public const int SO_REUSEPORT = 15;
    public const int SO_ATTACH_FILTER = 26;
    public const int SO_SNDBUFFORCE = 32;
    public const int SO_RCVBUFFORCE = 33;
    public const int SO_ATTACH_REUSEPORT_CBPF = 51;
    public const int SO_MEMINFO = 55;
    public const int SO_BINDTOIFINDEX = 62;

    // linux/if_packet.h, linux/if_ether.h
    public const int AF_PACKET = 17;
    public const byte PACKET_OUTGOING = 4;
    public const ushort ETH_P_ALL = 0x0003;

    public const int IPPROTO_IP = 0;
    public const int IPPROTO_UDP = 17;
    public const int IPPROTO_IPV6 = 41;
    public const int IP_MTU_DISCOVER = 10;
    public const int IP_PMTUDISC_DONT = 0;
    public const int IP_PMTUDISC_DO = 2;
    public const int IP_TOS = 1;
    public const int IP_TTL = 2;
    public const int IP_PKTINFO = 8;
    public const int IP_RECVTOS = 13;
    public const int IP_MULTICAST_IF = 32;
    public const int IP_MULTICAST_LOOP = 34;
    public const int IP_ADD_MEMBERSHIP = 35;
    public const int IP_MULTICAST_ALL = 49;
    public const int IP_UNICAST_IF = 50;
    public const int IPV6_MTU_DISCOVER = 23;
    public const int IPV6_V6ONLY = 26;
    public const int IPV6_PMTUDISC_DONT = 0;
    public const int IPV6_AUTOFLOWLABEL = 70;
    public const int IPV6_FLOWINFO = 11;
    public const int IPV6_MULTICAST_IF = 17;
    public const int IPV6_MULTICAST_LOOP = 19;
    public const int IPV6_JOIN_GROUP = 20;
    public const int IPV6_MULTICAST_ALL = 29;
    public const int IPV6_PKTINFO = 50;
    public const int IPV6_HOPLIMIT = 52;
    public const int IPV6_RECVTCLASS = 66;
    public const int IPV6_TCLASS = 67;
    public const int IPV6_UNICAST_IF = 76;
    public const int IPPROTO_ICMP = 1;
    public const int IPPROTO_ICMPV6 = 58;
    public const int IP_RECVERR = 11;
    public const int IPV6_RECVERR = 25;
    public const int IP_PMTUDISC_PROBE = 3;
    public const int IPV6_PMTUDISC_PROBE = 3;
    public const int SOL_UDP = 17;
    public const int UDP_SEGMENT = 103;
    public const int UDP_GRO = 104;
    public const int UDP_NO_CHECK6_TX = 101;
    public const int UDP_NO_CHECK6_RX = 102;

    public const int MSG_DONTWAIT = 0x40;
    public const int MSG_TRUNC = 0x20;
    public const int MSG_ERRQUEUE = 0x2000;
    public const int MSG_NOSIGNAL = 0x4000;
    public const int MSG_CMSG_CLOEXEC = 0x40000000;

    [LibraryImport(libc, SetLastError = true)]
    public static partial int socket(int domain, int type, int protocol);

    [LibraryImport(libc, SetLastError = true)]
    public static partial int socketpair(int domain, int type, int protocol, int* sv);

    [LibraryImport(libc, SetLastError = true)]
    public static partial nint sendmsg(int sockfd, msghdr* msg, int flags);

    [LibraryImport(libc, SetLastError = true)]
    public static partial nint recvmsg(int sockfd, msghdr* msg, int flags);

    [LibraryImport(libc, SetLastError = true)]
    public static partial int bind(int sockfd, void* addr, uint addrlen);

    [LibraryImport(libc, SetLastError = true)]
    public static partial int connect(int sockfd, void* addr, uint addrlen);

    [LibraryImport(libc, SetLastError = true)]
    public static partial nint send(int sockfd, void* buf, nuint len, int flags);

    [LibraryImport(libc, SetLastError = true)]
    public static partial nint recv(int sockfd, void* buf, nuint len, int flags);

    [LibraryImport(libc, SetLastError = true)]
    public static partial int getsockname(int sockfd, void* addr, uint* addrlen);

    [LibraryImport(libc, SetLastError = true)]
    public static partial int setsockopt(int sockfd, int level, int optname, void* optval, uint optlen);

    [LibraryImport(libc, SetLastError = true)]
    public static partial int getsockopt(int sockfd, int level, int optname, void* optval, uint* optlen);

    [LibraryImport(libc, SetLastError = true)]
    public static partial int recvmmsg(int sockfd, mmsghdr* msgvec, uint vlen, int flags, void* timeout);

    [LibraryImport(libc, SetLastError = true)]
    public static partial int sendmmsg(int sockfd, mmsghdr* msgvec, uint vlen, int flags);

    public struct sockaddr_in
    {
        public ushort sin_family;
        public ushort sin_port;
        public uint sin_addr;
        public fixed byte sin_zero[8];
    }

    public struct sockaddr_in6
    {
        public ushort sin6_family;
        public ushort sin6_port;
        public uint sin6_flowinfo;
        public fixed byte sin6_addr[16];
        public uint sin6_scope_id;
    }

    public struct sockaddr_ll
    {
        public ushort sll_family;
        public ushort sll_protocol;
        public int sll_ifindex;
        public ushort sll_hatype;
        public byte sll_pkttype;
        public byte sll_halen;
        public fixed byte sll_addr[8];
    }

    public struct ip_mreqn
    {
        public uint imr_multiaddr;
        public uint imr_address;
        public int imr_ifindex;
    }

    public struct ipv6_mreq
    {
        public fixed byte ipv6mr_multiaddr[16];
        public int ipv6mr_interface;
    }

    public struct in_pktinfo
    {
        public int ipi_ifindex;
        public uint ipi_spec_dst;
        public uint ipi_addr;
    }

    public struct in6_pktinfo
    {
        public fixed byte ipi6_addr[16];
        public int ipi6_ifindex;
    }

    public struct msghdr
    {
        public void* msg_name;
        public uint msg_namelen;
        public iovec* msg_iov;
        public nuint msg_iovlen;
        public void* msg_control;
        public nuint msg_controllen;
        public int msg_flags;
    }

    public struct mmsghdr
    {
        public msghdr msg_hdr;
        public uint msg_len;
    }

    public struct cmsghdr
    {
        public nuint cmsg_len;
        public int cmsg_level;
        public int cmsg_type;
    }

    // linux/errqueue.h
    public struct sock_extended_err
    {
        public uint ee_errno;
        public byte ee_origin;
        public byte ee_type;
        public byte ee_code;
        public byte ee_pad;
        public uint ee_info;
        public uint ee_data;
    }

    public struct sock_filter
    {
        public ushort code;
        public byte jt;
        public byte jf;
        public uint k;
    }

    public struct sock_fprog
    {
        public ushort len;
        public sock_filter* filter;
    }
}
