using System.Diagnostics;
using Sleeve.Bench.EndToEnd.Measure;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Bench.EndToEnd.Load;

/// <summary>
/// <c>udp-receive</c>: counts the datagrams that arrive in the middle of a run, and the CPU that went by meanwhile. It reads the CPU clocks itself:
/// on a machine that is out of cores a second process would read them late.
/// </summary>
internal static class UdpReceive
{
    private const int Batch = 64;
    private const int SlotSize = 2048;
    private const int SolSocket = 1;
    private const int SoReceiveBufferForce = 33;
    private const int ReceiveBuffer = 4 << 20;
    private static readonly TimeSpan FirstLimit = TimeSpan.FromSeconds(8);

    /// <summary>Runs it; prints "ready", then "received COUNT SECONDS CPU-OF-PROCESSES CPU-OF-MACHINE".</summary>
    /// <param name="words">Port, seconds to let pass after the first datagram, seconds to count, and the processes whose CPU is read.</param>
    public static int Run(LoadWords words)
    {
        ushort port = (ushort)words.Number(0);
        double warmUp = words.Fraction(1), seconds = words.Fraction(2);
        int[] processes = [.. words.From(3).Select(word => int.Parse(word, System.Globalization.CultureInfo.InvariantCulture))];

        var slab = new PinnedSlab(Batch * SlotSize);
        using var socket = new UnderlaySocket(isIPv6: false);
        // Deep enough that a receiver which has to wait for a core loses nothing meanwhile.
        socket.Set(SolSocket, SoReceiveBufferForce, ReceiveBuffer);
        if (socket.TryBind(stackalloc byte[4], port) is not 0 and var errno) throw new InvalidOperationException($"udp-receive: port {port}: errno {errno}");
        using var receiver = new DatagramReceiver(slab, Batch, SlotSize, 0);
        using var poll = new EventPoll();
        poll.Add(socket.Descriptor, 0);
        Console.WriteLine("ready");

        if (!WaitForFirst(poll)) throw new InvalidOperationException("udp-receive: nothing arrived");
        Count(socket, receiver, poll, warmUp);
        var before = Cpu.Read(processes);
        var clock = Stopwatch.StartNew();
        var received = Count(socket, receiver, poll, seconds);
        var elapsed = clock.Elapsed.TotalSeconds;
        var used = Cpu.Read(processes) - before;
        LoadWords.Say("received", received, elapsed, used.Processes, used.Machine);
        return 0;
    }

    private static bool WaitForFirst(EventPoll poll)
    {
        Span<int> ready = stackalloc int[1];
        return poll.Wait(ready, (int)FirstLimit.TotalMilliseconds) > 0;
    }

    private static long Count(UnderlaySocket socket, DatagramReceiver receiver, EventPoll poll, double seconds)
    {
        Span<int> ready = stackalloc int[1];
        long received = 0;
        var end = Stopwatch.GetTimestamp() + (long)(seconds * Stopwatch.Frequency);
        while (Stopwatch.GetTimestamp() < end)
        {
            var count = receiver.Receive(socket);
            received += count;
            if (count == 0) poll.Wait(ready, 20);
        }

        return received;
    }
}
