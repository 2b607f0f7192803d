using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Interop;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>The TAP seam over a real TAP queue: one system call a frame, the virtio header in the headroom.</summary>
public sealed class TapPort(TapDevice device) : ITap
{
    /// <summary>The queue.</summary>
    public TapDevice Device { get; } = device;

    /// <inheritdoc/>
    public void Receive(FrameBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        while (!batch.IsFull)
        {
            var room = batch.Room(batch.Count, before: VirtioNetHeader.Size);
            // A failure (the interface is down or gone) is for whoever watches the link; here there is just nothing to read.
            var read = Device.Read(room);
            if (read <= VirtioNetHeader.Size) return;
            ref var frame = ref batch.Add(read - VirtioNetHeader.Size);
            frame.Offload = FactsOf(VirtioNetHeader.Read(room));
        }
    }

    /// <inheritdoc/>
    public TapStatus Send(FrameBatch batch, in Frame frame)
    {
        ArgumentNullException.ThrowIfNull(batch);
        var bytes = batch.Slab.Slice(frame.Offset - VirtioNetHeader.Size, frame.Length + VirtioNetHeader.Size);
        VirtioNetHeader.Write(bytes, HeaderOf(frame.Offload));
        return Device.Write(bytes) switch
        {
            0 => TapStatus.Sent,
            -LibC.EIO => TapStatus.Down,
            _ => TapStatus.Rejected,
        };
    }

    private static OffloadFacts FactsOf(LibC.virtio_net_hdr header)
    {
        var kind = (header.gso_type & ~LibC.VIRTIO_NET_HDR_GSO_ECN) switch
        {
            LibC.VIRTIO_NET_HDR_GSO_TCPV4 => SegmentKind.TcpIPv4,
            LibC.VIRTIO_NET_HDR_GSO_TCPV6 => SegmentKind.TcpIPv6,
            LibC.VIRTIO_NET_HDR_GSO_UDP_L4 => SegmentKind.Udp,
            _ => SegmentKind.None,
        };
        return new OffloadFacts(
            (header.flags & LibC.VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0, header.csum_start, header.csum_offset, kind, header.gso_size, header.hdr_len);
    }

    private static LibC.virtio_net_hdr HeaderOf(in OffloadFacts facts) => new()
    {
        flags = facts.NeedsChecksum ? LibC.VIRTIO_NET_HDR_F_NEEDS_CSUM : (byte)0,
        gso_type = facts.Kind switch
        {
            SegmentKind.TcpIPv4 => LibC.VIRTIO_NET_HDR_GSO_TCPV4,
            SegmentKind.TcpIPv6 => LibC.VIRTIO_NET_HDR_GSO_TCPV6,
            SegmentKind.Udp => LibC.VIRTIO_NET_HDR_GSO_UDP_L4,
            _ => LibC.VIRTIO_NET_HDR_GSO_NONE,
        },
        hdr_len = facts.HeaderLength,
        gso_size = facts.SegmentSize,
        csum_start = facts.ChecksumStart,
        csum_offset = facts.ChecksumOffset,
    };
}
