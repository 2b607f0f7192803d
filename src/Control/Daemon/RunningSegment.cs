using Sleeve.Control.Up;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;

namespace Sleeve.Control.Daemon;

/// <summary>A segment that was, and is to go on.</summary>
/// <param name="Asked">What it was asked for: what is asked for now is compared with it.</param>
/// <param name="Restore">Puts back what its tables held.</param>
internal sealed record FormerSegment(UpSegment Asked, Action<Segment> Restore);

/// <summary>A segment that carries frames: what was asked for, its TAP, its tables.</summary>
/// <param name="Asked">What was asked for.</param>
/// <param name="Device">Its TAP.</param>
/// <param name="Place">The namespace that the TAP is in.</param>
/// <param name="Attached">It as the VTEP has it.</param>
/// <param name="MtuSource">Where the TAP's MTU comes from.</param>
internal sealed record RunningSegment(UpSegment Asked, OverlayDevice Device, TapPlace Place, VtepSegment Attached, string MtuSource)
{
    /// <summary>Name of the TAP.</summary>
    public string Name => Asked.Segment.Name;

    /// <summary>Its tables.</summary>
    public Segment Segment => Attached.Segment;
}
