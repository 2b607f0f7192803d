using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Doctor.Bench;

/// <summary>A TAP in memory that has one frame, as often as somebody asks, and takes whatever it is given.</summary>
/// <param name="frame">The frame.</param>
internal sealed class LoopTap(byte[] frame) : ITap
{
    /// <inheritdoc/>
    public bool TakesSuperFrames => true;

    /// <inheritdoc/>
    public bool TakesUdpSuperFrames => true;

    /// <inheritdoc/>
    public void Receive(FrameBatch batch)
    {
        while (!batch.IsFull)
        {
            frame.CopyTo(batch.Room(batch.Count));
            batch.Add(frame.Length);
        }
    }

    /// <inheritdoc/>
    public TapStatus Send(FrameBatch batch, in Frame sent, ReadOnlySpan<SlabSlice> more) => TapStatus.Sent;
}

/// <summary>An underlay in memory that has one datagram, as often as somebody asks, and takes whatever it is given.</summary>
/// <param name="datagram">VXLAN header and frame.</param>
/// <param name="sender">The VTEP that it comes from.</param>
internal sealed class LoopUnderlay(byte[] datagram, InternetAddress sender) : IUnderlay
{
    /// <inheritdoc/>
    public void Receive(FrameBatch batch)
    {
        while (!batch.IsFull)
        {
            datagram.CopyTo(batch.Room(batch.Count, before: VxlanHeader.Size));
            ref var frame = ref batch.Add(datagram.Length);
            frame.Offset -= VxlanHeader.Size;
            frame.Sender = sender;
        }
    }

    /// <inheritdoc/>
    public void Send(DatagramBatch batch)
    {
        for (var i = 0; i < batch.Count; i++) (batch[i].Drop, batch[i].Dropped) = (null, 0);
    }
}
