using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Pipeline;

namespace Sleeve.Bench.Micro;

/// <summary>
/// The TAP seam in memory at its least cost: the frames of a ring are copied into slots as a read would, and what is sent is counted. Its part
/// of a benchmark is what <see cref="FramePath.SeamsAlone"/> shows.
/// </summary>
internal sealed class ReplayTap(byte[][] frames, OffloadFacts facts = default, bool takesSuperFrames = false) : ITap
{
    private int _next;

    /// <summary>Frames in a batch, at most; 64 small ones, fewer of super-frames.</summary>
    public int BatchSize { get; init; } = FrameBatch.DefaultCapacity;

    public long Sent { get; private set; }

    public bool TakesSuperFrames => takesSuperFrames;

    public bool TakesUdpSuperFrames => takesSuperFrames;

    public void Receive(FrameBatch batch)
    {
        for (var i = 0; i < BatchSize; i++)
        {
            var frame = frames[_next];
            _next = _next + 1 == frames.Length ? 0 : _next + 1;
            frame.CopyTo(batch.Room(batch.Count));
            batch.Add(frame.Length).Offload = facts;
        }
    }

    public TapStatus Send(FrameBatch batch, in Frame frame, ReadOnlySpan<SlabSlice> more)
    {
        Sent++;
        return TapStatus.Sent;
    }
}
