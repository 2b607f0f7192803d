using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Tests.Forwarding;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Pipeline;

/// <summary>Congestion marks of the underlay on their way into frames, merged and not.</summary>
public sealed class CongestionTests
{
    private const int SegmentSize = 500;

    private static byte[] Part(int index, byte mark, bool isTagged = false)
    {
        var transport = Craft.Tcp(5000, 80, Craft.Fill(SegmentSize));
        var sequence = 1 + (index * SegmentSize);
        Craft.U32((uint)sequence).CopyTo(transport, 4);
        transport[13] = 0x10;
        Craft.U16(Craft.TransportChecksum([10, 1, 1, 1], [10, 1, 1, 2], 6, transport)).CopyTo(transport, 16);
        var packet = Craft.IPv4(0x0A010101, 0x0A010102, 6, transport);
        packet[1] = mark;
        Craft.U16(0x1234 + index).CopyTo(packet, 4);
        packet[10] = packet[11] = 0;
        Craft.U16(Craft.NaiveChecksum(packet.AsSpan(0, 20))).CopyTo(packet, 10);
        return isTagged ? Craft.Tagged(1, 0x0200_0000_0002, [(0x8100, 5)], 0x0800, packet) : Craft.Ethernet(1, 0x0200_0000_0002, 0x0800, packet);
    }

    private static Host Feed(bool merges, bool isTagged, params (byte Inner, byte Outer)[] marks)
    {
        var host = new Host();
        host.Tap.TakesSuperFrames = merges;
        for (var i = 0; i < marks.Length; i++)
            host.Underlay.Feed(Craft.Vxlan(100, Part(i, marks[i].Inner, isTagged)), Segments.Address(2), typeOfService: (byte)(0x20 | marks[i].Outer));
        host.Decapsulation.Run(0);
        return host;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Frames_merge_by_the_marks_they_are_delivered_with(bool isTagged)
    {
        // Two as they are; three marked on the way, one of them before the tunnel; one that the underlay spared.
        using var host = Feed(true, isTagged, (2, 0), (2, 2), (2, 3), (2, 3), (3, 0), (2, 0));
        var network = isTagged ? 18 : 14;
        Assert.Equal([(2, 2), (3, 3), (2, 1)], host.Tap.Delivered.Select(frame => ((int)frame.Bytes[network + 1], (frame.Bytes.Length - network - 40) / SegmentSize)));
        Assert.All(host.Tap.Delivered, frame => Assert.Equal(0, Craft.NaiveChecksum(frame.Bytes.AsSpan(network, 20))));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_mark_that_cannot_be_told_is_loss_also_within_a_run(bool merges)
    {
        using var host = Feed(merges, false, (0, 0), (0, 3), (0, 0));
        Assert.Equal(1, host.Counters.DropsIn(DropReason.EcnContradiction));
        Assert.Equal(2, host.Counters[Counter.TapSent]);
        Assert.Equal([Part(0, 0), Part(2, 0)], host.Tap.Take());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Claims_of_ECN_for_frames_without_are_counted_and_delivered(bool merges)
    {
        using var host = Feed(merges, false, (0, 0), (0, 1), (0, 2), (2, 2));
        Assert.Equal(2, host.Counters[Counter.EcnUnexpected]);
        Assert.Equal(4, host.Counters[Counter.TapSent]);
        Assert.Equal(merges ? 2 : 4, host.Tap.Delivered.Count);
        Assert.All(host.Tap.Take().SkipLast(1), frame => Assert.Equal(0, frame[15]));
    }

    [Fact]
    public void A_dropped_frame_teaches_nothing()
    {
        using var host = Feed(false, false, (0, 3));
        Assert.Empty(host.Segment.Fdb.Snapshot(0));
    }
}
