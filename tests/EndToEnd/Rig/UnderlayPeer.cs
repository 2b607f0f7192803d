using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Sleeve.EndToEnd.Rig;

/// <summary>A VXLAN datagram that arrived at a peer: who sent it and what it was.</summary>
public sealed record PeerDatagram(IPEndPoint Source, byte[] Bytes)
{
    /// <summary>The VNI of the header.</summary>
    public int Vni => (Bytes[4] << 16) | (Bytes[5] << 8) | Bytes[6];

    /// <summary>The frame inside.</summary>
    public byte[] Inner => Bytes[8..];
}

/// <summary>"U" of the conformance cases: a plain UDP socket in a host without a VTEP, which sends what it likes and sees what it is sent.</summary>
public sealed class UnderlayPeer : IDisposable
{
    private const int IpMtuDiscover = 10;
    private const int Ipv6MtuDiscover = 23;
    private const int IpTypeOfService = 1;
    private const int Ipv6TrafficClass = 67;

    private readonly Socket _socket;
    private int _sent;
    private readonly byte[] _buffer = new byte[70_000];

    /// <summary>Opens it in a host, on its underlay address unless another is given.</summary>
    public UnderlayPeer(Host host, int port = 4789, IPAddress? address = null)
    {
        Address = address ?? host.Address;
        _socket = host.InNamespace(() => new Socket(Address.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveBufferSize = 4 << 20 });
        _socket.Bind(new IPEndPoint(Address, port));

        // Large datagrams are to be fragmented, not refused.
        var isIpv4 = Address.AddressFamily == AddressFamily.InterNetwork;
        _socket.SetRawSocketOption(isIpv4 ? 0 : 41, isIpv4 ? IpMtuDiscover : Ipv6MtuDiscover, BitConverter.GetBytes(0));
    }

    /// <summary>Its own address.</summary>
    public IPAddress Address { get; }

    /// <summary>The socket, to set options on.</summary>
    public Socket Socket => _socket;

    /// <summary>TOS or traffic class of what it sends from now on.</summary>
    public void SetTypeOfService(byte value)
    {
        var isIpv4 = Address.AddressFamily == AddressFamily.InterNetwork;
        _socket.SetRawSocketOption(isIpv4 ? 0 : 41, isIpv4 ? IpTypeOfService : Ipv6TrafficClass, BitConverter.GetBytes((int)value));
    }

    /// <summary>Sends any bytes to port 4789, or another, of an address.</summary>
    public void Send(ReadOnlySpan<byte> datagram, IPAddress to, int port = 4789)
    {
        SendAtOnce(datagram, to, port);
        SleeveProgram.LetPass(_sent++);
    }

    /// <summary>Sends a datagram whose order among those of other flows does not matter.</summary>
    public void SendAtOnce(ReadOnlySpan<byte> datagram, IPAddress to, int port = 4789) => _socket.SendTo(datagram, new IPEndPoint(to, port));

    /// <summary>The next datagram with at least a VXLAN and an Ethernet header, or null.</summary>
    public PeerDatagram? Receive(TimeSpan timeout)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            var left = timeout - clock.Elapsed;
            if (!_socket.Poll(left > TimeSpan.Zero ? left : TimeSpan.Zero, SelectMode.SelectRead)) return null;
            EndPoint source = new IPEndPoint(Address.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
            var length = _socket.ReceiveFrom(_buffer, ref source);
            if (length >= 8 + 14) return new PeerDatagram((IPEndPoint)source, _buffer[..length]);
        }
    }

    /// <summary>Every datagram before the one with this frame inside, which must come.</summary>
    public List<PeerDatagram> ReceiveUntil(byte[] marker, TimeSpan? timeout = null)
    {
        var clock = Stopwatch.StartNew();
        var limit = timeout ?? Wait.Soon;
        List<PeerDatagram> before = [];
        while (Receive(limit - clock.Elapsed) is { } datagram)
        {
            if (datagram.Inner.AsSpan().SequenceEqual(marker)) return before;
            before.Add(datagram);
        }

        throw new TimeoutException($"no datagram to {Address} with the frame {Frames.Show(marker)}; {before.Count} others came");
    }

    /// <summary>The datagram with this frame inside, which must come next or behind others.</summary>
    public PeerDatagram Expect(byte[] frame, TimeSpan? timeout = null)
    {
        var clock = Stopwatch.StartNew();
        var limit = timeout ?? Wait.Soon;
        while (Receive(limit - clock.Elapsed) is { } datagram)
        {
            if (datagram.Inner.AsSpan().SequenceEqual(frame)) return datagram;
        }

        throw new TimeoutException($"no datagram to {Address} with the frame {Frames.Show(frame)}");
    }

    /// <summary>Everything that is there or comes within a time.</summary>
    public List<PeerDatagram> ReceiveFor(TimeSpan time)
    {
        var clock = Stopwatch.StartNew();
        List<PeerDatagram> all = [];
        while (Receive(time - clock.Elapsed) is { } datagram) all.Add(datagram);
        return all;
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();
}
