using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace Sleeve.EndToEnd.Rig;

/// <summary>Ordinary traffic between two hosts, by the stack of the hosts.</summary>
public static class Traffic
{
    /// <summary>The size that the TCP transfers have.</summary>
    public const int TransferBytes = 200_000_000;

    private static readonly Lazy<(byte[] Bytes, byte[] Sha256)> Content = new(() =>
    {
        var bytes = new byte[TransferBytes];
        new Random(4789).NextBytes(bytes);
        return (bytes, SHA256.HashData(bytes));
    });

    /// <summary>Pings and returns how many answers came.</summary>
    public static int Ping(Host from, IPAddress to, int count = 3, int size = 56, string? more = null)
    {
        var result = from.Try($"ping -n -c {count} -i 0.05 -W 2 -s {size} {more} {to}");
        var words = Command.Split(result.Output.Replace(',', ' '));
        var received = Array.IndexOf(words, "received");
        return received < 1 ? 0 : int.Parse(words[received - 1], CultureInfo.InvariantCulture);
    }

    /// <summary>Pings until answers come.</summary>
    public static void WaitForPing(Host from, IPAddress to) =>
        Wait.Until(() => Ping(from, to, 1) == 1, $"{from.Name} pings {to}", TimeSpan.FromSeconds(10));

    /// <summary>
    /// Sends bytes by TCP to an address of another host; asserts that the sha256 of what arrived is that of what was sent. Returns the rate.
    /// </summary>
    public static double TransferByTcp(Host from, Host to, IPAddress address, int bytes = TransferBytes, int timeoutSeconds = 60, int port = 0)
    {
        var (content, whole) = Content.Value;
        var expected = bytes == content.Length ? whole : SHA256.HashData(content.AsSpan(0, bytes));
        using var listener = to.InNamespace(() => new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
        listener.Bind(new IPEndPoint(address, port));
        listener.Listen(1);
        using var client = from.InNamespace(() => new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
        client.SendTimeout = timeoutSeconds * 1000;
        var clock = Stopwatch.StartNew();
        var receiver = Task.Factory.StartNew(() => Receive(listener), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        using (var connected = client.ConnectAsync(listener.LocalEndPoint!))
        {
            if (!connected.Wait(TimeSpan.FromSeconds(10))) throw new TimeoutException($"TCP from {from.Name} to {address} does not connect");
        }

        for (var sent = 0; sent < bytes;) sent += client.Send(content.AsSpan(sent, Math.Min(256 * 1024, bytes - sent)));
        client.Shutdown(SocketShutdown.Send);
        if (!receiver.Wait(TimeSpan.FromSeconds(timeoutSeconds))) throw new TimeoutException($"TCP from {from.Name} to {address} does not end");
        var (count, hash) = receiver.GetAwaiter().GetResult();
        Assert.Equal(bytes, count);
        Assert.Equal(Convert.ToHexStringLower(expected), Convert.ToHexStringLower(hash));
        var rate = bytes * 8e-9 / clock.Elapsed.TotalSeconds;
        from.Lab.Log(string.Create(CultureInfo.InvariantCulture, $"TCP {from.Name} to {to.Name} by {address}: {bytes} bytes, {rate:f2} Gbit/s"));
        return rate;
    }

    /// <summary>Sends one UDP datagram of each size and has it come back; asserts that every byte is the same at both turns.</summary>
    public static void EchoUdp(Host from, Host to, IPAddress address, IEnumerable<int> sizes, int port = 0)
    {
        using var server = to.InNamespace(() => new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp));
        server.Bind(new IPEndPoint(address, port));
        using var client = from.InNamespace(() => new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp));
        LetFragment(server);
        LetFragment(client);
        client.Connect(server.LocalEndPoint!);
        var buffer = new byte[70_000];
        foreach (var size in sizes)
        {
            var datagram = RandomNumberGenerator.GetBytes(size);
            client.Send(datagram);
            Await(server, $"a UDP datagram of {size} bytes did not reach {address}");
            EndPoint sender = new IPEndPoint(address, 0);
            var there = server.ReceiveFrom(buffer, ref sender);
            Assert.True(datagram.AsSpan().SequenceEqual(buffer.AsSpan(0, there)), $"a UDP datagram of {size} bytes reached {address} changed");
            server.SendTo(buffer.AsSpan(0, there), sender);
            Await(client, $"a UDP datagram of {size} bytes did not come back from {address}");
            var back = client.Receive(buffer);
            Assert.True(datagram.AsSpan().SequenceEqual(buffer.AsSpan(0, back)), $"a UDP datagram of {size} bytes came back from {address} changed");
        }
    }

    private static (long Count, byte[] Hash) Receive(Socket listener)
    {
        if (!listener.Poll(TimeSpan.FromSeconds(15), SelectMode.SelectRead)) throw new TimeoutException("no TCP connection came");
        using var socket = listener.Accept();
        socket.ReceiveTimeout = 20_000;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[1 << 20];
        var count = 0L;
        for (int length; (length = socket.Receive(buffer)) > 0; count += length) hash.AppendData(buffer, 0, length);
        return (count, hash.GetHashAndReset());
    }

    private static void Await(Socket socket, string complaint)
    {
        if (!socket.Poll(Wait.Soon, SelectMode.SelectRead)) throw new TimeoutException(complaint);
    }

    // Without it Linux sets DF and refuses what is larger than the route's MTU.
    private static void LetFragment(Socket socket)
    {
        var isIpv4 = socket.AddressFamily == AddressFamily.InterNetwork;
        socket.SetRawSocketOption(isIpv4 ? 0 : 41, isIpv4 ? 10 : 23, BitConverter.GetBytes(0));
    }
}
