using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Sleeve.Control.Api;
using Sleeve.Control.Host;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Doctor.Bench;

/// <summary>
/// Measures what a full-sized frame takes on this host, in this process: the workers' own code over memory, over UDP sockets on loopback, and over a TAP, the
/// latter two in a network namespace of their own, so that nothing of this host's network is touched.
/// </summary>
internal sealed class LocalBench
{
    private const ushort Port = 4789;
    private const int Mtu = 1450;
    private const int FrameLength = Mtu + EthernetFrame.HeaderSize;
    private const string TapName = "bench";
    private const int Windows = 5;
    private const int QueuedFrames = 256;
    private static readonly InternetAddress Here = InternetAddress.FromIPv4(0x7F000001), There = InternetAddress.FromIPv4(0x7F000002);

    // Long enough for the runtime to compile what is measured for good.
    private static readonly TimeSpan WarmUp = TimeSpan.FromMilliseconds(400), Each = TimeSpan.FromMilliseconds(50);

    private readonly byte[] _frame = MakeFrame();
    private readonly byte[] _datagram;

    private LocalBench()
    {
        _datagram = new byte[VxlanHeader.Size + FrameLength];
        new VxlanHeader(new Vni(1)).Write(_datagram);
        _frame.CopyTo(_datagram, VxlanHeader.Size);
    }

    /// <summary>Measures; takes some five seconds.</summary>
    /// <param name="step">Told what is being done.</param>
    public static LocalCostsJson Run(Action<string> step)
    {
        var bench = new LocalBench();
        step("the pipeline");
        var outward = bench.Outward(new LoopUnderlay(bench._datagram, There));
        var inward = bench.Inward(new LoopUnderlay(bench._datagram, There), null);
        try
        {
            using var space = NetworkNamespace.CreateNew();
            return space.Run(() =>
            {
                using var host = RouteNetlink.Open();
                host.SetUp(host.GetLink("lo").Index, true);
                step("the sockets");
                var (send, receive) = bench.Sockets(outward, inward);
                step("the TAP");
                var (read, write) = bench.Tap(host);
                return new LocalCostsJson(Round(read), Round(write), Round(outward), Round(inward), Round(send), Round(receive), null);
            });
        }
        catch (IOException failure)
        {
            return new LocalCostsJson(null, null, Round(outward), Round(inward), null, null, $"TAP and sockets were not measured: {failure.Message}");
        }
    }

    private double Outward(IUnderlay underlay)
    {
        var path = new EncapsulationPath(underlay, hashKey: 1);
        var port = new SegmentPort(MakeSegment(Here, There), new LoopTap(_frame), new Counters());
        return Time(() => path.Run(port, 0));
    }

    private double Inward(IUnderlay underlay, Action? before)
    {
        var path = new DecapsulationPath(underlay, new StrangerLog());
        var counters = new Counters();
        path.SetPorts([new SegmentPort(MakeSegment(Here, There), new LoopTap(_frame), counters)]);
        if (before is null) return Time(() => path.Run(0));

        // What a message holds is several frames: it is frames that count.
        return Best(() =>
        {
            before();
            var (first, began) = (counters[Counter.TapSent], Stopwatch.GetTimestamp());
            while (path.Run(0) > 0)
            {
            }

            return (Stopwatch.GetTimestamp() - began, counters[Counter.TapSent] - first);
        });
    }

    // One sends to the other's address: both are this host.
    private (double Send, double Receive) Sockets(double outward, double inward)
    {
        using var sender = new UdpUnderlay(new VtepOptions { Local = Here, Port = Port + 1, Workers = 1 }, static () => 0);
        var encapsulation = new EncapsulationPath(sender, hashKey: 1);
        var port = new SegmentPort(MakeSegment(Here, There), new LoopTap(_frame), new Counters());
        // To nobody: what it costs to send, and the kernel's way to where it finds no socket.
        var send = Time(() => encapsulation.Run(port, 0)) - outward;

        using var receiver = new UdpUnderlay(new VtepOptions { Local = Here, Port = Port, Workers = 1 }, static () => 0);
        using var source = new UdpUnderlay(new VtepOptions { Local = There, Port = Port + 2, Workers = 1 }, static () => 0);
        var feeding = new EncapsulationPath(source, hashKey: 1);
        var feed = new SegmentPort(MakeSegment(There, Here), new LoopTap(_frame), new Counters());
        var receive = Inward(receiver, () => feeding.Run(feed, 0)) - inward;
        return (Math.Max(send, 0), Math.Max(receive, 0));
    }

    private (double Read, double Write) Tap(RouteNetlink host)
    {
        using var device = TapDevice.Open(TapName);
        var tap = new TapPort(device);
        var link = host.GetLink(TapName);
        host.SetMtu(link.Index, Mtu);
        if (!AddressPrefix.TryParse("192.0.2.1/24", out var prefix)) throw new UnreachableException();
        host.AddAddress(link.Index, prefix);
        host.SetUp(link.Index, true);
        host.WaitUntilRunning(link.Index, TimeSpan.FromSeconds(2));
        host.ReplaceNeighbour(link.Index, InternetAddress.FromIPv4(0xC0000202), MacAddress.FromValue(0x0200_0000_0002));
        var batch = new FrameBatch();

        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { SendBufferSize = 1 << 20 };
        socket.Connect(new IPEndPoint(IPAddress.Parse("192.0.2.2"), 9));
        var payload = new byte[Mtu - 28];
        var read = Best(() =>
        {
            for (var i = 0; i < QueuedFrames; i++) socket.Send(payload);
            var (frames, began) = (0L, Stopwatch.GetTimestamp());
            do
            {
                batch.Clear();
                tap.Receive(batch);
                frames += batch.Count;
            }
            while (batch.Count > 0);
            return (Stopwatch.GetTimestamp() - began, frames);
        });

        batch.Clear();
        // To the TAP's own MAC: the stack takes it and finds nobody on the port.
        _frame.CopyTo(batch.Room(0));
        link.Mac.Write(batch.Room(0));
        var frame = batch.Add(FrameLength);
        var write = Time(() =>
        {
            for (var i = 0; i < FrameBatch.DefaultCapacity; i++) tap.Send(batch, frame, []);
            return FrameBatch.DefaultCapacity;
        });
        return (read, write);
    }

    // Of a function that tells how many frames it took.
    private static double Time(Func<int> run) => Best(() =>
    {
        var began = Stopwatch.GetTimestamp();
        var frames = run();
        return (Stopwatch.GetTimestamp() - began, frames);
    });

    // Nanoseconds a frame, of a function that tells what it spent, and on how many. The best of some windows: others use this host too.
    private static double Best(Func<(long Spent, long Frames)> run)
    {
        for (var start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start) < WarmUp;) run();
        var best = double.MaxValue;
        for (var window = 0; window < Windows; window++)
        {
            var (spent, frames) = (0L, 0L);
            for (var start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start) < Each;)
            {
                var (more, count) = run();
                spent += more;
                frames += count;
            }

            if (frames > 0) best = Math.Min(best, spent * 1e9 / Stopwatch.Frequency / frames);
        }

        return best == double.MaxValue ? 0 : best;
    }

    private static Segment MakeSegment(InternetAddress self, InternetAddress remote)
    {
        var segment = new Segment(new SegmentOptions { Vni = new Vni(1), Name = TapName }, new VtepAddress(self, Port)) { DeviceMac = MacAddress.FromValue(0x0200_0000_00FF), Mtu = Mtu };
        segment.Fdb.Append(MacAddress.Zero, new VtepAddress(remote, Port), new Vni(1), EntryKind.Permanent, 0);
        segment.Fdb.Append(MacAddress.FromValue(0x0200_0000_0002), new VtepAddress(remote, Port), new Vni(1), EntryKind.Static, 0);
        segment.SetUp(true, 0);
        return segment;
    }

    // One UDP packet of the segment's MTU, without checksum of UDP.
    private static byte[] MakeFrame()
    {
        var frame = new byte[FrameLength];
        MacAddress.FromValue(0x0200_0000_0002).Write(frame);
        MacAddress.FromValue(0x0200_0000_0001).Write(frame.AsSpan(6));
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), 0x0800);
        var packet = frame.AsSpan(EthernetFrame.HeaderSize);
        packet[0] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(packet[2..], Mtu);
        packet[8] = 64;
        packet[9] = 17;
        BinaryPrimitives.WriteUInt32BigEndian(packet[12..], 0xC0000203);
        BinaryPrimitives.WriteUInt32BigEndian(packet[16..], 0xC0000201);
        BinaryPrimitives.WriteUInt16BigEndian(packet[10..], InternetChecksum.Finish(InternetChecksum.Add(0, packet[..20])));
        BinaryPrimitives.WriteUInt16BigEndian(packet[20..], 40000);
        BinaryPrimitives.WriteUInt16BigEndian(packet[22..], 9);
        BinaryPrimitives.WriteUInt16BigEndian(packet[24..], Mtu - 20);
        return frame;
    }

    private static double Round(double value) => Math.Round(value, 1);
}
