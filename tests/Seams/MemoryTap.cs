using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Pipeline;

namespace Sleeve.Seams;

/// <summary>A frame that a path handed to the host.</summary>
public sealed record DeliveredFrame(byte[] Bytes, OffloadFacts Offload);

/// <summary>
/// The TAP seam in memory. What is fed comes out of <see cref="Receive"/> with rubbish all around it; what is sent is kept, and its headroom
/// scribbled over as the contract allows. Allocates nothing while not recording.
/// </summary>
public sealed class MemoryTap : ITap
{
    private const int ScribbleBytes = 10;
    private readonly Queue<byte[]> _inbox = new(1024);

    public TapStatus Status { get; set; }

    public bool IsRecording { get; set; } = true;

    public List<DeliveredFrame> Delivered { get; } = [];

    public long SentCount { get; private set; }

    /// <summary>Called with every frame that is sent, before it is kept.</summary>
    public Action<ReadOnlyMemory<byte>>? OnSend { get; set; }

    public void Feed(byte[] frame) => _inbox.Enqueue(frame);

    public void Receive(FrameBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        if (batch.Count != 0) throw new InvalidOperationException($"{batch.Count} slots were not given back");
        while (!batch.IsFull && _inbox.TryDequeue(out var frame))
        {
            var room = batch.Room(batch.Count, before: FrameBatch.Headroom);
            room[..(FrameBatch.Headroom + Math.Min(frame.Length + 256, FrameBatch.MaxFrameSize))].Fill(0xAA);
            frame.CopyTo(room[FrameBatch.Headroom..]);
            batch.Add(frame.Length);
        }
    }

    public TapStatus Send(FrameBatch batch, in Frame frame)
    {
        ArgumentNullException.ThrowIfNull(batch);
        batch.Slab.Slice(frame.Offset - ScribbleBytes, ScribbleBytes).Fill(0xEE);
        if (Status != TapStatus.Sent) return Status;
        SentCount++;
        if (!IsRecording) return TapStatus.Sent;
        var bytes = batch.Bytes(frame).ToArray();
        OnSend?.Invoke(bytes);
        Delivered.Add(new DeliveredFrame(bytes, frame.Offload));
        return TapStatus.Sent;
    }

    /// <summary>The bytes delivered since the last call.</summary>
    public byte[][] Take()
    {
        var frames = Delivered.Select(frame => frame.Bytes).ToArray();
        Delivered.Clear();
        return frames;
    }
}
