using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Offload;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>The TAP seam over a real TAP queue: one system call a frame, the virtio header in the headroom.</summary>
public sealed class TapPort : ITap
{
    private const uint TcpOffloads = LibC.TUN_F_CSUM | LibC.TUN_F_TSO4 | LibC.TUN_F_TSO6 | LibC.TUN_F_TSO_ECN;
    private const uint UdpOffloads = LibC.TUN_F_USO4 | LibC.TUN_F_USO6;

    private CaptureRing? _capture;
    private uint _captureVni;
    private readonly SlabSlice[] _slices = new SlabSlice[TapDevice.MaxSlices];

    /// <summary>Takes over a queue and sets what the kernel may hand over and will be handed, as far as it knows it.</summary>
    /// <param name="device">The queue.</param>
    /// <param name="receives">Take super-frames from the kernel, to be cut here or by the underlay.</param>
    /// <param name="sends">Hand it super-frames that were merged here.</param>
    public TapPort(TapDevice device, bool receives = true, bool sends = true)
    {
        ArgumentNullException.ThrowIfNull(device);
        Device = device;
        var takesUdp = device.TrySetOffload(TcpOffloads | UdpOffloads);
        var takesTcp = takesUdp || device.TrySetOffload(TcpOffloads);
        if (!receives) device.TrySetOffload(0);
        TakesSuperFrames = sends && takesTcp;
        TakesUdpSuperFrames = sends && takesUdp;
        Reason = !sends ? "switched off" : takesUdp ? "the kernel takes them" : takesTcp ? "before Linux 6.2 the kernel takes none of UDP" : "the kernel refuses TUN_F_TSO4 and TUN_F_TSO6";
    }

    /// <summary>Copies what is sent into a ring from here on, or no more; from any thread.</summary>
    internal void SetCapture(CaptureRing? ring, uint vni)
    {
        _captureVni = vni;
        Volatile.Write(ref _capture, ring);
    }

    /// <summary>The queue.</summary>
    public TapDevice Device { get; }

    /// <summary>Why super-frames are or are not handed to the kernel.</summary>
    public string Reason { get; private set; }

    /// <inheritdoc/>
    public bool TakesSuperFrames { get; private set; }

    /// <inheritdoc/>
    public bool TakesUdpSuperFrames { get; private set; }

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
    public TapStatus Send(FrameBatch batch, in Frame frame, ReadOnlySpan<SlabSlice> more)
    {
        ArgumentNullException.ThrowIfNull(batch);
        var start = new SlabSlice(frame.Offset - VirtioNetHeader.Size, frame.Length + VirtioNetHeader.Size);
        var bytes = batch.Slab.Slice(start.Offset, start.Length);
        if (_capture is { } ring) ring.AddToTap(_captureVni, batch, frame, more);
        VirtioNetHeader.Write(bytes, HeaderOf(frame.Offload));
        switch (more.IsEmpty ? Device.Write(bytes) : Write(batch.Slab, start, more))
        {
            case 0:
                return TapStatus.Sent;
            case -LibC.EIO:
                return TapStatus.Down;
            default:
                // Kernels that refuse super-frames they should take exist (about 6.6.44): do without from here on.
                if (more.IsEmpty) return TapStatus.Rejected;
                TakesSuperFrames = TakesUdpSuperFrames = false;
                Reason = "the kernel said that it takes them and then refused one";
                return TapStatus.Rejected;
        }
    }

    private int Write(PinnedSlab slab, SlabSlice start, ReadOnlySpan<SlabSlice> more)
    {
        _slices[0] = start;
        more.CopyTo(_slices.AsSpan(1));
        return Device.Write(slab, _slices.AsSpan(0, 1 + more.Length));
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
            (header.flags & LibC.VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0, header.csum_start, header.csum_offset, kind, header.gso_size, header.hdr_len,
            (header.gso_type & LibC.VIRTIO_NET_HDR_GSO_ECN) != 0);
    }

    private static LibC.virtio_net_hdr HeaderOf(in OffloadFacts facts) => new()
    {
        flags = facts.NeedsChecksum ? LibC.VIRTIO_NET_HDR_F_NEEDS_CSUM : (byte)0,
        gso_type = TunnelFrame.SegmentationOf(facts),
        hdr_len = facts.HeaderLength,
        gso_size = facts.SegmentSize,
        csum_start = facts.ChecksumStart,
        csum_offset = facts.ChecksumOffset,
    };
}
