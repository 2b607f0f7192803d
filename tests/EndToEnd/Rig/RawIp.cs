using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Sleeve.EndToEnd.Rig;

/// <summary>A raw IP socket (raw(7)) for UDP headers that no UDP socket would write.</summary>
public sealed class RawIp : IDisposable
{
    private readonly Socket _socket;
    private readonly IPAddress _source;
    private int _sent;

    /// <summary>Opens it in a host.</summary>
    public RawIp(Host host)
    {
        _source = host.Address;
        _socket = host.InNamespace(() => new Socket(_source.AddressFamily, SocketType.Raw, ProtocolType.Udp));
    }

    /// <summary>Sends a UDP datagram from port 4789 to port 4789 whose checksum is right but for what is added to it.</summary>
    public void Send(ReadOnlySpan<byte> payload, IPAddress to, ushort addToChecksum)
    {
        var udp = Frames.Udp(_source, to, 4789, 4789, payload);
        var checksum = (ushort)(BinaryPrimitives.ReadUInt16BigEndian(udp.AsSpan(6)) + addToChecksum);
        BinaryPrimitives.WriteUInt16BigEndian(udp.AsSpan(6), checksum == 0 ? (ushort)0x1234 : checksum);
        _socket.SendTo(udp, new IPEndPoint(to, 0));
        SleeveProgram.LetPass(_sent++);
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();
}
