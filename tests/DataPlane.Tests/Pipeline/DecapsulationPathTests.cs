using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;
using static Sleeve.DataPlane.Tests.Forwarding.Segments;

namespace Sleeve.DataPlane.Tests.Pipeline;

/// <summary>Underlay → TAP, over memory.</summary>
public sealed class DecapsulationPathTests : IDisposable
{
    private const ulong Here = 0x0200_0000_0001;
    private const ulong There = 0x0200_0000_0002;
    private const ulong Device = 0x0200_0000_00FF;
    private readonly Host _host = new();

    public void Dispose() => _host.Dispose();

    private static byte[] Frame(ulong source = There, int payload = 46) => Craft.Ethernet(Here, source, 0x88B5, Craft.Fill(payload));

    private static byte[] Datagram(byte[]? frame = null, uint vni = 100, byte flags = 0x08) => Craft.Vxlan(vni, frame ?? Frame(), flags);

    private void Drops(DropReason reason, int vtep, params byte[][] datagrams)
    {
        var before = _host.Counters.DropsIn(reason) + _host.Decapsulation.Unassigned.DropsIn(reason);
        var entries = _host.Segment.Fdb.Snapshot(0).Count;
        Assert.Empty(_host.Receive(vtep, datagrams));
        Assert.Equal(before + datagrams.Length, _host.Counters.DropsIn(reason) + _host.Decapsulation.Unassigned.DropsIn(reason));
        Assert.Equal(entries, _host.Segment.Fdb.Snapshot(0).Count);
    }

    [Fact]
    public void A_frame_is_delivered_byte_for_byte_and_its_source_learned()
    {
        Assert.Equal(Frame(), Assert.Single(_host.Receive(2, Datagram())));
        Assert.Equal(Vtep(2), Assert.Single(_host.Segment.Fdb.Lookup(Mac(2)).Remotes).Address);
        Assert.Equal((1L, 1L, 60L, 1L), (
            _host.Counters[Counter.DatagramsReceived], _host.Counters[Counter.TapSent], _host.Counters[Counter.TapSentBytes], _host.Counters[Counter.Learned]));
    }

    [Fact]
    public void Ignores_reserved_bits_on_receipt()
    {
        // RFC 7348, section 5.
        byte[][] datagrams = [.. Enumerable.Range(0, 64).Where(bit => bit != 4 && bit is < 32 or >= 56).Select(WithBit)];
        Assert.Equal(39, datagrams.Length);
        Assert.Equal(39, _host.Receive(2, datagrams).Length);
    }

    [Fact]
    public void Drops_each_reserved_bit_when_strict()
    {
        using var host = new Host(options => options with { Strict = true });
        byte[][] datagrams = [.. Enumerable.Range(0, 64).Where(bit => bit != 4 && bit is < 32 or >= 56).Select(WithBit)];
        Assert.Empty(host.Receive(2, datagrams));
        Assert.Equal(39, host.Counters.DropsIn(DropReason.ReservedBits));
        Assert.Single(host.Receive(2, Datagram()));
    }

    private static byte[] WithBit(int bit)
    {
        var datagram = Datagram();
        datagram[bit / 8] |= (byte)(0x80 >> (bit % 8));
        return datagram;
    }

    [Fact]
    public void A_datagram_shorter_than_its_headers_is_truncated()
    {
        var whole = Datagram();
        Drops(DropReason.Truncated, 2, [.. Enumerable.Range(0, 22).Select(length => whole[..length])]);
        Assert.Equal(8, _host.Decapsulation.Unassigned.DropsIn(DropReason.Truncated));
        Assert.Equal(14, _host.Counters.DropsIn(DropReason.Truncated));
        Assert.Equal(14, Assert.Single(_host.Receive(2, whole[..22])).Length);
    }

    [Theory]
    [InlineData(0x00)]
    [InlineData(0xF7)]
    [InlineData(0x80)]
    public void Without_the_I_flag_nothing_is_delivered(byte flags) => Drops(DropReason.NoVniFlag, 2, Datagram(flags: flags));

    [Fact]
    public void Another_VNI_is_unknown() =>
        Drops(DropReason.UnknownVni, 2, Datagram(vni: 0), Datagram(vni: 99), Datagram(vni: 101), Datagram(vni: 0xFFFFFF), Datagram(vni: 0x6400));

    [Fact]
    public void Datagrams_of_strangers_are_dropped_once_a_VTEP_is_configured()
    {
        _host.FloodTo(2);
        Drops(DropReason.UnknownVtep, 3, Datagram());
        Assert.Single(_host.Receive(2, Datagram()));
        Assert.Equal(new RemoteCounters(0, 0, 1, 68, 0), _host.Segment.Fdb.Default.Remotes[0].Counters);
    }

    [Fact]
    public void Each_stranger_is_noted_once_and_no_more_than_64()
    {
        _host.FloodTo(2);
        for (var round = 0; round < 2; round++)
            for (var i = 0; i < StrangerLog.Capacity + 1; i++) _host.Receive(1000 + i, Datagram());
        Assert.Equal(Enumerable.Range(1000, StrangerLog.Capacity).Select(Address), _host.Strangers.TakeNew().Select(stranger => stranger.Sender));
        Assert.Empty(_host.Strangers.TakeNew());
        Assert.Equal(2 * (StrangerLog.Capacity + 1), _host.Counters.DropsIn(DropReason.UnknownVtep));
    }

    [Fact]
    public void A_frame_that_claims_to_be_from_the_TAP_is_dropped() => Drops(DropReason.OwnMac, 2, Datagram(Frame(Device)));

    [Theory]
    [InlineData(0UL)]
    [InlineData(Craft.Broadcast)]
    [InlineData(0x0100_5E00_0001UL)]
    [InlineData(0x3333_0000_0001UL)]
    public void A_source_that_is_no_station_is_dropped_also_without_learning_or_a_device_MAC(ulong source)
    {
        Drops(DropReason.InvalidSource, 2, Datagram(Frame(source)));
        using var host = new Host(options => options with { Learning = false });
        host.Segment.DeviceMac = MacAddress.Zero;
        Assert.Empty(host.Receive(2, Datagram(Frame(source))));
        Assert.Equal(1, host.Counters.DropsIn(DropReason.InvalidSource));
    }

    [Fact]
    public void IP_shorter_than_its_header_is_dropped_and_not_learned()
    {
        Drops(DropReason.TruncatedIp, 2,
            Datagram(Craft.Ethernet(Here, There, 0x0800, new byte[19])),
            Datagram(Craft.Ethernet(Here, There, 0x86DD, new byte[39])),
            Datagram(Craft.Tagged(Here, There, [(0x8100, 1)], 0x0800, new byte[19])));
        Assert.Equal(2, _host.Receive(2, Datagram(Craft.Ethernet(Here, There, 0x0800, new byte[20])), Datagram(Craft.Ethernet(Here, There, 0x86DD, new byte[40]))).Length);
    }

    [Fact]
    public void A_source_that_a_static_entry_puts_elsewhere_is_dropped()
    {
        _host.FloodTo(2, 3);
        _host.Segment.Fdb.Add(Mac(2), Vtep(3), OwnVni, EntryKind.Static, 0);
        Drops(DropReason.StaticConflict, 2, Datagram());
        Assert.Single(_host.Receive(3, Datagram()));
    }

    [Fact]
    public void Nothing_is_delivered_or_learned_while_the_TAP_is_down_and_its_dynamic_entries_go()
    {
        _host.FloodTo(2);
        _host.Receive(2, Datagram(Frame(0x0200_0000_0005)));
        Assert.Equal(2, _host.Segment.Fdb.Count);
        _host.Segment.SetUp(false, 0);
        Assert.Equal(1, _host.Segment.Fdb.Count);
        Drops(DropReason.DeviceDown, 2, Datagram());
        _host.Segment.SetUp(true, 0);
        Assert.Single(_host.Receive(2, Datagram()));
    }

    [Theory]
    [InlineData(TapStatus.Down, DropReason.DeviceDown)]
    [InlineData(TapStatus.Rejected, DropReason.TapRejected)]
    public void A_frame_that_the_TAP_does_not_take_is_counted(TapStatus status, DropReason reason)
    {
        _host.Tap.Status = status;
        Assert.Empty(_host.Receive(2, Datagram()));
        Assert.Equal(1, _host.Counters.DropsIn(reason));
    }

    [Fact]
    public void Stations_move_and_a_full_table_still_delivers()
    {
        using var host = new Host(options => options with { MaxAddress = 1 });
        Assert.Single(host.Receive(2, Datagram()));
        Assert.Single(host.Receive(3, Datagram()));
        Assert.Single(host.Receive(3, Datagram(Frame(0x0200_0000_0009))));
        Assert.Equal((1L, 1L, 1L), (host.Counters[Counter.Learned], host.Counters[Counter.Moved], host.Counters[Counter.NotLearned]));
    }

    [Fact]
    public void Without_learning_everything_is_delivered_and_nothing_learned_or_missed()
    {
        using var host = new Host(options => options with { Learning = false });
        Assert.Single(host.Receive(2, Datagram()));
        Assert.Equal(0, host.Segment.Fdb.Count);
        Assert.Equal(0, host.Counters[Counter.NotLearned]);
    }

    [Fact]
    public void Nothing_that_came_from_the_underlay_returns_to_it()
    {
        // Split horizon: broadcast, unknown, and a station known behind a third VTEP.
        _host.FloodTo(2, 3, 4);
        _host.Segment.Fdb.Add(Mac(7), Vtep(3), OwnVni, EntryKind.Permanent, 0);
        foreach (var destination in new[] { Craft.Broadcast, 0x0200_0000_0055UL, 0x0200_0000_0007UL })
            Assert.Single(_host.Receive(2, Datagram(Craft.Ethernet(destination, There, 0x88B5, Craft.Fill(46)))));
        Assert.Empty(_host.Underlay.Take());
    }

    [Fact]
    public void Frames_of_every_kind_and_length_pass_unchanged()
    {
        byte[][] frames =
        [
            Craft.Ethernet(Here, There, 3, [0x42, 0x42, 3]),
            Craft.Tagged(Here, There, [(0x8100, 0xE000)], 0x0800, Craft.IPv4(1, 2, 17, Craft.Udp(1, 2, []))),
            Craft.Tagged(Here, There, [(0x88A8, 7), (0x8100, 8)], 0x88B5, Craft.Fill(47)),
            Craft.Concat(Craft.Ethernet(Here, There, 0x0800, Craft.IPv4(1, 2, 17, Craft.Udp(1, 2, []))), Craft.Fill(18)),
            Craft.Ethernet(Here, There, 0x88B5, Craft.Fill(FrameBatch.MaxFrameSize - 14)),
        ];
        Assert.Equal(frames, _host.Receive(2, [.. frames.Select(frame => Datagram(frame))]));
        Assert.All(_host.Tap.Delivered, frame => Assert.Equal(default, frame.Offload));
    }

    [Fact]
    public void Unfinished_work_travels_with_the_frame_and_is_counted()
    {
        var length = 20 + 5000;
        var tcp = Craft.Tcp(1, 2, Craft.Fill(5000), Craft.UnfinishedChecksum(Craft.U32(1), Craft.U32(2), 6, length));
        var frame = Craft.Ethernet(Here, There, 0x0800, Craft.IPv4(1, 2, 6, tcp));
        _host.Segment.Mtu = 1450;
        _host.Underlay.Feed(Datagram(frame), Address(2));
        _host.Decapsulation.Run(0);
        var delivered = Assert.Single(_host.Tap.Delivered);
        Assert.Equal(frame, delivered.Bytes);
        Assert.Equal(new OffloadFacts(true, 34, 16, SegmentKind.TcpIPv4, 1410, 54), delivered.Offload);
        Assert.Equal(1, _host.Counters[Counter.OffloadRecognised]);
    }

    [Fact]
    public void The_same_MAC_lives_in_two_segments_without_either_knowing()
    {
        var other = _host.AddSegment(Make(options => options with { Vni = new Vni(200) }));
        var mixed = Enumerable.Range(0, 40).Select(i => (Vni: i % 3 == 0 ? 200u : 100u, Frame: Frame(payload: 46 + i))).ToArray();
        var delivered = _host.Receive(2, [.. mixed.Select(item => Datagram(item.Frame, item.Vni))]);
        Assert.Equal(mixed.Where(item => item.Vni == 100).Select(item => item.Frame), delivered);
        Assert.Equal(mixed.Where(item => item.Vni == 200).Select(item => item.Frame), ((MemoryTap)other.Tap).Take());

        _host.Receive(3, Datagram(vni: 200));
        Assert.Equal(Vtep(2), _host.Segment.Fdb.Lookup(Mac(2)).Remotes[0].Address);
        Assert.Equal(Vtep(3), other.Segment.Fdb.Lookup(Mac(2)).Remotes[0].Address);
        _host.RemoveSegment(other);
        Drops(DropReason.UnknownVni, 2, Datagram(vni: 200));
    }

    [Fact]
    public void A_good_datagram_between_bad_ones_is_delivered()
    {
        var delivered = _host.Receive(2, Datagram(vni: 5), Datagram(flags: 0), Datagram(), [], Datagram(Frame(0)), Datagram(Frame(payload: 50)), Datagram(vni: 6));
        Assert.Equal([Frame(), Frame(payload: 50)], delivered);
        Assert.Equal(4, _host.Decapsulation.Unassigned[Counter.DatagramsReceived]);
    }

    [Fact]
    public void A_full_batch_is_taken_and_the_next_one_after_it()
    {
        for (var i = 0; i <= FrameBatch.DefaultCapacity; i++) _host.Underlay.Feed(Datagram(Frame(payload: i)), Address(2 + (i % 2)));
        Assert.Equal(FrameBatch.DefaultCapacity, _host.Decapsulation.Run(0));
        Assert.Equal(1, _host.Decapsulation.Run(0));
        Assert.Equal(0, _host.Decapsulation.Run(0));
        Assert.Equal(FrameBatch.DefaultCapacity + 1, _host.Tap.Take().Length);
    }
}
