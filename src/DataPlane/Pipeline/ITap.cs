using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Interop;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>How the TAP took a frame.</summary>
public enum TapStatus
{
    /// <summary>Taken.</summary>
    Sent,

    /// <summary>The interface is down.</summary>
    Down,

    /// <summary>Refused.</summary>
    Rejected,
}

/// <summary>Where a segment's frames come from and go to: one queue of a TAP, or memory in tests. One thread; never blocks.</summary>
public interface ITap
{
    /// <summary>Whether TCP super-frames may be sent to it.</summary>
    bool TakesSuperFrames { get; }

    /// <summary>Whether UDP super-frames may be sent to it too.</summary>
    bool TakesUdpSuperFrames { get; }

    /// <summary>Adds frames to <paramref name="batch"/> until it is full or there are none.</summary>
    void Receive(FrameBatch batch);

    /// <summary>Hands a frame to the host. The 10 bytes before it are the callee's to use.</summary>
    /// <param name="batch">Where the bytes are.</param>
    /// <param name="frame">The frame, or the headers and first payload of a super-frame.</param>
    /// <param name="more">The payloads that follow, of a super-frame that was merged; at most 128.</param>
    TapStatus Send(FrameBatch batch, in Frame frame, ReadOnlySpan<SlabSlice> more);
}
