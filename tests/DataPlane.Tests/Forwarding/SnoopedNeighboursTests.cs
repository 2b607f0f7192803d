using Sleeve.DataPlane.Events;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Tests.Pipeline;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Forwarding;

public class SnoopedNeighboursTests
{
    private const ulong Near = 0x0200_0000_0001;
    private const ulong Far = 0x0200_0000_0002;
    private static readonly InternetAddress Address = Segments.Address("10.1.0.2");

    private static Segment Make(EventRing? ring = null) =>
        new(new SegmentOptions { Vni = Segments.OwnVni, Name = "test", Proxy = true, NeighbourSnooping = true }, Segments.Self, ring);

    private static AddressClaim Claim(ulong mac, string address = "10.1.0.2") => new(Segments.Address(address), MacAddress.FromValue(mac), false);

    private static Segment WithFar(EventRing? ring = null)
    {
        var segment = Make(ring);
        segment.Fdb.Learn(MacAddress.FromValue(Far), Segments.Address(2), 0);
        return segment;
    }

    [Fact]
    public void A_station_behind_a_VTEP_that_was_heard_is_known_until_it_is_silent_for_the_ageing_time()
    {
        var segment = WithFar();
        Assert.False(segment.Neighbours.TryResolve(Address, 0, out _));
        segment.Neighbours.Snooped!.Note(Claim(Far), isLocal: false, 0);
        Assert.True(segment.Neighbours.TryResolve(Address, 299_999, out var neighbour));
        Assert.Equal(new Neighbour(Address, MacAddress.FromValue(Far)), neighbour);
        Assert.False(segment.Neighbours.TryResolve(Address, 300_000, out _));
        segment.Neighbours.Snooped.Note(Claim(Far), isLocal: false, 299_000);
        Assert.True(segment.Neighbours.TryResolve(Address, 300_000, out _));
        Assert.Single(segment.Neighbours.Snooped.Snapshot(300_000));
        Assert.Empty(segment.Neighbours.Snooped.Snapshot(600_000));
    }

    [Fact]
    public void Nobody_is_answered_for_a_local_station_or_one_that_the_FDB_has_forgotten()
    {
        var segment = WithFar();
        segment.Neighbours.Snooped!.Note(Claim(Near, "10.1.0.1"), isLocal: true, 0);
        segment.Neighbours.Snooped.Note(Claim(Far), isLocal: false, 0);
        Assert.False(segment.Neighbours.TryResolve(Segments.Address("10.1.0.1"), 0, out _));
        segment.Fdb.Flush(all: false, 0);
        Assert.False(segment.Neighbours.TryResolve(Address, 0, out _));
    }

    [Fact]
    public void What_an_operator_set_is_never_overridden()
    {
        var segment = WithFar();
        var own = new Neighbour(Address, Segments.Mac(77));
        segment.Neighbours.Snooped!.Note(Claim(Far), isLocal: false, 0);
        segment.Neighbours.Add(own);
        segment.Neighbours.Snooped.Note(Claim(Far), isLocal: false, 100_000);
        Assert.True(segment.Neighbours.TryResolve(Address, 100_000, out var neighbour));
        Assert.Equal(own, neighbour);
        Assert.Empty(segment.Neighbours.Snooped.Snapshot(100_000));
    }

    [Fact]
    public void Two_stations_that_claim_one_address_in_turns_are_told_and_not_answered_with()
    {
        var ring = new EventRing();
        using var reader = ring.Listen();
        var segment = WithFar(ring);
        var snooped = segment.Neighbours.Snooped!;
        for (var i = 0; i < 5; i++) snooped.Note(Claim(i % 2 == 0 ? Far : Near), isLocal: false, i * 1000);
        Assert.Equal(0, Duplicates());
        snooped.Note(Claim(Near), isLocal: false, 5000);
        Assert.Equal(1, Duplicates());
        snooped.Note(Claim(Far), isLocal: false, 6000);
        Assert.False(segment.Neighbours.TryResolve(Address, 7000, out _));
        Assert.True(Assert.Single(snooped.Snapshot(7000)).IsDuplicate);
        snooped.Note(Claim(Far), isLocal: false, 184_000);
        Assert.False(segment.Neighbours.TryResolve(Address, 184_999, out _));
        Assert.True(segment.Neighbours.TryResolve(Address, 185_000, out _));

        int Duplicates()
        {
            var count = 0;
            while (reader.TryRead(out var happened))
            {
                if (happened.Kind != EventKind.DuplicateAddress) continue;
                Assert.Equal((Address, MacAddress.FromValue(Near), (long)Far), (happened.Address, happened.Mac, happened.Number));
                count++;
            }

            return count;
        }
    }

    [Fact]
    public void An_address_that_moves_to_another_station_once_is_followed()
    {
        var segment = WithFar();
        segment.Fdb.Learn(Segments.Mac(9), Segments.Address(3), 0);
        segment.Neighbours.Snooped!.Note(Claim(Far), isLocal: false, 0);
        segment.Neighbours.Snooped.Note(Claim(Segments.Mac(9).Value), isLocal: false, 1);
        Assert.True(segment.Neighbours.TryResolve(Address, 1, out var neighbour));
        Assert.Equal(Segments.Mac(9), neighbour.Mac);
    }

    [Fact]
    public void It_is_bounded_and_the_oldest_go_first()
    {
        var segment = WithFar();
        var snooped = segment.Neighbours.Snooped!;
        for (uint i = 0; i < 100_000; i++) snooped.Note(new AddressClaim(InternetAddress.FromIPv4(0x0B00_0000 + i), MacAddress.FromValue(Far), false), isLocal: false, i / 1000);
        Assert.InRange(snooped.Snapshot(100).Count, SnoopedNeighbours.Capacity * 9 / 10, SnoopedNeighbours.Capacity);
        Assert.True(segment.Neighbours.TryResolve(InternetAddress.FromIPv4(0x0B00_0000 + 99_999), 100, out _));
        Assert.False(segment.Neighbours.TryResolve(InternetAddress.FromIPv4(0x0B00_0000), 100, out _));
    }

    [Fact]
    public void Readers_beside_a_writer_never_see_half_a_claim()
    {
        var segment = Make();
        var snooped = segment.Neighbours.Snooped!;
        for (ulong mac = 1; mac <= 64; mac++) segment.Fdb.Learn(Segments.Mac(mac), Segments.Address(2), 0);
        var stop = false;
        var writer = new Thread(() =>
        {
            // Each address has stations of its own, so a mixture of two slots shows; the addresses crowd the table.
            for (uint i = 0; !Volatile.Read(ref stop); i++)
            {
                var address = 0x0C00_0000 + (i * 7919 % 20_000);
                snooped.Note(new AddressClaim(InternetAddress.FromIPv4(address), Segments.Mac((address % 64) + 1), false), isLocal: false, i / 100_000);
            }
        });
        writer.Start();
        var found = 0;
        for (var i = 0; i < 2_000_000; i++)
        {
            var address = 0x0C00_0000 + (uint)(i % 20_000);
            if (!segment.Neighbours.TryResolve(InternetAddress.FromIPv4(address), 1, out var neighbour)) continue;
            found++;
            if (neighbour.Mac != Segments.Mac((address % 64) + 1)) Assert.Fail($"{neighbour.Mac} for {address:x}");
        }

        Volatile.Write(ref stop, true);
        writer.Join();
        Assert.True(found > 0);
    }

    [Fact]
    public void The_proxy_answers_with_what_it_heard_of_stations_behind_VTEPs()
    {
        using var host = new Host(options => options with { Proxy = true, NeighbourSnooping = true });
        host.FloodTo(2);
        var request = Craft.Ethernet(Craft.Broadcast, Near, 0x0806, Craft.Arp(1, Near, 0x0A010001, 0, 0x0A010002));
        Assert.Single(host.Send(request));
        host.Receive(2, Craft.Vxlan(100, Craft.Ethernet(Near, Far, 0x0806, Craft.Arp(2, Far, 0x0A010002, Near, 0x0A010001))));
        Assert.Empty(host.Send(request));
        Assert.Equal(Craft.Ethernet(Near, Far, 0x0806, Craft.Arp(2, Far, 0x0A010002, Near, 0x0A010001)), Assert.Single(host.Tap.Take())[..42]);
        // The station behind the TAP was heard too, but it answers itself.
        Assert.Equal(2, host.Segment.Neighbours.Snooped!.Snapshot(0).Count);
    }
}
