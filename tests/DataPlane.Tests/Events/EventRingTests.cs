using Sleeve.DataPlane.Events;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Tests.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Tests.Events;

public class EventRingTests
{
    private readonly EventRing _ring = new();

    private EventSource Source => new(_ring, Segments.OwnVni, "test");

    private static List<SegmentEvent> ReadAll(EventReader reader)
    {
        var events = new List<SegmentEvent>();
        while (reader.TryRead(out var happened)) events.Add(happened);
        return events;
    }

    [Fact]
    public void Readers_get_what_is_published_while_they_listen_in_order()
    {
        Source.Publish(EventKind.Learned, 1, Segments.Mac(1));
        using var first = _ring.Listen();
        Source.Publish(EventKind.Learned, 2, Segments.Mac(2));
        using var second = _ring.Listen();
        Source.Publish(EventKind.Aged, 3, Segments.Mac(3), Segments.Address(4), Segments.Address(5), 6);
        Assert.Equal([2L, 3L], ReadAll(first).Select(happened => happened.AtMilliseconds));
        var last = Assert.Single(ReadAll(second));
        Assert.Equal((EventKind.Aged, Segments.Mac(3), Segments.Address(4), Segments.Address(5), 6L), (last.Kind, last.Mac, last.Address, last.Remote, last.Number));
        Assert.Equal(0, first.TakeLost());
    }

    [Fact]
    public void Nothing_is_kept_while_nobody_listens()
    {
        Assert.False(_ring.IsHeard);
        var reader = _ring.Listen();
        Assert.True(_ring.IsHeard);
        reader.Dispose();
        reader.Dispose();
        Assert.False(_ring.IsHeard);
        Source.Publish(EventKind.Learned, 1);
        Assert.Equal(0, _ring.Next);
    }

    [Theory]
    [InlineData(EventRing.Capacity, 0)]
    [InlineData(EventRing.Capacity + 1, 1)]
    [InlineData((3 * EventRing.Capacity) + 5, (2 * EventRing.Capacity) + 5)]
    public void A_reader_that_falls_behind_is_told_how_many_it_lost(int published, int lost)
    {
        using var reader = _ring.Listen();
        for (var i = 0; i < published; i++) Source.Publish(EventKind.Learned, i);
        var events = ReadAll(reader);
        Assert.Equal(published - lost, events.Count);
        Assert.Equal(published - 1, events[^1].AtMilliseconds);
        Assert.Equal(lost, reader.TakeLost());
        Assert.Equal(0, reader.TakeLost());
    }

    [Fact]
    public void Publishing_allocates_nothing()
    {
        using var reader = _ring.Listen();
        var source = Source;
        source.Publish(EventKind.Learned, 0);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100_000; i++) source.Publish(EventKind.Learned, i, Segments.Mac(1));
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void Every_event_of_many_publishers_is_read_whole_or_counted_as_lost()
    {
        const int Publishers = 4;
        const int Each = 200_000;
        using var reader = _ring.Listen();
        var source = Source;
        var threads = Enumerable.Range(0, Publishers).Select(publisher => new Thread(() =>
        {
            for (var i = 0; i < Each; i++)
            {
                var number = ((long)publisher * Each) + i;
                source.Publish(EventKind.Learned, number, MacAddress.FromValue((ulong)number), number: number);
            }
        })).ToArray();
        foreach (var thread in threads) thread.Start();
        long read = 0;
        long lost = 0;
        var last = new long[Publishers];
        while (read + lost < Publishers * Each)
        {
            while (reader.TryRead(out var happened))
            {
                read++;
                Assert.Equal(happened.AtMilliseconds, happened.Number);
                Assert.Equal((ulong)happened.Number, happened.Mac.Value);
                var publisher = happened.Number / Each;
                Assert.True(happened.Number >= last[publisher], "out of order");
                last[publisher] = happened.Number;
            }

            lost += reader.TakeLost();
            Thread.Yield();
        }

        foreach (var thread in threads) thread.Join();
        Assert.Equal(Publishers * Each, read + lost);
        Assert.False(reader.TryRead(out _));
    }

    [Fact]
    public void The_FDB_tells_what_is_learned_moved_aged_added_and_removed()
    {
        var segment = new Segment(new SegmentOptions { Vni = Segments.OwnVni, Name = "vx0", AgeingSeconds = 10 }, Segments.Self, _ring);
        using var reader = _ring.Listen();
        var fdb = segment.Fdb;
        fdb.Learn(Segments.Mac(1), Segments.Address(2), 0);
        fdb.Learn(Segments.Mac(1), Segments.Address(2), 1);
        fdb.Learn(Segments.Mac(1), Segments.Address(3), 2);
        fdb.AgeOut(20_000);
        fdb.Append(MacAddress.Zero, Segments.Vtep(2), Segments.OwnVni, EntryKind.Permanent, 20_001);
        fdb.Append(MacAddress.Zero, Segments.Vtep(3), Segments.OwnVni, EntryKind.Permanent, 20_002);
        fdb.Append(MacAddress.Zero, Segments.Vtep(3), Segments.OwnVni, EntryKind.Permanent, 20_003);
        fdb.Delete(MacAddress.Zero, Segments.Vtep(2), Segments.OwnVni, 20_004);
        fdb.Add(Segments.Mac(4), Segments.Vtep(2), Segments.OwnVni, EntryKind.Static, 20_005);
        fdb.Replace(Segments.Mac(4), Segments.Vtep(3), Segments.OwnVni, EntryKind.Static, 20_006);
        fdb.Learn(Segments.Mac(5), Segments.Address(2), 20_007);
        segment.SetUp(false, 20_008);
        segment.SetUp(false, 20_009);
        segment.SetUp(true, 20_010);
        var seen = ReadAll(reader).Select(happened => $"{happened.Kind} {happened.Mac.Value & 0xFF} {Last(happened.Remote)} {Last(happened.Address)} {happened.Number} {happened.AtMilliseconds}");
        Assert.Equal(
            [
                "Learned 1 2 0 0 0", "Moved 1 3 2 0 2", "Aged 1 3 0 0 20000", "Added 0 2 0 2 20001", "Added 0 3 0 2 20002", "Removed 0 2 0 0 20004",
                "Added 4 2 0 1 20005", "Removed 4 2 0 0 20006", "Added 4 3 0 1 20006", "Learned 5 2 0 0 20007", "LinkDown 0 0 0 0 20008", "Removed 5 2 0 0 20008", "LinkUp 0 0 0 0 20010",
            ],
            seen);

        static uint Last(InternetAddress address) => address.IPv4Value & 0xFF;
    }
}
