using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Bench.Micro;

/// <summary>The underlay seam in memory at its least cost, as <see cref="ReplayTap"/>.</summary>
internal sealed class ReplayUnderlay(byte[][] datagrams, InternetAddress[] senders, int datagramLength = 0) : IUnderlay
{
    private int _next;

    public int BatchSize { get; init; } = FrameBatch.DefaultCapacity;

    public long Sent { get; private set; }

    public void Receive(FrameBatch batch)
    {
        for (var i = 0; i < BatchSize; i++)
        {
            var datagram = datagrams[_next];
            datagram.CopyTo(batch.Room(batch.Count, before: VxlanHeader.Size));
            ref var frame = ref batch.Add(datagram.Length);
            frame.Offset -= VxlanHeader.Size;
            frame.Sender = senders[_next];
            frame.DatagramLength = datagramLength;
            _next = _next + 1 == datagrams.Length ? 0 : _next + 1;
        }
    }

    public void Send(DatagramBatch batch)
    {
        for (var i = 0; i < batch.Count; i++)
        {
            ref var datagram = ref batch[i];
            datagram.Drop = null;
            datagram.Dropped = 0;
            Sent += datagram.Count;
        }
    }
}
