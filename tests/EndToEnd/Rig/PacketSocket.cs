using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Sleeve.EndToEnd.Rig;

/// <summary>A frame seen on a device.</summary>
/// <param name="Bytes">From the destination MAC on, VLAN tags in their places.</param>
/// <param name="Outgoing">True if the host sent it, false if it came in.</param>
/// <param name="ChecksumUnfinished">True if the kernel left the transport checksum for a device to finish.</param>
public sealed record Packet(byte[] Bytes, bool Outgoing, bool ChecksumUnfinished);

/// <summary>
/// An AF_PACKET socket on one device (packet(7)): sees whole frames in both directions and sends frames as they are. On a TAP or vxlan device what
/// it sends enters the overlay, as if a station behind the device had sent it.
/// </summary>
public sealed class PacketSocket : IDisposable
{
    private const int Capacity = 72 * 1024;
    private const int ControlCapacity = 256;
    private const int NameSize = 20;
    private const int VectorOffset = 24;
    private const int VectorSize = 16;
    private const int PacketTypeOffset = 10;
    private const byte PacketOutgoing = 4;
    private const ushort EtherTypeAll = 3;
    private const uint ChecksumNotReady = 1 << 3;
    private const uint VlanValid = 1 << 4;
    private const uint VlanTpidValid = 1 << 6;

    private readonly Socket _socket;
    private nint _memory = Marshal.AllocHGlobal(Capacity + ControlCapacity + VectorOffset + VectorSize);

    /// <summary>Opens it on a device of a host.</summary>
    public PacketSocket(Host host, string device)
    {
        var index = host.IndexOf(device);
        _socket = host.InNamespace(() => new Socket(AddressFamily.Packet, SocketType.Raw, 0) { ReceiveBufferSize = 4 << 20 });
        _socket.SetRawSocketOption(LibC.SOL_PACKET, LibC.PACKET_AUXDATA, BitConverter.GetBytes(1));
        _socket.Bind(new DeviceEndPoint(index));
    }

    /// <summary>Sends one frame.</summary>
    public void Send(ReadOnlySpan<byte> frame) => _socket.Send(frame);

    /// <summary>The next frame in either direction, or null after the timeout.</summary>
    public Packet? Receive(TimeSpan timeout)
    {
        var control = _memory + Capacity;
        var name = control + ControlCapacity;
        var vector = name + VectorOffset;
        Marshal.WriteIntPtr(vector, _memory);
        Marshal.WriteIntPtr(vector + 8, Capacity);
        var message = new LibC.msghdr
        {
            msg_name = name,
            msg_namelen = NameSize,
            msg_iov = vector,
            msg_iovlen = 1,
            msg_control = control,
            msg_controllen = ControlCapacity,
        };
        var length = LibC.recvmsg(_socket.SafeHandle, ref message, LibC.MSG_DONTWAIT);
        if (length < 0)
        {
            if (timeout <= TimeSpan.Zero || !_socket.Poll(timeout, SelectMode.SelectRead)) return null;
            return Receive(TimeSpan.Zero);
        }

        var bytes = new byte[length];
        Marshal.Copy(_memory, bytes, 0, (int)length);
        var status = ReadAuxiliaryData(control, message.msg_controllen, out var tag);
        if ((status & VlanValid) != 0) bytes = [.. bytes.AsSpan(0, 12), .. tag, .. bytes.AsSpan(12)];
        return new Packet(bytes, Marshal.ReadByte(name + PacketTypeOffset) == PacketOutgoing, (status & ChecksumNotReady) != 0);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _socket.Dispose();
        Marshal.FreeHGlobal(Interlocked.Exchange(ref _memory, 0));
    }

    // struct cmsghdr { size_t len; int level; int type; } then struct tpacket_auxdata, of which status, vlan_tci (at 16) and vlan_tpid (at 18) count.
    private static uint ReadAuxiliaryData(nint control, nuint length, out byte[] tag)
    {
        tag = [];
        if (length < 36 || Marshal.ReadInt32(control + 8) != LibC.SOL_PACKET || Marshal.ReadInt32(control + 12) != LibC.PACKET_AUXDATA) return 0;
        var data = control + 16;
        var status = (uint)Marshal.ReadInt32(data);
        tag = new byte[4];
        BinaryPrimitives.WriteUInt16BigEndian(tag, (status & VlanTpidValid) != 0 ? (ushort)Marshal.ReadInt16(data + 18) : (ushort)0x8100);
        BinaryPrimitives.WriteUInt16BigEndian(tag.AsSpan(2), (ushort)Marshal.ReadInt16(data + 16));
        return status;
    }

    // struct sockaddr_ll: family (host order), protocol (network order), interface index (host order).
    private sealed class DeviceEndPoint(int index) : EndPoint
    {
        public override AddressFamily AddressFamily => AddressFamily.Packet;

        public override SocketAddress Serialize()
        {
            var address = new SocketAddress(AddressFamily.Packet, NameSize);
            BinaryPrimitives.WriteUInt16BigEndian(address.Buffer.Span[2..], EtherTypeAll);
            MemoryMarshal.Write(address.Buffer.Span[4..], index);
            return address;
        }
    }
}
