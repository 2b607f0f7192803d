using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Tests.Pipeline;

/// <summary>The ring of a capture: order, wrapping, loss, packets whose fate comes later, and two threads.</summary>
public class CaptureRingTests
{
    private static readonly InternetAddress Local = InternetAddress.FromIPv4(0x0A00_0001);
    private static readonly InternetAddress Peer = InternetAddress.FromIPv4(0x0A00_0002);

    [Fact]
    public void What_goes_in_comes_out_in_order_however_often_it_wraps()
    {
        var ring = NewRing();
        var random = new Random(7);
        var expected = new Queue<byte[]>();
        for (var round = 0; round < 20_000; round++)
        {
            if (random.Next(2) == 0)
            {
                var frame = new byte[random.Next(1, 9000)];
                random.NextBytes(frame);
                var lost = ring.Lost;
                ring.Hold(5, frame);
                ring.Release(null);
                if (ring.Lost == lost) expected.Enqueue(frame);
                continue;
            }

            for (var count = random.Next(3); count > 0 && expected.TryDequeue(out var next); count--)
            {
                Assert.True(ring.TryRead(out var packet));
                Assert.Equal((CapturePoint.FromTap, 5u, next.Length, null), (packet.Point, packet.Vni, packet.OriginalLength, packet.Drop));
                Assert.True(packet.Bytes.SequenceEqual(next));
                ring.Free();
            }
        }

        while (expected.TryDequeue(out var next))
        {
            Assert.True(ring.TryRead(out var packet));
            Assert.True(packet.Bytes.SequenceEqual(next));
            ring.Free();
        }

        Assert.False(ring.TryRead(out _));
    }

    [Fact]
    public void What_finds_no_room_is_counted_and_the_rest_is_whole()
    {
        var ring = NewRing();
        var frame = new byte[1000];
        const int Many = CaptureRing.Size / 1000;
        for (var i = 0; i < Many; i++)
        {
            ring.Hold(1, frame);
            ring.Release(null);
        }

        var read = 0;
        for (; ring.TryRead(out _); read++) ring.Free();
        Assert.Equal(Many, read + ring.Lost);
        Assert.InRange(ring.Lost, 1, Many / 10);
    }

    [Fact]
    public void A_held_packet_is_seen_with_its_reason_and_before_what_came_of_it()
    {
        var ring = NewRing();
        ring.Hold(1, Peer, [8, 0, 0, 0, 0, 0, 1, 0, 1, 2, 3]);
        Assert.False(ring.TryRead(out _));
        ring.Release(DropReason.UnknownVtep);
        Assert.True(ring.TryRead(out var packet));
        Assert.Equal((CapturePoint.FromUnderlay, DropReason.UnknownVtep, 20 + 8 + 11), (packet.Point, packet.Drop, packet.Bytes.Length));
        // RFC 791: version, total length, protocol, addresses; a header's own sum makes the whole zero.
        Assert.Equal(new byte[] { 0x45, 0, 0, 39 }, packet.Bytes[..4].ToArray());
        Assert.Equal(new byte[] { 10, 0, 0, 2, 10, 0, 0, 1 }, packet.Bytes[12..20].ToArray());
        Assert.Equal(0xFFFF, Sum(packet.Bytes[..20]));
        ring.Free();
        Assert.False(ring.TryRead(out _));
    }

    [Fact]
    public void Others_VNIs_and_bytes_beyond_the_snap_length_stay_out()
    {
        var ring = new CaptureRing(static () => 42, only: 7, snapLength: 16, Local, 4789);
        ring.Hold(8, new byte[100]);
        ring.Release(null);
        ring.Hold(7, new byte[100]);
        ring.Release(null);
        Assert.True(ring.TryRead(out var packet));
        Assert.Equal((7u, 16, 100, 42L), (packet.Vni, packet.Bytes.Length, packet.OriginalLength, packet.Nanoseconds));
        ring.Free();
        Assert.False(ring.TryRead(out _));
        Assert.Equal(0, ring.Lost);
    }

    [Fact]
    public void Writing_allocates_nothing()
    {
        var ring = NewRing();
        var frame = new byte[200];
        for (var i = 0; i < 100; i++) Once();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++) Once();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Once()
        {
            ring.Hold(1, frame);
            ring.Release(DropReason.Hairpin);
            ring.Hold(1, Peer, frame);
            ring.Release(null);
        }
    }

    [Fact]
    public async Task A_reader_on_another_thread_sees_only_whole_packets()
    {
        const int Packets = 200_000;
        var ring = NewRing();
        var writer = Task.Run(() =>
        {
            var frame = new byte[300];
            for (var i = 0; i < Packets; i++)
            {
                var length = 8 + (i % 290);
                frame.AsSpan(0, length).Fill((byte)i);
                BitConverter.TryWriteBytes(frame, i);
                ring.Hold(1, frame.AsSpan(0, length));
                ring.Release(null);
            }
        });
        var (read, last) = (0L, -1);
        while (true)
        {
            var isOver = writer.IsCompleted;
            while (ring.TryRead(out var packet))
            {
                var number = BitConverter.ToInt32(packet.Bytes);
                Assert.True(number > last && packet.Bytes.Length == 8 + (number % 290) && !packet.Bytes[4..].ContainsAnyExcept((byte)number));
                last = number;
                read++;
                ring.Free();
            }

            if (isOver) break;
        }

        await writer;
        Assert.Equal(Packets, read + ring.Lost);
    }

    private static CaptureRing NewRing() => new(static () => 0, null, int.MaxValue, Local, 4789);

    private static int Sum(ReadOnlySpan<byte> header)
    {
        var sum = 0;
        for (var i = 0; i < header.Length; i += 2) sum += (header[i] << 8) | header[i + 1];
        return (sum & 0xFFFF) + (sum >> 16);
    }
}
