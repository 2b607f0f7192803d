using Sleeve.DataPlane.Forwarding;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>A segment as one worker sees it: the shared tables, and the worker's own queue of the TAP and counters.</summary>
/// <param name="Segment">Shared by all workers.</param>
/// <param name="Tap">This worker's queue.</param>
/// <param name="Counters">Written by this worker only.</param>
public sealed record SegmentPort(Segment Segment, ITap Tap, Counters Counters);
