using Sleeve.DataPlane.Forwarding;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>A segment of a running VTEP, over all workers.</summary>
public sealed class VtepSegment
{
    private readonly IReadOnlyList<SegmentPort> _ports;

    internal VtepSegment(Segment segment, IReadOnlyList<SegmentPort> ports, int queues, bool isSteered)
    {
        Segment = segment;
        _ports = ports;
        Queues = queues;
        IsSteered = isSteered;
    }

    /// <summary>Its tables and state.</summary>
    public Segment Segment { get; }

    /// <summary>Queues of its TAP, at most one a worker.</summary>
    public int Queues { get; }

    /// <summary>Whether each inner flow stays with one worker by our own rule; true with one queue.</summary>
    public bool IsSteered { get; }

    /// <summary>Which super-frames merged from received datagrams its TAP is handed, "tcp udp", "tcp" or "none", and why.</summary>
    public (string Kinds, string Reason) TapOffload
    {
        get
        {
            // A worker whose super-frame was refused does without from there on: it is the one to tell of.
            var taps = _ports.Select(static port => (TapPort)port.Tap).ToArray();
            var tap = taps.FirstOrDefault(static tap => !tap.TakesSuperFrames) ?? taps[0];
            return (!tap.TakesSuperFrames ? "none" : tap.TakesUdpSuperFrames ? "tcp udp" : "tcp", tap.Reason);
        }
    }

    /// <summary>What all workers counted on it, as it stands now.</summary>
    public Counters Counters => Counters.Sum(_ports.Select(static port => port.Counters));

    internal GuardLog GuardLog { get; } = new();

    internal IReadOnlyList<SegmentPort> Ports => _ports;
}
