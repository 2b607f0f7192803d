using System.Buffers.Binary;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Tests.Forwarding;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Pipeline;

/// <summary>Nothing is allocated per frame, whatever becomes of it.</summary>
[Collection(nameof(Alone))]
public sealed class ZeroAllocationTests
{
    private const int Frames = 10_000;
    private const ulong Here = 0x0200_0000_0001;
    private const ulong There = 0x0200_0000_0002;
    private const uint HereIp = 0x0A010001;
    private const uint ThereIp = 0x0A010002;

    private static readonly byte[] Tcp = Craft.Ethernet(There, Here, 0x0800, Craft.IPv4(HereIp, ThereIp, 6, Craft.Tcp(1, 2, Craft.Fill(1000))));
    private static readonly byte[] Broadcast = Craft.Ethernet(Craft.Broadcast, Here, 0x88B5, Craft.Fill(46));
    private static readonly byte[] Short = Broadcast[..13];
    private static readonly byte[] WhoHas = Craft.Ethernet(Craft.Broadcast, Here, 0x0806, Craft.Arp(1, Here, HereIp, 0, ThereIp));

    private static readonly byte[] Solicitation = Craft.Ethernet(0x3333_FF00_0002, Here, 0x86DD, Craft.Solicitation(
        Craft.Address6("2001:db8::1"), Craft.Address6("ff02::1:ff00:2"), Craft.Address6("2001:db8::2"), []));

    private static Host MakeHost(params int[] vteps)
    {
        var host = new Host(options => options with { Proxy = true });
        host.Segment.Neighbours.Add(new Neighbour(InternetAddress.FromIPv4(ThereIp), MacAddress.FromValue(There)));
        host.Segment.Neighbours.Add(new Neighbour(Segments.Address("2001:db8::2"), MacAddress.FromValue(There)));
        host.FloodTo(vteps);
        host.Tap.IsRecording = host.Underlay.IsRecording = false;
        return host;
    }

    private static void AssertNothingAllocated(Action batch)
    {
        // Warm up: compile, learn, open what is opened once.
        for (var i = 0; i < 4 * FrameBatch.DefaultCapacity; i += FrameBatch.DefaultCapacity) batch();
        // A collection that another thread sets off counts the rest of this thread's allocation window as allocated, up to 8 KiB, once. An
        // allocation by the path would show in every round.
        var least = long.MaxValue;
        for (var round = 0; round < 3 && least > 0; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < Frames; i += FrameBatch.DefaultCapacity) batch();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, least);
    }

    private static void AssertSendAllocatesNothing(Host host, params byte[][] frames) => AssertNothingAllocated(() =>
    {
        for (var i = 0; i < FrameBatch.DefaultCapacity; i++) host.Tap.Feed(frames[i % frames.Length]);
        // All slots came back: a whole batch is taken again.
        if (host.Encapsulation.Run(host.Port, 0) != FrameBatch.DefaultCapacity) throw new InvalidOperationException("slots are missing");
    });

    private static void AssertReceiptAllocatesNothing(Host host, (byte[] Datagram, int Vtep)[] datagrams)
    {
        var senders = datagrams.Select(datagram => Segments.Address(datagram.Vtep)).ToArray();
        AssertNothingAllocated(() =>
        {
            for (var i = 0; i < FrameBatch.DefaultCapacity; i++) host.Underlay.Feed(datagrams[i % datagrams.Length].Datagram, senders[i % senders.Length]);
            if (host.Decapsulation.Run(0) != FrameBatch.DefaultCapacity) throw new InvalidOperationException("slots are missing");
        });
    }

    [Fact]
    public void Sending_to_a_known_station_and_flooding_allocate_nothing()
    {
        using var host = MakeHost(2, 3, 4, 5, 6, 7);
        host.Segment.Fdb.Append(MacAddress.Zero, Segments.Vtep(8), new Vni(300), EntryKind.Permanent, 0);
        host.Segment.Fdb.Learn(MacAddress.FromValue(There), Segments.Address(2), 0);
        AssertSendAllocatesNothing(host, Tcp, Broadcast);
    }

    [Fact]
    public void The_proxy_allocates_nothing()
    {
        using var host = MakeHost(2);
        AssertSendAllocatesNothing(host, WhoHas, Solicitation);
        Assert.Equal(host.Counters[Counter.TapReceived], host.Counters[Counter.Proxied]);
    }

    [Fact]
    public void Drops_on_the_way_out_allocate_nothing()
    {
        using var host = MakeHost(1);
        host.Segment.Fdb.Append(MacAddress.Zero, new VtepAddress(InternetAddress.AnyIPv4, Segments.Port), Segments.OwnVni, EntryKind.Permanent, 0);
        host.FloodTo(2);
        host.Underlay.Outcome = static _ => DropReason.NoRoute;
        AssertSendAllocatesNothing(host, Broadcast, Broadcast[..13], Tcp);
        Assert.Equal(0, host.Counters[Counter.DatagramsSent]);

        using var empty = MakeHost();
        empty.Tap.Status = TapStatus.Rejected;
        AssertSendAllocatesNothing(empty, Broadcast, WhoHas);
    }

    [Fact]
    public void Suppressing_allocates_nothing()
    {
        using var host = new Host(static options => options with
        {
            Proxy = true, SuppressUnknown = true, SuppressResolution = true, GatewayMac = MacAddress.FromValue(There + 9), Admission = Admission.Listed,
        });
        host.FloodTo(2, 3);
        host.Tap.IsRecording = host.Underlay.IsRecording = false;
        AssertSendAllocatesNothing(host, Tcp, WhoHas, Solicitation, Craft.Ethernet(Craft.Broadcast, There + 9, 0x88B5, Craft.Fill(46)));
        Assert.Equal(0, host.Counters[Counter.DatagramsSent]);
    }

    [Fact]
    public void Receiving_allocates_nothing()
    {
        using var host = MakeHost(2, 3);
        var unfinished = Craft.Tcp(1, 2, Craft.Fill(5000), Craft.UnfinishedChecksum(Craft.U32(1), Craft.U32(2), 6, 5020));
        AssertReceiptAllocatesNothing(host,
        [
            (Craft.Vxlan(100, Tcp), 2),
            (Craft.Vxlan(100, Craft.Ethernet(There, Here + 5, 0x88B5, Craft.Fill(99))), 3),
            (Craft.Vxlan(100, Craft.Ethernet(There, Here + 6, 0x0800, Craft.IPv4(1, 2, 6, unfinished))), 3),
        ]);
        Assert.Equal(host.Counters[Counter.DatagramsReceived], host.Counters[Counter.TapSent]);
    }

    [Fact]
    public void Stations_that_move_with_every_frame_allocate_nothing()
    {
        using var host = MakeHost(2, 3);
        AssertReceiptAllocatesNothing(host, [(Craft.Vxlan(100, Tcp), 2), (Craft.Vxlan(100, Tcp), 3)]);
        Assert.True(host.Counters[Counter.Moved] >= Frames);
    }

    [Fact]
    public void A_full_table_allocates_nothing()
    {
        using var host = new Host(options => options with { MaxAddress = 1 });
        host.Tap.IsRecording = false;
        AssertReceiptAllocatesNothing(host, [(Craft.Vxlan(100, Tcp), 2), (Craft.Vxlan(100, Craft.Ethernet(There, Here + 5, 0x88B5, [])), 3)]);
        Assert.True(host.Counters[Counter.NotLearned] >= Frames / 2);
    }

    [Fact]
    public void Drops_on_the_way_in_allocate_nothing_nor_do_strangers()
    {
        using var host = MakeHost(2);
        host.Segment.Fdb.Add(MacAddress.FromValue(There), Segments.Vtep(2), Segments.OwnVni, EntryKind.Static, 0);
        host.FloodTo(3);
        var bad = new List<(byte[], int)>
        {
            ([], 2),
            (Craft.Vxlan(100, Tcp)[..7], 2),
            (Craft.Vxlan(100, Tcp, flags: 0), 2),
            (Craft.Vxlan(101, Tcp), 2),
            (Craft.Vxlan(100, Tcp[..13]), 2),
            (Craft.Vxlan(100, Tcp[..20]), 2),
            (Craft.Vxlan(100, Craft.Ethernet(There, 0x0200_0000_00FF, 0x88B5, [])), 2),
            (Craft.Vxlan(100, Craft.Ethernet(There, Craft.Broadcast, 0x88B5, [])), 2),
            (Craft.Vxlan(100, Craft.Ethernet(Here, There, 0x88B5, [])), 3),
        };
        // More strangers than are remembered.
        for (var i = 0; i < StrangerLog.Capacity + 50; i++) bad.Add((Craft.Vxlan(100, Tcp), 5000 + i));
        AssertReceiptAllocatesNothing(host, [.. bad]);
        Assert.Equal(0, host.Counters[Counter.TapSent]);

        host.Segment.SetUp(false, 0);
        AssertReceiptAllocatesNothing(host, [(Craft.Vxlan(100, Tcp), 2)]);
        using var strict = new Host(options => options with { Strict = true });
        AssertReceiptAllocatesNothing(strict, [(Craft.Vxlan(100, Tcp, flags: 0x88), 2)]);
        strict.Tap.Status = TapStatus.Down;
        AssertReceiptAllocatesNothing(strict, [(Craft.Vxlan(100, Tcp), 2)]);
    }

    // ---- super-frames, tags, IPv6 and many VTEPs ----

    private const int SegmentSize = 1000;
    private static readonly byte[] HereIp6 = Craft.Address6("fd00::1");
    private static readonly byte[] ThereIp6 = Craft.Address6("fd00::2");
    private static readonly (int, int)[] OneTag = [(0x8100, 7)];

    public static TheoryData<bool, bool, bool> Flows() => new()
    {
        { true, false, false }, { true, true, false }, { false, false, false }, { false, true, false },
        { true, false, true }, { true, true, true }, { false, false, true }, { false, true, true },
    };

    // A frame of a flow, its checksums right; as a super-frame of that payload, or the segment that starts at an offset of it.
    private static byte[] FlowFrame(bool isTcp, bool isIPv6, bool isTagged, int payload, int offset = 0)
    {
        var transport = isTcp ? Craft.Tcp(1, 2, Craft.Fill(payload)) : Craft.Udp(1, 2, Craft.Fill(payload));
        if (isTcp)
        {
            BinaryPrimitives.WriteUInt32BigEndian(transport.AsSpan(4), (uint)offset);
            transport[13] = 0x10;
        }

        byte[] source = isIPv6 ? HereIp6 : Craft.U32(HereIp), destination = isIPv6 ? ThereIp6 : Craft.U32(ThereIp);
        var protocol = isTcp ? (byte)6 : (byte)17;
        BinaryPrimitives.WriteUInt16BigEndian(transport.AsSpan(isTcp ? 16 : 6), Craft.TransportChecksum(source, destination, protocol, transport));
        var packet = isIPv6 ? Craft.IPv6(source, destination, protocol, transport) : Craft.IPv4(HereIp, ThereIp, protocol, transport, fragment: 0x4000);
        var type = isIPv6 ? 0x86DD : 0x0800;
        return isTagged ? Craft.Tagged(There, Here, OneTag, type, packet) : Craft.Ethernet(There, Here, type, packet);
    }

    private static OffloadFacts FactsOf(bool isTcp, bool isIPv6, bool isTagged)
    {
        var transport = (ushort)(14 + (isTagged ? 4 : 0) + (isIPv6 ? 40 : 20));
        var kind = !isTcp ? SegmentKind.Udp : isIPv6 ? SegmentKind.TcpIPv6 : SegmentKind.TcpIPv4;
        return new OffloadFacts(true, transport, isTcp ? (ushort)16 : (ushort)6, kind, SegmentSize, (ushort)(transport + (isTcp ? 20 : 8)));
    }

    [Theory]
    [MemberData(nameof(Flows))]
    public void Cutting_super_frames_and_finishing_checksums_allocate_nothing_whoever_they_go_to(bool isTcp, bool isIPv6, bool isTagged)
    {
        var facts = FactsOf(isTcp, isIPv6, isTagged);
        var super = FlowFrame(isTcp, isIPv6, isTagged, 10 * SegmentSize);
        var single = FlowFrame(isTcp, isIPv6, isTagged, 100);
        var unfinished = new OffloadFacts(true, facts.ChecksumStart, facts.ChecksumOffset);
        // To one VTEP, and to several of which one wants another VNI.
        foreach (var isKnown in new[] { true, false })
        {
            using var host = MakeHost(2, 3, 4);
            host.Segment.Fdb.Append(MacAddress.Zero, Segments.Vtep(8), new Vni(300), EntryKind.Permanent, 0);
            if (isKnown) host.Segment.Fdb.Learn(MacAddress.FromValue(There), Segments.Address(2), 0);
            AssertNothingAllocated(() =>
            {
                for (var i = 0; i < FrameBatch.DefaultCapacity; i++) host.Tap.Feed(i % 2 == 0 ? super : single, i % 2 == 0 ? facts : unfinished);
                if (host.Encapsulation.Run(host.Port, 0) != FrameBatch.DefaultCapacity) throw new InvalidOperationException("slots are missing");
            });
            Assert.True(host.Counters[Counter.SuperFramesCut] >= Frames / 2);
            Assert.Equal(0, Balance.DropsOut(host.Counters));
        }
    }

    [Theory]
    [MemberData(nameof(Flows))]
    public void Merging_allocates_nothing(bool isTcp, bool isIPv6, bool isTagged)
    {
        byte[][] parts = [.. Enumerable.Range(0, 8).Select(i => Craft.Vxlan(100, FlowFrame(isTcp, isIPv6, isTagged, SegmentSize, i * SegmentSize)))];
        var coalesced = Craft.Concat(parts);
        foreach (var isCoalesced in new[] { true, false })
        {
            using var host = MakeHost(2);
            host.Tap.TakesSuperFrames = host.Tap.TakesUdpSuperFrames = true;
            if (isCoalesced)
            {
                var sender = Segments.Address(2);
                AssertNothingAllocated(() =>
                {
                    for (var i = 0; i < FrameBatch.DefaultCapacity; i++) host.Underlay.Feed(coalesced, sender, parts[0].Length);
                    if (host.Decapsulation.Run(0) != FrameBatch.DefaultCapacity) throw new InvalidOperationException("slots are missing");
                });
            }
            else
            {
                AssertReceiptAllocatesNothing(host, [.. parts.Select(part => (part, 2))]);
            }

            Assert.True(host.Counters[Counter.SuperFramesMerged] > Frames / FrameBatch.DefaultCapacity);
            Assert.Equal(host.Counters[Counter.DatagramsReceived], host.Counters[Counter.TapSent]);
        }
    }

    [Theory]
    [MemberData(nameof(Flows))]
    public void Small_frames_of_many_stations_and_VTEPs_allocate_nothing_either_way(bool isTcp, bool isIPv6, bool isTagged)
    {
        // More VTEPs than a tally has slots, so that they take them from each other.
        int[] vteps = [.. Enumerable.Range(2, 100)];
        using var host = MakeHost(vteps);
        host.Tap.TakesSuperFrames = host.Tap.TakesUdpSuperFrames = true;
        var frame = FlowFrame(isTcp, isIPv6, isTagged, 20);
        AssertReceiptAllocatesNothing(host, [.. vteps.Select(vtep => (Craft.Vxlan(100, [.. frame[..6], .. Craft.Mac(Here + 8 + (ulong)vtep), .. frame[12..]]), vtep))]);
        AssertSendAllocatesNothing(host, [.. vteps.Select(vtep => (byte[])[.. Craft.Mac(Here + 8 + (ulong)vtep), .. frame[6..]])]);
        Assert.Equal(0, host.Counters[Counter.Flooded]);
        var received = host.Segment.Remotes.All.Sum(remote => remote.Counters.DatagramsReceived);
        var sent = host.Segment.Remotes.All.Sum(remote => remote.Counters.DatagramsSent);
        Assert.Equal((host.Counters[Counter.DatagramsReceived], host.Counters[Counter.DatagramsSent]), (received, sent));
    }

    // ---- with a capture on ----

    // The seams of a worker that is captured from, as TapPort and UdpUnderlay have them.
    private sealed class CapturedTap(ITap tap, CaptureRing ring) : ITap
    {
        public bool TakesSuperFrames => tap.TakesSuperFrames;

        public bool TakesUdpSuperFrames => tap.TakesUdpSuperFrames;

        public void Receive(FrameBatch batch) => tap.Receive(batch);

        public TapStatus Send(FrameBatch batch, in Frame frame, ReadOnlySpan<SlabSlice> more)
        {
            ring.AddToTap(Segments.OwnVni.Value, batch, frame, more);
            return tap.Send(batch, frame, more);
        }
    }

    private sealed class CapturedUnderlay(IUnderlay underlay, CaptureRing ring, SourcePorts ports) : IUnderlay
    {
        public void Receive(FrameBatch batch) => underlay.Receive(batch);

        public void Send(DatagramBatch batch)
        {
            underlay.Send(batch);
            ring.AddSent(batch, ports);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_capture_allocates_nothing_on_either_path_whether_it_is_read_or_full(bool isRead)
    {
        using var host = MakeHost(2, 3);
        host.Tap.TakesSuperFrames = host.Tap.TakesUdpSuperFrames = true;
        using var ports = new SourcePorts(new VtepOptions { Local = InternetAddress.FromIPv4(0x7F00_0001) });
        var ring = new CaptureRing(CaptureSession.NowNanoseconds, only: null, int.MaxValue, InternetAddress.FromIPv4(0x7F00_0001), 4789);
        var port = new SegmentPort(host.Segment, new CapturedTap(host.Tap, ring), host.Counters);
        var encapsulation = new EncapsulationPath(new CapturedUnderlay(host.Underlay, ring, ports), Host.Key);
        host.Decapsulation.SetPorts([port]);
        encapsulation.SetCapture(ring);
        host.Decapsulation.SetCapture(ring);

        var facts = FactsOf(isTcp: true, isIPv6: false, isTagged: false);
        var super = FlowFrame(true, false, false, 10 * SegmentSize);
        byte[][] parts = [.. Enumerable.Range(0, 8).Select(i => Craft.Vxlan(100, FlowFrame(true, false, false, SegmentSize, i * SegmentSize)))];
        var noVni = Craft.Vxlan(100, Tcp, flags: 0);
        var sender = Segments.Address(2);
        var seen = 0L;
        AssertNothingAllocated(() =>
        {
            // Known, flooded, answered, cut, dropped; merged, and dropped again.
            for (var i = 0; i < FrameBatch.DefaultCapacity; i++) host.Tap.Feed((i % 5) switch { 0 => Tcp, 1 => Broadcast, 2 => WhoHas, 3 => super, _ => Short }, i % 5 == 3 ? facts : default);
            if (encapsulation.Run(port, 0) != FrameBatch.DefaultCapacity) throw new InvalidOperationException("slots are missing");
            for (var i = 0; i < FrameBatch.DefaultCapacity; i++) host.Underlay.Feed(i % 9 == 8 ? noVni : parts[i % 9], sender);
            if (host.Decapsulation.Run(0) != FrameBatch.DefaultCapacity) throw new InvalidOperationException("slots are missing");
            while (isRead && ring.TryRead(out var packet))
            {
                seen += packet.Bytes.Length;
                ring.Free();
            }
        });
        Assert.True(isRead ? seen > Frames * 100L : ring.Lost > Frames);
        Assert.True(host.Counters[Counter.SuperFramesMerged] > 0 && host.Counters[Counter.SuperFramesCut] > 0 && host.Counters[Counter.Proxied] > 0);
        Assert.True(host.Counters.DropsOut(DropReason.Truncated) > 0 && host.Decapsulation.Unassigned.DropsIn(DropReason.NoVniFlag) > 0);
    }
}
