using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

/// <summary>IP multicast on UDP sockets (ip(7), ipv6(7)): which interface to send by, and membership in a group.</summary>
public static unsafe class Multicast
{
    /// <summary>
    /// Has a socket receive only what groups that it joined itself are sent (IP_MULTICAST_ALL, IPV6_MULTICAST_ALL); without that, those that anybody on the host joined. Kernels
    /// before 4.20 have no such option for IPv6.
    /// </summary>
    public static void IgnoreOthersGroups(UnderlaySocket socket)
    {
        ArgumentNullException.ThrowIfNull(socket);
        if (socket.IsIPv6) socket.TrySet(LibC.IPPROTO_IPV6, LibC.IPV6_MULTICAST_ALL, 0);
        else socket.TrySet(LibC.IPPROTO_IP, LibC.IP_MULTICAST_ALL, 0);
    }

    /// <summary>Has a socket send by one interface, to groups and to hosts, and keeps copies of what it sends to groups from this host's own receivers.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="interfaceIndex">The interface.</param>
    /// <exception cref="ErrnoException">ENODEV, EADDRNOTAVAIL: there is no such interface.</exception>
    public static void SendBy(UnderlaySocket socket, int interfaceIndex)
    {
        ArgumentNullException.ThrowIfNull(socket);
        // Unlike the others, these two want the index in network order.
        var networkOrder = BitConverter.IsLittleEndian ? System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(interfaceIndex) : interfaceIndex;
        if (socket.IsIPv6)
        {
            socket.Set(LibC.IPPROTO_IPV6, LibC.IPV6_MULTICAST_LOOP, 0);
            socket.Set(LibC.IPPROTO_IPV6, LibC.IPV6_MULTICAST_IF, interfaceIndex);
            socket.Set(LibC.IPPROTO_IPV6, LibC.IPV6_UNICAST_IF, networkOrder);
            return;
        }

        socket.Set(LibC.IPPROTO_IP, LibC.IP_MULTICAST_LOOP, 0);
        socket.Set(LibC.IPPROTO_IP, LibC.IP_UNICAST_IF, networkOrder);
        LibC.ip_mreqn request = new() { imr_ifindex = interfaceIndex };
        if (LibC.setsockopt(socket.Descriptor, LibC.IPPROTO_IP, LibC.IP_MULTICAST_IF, &request, (uint)sizeof(LibC.ip_mreqn)) < 0)
            throw ErrnoException.Last(nameof(LibC.IP_MULTICAST_IF), $"interface {interfaceIndex}");
    }

    /// <summary>Joins a group on one interface, from any source; the socket leaves it when it is closed.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="group">4 or 16 bytes, network order.</param>
    /// <param name="interfaceIndex">The interface.</param>
    /// <exception cref="ErrnoException">ENODEV: there is no such interface; ENOBUFS: the socket is in as many as net.ipv4.igmp_max_memberships allows.</exception>
    public static void Join(UnderlaySocket socket, ReadOnlySpan<byte> group, int interfaceIndex)
    {
        ArgumentNullException.ThrowIfNull(socket);
        int outcome;
        if (socket.IsIPv6)
        {
            LibC.ipv6_mreq request = new() { ipv6mr_interface = interfaceIndex };
            group.CopyTo(new Span<byte>(request.ipv6mr_multiaddr, 16));
            outcome = LibC.setsockopt(socket.Descriptor, LibC.IPPROTO_IPV6, LibC.IPV6_JOIN_GROUP, &request, (uint)sizeof(LibC.ipv6_mreq));
        }
        else
        {
            LibC.ip_mreqn request = new() { imr_multiaddr = MemoryMarshal.Read<uint>(group), imr_ifindex = interfaceIndex };
            outcome = LibC.setsockopt(socket.Descriptor, LibC.IPPROTO_IP, LibC.IP_ADD_MEMBERSHIP, &request, (uint)sizeof(LibC.ip_mreqn));
        }

        if (outcome < 0) throw ErrnoException.Last(nameof(LibC.IP_ADD_MEMBERSHIP), $"interface {interfaceIndex}");
    }
}
