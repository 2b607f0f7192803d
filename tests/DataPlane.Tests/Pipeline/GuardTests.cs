using Sleeve.DataPlane.Events;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Guards;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Tests.Forwarding;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Pipeline;

/// <summary>The guard rails where frames meet them; that the sums balance is asserted by the host.</summary>
public class GuardTests
{
    private const ulong Station = 0x0200_0000_0001;
    private const ulong Other = 0x0200_0000_0002;
    private static readonly byte[] Payload = Craft.IPv4(0x0A010001, 0x0A0100FF, 17, Craft.Udp(1, 2, Craft.Fill(20)));

    private static byte[] Broadcast(ulong source = Station) => Craft.Ethernet(Craft.Broadcast, source, 0x0800, Payload);

    private static byte[] Unicast(ulong destination) => Craft.Ethernet(destination, Station, 0x0800, Payload);

    private static byte[] Request(ulong source = Station) =>
        Craft.Ethernet(Craft.Broadcast, source, 0x0806, Craft.Arp(1, source, 0x0A010001, 0, 0x0A010002));

    private static Host With(GuardOptions guards, Func<SegmentOptions, SegmentOptions>? more = null) =>
        new(options => (more is null ? options : more(options)) with { Guards = guards });

    private static byte[][] Times(int count, byte[] frame) => [.. Enumerable.Repeat(frame, count)];

    [Fact]
    public void Flooded_frames_of_a_station_beyond_its_limit_are_dropped_and_others_go_on()
    {
        using var host = With(new GuardOptions { FloodPerStation = 10 });
        host.FloodTo(2, 3);
        Assert.Equal(40, host.Send(Times(50, Broadcast())).Length);
        Assert.Equal(30, host.Counters.DropsOut(DropReason.FloodLimit));
        Assert.Equal(2, host.Send(Broadcast(Other)).Length);
        // What has an entry of its own is not flooded.
        host.Segment.Fdb.Learn(Segments.Mac(9), Segments.Address(2), 0);
        Assert.Equal(50, host.Send(Times(50, Unicast(Segments.Mac(9).Value))).Length);
        Assert.Equal(30, host.Counters.DropsOut(DropReason.FloodLimit));
    }

    [Fact]
    public void Flooded_frames_of_a_segment_beyond_its_limit_are_dropped()
    {
        using var host = With(new GuardOptions { FloodPerSegment = 10 });
        host.FloodTo(2);
        var frames = Enumerable.Range(1, 50).Select(i => Broadcast(Station + (ulong)i)).ToArray();
        Assert.Equal(20, host.Send(frames).Length);
        Assert.Equal(30, host.Counters.DropsOut(DropReason.FloodLimit));
        Assert.Equal(30, host.Segment.Guards.Read(GuardLimit.FloodSegment).Refused);
    }

    [Fact]
    public void Unknown_unicast_is_limited_only_if_it_is_replicated_and_only_where_stations_are_learned()
    {
        using (var host = With(new GuardOptions { FloodPerStation = 10 }))
        {
            host.FloodTo(2);
            Assert.Equal(50, host.Send(Times(50, Unicast(Other))).Length);
            host.FloodTo(3);
            Assert.Equal(40, host.Send(Times(50, Unicast(Other))).Length);
        }

        using var unlearned = With(new GuardOptions { FloodPerStation = 10 }, options => options with { Learning = false });
        unlearned.FloodTo(2, 3);
        Assert.Equal(100, unlearned.Send(Times(50, Unicast(Other))).Length);
        Assert.Equal(40, unlearned.Send(Times(50, Broadcast())).Length);
    }

    [Fact]
    public void Requests_of_a_station_beyond_its_limit_are_dropped_both_ways_and_replies_are_not()
    {
        using var host = With(new GuardOptions { Requests = 10 });
        host.FloodTo(2);
        Assert.Equal(20, host.Send(Times(50, Request())).Length);
        Assert.Equal(30, host.Counters.DropsOut(DropReason.RequestLimit));
        var reply = Craft.Ethernet(Craft.Broadcast, Station, 0x0806, Craft.Arp(2, Station, 0x0A010001, 0, 0x0A010002));
        Assert.Equal(50, host.Send(Times(50, reply)).Length);
        Assert.Equal(20, host.Receive(2, Times(50, Craft.Vxlan(100, Request(Other)))).Length);
        Assert.Equal(30, host.Counters.DropsIn(DropReason.RequestLimit));
    }

    [Fact]
    public void Solicitations_count_as_requests()
    {
        using var host = With(new GuardOptions { Requests = 10 });
        host.FloodTo(2);
        var solicitation = Craft.Ethernet(
            0x3333_FF00_0002, Station, 0x86DD,
            Craft.Solicitation(Craft.Address6("fd00::1"), Craft.Address6("ff02::1:ff00:2"), Craft.Address6("fd00::2"), [1, 1, .. Craft.Mac(Station)]));
        Assert.Equal(20, host.Send(Times(50, solicitation)).Length);
        Assert.Equal(30, host.Counters.DropsOut(DropReason.RequestLimit));
    }

    [Fact]
    public void Frames_of_a_station_that_is_held_elsewhere_are_dropped()
    {
        using var host = With(new GuardOptions { Moves = 5 });
        host.FloodTo(2, 3);
        var frame = Craft.Vxlan(100, Broadcast(Other));
        Assert.Single(host.Receive(2, frame));
        for (var i = 0; i < 5; i++) Assert.Single(host.Receive(3 - (i % 2), frame));
        Assert.Empty(host.Receive(2, frame));
        Assert.Single(host.Receive(3, frame));
        Assert.Equal(1, host.Counters.DropsIn(DropReason.MoveHeld));
        Assert.Equal(5, host.Counters[Counter.Moved]);
    }

    [Fact]
    public void Own_flooded_frames_that_come_back_are_counted_and_told_as_a_loop_but_delivered()
    {
        using var host = With(GuardOptions.Standard);
        host.FloodTo(2, 3);
        for (uint i = 0; i < 10; i++)
        {
            var frame = Craft.Ethernet(Craft.Broadcast, Station, 0x0806, Craft.Arp(1, Station, 0x0A010001, 0, 0x0A010100 + i));
            host.Send(frame);
            Assert.Single(host.Receive(3, Craft.Vxlan(100, frame)));
        }

        Assert.Equal(10, host.Counters[Counter.Returned]);
        Assert.Equal(6, host.Segment.Guards.Read(GuardLimit.Loop).Refused);
    }

    [Fact]
    public void A_station_that_moved_away_and_announces_itself_is_no_loop()
    {
        using var host = With(GuardOptions.Standard);
        host.FloodTo(2, 3);
        host.Send(Times(20, Request()));
        // Gratuitous ARP and the reverse ARP of a hypervisor.
        var announcement = Craft.Ethernet(Craft.Broadcast, Station, 0x0806, Craft.Arp(1, Station, 0x0A010001, 0, 0x0A010001));
        var reverse = Craft.Ethernet(Craft.Broadcast, Station, 0x8035, Craft.Arp(3, Station, 0, Station, 0));
        Assert.Equal(10, host.Receive(2, Times(5, Craft.Vxlan(100, announcement))).Length + host.Receive(2, Times(5, Craft.Vxlan(100, reverse))).Length);
        Assert.Equal(0, host.Counters[Counter.Returned]);
    }

    [Fact]
    public void Nothing_is_held_back_with_every_guard_off()
    {
        using var host = With(GuardOptions.None);
        host.FloodTo(2, 3);
        for (var i = 0; i < 100; i++) Assert.Equal(2000, host.Send(Times(1000, Request())).Length);
        var frame = Craft.Vxlan(100, Request(Other));
        for (var i = 0; i < 100; i++) Assert.Single(host.Receive(2 + (i % 2), frame));
        Assert.Equal(0, Balance.DropsOut(host.Counters) + Balance.DropsIn(host.Counters) + host.Counters[Counter.Returned]);
    }

    [Fact]
    public void Guarding_allocates_nothing()
    {
        using var host = With(GuardOptions.Standard, options => options with { L2Miss = true });
        host.FloodTo(2, 3);
        host.Underlay.IsRecording = false;
        host.Tap.IsRecording = false;
        var frames = Times(64, Request());
        var datagram = Craft.Vxlan(100, Request());
        Round();
        Round();
        // The runtime itself may do something once, such as to compile a method again; the path would do it every time.
        Assert.Contains(0, Enumerable.Range(0, 3).Select(_ => AllocatedBy(500)));

        long AllocatedBy(int rounds)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < rounds; i++) Round();
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        void Round()
        {
            foreach (var frame in frames) host.Tap.Feed(frame);
            host.Encapsulation.Run(host.Port, 1);
            for (var i = 0; i < 64; i++) host.Underlay.Feed(datagram, Segments.Address(2 + (i % 2)));
            host.Decapsulation.Run(1);
        }
    }

    [Fact]
    public void Tagged_frames_and_spanning_trees_are_dropped_both_ways_if_told_to()
    {
        using var host = With(GuardOptions.None, options => options with { DropTagged = true, DropSpanningTree = true });
        host.FloodTo(2);
        var tagged = Craft.Tagged(Craft.Broadcast, Station, [(0x8100, 5)], 0x0800, Payload);
        var spanning = Craft.Ethernet(0x0180_C200_0000, Station, 38, Craft.Fill(38));
        Assert.Empty(host.Send(tagged, spanning));
        Assert.Empty(host.Receive(2, Craft.Vxlan(100, tagged), Craft.Vxlan(100, spanning)));
        Assert.Equal((1, 1), (host.Counters.DropsOut(DropReason.InnerVlan), host.Counters.DropsIn(DropReason.InnerVlan)));
        Assert.Equal((1, 1), (host.Counters.DropsOut(DropReason.SpanningTree), host.Counters.DropsIn(DropReason.SpanningTree)));
        Assert.Single(host.Send(Broadcast()));
    }
}
