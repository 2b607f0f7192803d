using Sleeve.Control.Store;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;
using static Sleeve.Control.Tests.Store.Values;

namespace Sleeve.Control.Tests.Store;

/// <summary>What a segment learned, packed and put back.</summary>
public class LearnedStationsTests
{
    private const long Now = 10_000_000;
    private static readonly Vni Vni = new(100);

    private static Segment NewSegment(bool ipv4 = true, int ageing = 300, bool learning = true) => new(
        new SegmentOptions { Vni = Vni, Name = "vx1", AgeingSeconds = ageing, Learning = learning, NeighbourSnooping = true },
        new VtepAddress(Ip(ipv4 ? "192.0.2.1" : "2001:db8::1"), 4789));

    private static IEnumerable<string> Show(Segment segment, long now) => segment.Fdb.Snapshot(now).OrderBy(static entry => entry.Mac.ToString(), StringComparer.Ordinal)
        .Select(static entry => $"{entry.Mac} {entry.Kind} {entry.Destinations.Remotes[0].Address} {entry.Destinations.Remotes[0].Vni} {entry.Destinations.Remotes[0].InterfaceIndex} {entry.IdleMilliseconds / 1000}");

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Stations_come_back_as_old_as_they_are(bool ipv4)
    {
        var segment = NewSegment(ipv4);
        segment.SetUp(true, Now);
        var vteps = new[] { 2, 3 }.Select(i => new VtepAddress(Ip(ipv4 ? $"192.0.2.{i}" : $"2001:db8::{i}"), (ushort)(4789 + i))).ToArray();
        segment.Fdb.Add(Mac(1), vteps[0], Vni, EntryKind.Dynamic, Now - 100_000);
        segment.Fdb.Add(Mac(2), vteps[1], new Vni(7), EntryKind.Dynamic, Now, 42);
        segment.Fdb.Add(Mac(3), vteps[0], Vni, EntryKind.Dynamic, Now - 250_000);
        segment.Fdb.Add(Mac(4), vteps[0], Vni, EntryKind.Static, Now);
        segment.Fdb.Append(MacAddress.Zero, vteps[0], Vni, EntryKind.Permanent, Now);
        var packed = LearnedStations.Pack(segment, Now)!;

        // Another boot: the clock of the tables is another.
        const long later = 5_000;
        var restored = NewSegment(ipv4);
        Assert.Equal(2, LearnedStations.Restore(restored, packed, TimeSpan.FromSeconds(60), later));
        var shown = Show(restored, later).ToArray();
        Assert.Equal(2, shown.Length);
        Assert.Matches($"^{Mac(1)} Dynamic {System.Text.RegularExpressions.Regex.Escape(vteps[0].ToString())} 100 0 (159|160|161)$", shown[0]);
        Assert.Matches($"^{Mac(2)} Dynamic {System.Text.RegularExpressions.Regex.Escape(vteps[1].ToString())} 7 42 (59|60|61)$", shown[1]);
    }

    [Theory]
    [InlineData(-1_000_000)]
    [InlineData(-1)]
    [InlineData(0)]
    public void A_clock_that_was_put_back_makes_nothing_older(double hours)
    {
        var segment = Learned(10, out var packed);
        Assert.Equal(10, LearnedStations.Restore(NewSegment(), packed, TimeSpan.FromHours(hours), Now));
        Assert.Equal(Show(segment, Now), Show(Restored(packed, TimeSpan.FromHours(hours)), Now));
    }

    [Theory]
    [InlineData(301)]
    [InlineData(86_400)]
    [InlineData(9e11)]
    public void A_clock_that_was_put_forward_makes_them_too_old_and_they_are_learned_anew(double seconds)
    {
        Learned(10, out var packed);
        var segment = Restored(packed, TimeSpan.FromSeconds(seconds));
        Assert.Empty(segment.Fdb.Snapshot(Now));
        Assert.Equal(LearnResult.Learned, segment.Fdb.Learn(Mac(1), Ip("192.0.2.2"), Now));
    }

    [Fact]
    public void The_longest_and_shortest_ages_do_no_harm()
    {
        Learned(10, out var packed);
        Assert.Empty(Restored(packed, TimeSpan.MaxValue).Fdb.Snapshot(Now));
        Assert.Equal(10, Restored(packed, TimeSpan.MinValue).Fdb.Count);
    }

    [Fact]
    public void Where_nothing_ages_a_day_is_not_too_old_by_more_than_the_default()
    {
        Learned(3, out var packed);
        var segment = NewSegment(ageing: 0);
        Assert.Equal(3, LearnedStations.Restore(segment, packed, TimeSpan.FromSeconds(200), Now));
        Assert.Equal(0, LearnedStations.Restore(NewSegment(ageing: 0), packed, TimeSpan.FromSeconds(301), Now));
    }

    [Fact]
    public void A_segment_that_does_not_learn_gets_none_and_one_that_has_an_entry_keeps_it()
    {
        Learned(3, out var packed);
        Assert.Equal(0, LearnedStations.Restore(NewSegment(learning: false), packed, TimeSpan.Zero, Now));
        var segment = NewSegment();
        segment.Fdb.Add(Mac(1), new VtepAddress(Ip("192.0.2.77"), 4789), Vni, EntryKind.Static, Now);
        Assert.Equal(2, LearnedStations.Restore(segment, packed, TimeSpan.Zero, Now));
        Assert.Equal("192.0.2.77", segment.Fdb.Show(Mac(1), Now)!.Destinations.Remotes[0].Address.Address.ToString());
    }

    [Fact]
    public void Addresses_that_were_heard_come_back()
    {
        var segment = NewSegment();
        var snooped = segment.Neighbours.Snooped!;
        snooped.Note(new AddressClaim(Ip("10.1.1.1"), Mac(1), false), isLocal: true, Now - 10_000);
        snooped.Note(new AddressClaim(Ip("fd00::2"), Mac(2), true), isLocal: false, Now - 20_000);
        snooped.Note(new AddressClaim(Ip("10.1.1.3"), Mac(3), false), isLocal: false, Now - 100_000);
        var packed = LearnedStations.Pack(segment, Now)!;
        var restored = NewSegment();
        Assert.Equal(0, LearnedStations.Restore(restored, packed, TimeSpan.FromSeconds(60), Now));
        var heard = restored.Neighbours.Snooped!.Snapshot(Now).OrderBy(static each => each.Mac.ToString(), StringComparer.Ordinal).ToArray();
        Assert.Contains(heard, static each => each is { IsLocal: true, IsRouter: false } && each.Address == Ip("10.1.1.1") && each.IdleMilliseconds == 70_000);
        Assert.Contains(heard, static each => each is { IsLocal: false, IsRouter: true } && each.Address == Ip("fd00::2") && each.IdleMilliseconds == 80_000);
    }

    [Fact]
    public void Nothing_learned_is_nothing() => Assert.Null(LearnedStations.Pack(NewSegment(), Now));

    [Fact]
    public void Bytes_that_were_not_packed_do_no_harm()
    {
        Learned(50, out var packed);
        var random = new Random(11);
        for (var round = 0; round < 20_000; round++)
        {
            byte[] bytes;
            switch (round % 4)
            {
                case 0:
                    bytes = new byte[random.Next(200)];
                    random.NextBytes(bytes);
                    break;
                case 1:
                    bytes = packed[..random.Next(packed.Length)];
                    break;
                case 2:
                    bytes = [.. packed, .. new byte[random.Next(1, 60)]];
                    break;
                default:
                    bytes = [.. packed];
                    for (var i = random.Next(1, 20); i > 0; i--) bytes[random.Next(i % 2 == 0 ? 13 : bytes.Length)] = (byte)random.Next(256);
                    break;
            }

            var segment = NewSegment(ipv4: round % 2 == 0);
            var restored = LearnedStations.Restore(segment, bytes, TimeSpan.FromSeconds(random.Next(300)), Now);
            Assert.InRange(restored, 0, 50);
            Assert.All(segment.Fdb.Snapshot(Now), static entry => Assert.True(entry.Mac.IsValidSource && entry.Kind == EntryKind.Dynamic));
        }
    }

    private static Segment Learned(int stations, out byte[] packed)
    {
        var segment = NewSegment();
        for (var i = 1; i <= stations; i++) segment.Fdb.Add(Mac(i), new VtepAddress(Ip($"192.0.2.{2 + (i % 5)}"), 4789), Vni, EntryKind.Dynamic, Now);
        packed = LearnedStations.Pack(segment, Now)!;
        return segment;
    }

    private static Segment Restored(byte[] packed, TimeSpan age)
    {
        var segment = NewSegment();
        LearnedStations.Restore(segment, packed, age, Now);
        return segment;
    }
}
