using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Demo;

/// <summary>
/// One TCP connection that sends a known pseudo-random sequence for a while; the receiver compares every byte with what it must be. The
/// sequence repeats after a prime number of bytes, so that nothing lost, doubled or out of place can look right.
/// </summary>
internal sealed class Transfer : IDisposable
{
    private const int SequenceLength = 1_048_573, ChunkLength = 128 * 1024, TimeoutMilliseconds = 5000, Seed = 4789;
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromMilliseconds(250);
    private static readonly byte[] Sequence = MakeSequence();

    private readonly Socket _listener;
    private readonly Socket _sender;
    private readonly TimeSpan _duration;
    private long _received;

    private Transfer(Socket listener, Socket sender, TimeSpan duration)
    {
        _listener = listener;
        _sender = sender;
        _duration = duration;
    }

    /// <summary>Runs it.</summary>
    /// <param name="from">The sending host.</param>
    /// <param name="to">The receiving host.</param>
    /// <param name="address">An address of the receiving host.</param>
    /// <param name="duration">How long to send.</param>
    /// <param name="progress">Called now and then with the bytes received and the time since the start.</param>
    /// <param name="cancellation">Breaks it off.</param>
    /// <returns>The bytes received, all of them right, and the time from the connection to the last.</returns>
    /// <exception cref="DemoFailure">A byte was wrong or missing, or nothing came for five seconds.</exception>
    public static async Task<(long Bytes, TimeSpan Time)> RunAsync(
        DemoHost from, DemoHost to, InternetAddress address, TimeSpan duration, Action<long, TimeSpan> progress, CancellationToken cancellation)
    {
        var listener = to.Do(static () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        var sender = from.Do(static () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        using var transfer = new Transfer(listener, sender, duration);
        using var broken = cancellation.Register(transfer.Dispose);
        try
        {
            return await transfer.RunAsync(address, progress);
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            cancellation.ThrowIfCancellationRequested();
            throw new DemoFailure($"TCP from {from.Name} to {to.Name} broke after {transfer._received} bytes: {failure.Message}");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _listener.Dispose();
        _sender.Dispose();
    }

    private async Task<(long Bytes, TimeSpan Time)> RunAsync(InternetAddress address, Action<long, TimeSpan> progress)
    {
        _listener.Bind(new IPEndPoint(address.ToIPAddress(), 0));
        _listener.Listen();
        using var patience = new CancellationTokenSource(TimeoutMilliseconds);
        try
        {
            await _sender.ConnectAsync(_listener.LocalEndPoint!, patience.Token);
        }
        catch (OperationCanceledException)
        {
            throw new SocketException((int)SocketError.TimedOut);
        }

        using var receiver = await _listener.AcceptAsync();
        var start = Stopwatch.GetTimestamp();
        var sending = OnThread(Send);
        var receiving = OnThread(() => Receive(receiver));
        while (await Task.WhenAny(receiving, Task.Delay(ProgressInterval)) != receiving) progress(Volatile.Read(ref _received), Stopwatch.GetElapsedTime(start));
        var received = await receiving;
        var time = Stopwatch.GetElapsedTime(start);
        var sent = await sending;
        return sent == received ? (received, time) : throw new DemoFailure($"TCP: of {sent} bytes sent, {received} arrived");
    }

    private long Send()
    {
        _sender.SendTimeout = TimeoutMilliseconds;
        long sent = 0;
        for (var start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start) < _duration;)
        {
            var offset = (int)(sent % SequenceLength);
            sent += _sender.Send(Sequence.AsSpan(offset, Math.Min(ChunkLength, SequenceLength - offset)));
        }

        _sender.Shutdown(SocketShutdown.Send);
        return sent;
    }

    private long Receive(Socket socket)
    {
        socket.ReceiveTimeout = TimeoutMilliseconds;
        var buffer = new byte[ChunkLength];
        long received = 0;
        while (socket.Receive(buffer) is > 0 and var length)
        {
            for (var rest = buffer.AsSpan(0, length); !rest.IsEmpty;)
            {
                var offset = (int)(received % SequenceLength);
                var part = rest[..Math.Min(rest.Length, SequenceLength - offset)];
                if (!part.SequenceEqual(Sequence.AsSpan(offset, part.Length))) throw new DemoFailure($"TCP: wrong data after {received} bytes");
                received += part.Length;
                rest = rest[part.Length..];
            }

            Volatile.Write(ref _received, received);
        }

        return received;
    }

    private static Task<long> OnThread(Func<long> function) =>
        Task.Factory.StartNew(function, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private static byte[] MakeSequence()
    {
        var sequence = new byte[SequenceLength];
        new Random(Seed).NextBytes(sequence);
        return sequence;
    }
}
