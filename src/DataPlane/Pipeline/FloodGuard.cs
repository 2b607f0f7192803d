using Sleeve.DataPlane.Events;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>What is asked of frames from the TAP that have no entry of their own, or several destinations. Known unicast does not come here.</summary>
internal static class FloodGuard
{
    /// <summary>Whether a frame may be flooded; if not, it is to be dropped.</summary>
    /// <param name="segment">Where.</param>
    /// <param name="frame">The frame, as it came from the TAP.</param>
    /// <param name="headers">What was found in it.</param>
    /// <param name="copies">Destinations it has.</param>
    /// <param name="count">Frames it stands for.</param>
    /// <param name="nowMilliseconds">The clock.</param>
    public static bool Admits(Segment segment, ReadOnlySpan<byte> frame, in InnerHeaders headers, int copies, int count, long nowMilliseconds)
    {
        // Unknown unicast to one destination costs what known unicast does; and where nothing is learned it is what a segment is for.
        var isLimited = headers.Destination.IsGroup || (copies > 1 && segment.Options.Learning);
        if (isLimited && !segment.Guards.AdmitsFlood(headers.Source, count, nowMilliseconds)) return false;
        if (headers.Destination.IsGroup) segment.Guards.NoteFlooded(frame, nowMilliseconds);
        return true;
    }

    /// <summary>Tells that a frame has no destination at all (l2miss): never for group addresses.</summary>
    public static void TellMiss(Segment segment, MacAddress destination, long nowMilliseconds)
    {
        if (!segment.Options.L2Miss || destination.IsGroup || destination.IsZero || !segment.Events.IsHeard) return;
        if (segment.Guards.AdmitsMiss(destination.Value, nowMilliseconds)) segment.Events.Publish(EventKind.L2Miss, nowMilliseconds, destination);
    }
}
