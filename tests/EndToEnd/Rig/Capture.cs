using System.Buffers.Binary;

namespace Sleeve.EndToEnd.Rig;

/// <summary>Collects every frame that passes a device, in order, until disposed.</summary>
public sealed class Capture : IDisposable
{
    private readonly PacketSocket _socket;
    private readonly Thread _thread;
    private readonly List<Packet> _packets = [];
    private volatile bool _stop;
    private volatile int _turns;

    /// <summary>Starts at once: what passes after the constructor returned is seen.</summary>
    public Capture(Host host, string device)
    {
        _socket = new PacketSocket(host, device);
        _thread = new Thread(Collect) { IsBackground = true };
        _thread.Start();
    }

    /// <summary>Everything that had passed when this was asked for, and perhaps more.</summary>
    public IReadOnlyList<Packet> Packets
    {
        get
        {
            var turn = _turns;
            Wait.Until(() => _stop || _turns >= turn + 2, "the capture is behind", pollMilliseconds: 2);
            lock (_packets) return [.. _packets];
        }
    }

    /// <summary>The VXLAN datagrams so far: UDP to this port, in either direction.</summary>
    public IReadOnlyList<OuterPacket> Vxlan(int port = 4789) =>
    [
        .. Packets.Select(p => OuterPacket.TryParse(p.Bytes, out var outer) ? outer : null).OfType<OuterPacket>()
            .Where(p => p.DestinationPort == port),
    ];

    /// <summary>Waits until that many VXLAN datagrams fulfil a condition, then returns them.</summary>
    public IReadOnlyList<OuterPacket> WaitFor(int count, Func<OuterPacket, bool> condition, TimeSpan? timeout = null)
    {
        List<OuterPacket> found = [];
        Wait.Until(() => (found = [.. Vxlan().Where(condition)]).Count >= count, $"{count} datagrams on the underlay", timeout);
        return found;
    }

    /// <summary>Writes everything so far in the file format of libpcap.</summary>
    public void WritePcap(string path)
    {
        using var file = File.Create(path);
        Span<byte> header = stackalloc byte[24];
        BinaryPrimitives.WriteUInt32LittleEndian(header, 0xA1B2C3D4);
        BinaryPrimitives.WriteUInt16LittleEndian(header[4..], 2);
        BinaryPrimitives.WriteUInt16LittleEndian(header[6..], 4);
        BinaryPrimitives.WriteUInt32LittleEndian(header[16..], 262144);
        BinaryPrimitives.WriteUInt32LittleEndian(header[20..], 1);
        file.Write(header);
        var seconds = 0U;
        Span<byte> record = stackalloc byte[16];
        record.Clear();
        foreach (var packet in Packets)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(record, seconds++);
            BinaryPrimitives.WriteUInt32LittleEndian(record[8..], (uint)packet.Bytes.Length);
            BinaryPrimitives.WriteUInt32LittleEndian(record[12..], (uint)packet.Bytes.Length);
            file.Write(record);
            file.Write(packet.Bytes);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stop = true;
        _thread.Join();
        _socket.Dispose();
    }

    private void Collect()
    {
        while (!_stop)
        {
            for (var time = TimeSpan.FromMilliseconds(5); _socket.Receive(time) is { } packet && !_stop; time = TimeSpan.Zero)
            {
                lock (_packets) _packets.Add(packet);
            }

            _turns++;
        }
    }
}
