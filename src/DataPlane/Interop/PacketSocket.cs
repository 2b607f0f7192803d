using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Sleeve.DataPlane.Interop;

/// <summary>
/// Sees IP packets at the network devices (packet(7)), from their IP header on. It costs every packet of the host a little as long as it is
/// open, and closing it takes the kernel some milliseconds: open it for a moment, and close it where that may take its time.
/// </summary>
public sealed unsafe class PacketSocket : IDisposable
{
    // struct sock_filter codes, linux/bpf_common.h: load byte or half-word, compare, return.
    private const ushort LoadByte = 0x30;
    private const ushort And = 0x54;
    private const ushort LoadHalf = 0x28;
    private const ushort JumpIfEqual = 0x15;
    private const ushort Return = 0x06;

    // linux/filter.h: SKF_AD_OFF + SKF_AD_PKTTYPE.
    private const uint PacketType = unchecked((uint)(-0x1000 + 4));
    private const int ReceiveBufferBytes = 4 << 20;

    private readonly FileDescriptor _fd;

    private PacketSocket(FileDescriptor fd) => _fd = fd;

    /// <summary>Watches UDP packets to a port that leave.</summary>
    /// <param name="isIPv6">Of IPv6; else of IPv4 (without options).</param>
    /// <param name="port">UDP destination port.</param>
    /// <param name="ifindex">By which device; 0 for any.</param>
    /// <exception cref="ErrnoException">EPERM: CAP_NET_RAW is missing.</exception>
    public static PacketSocket WatchOutgoing(bool isIPv6, ushort port, int ifindex = 0)
    {
        var (protocolOffset, headerSize) = isIPv6 ? (6u, 40u) : (9u, 20u);
        LibC.sock_filter[] filter =
        [
            new() { code = LoadByte, k = PacketType },
            new() { code = JumpIfEqual, k = LibC.PACKET_OUTGOING, jf = 8 },
            new() { code = LoadByte, k = 0 },
            // Version and header length; of IPv6 the version only, next to which the traffic class begins.
            new() { code = And, k = isIPv6 ? 0xF0u : 0xFFu },
            new() { code = JumpIfEqual, k = isIPv6 ? 0x60u : 0x45u, jf = 5 },
            new() { code = LoadByte, k = protocolOffset },
            new() { code = JumpIfEqual, k = LibC.IPPROTO_UDP, jf = 3 },
            new() { code = LoadHalf, k = headerSize + 2 },
            new() { code = JumpIfEqual, k = port, jf = 1 },
            new() { code = Return, k = ushort.MaxValue },
            new() { code = Return, k = 0 },
        ];
        return Open(filter, ifindex);
    }

    /// <summary>Watches everything that enters or leaves by one device.</summary>
    public static PacketSocket Watch(int ifindex) => Open([new() { code = Return, k = ushort.MaxValue }], ifindex);

    private static PacketSocket Open(LibC.sock_filter[] filter, int ifindex)
    {
        // Protocol 0: nothing arrives before the filter is in place and the socket bound.
        var fd = new FileDescriptor(LibC.socket(LibC.AF_PACKET, LibC.SOCK_DGRAM | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, 0));
        try
        {
            if (fd.IsInvalid) throw ErrnoException.Last(nameof(LibC.socket), "AF_PACKET");
            fixed (LibC.sock_filter* instructions = filter)
            {
                LibC.sock_fprog program = new() { len = (ushort)filter.Length, filter = instructions };
                if (LibC.setsockopt(fd.Number, LibC.SOL_SOCKET, LibC.SO_ATTACH_FILTER, &program, (uint)sizeof(LibC.sock_fprog)) < 0)
                    throw ErrnoException.Last(nameof(LibC.SO_ATTACH_FILTER), "AF_PACKET");
            }

            // Without the privilege the ordinary buffer must do.
            var size = ReceiveBufferBytes;
            _ = LibC.setsockopt(fd.Number, LibC.SOL_SOCKET, LibC.SO_RCVBUFFORCE, &size, sizeof(int));
            LibC.sockaddr_ll address = new()
            {
                sll_family = LibC.AF_PACKET, sll_protocol = BinaryPrimitives.ReverseEndianness(LibC.ETH_P_ALL), sll_ifindex = ifindex,
            };
            if (!BitConverter.IsLittleEndian) address.sll_protocol = LibC.ETH_P_ALL;
            if (LibC.bind(fd.Number, &address, (uint)sizeof(LibC.sockaddr_ll)) < 0) throw ErrnoException.Last(nameof(LibC.bind), "AF_PACKET");
            return new PacketSocket(fd);
        }
        catch
        {
            fd.Dispose();
            throw;
        }
    }

    /// <summary>Takes the next packet.</summary>
    /// <param name="buffer">Where its beginning goes.</param>
    /// <param name="waitMilliseconds">How long to wait for one.</param>
    /// <returns>Bytes of the whole packet, which can be more than <paramref name="buffer"/> holds; 0 if there is none.</returns>
    public int Receive(Span<byte> buffer, int waitMilliseconds = 0)
    {
        if (waitMilliseconds > 0)
        {
            var poll = new LibC.pollfd { fd = _fd.Number, events = LibC.POLLIN };
            _ = LibC.poll(&poll, 1, waitMilliseconds);
        }

        fixed (byte* start = buffer)
        {
            nint read;
            while ((read = LibC.recv(_fd.Number, start, (nuint)buffer.Length, LibC.MSG_DONTWAIT | LibC.MSG_TRUNC)) < 0)
                if (Marshal.GetLastPInvokeError() != LibC.EINTR) return 0;
            return (int)read;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _fd.Dispose();
}
