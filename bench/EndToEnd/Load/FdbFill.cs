using System.Buffers.Binary;
using System.Diagnostics;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Bench.EndToEnd.Load;

/// <summary>
/// <c>fdb-fill</c>: sends VXLAN datagrams whose inner frames have source MACs that nobody has seen, so that the VTEP learns them. Counted MACs, spread by
/// a permutation: neighbouring numbers would be an easy case for a hash table.
/// </summary>
internal static class FdbFill
{
    private const int Batch = 32;
    private const int VxlanHeaderSize = 8;
    private const int FrameSize = 60;
    private const int SourceMacOffset = VxlanHeaderSize + 6;
    private const ushort LocalExperiment = 0x88b5;

    /// <summary>Runs it; prints one line, "sent COUNT SECONDS".</summary>
    /// <param name="words">Underlay address and port of the VTEP, VNI, stations, frames a second at most.</param>
    public static int Run(LoadWords words)
    {
        var to = System.Net.IPAddress.Parse(words.Text(0)).GetAddressBytes();
        ushort port = (ushort)words.Number(1);
        int vni = words.Number(2), stations = words.Number(3), rate = words.Number(4);

        var slab = new PinnedSlab(Batch * (VxlanHeaderSize + FrameSize));
        using var socket = new UnderlaySocket(isIPv6: false);
        using var sender = new DatagramSender(slab, Batch, Batch);
        for (var i = 0; i < Batch; i++)
        {
            var offset = i * (VxlanHeaderSize + FrameSize);
            WriteFrame(slab.Slice(offset, VxlanHeaderSize + FrameSize), vni);
            sender.Begin(to, port);
            sender.AddSlice(offset, VxlanHeaderSize + FrameSize);
        }

        Span<int> errors = stackalloc int[Batch];
        var clock = Stopwatch.StartNew();
        for (var done = 0; done < stations; done += Batch)
        {
            var count = Math.Min(Batch, stations - done);
            for (var i = 0; i < count; i++) WriteStation(slab.Slice((i * (VxlanHeaderSize + FrameSize)) + SourceMacOffset, 6), done + i);
            sender.Send(socket, 0, count, errors);
            // No faster than a VTEP can learn: what is lost here would have to be sent again.
            while (clock.Elapsed.TotalSeconds < (double)done / rate) Thread.Sleep(1);
        }

        LoadWords.Say("sent", stations, clock.Elapsed.TotalSeconds);
        return 0;
    }

    private static void WriteFrame(Span<byte> datagram, int vni)
    {
        datagram.Clear();
        datagram[0] = 0x08;
        BinaryPrimitives.WriteInt32BigEndian(datagram[4..], vni << 8);
        var frame = datagram[VxlanHeaderSize..];
        // To a group that nobody has joined: it is delivered to the overlay device and ends there.
        frame[0] = 0x03;
        BinaryPrimitives.WriteUInt16BigEndian(frame[12..], LocalExperiment);
    }

    private static void WriteStation(Span<byte> mac, int number)
    {
        mac[0] = 0x02;
        mac[1] = 0x51;
        // Odd, so every number gives another one.
        BinaryPrimitives.WriteUInt32BigEndian(mac[2..], (uint)number * 2654435761);
    }
}
