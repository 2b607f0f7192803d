using System.Net;
using System.Net.Sockets;

namespace Sleeve.Control.Tests.Naming;

/// <summary>A resolver on loopback that answers what a test wants, by UDP and TCP on one port.</summary>
internal sealed class FakeResolver : IDisposable
{
    private readonly Socket _udp = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    private readonly Socket _tcp = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly Func<byte[], bool, IEnumerable<byte[]>> _answer;
    private int _asked;

    /// <summary>Starts.</summary>
    /// <param name="address">Of 127/8.</param>
    /// <param name="port">0 for any.</param>
    /// <param name="answer">Gives the answers to a query, which came by TCP or not.</param>
    public FakeResolver(string address, int port, Func<byte[], bool, IEnumerable<byte[]>> answer)
    {
        _answer = answer;
        _udp.Bind(new IPEndPoint(IPAddress.Parse(address), port));
        Port = (ushort)((IPEndPoint)_udp.LocalEndPoint!).Port;
        _tcp.Bind(new IPEndPoint(IPAddress.Parse(address), Port));
        _tcp.Listen();
        new Thread(ServeUdp) { IsBackground = true }.Start();
        new Thread(ServeTcp) { IsBackground = true }.Start();
    }

    public ushort Port { get; }

    public int Asked => Volatile.Read(ref _asked);

    /// <summary>Ports that queries came from.</summary>
    public HashSet<int> ClientPorts { get; } = [];

    /// <summary>Ids that they had.</summary>
    public HashSet<int> Ids { get; } = [];

    public void Dispose()
    {
        _udp.Dispose();
        _tcp.Dispose();
    }

    private void ServeUdp()
    {
        var buffer = new byte[4096];
        try
        {
            while (true)
            {
                EndPoint from = new IPEndPoint(IPAddress.Any, 0);
                var length = _udp.ReceiveFrom(buffer, ref from);
                Interlocked.Increment(ref _asked);
                ClientPorts.Add(((IPEndPoint)from).Port);
                Ids.Add((buffer[0] << 8) | buffer[1]);
                foreach (var answer in _answer(buffer[..length], false)) _udp.SendTo(answer, from);
            }
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private void ServeTcp()
    {
        try
        {
            while (true)
            {
                using var client = _tcp.Accept();
                using var stream = new NetworkStream(client);
                var head = new byte[2];
                stream.ReadExactly(head);
                var query = new byte[(head[0] << 8) | head[1]];
                stream.ReadExactly(query);
                Interlocked.Increment(ref _asked);
                foreach (var answer in _answer(query, true)) stream.Write([(byte)(answer.Length >> 8), (byte)answer.Length, .. answer]);
            }
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException or IOException)
        {
            // The test is over.
        }
    }
}
