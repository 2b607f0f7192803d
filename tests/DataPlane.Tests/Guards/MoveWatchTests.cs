using Sleeve.DataPlane.Events;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Guards;
using Sleeve.DataPlane.Tests.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Tests.Guards;

public class MoveWatchTests
{
    private static readonly MacAddress Station = Segments.Mac(1);

    [Fact]
    public void The_fifth_move_within_180_seconds_is_the_last_for_30_seconds()
    {
        var watch = new MoveWatch(5);
        for (var i = 0; i < 4; i++)
        {
            Assert.True(watch.MayMove(Station, i * 40_000, out var isLast));
            Assert.False(isLast);
        }

        Assert.True(watch.MayMove(Station, 179_999, out var last));
        Assert.True(last);
        Assert.False(watch.MayMove(Station, 180_000, out _));
        Assert.False(watch.MayMove(Station, 179_999 + MoveWatch.HoldMilliseconds - 1, out _));
        for (var i = 0; i < 4; i++) Assert.True(watch.MayMove(Station, 179_999 + MoveWatch.HoldMilliseconds, out last));
        Assert.False(last);
    }

    [Fact]
    public void Moves_in_180_seconds_are_too_slow_to_be_held()
    {
        var watch = new MoveWatch(5);
        for (var i = 0; i < 100; i++)
        {
            Assert.True(watch.MayMove(Station, i * 45_000L, out var isLast));
            Assert.False(isLast);
        }
    }

    // The obvious way: a list of times for each station.
    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    [InlineData(13)]
    public void Agrees_with_lists_of_times(int seed)
    {
        var random = new Random(seed);
        var watch = new MoveWatch(4);
        var model = new Dictionary<MacAddress, (long Since, int Moves, long HeldUntil)>();
        long now = 0;
        for (var i = 0; i < 20_000; i++)
        {
            now += random.Next(0, 6000);
            var mac = Segments.Mac((ulong)random.Next(1, 30));
            var (since, moves, heldUntil) = model.GetValueOrDefault(mac, (now, 0, 0));
            var expected = now >= heldUntil;
            if (expected)
            {
                if (heldUntil != 0 || now - since >= MoveWatch.WindowMilliseconds) (since, moves, heldUntil) = (now, 0, 0);
                if (++moves >= 4) heldUntil = now + MoveWatch.HoldMilliseconds;
            }

            model[mac] = (since, moves, heldUntil);
            Assert.True(expected == watch.MayMove(mac, now, out var isLast), $"seed {seed}, step {i}");
            Assert.Equal(expected && heldUntil > now, isLast);
        }
    }

    [Fact]
    public void Many_stations_that_move_once_are_never_held()
    {
        var watch = new MoveWatch(2);
        for (ulong i = 1; i < 100_000; i++) Assert.True(watch.MayMove(Segments.Mac(i), (long)i, out _));
    }

    [Fact]
    public void A_station_that_flaps_is_held_where_it_is_and_its_frames_from_elsewhere_are_refused()
    {
        var ring = new EventRing();
        var segment = new Segment(
            new SegmentOptions { Vni = Segments.OwnVni, Name = "test", Guards = new GuardOptions { Moves = 5 } }, Segments.Self, ring);
        using var reader = ring.Listen();
        var results = new List<LearnResult>();
        for (var i = 0; i < 10; i++) results.Add(segment.Fdb.Learn(Station, Segments.Address(2 + (i % 2)), i));
        // Learned at 2, then 3 2 3 2 3: the fifth move is the last, and from 2 nothing is taken.
        Assert.Equal(
            [
                LearnResult.Learned, LearnResult.Moved, LearnResult.Moved, LearnResult.Moved, LearnResult.Moved, LearnResult.Moved,
                LearnResult.Held, LearnResult.Known, LearnResult.Held, LearnResult.Known,
            ],
            results);
        Assert.Equal(Segments.Address(3), segment.Fdb.Find(Station)!.First!.Address.Address);
        Assert.Equal(LearnResult.Moved, segment.Fdb.Learn(Station, Segments.Address(2), 10 + MoveWatch.HoldMilliseconds));

        var kinds = new List<EventKind>();
        while (reader.TryRead(out var happened)) kinds.Add(happened.Kind);
        Assert.Equal(1, kinds.Count(kind => kind == EventKind.Guard));
        Assert.Equal(6, kinds.Count(kind => kind == EventKind.Moved));
    }

    [Fact]
    public void A_VTEP_may_fill_half_of_the_table_once_there_is_another()
    {
        var segment = new Segment(
            new SegmentOptions { Vni = Segments.OwnVni, Name = "test", MaxAddress = 10, Guards = GuardOptions.Standard }, Segments.Self);
        Assert.Equal(LearnResult.Learned, segment.Fdb.Learn(Segments.Mac(100), Segments.Address(3), 0));
        for (ulong i = 1; i <= 5; i++) Assert.Equal(LearnResult.Learned, segment.Fdb.Learn(Segments.Mac(i), Segments.Address(2), 0));
        Assert.Equal(LearnResult.Limited, segment.Fdb.Learn(Segments.Mac(6), Segments.Address(2), 0));
        Assert.Equal(LearnResult.Limited, segment.Fdb.Learn(Segments.Mac(100), Segments.Address(2), 0));
        Assert.Equal(LearnResult.Known, segment.Fdb.Learn(Segments.Mac(5), Segments.Address(2), 0));
        Assert.Equal(LearnResult.Learned, segment.Fdb.Learn(Segments.Mac(101), Segments.Address(3), 0));
        // Who leaves makes room.
        segment.Fdb.Delete(Segments.Mac(1), null, Segments.OwnVni, 0);
        Assert.Equal(LearnResult.Learned, segment.Fdb.Learn(Segments.Mac(6), Segments.Address(2), 0));
        Assert.Equal(LearnResult.Moved, segment.Fdb.Learn(Segments.Mac(6), Segments.Address(3), 0));
        Assert.Equal(LearnResult.Learned, segment.Fdb.Learn(Segments.Mac(7), Segments.Address(2), 0));
        segment.Fdb.Flush(all: false, 0);
        for (ulong i = 1; i <= 5; i++) Assert.Equal(LearnResult.Learned, segment.Fdb.Learn(Segments.Mac(i), Segments.Address(2), 0));
        segment.Fdb.AgeOut(1_000_000);
        for (ulong i = 1; i <= 5; i++) Assert.Equal(LearnResult.Learned, segment.Fdb.Learn(Segments.Mac(i), Segments.Address(2), 1_000_000));
    }

    [Fact]
    public void A_VTEP_that_is_alone_may_fill_the_table()
    {
        var segment = new Segment(new SegmentOptions { Vni = Segments.OwnVni, Name = "test", MaxAddress = 10, Guards = GuardOptions.Standard }, Segments.Self);
        for (ulong i = 1; i <= 10; i++) Assert.Equal(LearnResult.Learned, segment.Fdb.Learn(Segments.Mac(i), Segments.Address(2), 0));
        Assert.Equal(LearnResult.Skipped, segment.Fdb.Learn(Segments.Mac(11), Segments.Address(2), 0));
    }
}
