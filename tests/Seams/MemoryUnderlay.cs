using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Seams;

/// <summary>A datagram that a path sent: the UDP payload as a receiver would see it.</summary>
public sealed record SentDatagram(VtepAddress To, byte[] Bytes, uint FlowHash, OuterClass Outer = default)
{
    public byte[] Frame => Bytes[VxlanHeader.Size..];
}

/// <summary>The underlay seam in memory. Allocates nothing while not recording.</summary>
public sealed class MemoryUnderlay : IUnderlay
{
    private readonly Queue<(byte[] Bytes, InternetAddress Sender, int DatagramLength, byte TypeOfService)> _inbox = new(1024);

    /// <summary>How a datagram to a remote goes; null: all are taken.</summary>
    public Func<Remote, DropReason?>? Outcome { get; set; }

    /// <summary>Asked first about each super-frame: true if it went whole, another way.</summary>
    public Func<DatagramBatch, int, bool>? TakesWhole { get; set; }

    public bool IsRecording { get; set; } = true;

    public List<SentDatagram> Sent { get; } = [];

    /// <summary>Datagrams in each call of <see cref="Send"/>.</summary>
    public List<int> Flushes { get; } = [];

    /// <summary>Feeds a datagram, or several of <paramref name="datagramLength"/> bytes one behind the other, as UDP_GRO hands them over.</summary>
    public void Feed(byte[] datagram, InternetAddress sender, int datagramLength = 0, byte typeOfService = 0) => _inbox.Enqueue((datagram, sender, datagramLength, typeOfService));

    public void Receive(FrameBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        if (batch.Count != 0) throw new InvalidOperationException($"{batch.Count} slots were not given back");
        while (!batch.IsFull && _inbox.TryDequeue(out var datagram))
        {
            var room = batch.Room(batch.Count, before: FrameBatch.Headroom);
            room[..(FrameBatch.Headroom + Math.Min(datagram.Bytes.Length + 256, FrameBatch.MaxFrameSize))].Fill(0xAA);
            datagram.Bytes.CopyTo(room[(FrameBatch.Headroom - VxlanHeader.Size)..]);
            ref var frame = ref batch.Add(datagram.Bytes.Length);
            frame.Offset -= VxlanHeader.Size;
            frame.Sender = datagram.Sender;
            frame.DatagramLength = datagram.DatagramLength;
            frame.OuterTypeOfService = datagram.TypeOfService;
        }
    }

    public void Send(DatagramBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        if (IsRecording) Flushes.Add(batch.Count);
        for (var i = 0; i < batch.Count; i++)
        {
            ref var datagram = ref batch[i];
            datagram.Drop = Outcome?.Invoke(datagram.Remote);
            datagram.Dropped = datagram.Drop is null ? 0 : datagram.Count;
            if (datagram.SuperFrame != 0 && TakesWhole?.Invoke(batch, i) == true) continue;
            if (!IsRecording || datagram.Drop is not null) continue;
            var slices = batch.SlicesOf(datagram);
            for (var each = 0; each < datagram.Count; each++)
            {
                byte[] bytes = [];
                foreach (var slice in slices.Slice(each * datagram.SlicesEach, datagram.SlicesEach)) bytes = [.. bytes, .. batch.Frames.Slab.Slice(slice.Offset, slice.Length)];
                if (each < datagram.Count - 1 && bytes.Length != datagram.LengthEach) throw new InvalidOperationException("a datagram but the last has another length");
                Sent.Add(new SentDatagram(datagram.Remote.Address, bytes, datagram.FlowHash, datagram.Outer));
            }
        }
    }

    /// <summary>The datagrams sent since the last call.</summary>
    public SentDatagram[] Take()
    {
        var sent = Sent.ToArray();
        Sent.Clear();
        return sent;
    }
}
