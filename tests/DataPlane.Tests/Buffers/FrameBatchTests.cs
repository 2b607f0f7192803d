using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Tests.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Tests.Buffers;

public sealed class FrameBatchTests
{
    [Fact]
    public void Slots_are_given_out_in_order_until_none_is_left_and_come_back_all_at_once()
    {
        var batch = new FrameBatch(4);
        for (var i = 0; i < 4; i++)
        {
            Assert.False(batch.IsFull);
            ref var frame = ref batch.Add(10 + i);
            Assert.Equal((i * FrameBatch.SlotSize) + FrameBatch.Headroom, frame.Offset);
            Assert.Equal(10 + i, batch[i].Length);
        }

        Assert.True(batch.IsFull);
        batch.Clear();
        Assert.Equal(0, batch.Count);
        Assert.False(batch.IsFull);
    }

    [Fact]
    public void A_slot_taken_again_remembers_nothing()
    {
        var batch = new FrameBatch(1);
        ref var frame = ref batch.Add(100);
        (frame.Offset, frame.Sender, frame.Offload) = (7, InternetAddress.FromIPv4(1), new OffloadFacts(true, 1, 2));
        batch.Clear();
        ref var again = ref batch.Add(5);
        Assert.Equal((FrameBatch.Headroom, 5, default, default(InternetAddress)), (again.Offset, again.Length, again.Offload, again.Sender));
    }

    [Fact]
    public void Neither_slots_nor_the_header_arena_overlap()
    {
        var batch = new FrameBatch(3);
        batch.Slab.Slice(0, batch.Slab.Length).Clear();
        for (var i = 0; i < 3; i++)
        {
            var room = batch.Room(i, before: FrameBatch.Headroom);
            Assert.Equal(FrameBatch.SlotSize, room.Length);
            Assert.Equal(-1, room.IndexOfAnyExcept((byte)0));
            room.Fill((byte)(i + 1));
        }

        var arena = batch.Slab.Slice(batch.HeaderArenaOffset, FrameBatch.HeaderArenaSize);
        Assert.Equal(-1, arena.IndexOfAnyExcept((byte)0));
        Assert.Equal(batch.Slab.Length, batch.HeaderArenaOffset + FrameBatch.HeaderArenaSize);
    }

    [Fact]
    public void The_headroom_holds_its_largest_user()
    {
        // Outer Ethernet, IPv6, UDP, VXLAN, and a virtio header with tunnel offload.
        Assert.True(FrameBatch.Headroom >= 14 + 40 + 8 + 8 + 24);
        Assert.True(FrameBatch.HeaderArenaSize >= DatagramBatch.DefaultCapacity * VxlanHeader.Size);
    }

    [Fact]
    public void A_part_outside_the_slab_is_refused()
    {
        var slab = new FrameBatch(1).Slab;
        Assert.Throws<ArgumentOutOfRangeException>(() => { slab.Slice(slab.Length - 3, 4); });
        Assert.Throws<ArgumentOutOfRangeException>(() => { slab.Slice(-1, 4); });
    }

    [Fact]
    public void Headers_go_in_front_of_the_frame_or_beside_it()
    {
        var frames = new FrameBatch(2);
        var datagrams = new DatagramBatch(frames, capacity: 3);
        var segment = Segments.Make();
        segment.Fdb.Append(MacAddress.Zero, Segments.Vtep(2), new Vni(0x123456), EntryKind.Permanent, 0);
        var remote = segment.Fdb.Default.Remotes[0];
        ref var frame = ref frames.Add(60);
        frames.Room(0, before: FrameBatch.Headroom).Fill(0xAA);

        datagrams.Add(frame, remote, 1, headerInPlace: true);
        datagrams.Add(frame, remote, 2, headerInPlace: false);
        datagrams.Add(frame, remote, 3, headerInPlace: false);
        Assert.True(datagrams.IsFull);
        Assert.True(datagrams[0].IsContiguous);
        Assert.False(datagrams[1].IsContiguous);
        Assert.Equal(frames.HeaderArenaOffset + 8, datagrams[2].HeaderOffset);
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal([8, 0, 0, 0, 0x12, 0x34, 0x56, 0], frames.Slab.Slice(datagrams[i].HeaderOffset, 8).ToArray());
            Assert.Equal(68, datagrams[i].Length);
        }

        Assert.Equal(-1, frames.Bytes(frame).IndexOfAnyExcept((byte)0xAA));
        datagrams.Clear();
        datagrams.Add(frame, remote, 4, headerInPlace: false);
        Assert.Equal(frames.HeaderArenaOffset, datagrams[0].HeaderOffset);
    }

    [Fact]
    public void A_batch_of_more_datagrams_than_the_arena_has_headers_is_refused()
    {
        var frames = new FrameBatch(1);
        const int Most = FrameBatch.HeaderArenaSize / VxlanHeader.Size;
        Assert.Equal(0, new DatagramBatch(frames, Most).Count);
        Assert.Throws<ArgumentOutOfRangeException>(() => new DatagramBatch(frames, Most + 1));
    }
}
