using System.Diagnostics;
using System.Net;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Bench.EndToEnd.Load;

/// <summary>
/// <c>udp-send</c>: sends datagrams as fast as the kernel takes them, 64 in a sendmmsg(2). Each is a packet of its own: no UDP_SEGMENT, so the
/// tunnel really sees small frames. One socket; with several flows each has a destination address of its own in 10.2.0.0/16.
/// </summary>
internal static class UdpSend
{
    private const int Batch = 64;
    private const int SolSocket = 1;
    private const int SoBroadcast = 6;

    /// <summary>Runs it; prints one line, "sent COUNT SECONDS".</summary>
    /// <param name="words">Destination, "broadcast" or "unicast", port, bytes of payload, seconds, flows.</param>
    public static int Run(LoadWords words)
    {
        var to = IPAddress.Parse(words.Text(0));
        var isBroadcast = words.Text(1) == "broadcast";
        ushort port = (ushort)words.Number(2);
        int size = words.Number(3), flows = words.Number(5);
        var seconds = words.Fraction(4);
        // Whole batches that hold every flow; the first flows fill up the last one.
        var count = (Math.Max(1, flows) + Batch - 1) / Batch * Batch;

        var slab = new PinnedSlab(size);
        using var socket = new UnderlaySocket(isIPv6: false);
        if (isBroadcast) socket.Set(SolSocket, SoBroadcast, 1);
        using var sender = new DatagramSender(slab, count, count);
        Span<byte> address = stackalloc byte[4];
        for (var i = 0; i < count; i++)
        {
            _ = to.TryWriteBytes(address, out _);
            // 10.2.0.0/16 is local at the receiver, so a flow more costs neither it nor the generator anything.
            if (flows > 0) (address[0], address[1], address[2], address[3]) = (10, 2, (byte)((i % flows) >> 8), (byte)(i % flows));
            sender.Begin(address, port);
            sender.AddSlice(0, size);
        }

        Span<int> errors = stackalloc int[Batch];
        long sent = 0;
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed.TotalSeconds < seconds)
        {
            for (var first = 0; first < count; first += Batch)
            {
                sender.Send(socket, first, Batch, errors);
                foreach (var error in errors)
                    if (error == 0) sent++;
            }
        }

        LoadWords.Say("sent", sent, clock.Elapsed.TotalSeconds);
        return 0;
    }
}
