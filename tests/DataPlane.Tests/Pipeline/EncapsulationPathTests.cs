using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;
using static Sleeve.DataPlane.Tests.Forwarding.Segments;

namespace Sleeve.DataPlane.Tests.Pipeline;

/// <summary>TAP → underlay, over memory.</summary>
public sealed class EncapsulationPathTests : IDisposable
{
    private const ulong Here = 0x0200_0000_0001;
    private const ulong There = 0x0200_0000_0002;
    private readonly Host _host = new();

    public void Dispose() => _host.Dispose();

    private static byte[] Unicast(int payload = 46) => Craft.Ethernet(There, Here, 0x88B5, Craft.Fill(payload));

    private static byte[] Flood(int payload = 46) => Craft.Ethernet(Craft.Broadcast, Here, 0x88B5, Craft.Fill(payload));

    [Fact]
    public void A_known_station_gets_its_frame_behind_a_VXLAN_header_and_nobody_else_does()
    {
        _host.FloodTo(3, 4);
        _host.Segment.Fdb.Learn(Mac(2), Address(2), 0);
        var frame = Unicast();
        var datagram = Assert.Single(_host.Send(frame));
        Assert.Equal(Vtep(2), datagram.To);
        Assert.Equal(Craft.Concat(Craft.Hex("08 000000 000064 00"), frame), datagram.Bytes);
        Assert.Equal((1L, 60L, 1L, 0L, 0L), (
            _host.Counters[Counter.TapReceived], _host.Counters[Counter.TapReceivedBytes], _host.Counters[Counter.DatagramsSent],
            _host.Counters[Counter.Flooded], _host.Counters[Counter.Replicated]));
    }

    [Fact]
    public void A_station_behind_the_only_VTEP_is_not_counted_as_flooded()
    {
        _host.FloodTo(2);
        _host.Segment.Fdb.Learn(Mac(2), Address(2), 0);
        _host.Send(Unicast());
        Assert.Equal(0, _host.Counters[Counter.Flooded]);
        _host.Send(Flood());
        Assert.Equal(1, _host.Counters[Counter.Flooded]);
    }

    [Theory]
    [InlineData(Craft.Broadcast)]
    [InlineData(0x0100_5E00_0001UL)]
    [InlineData(0x3333_0000_0001UL)]
    [InlineData(0x0200_0000_0099UL)]
    public void Broadcast_multicast_and_unknown_go_to_every_remote_once_and_in_order(ulong destination)
    {
        _host.FloodTo(2, 3, 4);
        var frame = Craft.Ethernet(destination, Here, 0x88B5, Craft.Fill(46));
        var sent = _host.Send(frame);
        Assert.Equal([Vtep(2), Vtep(3), Vtep(4)], sent.Select(datagram => datagram.To));
        Assert.All(sent, datagram => Assert.Equal(Craft.Vxlan(100, frame), datagram.Bytes));
        Assert.Equal(2, _host.Counters[Counter.Replicated]);
        Assert.Equal(1, _host.Counters[Counter.Flooded]);
    }

    [Fact]
    public void Copies_with_other_VNIs_get_headers_of_their_own_beside_the_frame()
    {
        _host.FloodTo(2);
        _host.Segment.Fdb.Append(MacAddress.Zero, Vtep(3), new Vni(300), EntryKind.Permanent, 0);
        _host.Segment.Fdb.Append(MacAddress.Zero, Vtep(4, 4790), new Vni(0xFFFFFF), EntryKind.Permanent, 0);
        _host.FloodTo(5);
        var frames = Enumerable.Range(0, 70).Select(i => Flood(46 + i)).ToArray();
        var sent = _host.Send(frames);
        for (var i = 0; i < frames.Length; i++)
        {
            Assert.Equal([(Vtep(2), 100u), (Vtep(3), 300u), (Vtep(4, 4790), 0xFFFFFFu), (Vtep(5), 100u)],
                sent.Skip(i * 4).Take(4).Select(datagram => (datagram.To, (uint)((datagram.Bytes[4] << 16) | (datagram.Bytes[5] << 8) | datagram.Bytes[6]))));
            Assert.All(sent.Skip(i * 4).Take(4), datagram => Assert.Equal(frames[i], datagram.Frame));
        }
    }

    [Fact]
    public void More_remotes_than_a_batch_holds_are_served_in_parts()
    {
        const int Remotes = 1000;
        _host.Segment.Fdb.Append(MacAddress.Zero, Vtep(9999), new Vni(7), EntryKind.Permanent, 0);
        for (var i = 0; i < Remotes - 1; i++)
            _host.Segment.Fdb.Append(MacAddress.Zero, Vtep(2 + i), i % 3 == 0 ? new Vni(300) : OwnVni, EntryKind.Permanent, 0);
        var frames = new[] { Flood(50), Flood(51), Flood(52) };
        var sent = _host.Send(frames);
        Assert.Equal(3 * Remotes, sent.Length);
        Assert.All(_host.Underlay.Flushes, count => Assert.InRange(count, 1, DatagramBatch.DefaultCapacity));
        Assert.Equal((3 * Remotes + DatagramBatch.DefaultCapacity - 1) / DatagramBatch.DefaultCapacity, _host.Underlay.Flushes.Count);
        for (var i = 0; i < sent.Length; i++) Assert.Equal(frames[i / Remotes], sent[i].Frame);
        Assert.Equal(Remotes, sent.Select(datagram => datagram.To).Distinct().Count());
        Assert.Equal(3 * (Remotes - 1), _host.Counters[Counter.Replicated]);
    }

    [Fact]
    public void A_full_batch_of_frames_is_sent_in_one_go_and_the_next_one_after_it()
    {
        _host.FloodTo(2);
        foreach (var i in Enumerable.Range(0, FrameBatch.DefaultCapacity + 1)) _host.Tap.Feed(Flood(46 + i));
        Assert.Equal(FrameBatch.DefaultCapacity, _host.Encapsulation.Run(_host.Port, 0));
        Assert.Equal(1, _host.Encapsulation.Run(_host.Port, 0));
        Assert.Equal(0, _host.Encapsulation.Run(_host.Port, 0));
        Assert.Equal([FrameBatch.DefaultCapacity, 1], _host.Underlay.Flushes);
        Assert.Equal(Enumerable.Range(0, 65).Select(i => 8 + 60 + i), _host.Underlay.Sent.Select(datagram => datagram.Bytes.Length));
    }

    [Fact]
    public void The_longest_frame_gets_through_whole()
    {
        _host.FloodTo(2);
        var frame = Flood(FrameBatch.MaxFrameSize - 14);
        Assert.Equal(frame, Assert.Single(_host.Send(frame)).Frame);
    }

    [Fact]
    public void A_frame_of_fourteen_bytes_is_sent_and_one_of_thirteen_is_truncated()
    {
        _host.FloodTo(2);
        Assert.Single(_host.Send(Flood(0)));
        Assert.Empty(_host.Send(Flood(0)[..13], Flood(0)[..1], []));
        Assert.Equal(3, _host.Counters.DropsOut(DropReason.Truncated));
    }

    [Fact]
    public void Tags_and_the_frames_of_anything_else_travel_unchanged()
    {
        _host.FloodTo(2);
        byte[][] frames =
        [
            Craft.Tagged(Craft.Broadcast, Here, [(0x88A8, 7), (0x8100, 0xE005)], 0x0800, Craft.IPv4(1, 2, 17, Craft.Udp(1, 2, []))),
            Craft.Ethernet(Craft.Broadcast, Here, 3, [0x42, 0x42, 3]),
            Craft.Ethernet(Craft.Broadcast, Here, 0x0800, [0x45]),
        ];
        Assert.Equal(frames, _host.Send(frames).Select(datagram => datagram.Frame));
    }

    [Fact]
    public void Without_a_destination_a_frame_is_dropped()
    {
        Assert.Empty(_host.Send(Unicast(), Flood()));
        Assert.Equal(2, _host.Counters.DropsOut(DropReason.NoRemoteVtep));
    }

    [Fact]
    public void The_null_destination_and_this_VTEP_itself_get_nothing_and_the_others_do()
    {
        _host.Segment.Fdb.Append(MacAddress.Zero, new VtepAddress(InternetAddress.AnyIPv4, Port), OwnVni, EntryKind.Permanent, 0);
        _host.FloodTo(1, 2);
        Assert.Equal(Vtep(2), Assert.Single(_host.Send(Flood())).To);
        Assert.Equal(1, _host.Counters.DropsOut(DropReason.NullDestination));
        Assert.Equal(1, _host.Counters.DropsOut(DropReason.Hairpin));
    }

    [Theory]
    [InlineData(DropReason.NoRoute)]
    [InlineData(DropReason.TooBig)]
    [InlineData(DropReason.WouldBlock)]
    [InlineData(DropReason.Rejected)]
    public void A_remote_that_cannot_be_reached_leaves_the_others_alone(DropReason reason)
    {
        _host.FloodTo(2, 3, 4);
        _host.Underlay.Outcome = remote => remote.Address == Vtep(3) ? reason : null;
        Assert.Equal([Vtep(2), Vtep(4)], _host.Send(Flood()).Select(datagram => datagram.To));
        Assert.Equal(1, _host.Counters.DropsOut(reason));
        var remotes = _host.Segment.Fdb.Default.Remotes;
        Assert.Equal(new RemoteCounters(1, 68, 0, 0, 0), remotes[0].Counters);
        Assert.Equal(new RemoteCounters(0, 0, 0, 0, 1), remotes[1].Counters);
    }

    [Fact]
    public void Every_copy_carries_the_hash_of_the_inner_flow()
    {
        _host.FloodTo(2, 3);
        byte[] Flow(int port) => Craft.Ethernet(There, Here, 0x0800, Craft.IPv4(1, 2, 17, Craft.Udp(port, 53, [])));
        var sent = _host.Send(Flow(1000), Flow(1001), Flow(1000));
        Assert.Equal(sent[0].FlowHash, sent[1].FlowHash);
        Assert.Equal(sent[0].FlowHash, sent[4].FlowHash);
        Assert.NotEqual(sent[0].FlowHash, sent[2].FlowHash);
    }

    [Fact]
    public void A_local_source_is_never_learned()
    {
        _host.FloodTo(2);
        _host.Send(Unicast());
        Assert.Equal(1, _host.Segment.Fdb.Count);
    }

    // ---- proxy ----

    private static byte[] WhoHas(uint target) => Craft.Ethernet(Craft.Broadcast, Here, 0x0806, Craft.Arp(1, Here, 0x0A010001, 0, target));

    private static Host ProxyHost()
    {
        var host = new Host(options => options with { Proxy = true });
        host.Segment.Neighbours.Add(new Neighbour(InternetAddress.FromIPv4(0x0A010002), MacAddress.FromValue(There)));
        host.FloodTo(2);
        return host;
    }

    [Fact]
    public void The_proxy_answers_what_it_knows_to_the_TAP_and_floods_the_rest()
    {
        using var host = ProxyHost();
        var reply = Craft.Ethernet(Here, 0x0200_0000_0003, 0x0806, Craft.Arp(2, 0x0200_0000_0003, 0x0A010003, Here, 0x0A010001));
        var sent = host.Send(WhoHas(0x0A010002), WhoHas(0x0A010009), reply);
        Assert.Equal([WhoHas(0x0A010009), reply], sent.Select(datagram => datagram.Frame));
        Assert.Equal(Craft.Ethernet(Here, There, 0x0806, Craft.Arp(2, There, 0x0A010002, Here, 0x0A010001)), Assert.Single(host.Tap.Take()));
        Assert.Equal(1, host.Counters[Counter.Proxied]);
        Assert.Equal(0, host.Counters[Counter.TapSent]);
    }

    [Fact]
    public void A_neighbour_solicitation_is_answered_although_the_answer_is_longer()
    {
        using var host = ProxyHost();
        var target = Craft.Address6("2001:db8::2");
        host.Segment.Neighbours.Add(new Neighbour(InternetAddress.ReadIPv6(target), MacAddress.FromValue(There)));
        var question = Craft.Ethernet(
            0x3333_FF00_0002, Here, 0x86DD, Craft.Solicitation(Craft.Address6("2001:db8::1"), Craft.Address6("ff02::1:ff00:2"), target, []));
        Assert.Empty(host.Send(Enumerable.Repeat(question, 3).ToArray()));
        var answers = host.Tap.Take();
        Assert.Equal(3, answers.Length);
        Assert.All(answers, answer => Assert.Equal(86, answer.Length));
    }

    [Fact]
    public void Without_the_proxy_all_is_flooded()
    {
        _host.Segment.Neighbours.Add(new Neighbour(InternetAddress.FromIPv4(0x0A010002), MacAddress.FromValue(There)));
        _host.FloodTo(2);
        Assert.Single(_host.Send(WhoHas(0x0A010002)));
        Assert.Empty(_host.Tap.Take());
    }

    [Theory]
    [InlineData(TapStatus.Down, DropReason.DeviceDown)]
    [InlineData(TapStatus.Rejected, DropReason.TapRejected)]
    public void An_answer_that_the_TAP_does_not_take_is_counted(TapStatus status, DropReason reason)
    {
        using var host = ProxyHost();
        host.Tap.Status = status;
        Assert.Empty(host.Send(WhoHas(0x0A010002)));
        Assert.Equal(1, host.Counters.DropsOut(reason));
        Assert.Equal(0, host.Counters[Counter.Proxied]);
    }
}
