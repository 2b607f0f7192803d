using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Interop;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// Sends one message over loopback that the kernel is to cut, and looks at what arrives: kernels with a broken UDP_SEGMENT exist, and one
/// without it takes the option for an error.
/// </summary>
internal static class UdpGsoSelfTest
{
    private const int PartSize = 100;
    private const int Parts = 3;
    private const int LastSize = 40;

    /// <summary>The kernel's UDP_MAX_SEGMENTS: 64, and 128 since Linux 6.9.</summary>
    internal static int MaxSegments(bool isIPv6)
    {
        const int Most = 128;
        try
        {
            using var sender = new UnderlaySocket(isIPv6);
            using var receiver = new UnderlaySocket(isIPv6);
            byte[] loopback = isIPv6 ? [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] : [127, 0, 0, 1];
            if (receiver.TryBind(loopback, 0) != 0) return Most / 2;
            var frames = new FrameBatch(capacity: 1);
            using var outgoing = new DatagramSender(frames.Slab, 1, 1);
            outgoing.Begin(loopback, receiver.LocalPort);
            outgoing.AddSlice(frames.HeaderArenaOffset, Most);
            outgoing.CutInto(1);
            var errors = new int[1];
            outgoing.Send(sender, 0, 1, errors);
            return errors[0] == 0 ? Most : Most / 2;
        }
        catch (ErrnoException)
        {
            return Most / 2;
        }
    }

    /// <summary>True if the parts arrived whole, in order and in their sizes.</summary>
    internal static bool Passes(bool isIPv6)
    {
        try
        {
            using var receiver = new UnderlaySocket(isIPv6);
            using var sender = new UnderlaySocket(isIPv6);
            byte[] loopback = isIPv6 ? [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] : [127, 0, 0, 1];
            if (receiver.TryBind(loopback, 0) != 0) return false;
            var frames = new FrameBatch(capacity: Parts);
            var message = frames.Slab.Slice(frames.HeaderArenaOffset, ((Parts - 1) * PartSize) + LastSize);
            for (var i = 0; i < message.Length; i++) message[i] = (byte)(i * 7);

            using var outgoing = new DatagramSender(frames.Slab, 1, 1);
            outgoing.Begin(loopback, receiver.LocalPort);
            outgoing.AddSlice(frames.HeaderArenaOffset, message.Length);
            outgoing.CutInto(PartSize);
            var errors = new int[1];
            outgoing.Send(sender, 0, 1, errors);
            if (errors[0] != 0) return false;

            using var incoming = new DatagramReceiver(frames.Slab, Parts, FrameBatch.SlotSize, FrameBatch.Headroom);
            if (incoming.Receive(receiver) != Parts) return false;
            for (var i = 0; i < Parts; i++)
            {
                var size = i == Parts - 1 ? LastSize : PartSize;
                if (incoming.LengthOf(i) != size || !frames.Room(i)[..size].SequenceEqual(message.Slice(i * PartSize, size))) return false;
            }

            return true;
        }
        catch (ErrnoException)
        {
            // No IPv6 loopback, no descriptors: then it cannot be known, and the plain path works anyway.
            return false;
        }
    }
}
