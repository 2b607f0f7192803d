using Sleeve.DataPlane.Buffers;

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
    /// <summary>Adds frames to <paramref name="batch"/> until it is full or there are none.</summary>
    void Receive(FrameBatch batch);

    /// <summary>Hands a frame to the host. The headroom before it is the callee's to use.</summary>
    TapStatus Send(FrameBatch batch, in Frame frame);
}
