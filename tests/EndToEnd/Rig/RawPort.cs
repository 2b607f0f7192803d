using System.Diagnostics;
using System.Net.Sockets;
using Sleeve.DataPlane.Wire;

namespace Sleeve.EndToEnd.Rig;

/// <summary>
/// A station's place on the overlay device of a VTEP, with raw frames: what it sends goes into the tunnel, what comes out of the tunnel it sees.
/// </summary>
public sealed class RawPort(Host host, string device) : IDisposable
{
    private readonly PacketSocket _socket = new(host, device);
    private int _sent;

    /// <summary>Sends a frame into the tunnel.</summary>
    public void Send(ReadOnlySpan<byte> frame)
    {
        SendAtOnce(frame);
        SleeveProgram.LetPass(_sent++);
    }

    /// <summary>Sends a frame whose order among frames of other flows does not matter.</summary>
    public void SendAtOnce(ReadOnlySpan<byte> frame)
    {
        for (var tries = 0; ; tries++)
        {
            try
            {
                _socket.Send(frame);
                return;
            }
            catch (SocketException full) when (full.SocketErrorCode == SocketError.NoBufferSpaceAvailable && tries < 1000)
            {
                // The device's own queue is full: whoever empties it waits for a core.
                Thread.Sleep(1);
            }
        }
    }

    /// <summary>The next frame out of the tunnel, or null.</summary>
    public byte[]? Receive(TimeSpan timeout)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            var left = timeout - clock.Elapsed;
            if (_socket.Receive(left > TimeSpan.Zero ? left : TimeSpan.Zero) is not { } packet) return null;
            if (!packet.Outgoing) return packet.Bytes;
        }
    }

    /// <summary>Every frame that came out of the tunnel before this one, which must come.</summary>
    public List<byte[]> ReceiveUntil(byte[] marker, TimeSpan? timeout = null)
    {
        var clock = Stopwatch.StartNew();
        var limit = timeout ?? Wait.Soon;
        List<byte[]> before = [];
        while (clock.Elapsed < limit)
        {
            if (Receive(limit - clock.Elapsed) is not { } frame) break;
            if (frame.AsSpan().SequenceEqual(marker)) return before;
            before.Add(frame);
        }

        var others = string.Join(", ", before.Take(5).Select(f => Frames.Show(f)));
        throw new TimeoutException($"the frame {Frames.Show(marker)} did not come, but {before.Count} others: {others}");
    }

    /// <summary>Every frame that comes within a time.</summary>
    public List<byte[]> ReceiveFor(TimeSpan time)
    {
        var clock = Stopwatch.StartNew();
        List<byte[]> frames = [];
        while (clock.Elapsed < time && Receive(time - clock.Elapsed) is { } frame) frames.Add(frame);
        return frames;
    }

    /// <summary>The next frame to a MAC with this ethertype; others are passed over.</summary>
    public byte[] Expect(MacAddress destination, ushort type, TimeSpan? timeout = null)
    {
        var clock = Stopwatch.StartNew();
        var limit = timeout ?? Wait.Soon;
        while (Receive(limit - clock.Elapsed) is { } frame)
        {
            if (MacAddress.Read(frame) == destination && frame[12] == type >> 8 && frame[13] == (type & 0xFF)) return frame;
        }

        throw new TimeoutException($"no frame to {destination} of type {type:x4} came");
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();
}
