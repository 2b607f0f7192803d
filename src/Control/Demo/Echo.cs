using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Demo;

/// <summary>What ping(8) does: ICMP echo (RFC 792) over a raw socket, since a container may have no ping.</summary>
internal sealed class Echo : IDisposable
{
    private const int HeaderLength = 8, DataLength = 56, MaxIPv4Length = 1500, TimeoutMilliseconds = 1000;
    private const byte Request = 8, Reply = 0;

    private readonly Socket _socket;
    private readonly IPAddress _target;
    private readonly ushort _identifier = (ushort)Random.Shared.Next(ushort.MaxValue);
    private readonly byte[] _request = new byte[HeaderLength + DataLength];
    private readonly byte[] _received = new byte[MaxIPv4Length];

    /// <summary>Opens it on a host.</summary>
    /// <param name="from">The host.</param>
    /// <param name="target">An IPv4 address.</param>
    public Echo(DemoHost from, InternetAddress target)
    {
        _target = target.ToIPAddress();
        _socket = from.Do(static () => new Socket(AddressFamily.InterNetwork, SocketType.Raw, ProtocolType.Icmp));
    }

    /// <summary>Sends a request and waits for its reply for a second at most.</summary>
    /// <returns>The round-trip time; null if there was no reply.</returns>
    public TimeSpan? Ask(ushort sequence)
    {
        WriteRequest(sequence);
        var start = Stopwatch.GetTimestamp();
        try
        {
            _socket.SendTo(_request, new IPEndPoint(_target, 0));
            while (TimeoutMilliseconds - (int)Stopwatch.GetElapsedTime(start).TotalMilliseconds is > 0 and var left)
            {
                _socket.ReceiveTimeout = left;
                var length = _socket.Receive(_received);
                if (IsReply(_received.AsSpan(0, length), sequence)) return Stopwatch.GetElapsedTime(start);
            }
        }
        catch (SocketException failure) when (failure.SocketErrorCode is SocketError.TimedOut or SocketError.WouldBlock or SocketError.HostUnreachable)
        {
            // No reply, or none asked because ARP had no answer.
        }

        return null;
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private void WriteRequest(ushort sequence)
    {
        var message = _request.AsSpan();
        message.Clear();
        message[0] = Request;
        BinaryPrimitives.WriteUInt16BigEndian(message[4..], _identifier);
        BinaryPrimitives.WriteUInt16BigEndian(message[6..], sequence);
        for (var i = HeaderLength; i < message.Length; i++) message[i] = (byte)i;
        BinaryPrimitives.WriteUInt16BigEndian(message[2..], (ushort)~InternetChecksum.FoldSum(InternetChecksum.Add(0, message)));
    }

    // A raw socket hands over the IPv4 header too, and everybody's ICMP. The data must have come back as it was.
    private bool IsReply(ReadOnlySpan<byte> packet, ushort sequence)
    {
        if (packet.IsEmpty) return false;
        var header = (packet[0] & 0xF) * 4;
        if (packet.Length != header + _request.Length) return false;
        var message = packet[header..];
        return message[0] == Reply && BinaryPrimitives.ReadUInt16BigEndian(message[4..]) == _identifier
            && BinaryPrimitives.ReadUInt16BigEndian(message[6..]) == sequence && message[HeaderLength..].SequenceEqual(_request.AsSpan(HeaderLength));
    }
}
