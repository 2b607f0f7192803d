using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Interop;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// Sends one message over loopback that the kernel is to cut, and looks at what arrives: kernels with a broken UDP_SEGMENT or UDP_GRO exist, and one
/// without them takes the option for an error.
/// </summary>
internal static class UdpOffloadSelfTest
{
    private const int PartSize = 100;
    private const int Parts = 3;
    private const int LastSize = 40;
    private const int Size = ((Parts - 1) * PartSize) + LastSize;

    /// <summary>UDP_SEGMENT: true if the parts arrived whole, in order and in their sizes.</summary>
    internal static bool Cuts(bool isIPv6) => Run(isIPv6, static rig =>
    {
        if (!rig.TrySend(Size, PartSize) || rig.Receive() != Parts) return false;
        for (var i = 0; i < Parts; i++)
        {
            var size = i == Parts - 1 ? LastSize : PartSize;
            if (rig.Incoming.LengthOf(i) != size || !rig.Frames.Room(i)[..size].SequenceEqual(rig.Message.Slice(i * PartSize, size))) return false;
        }

        return true;
    });

    /// <summary>UDP_GRO: true if the parts, which the kernel cuts, arrived as one message that says how to part it.</summary>
    internal static bool Coalesces(bool isIPv6) => Run(isIPv6, static rig =>
        rig.Receiver.TrySet(LibC.SOL_UDP, LibC.UDP_GRO, 1) && rig.TrySend(Size, PartSize) && rig.Receive() == 1
        && rig.Incoming.LengthOf(0) == Size && rig.Incoming.SegmentSizeOf(0) == PartSize && rig.Frames.Room(0)[..Size].SequenceEqual(rig.Message[..Size]));

    /// <summary>The kernel's UDP_MAX_SEGMENTS: 64, and 128 since Linux 6.9.</summary>
    internal static int MaxSegments(bool isIPv6)
    {
        const int Most = 128;
        return Run(isIPv6, static rig => rig.TrySend(Most, 1)) ? Most : Most / 2;
    }

    private static bool Run(bool isIPv6, Func<Rig, bool> test)
    {
        try
        {
            using var rig = new Rig(isIPv6);
            return rig.IsReady && test(rig);
        }
        catch (ErrnoException)
        {
            // No IPv6 loopback, no descriptors: then it cannot be known, and the plain path works anyway.
            return false;
        }
    }

    private sealed class Rig : IDisposable
    {
        private readonly UnderlaySocket _sender;
        private readonly DatagramSender _outgoing;
        private readonly byte[] _loopback;

        internal Rig(bool isIPv6)
        {
            _loopback = isIPv6 ? [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] : [127, 0, 0, 1];
            Receiver = new UnderlaySocket(isIPv6);
            _sender = new UnderlaySocket(isIPv6);
            IsReady = Receiver.TryBind(_loopback, 0) == 0;
            _outgoing = new DatagramSender(Frames.Slab, 1, 1);
            Incoming = new DatagramReceiver(Frames.Slab, Parts, FrameBatch.SlotSize, FrameBatch.Headroom);
            for (var i = 0; i < Message.Length; i++) Message[i] = (byte)(i * 7);
        }

        internal bool IsReady { get; }

        internal UnderlaySocket Receiver { get; }

        internal FrameBatch Frames { get; } = new(capacity: Parts);

        internal DatagramReceiver Incoming { get; }

        internal Span<byte> Message => Frames.Slab.Slice(Frames.HeaderArenaOffset, Size);

        internal bool TrySend(int length, ushort partSize)
        {
            _outgoing.Begin(_loopback, Receiver.LocalPort);
            _outgoing.AddSlice(Frames.HeaderArenaOffset, length);
            _outgoing.CutInto(partSize);
            Span<int> errors = [0];
            _outgoing.Send(_sender, 0, 1, errors);
            return errors[0] == 0;
        }

        internal int Receive() => Incoming.Receive(Receiver);

        public void Dispose()
        {
            Incoming.Dispose();
            _outgoing.Dispose();
            _sender.Dispose();
            Receiver.Dispose();
        }
    }
}
