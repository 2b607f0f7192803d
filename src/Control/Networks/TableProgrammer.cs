using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;

namespace Sleeve.Control.Networks;

/// <summary>What a segment's tables were changed by.</summary>
internal sealed record TableChanges
{
    /// <summary>FDB entries, neighbours and VTEPs of the replication list that were not there.</summary>
    public int Added { get; init; }

    /// <summary>Those that are different now, or came in a newer version.</summary>
    public int Changed { get; init; }

    /// <summary>Those that went.</summary>
    public int Removed { get; init; }

    /// <summary>Claims that lost, and entries that could not be had, as they came up with this change; one line each, at most <see cref="SegmentProgram.MaxConflicts"/>.</summary>
    public IReadOnlyList<string> Conflicts { get; init; } = [];

    /// <summary>Whether anything was changed.</summary>
    public bool Any => Added + Changed + Removed > 0;
}

/// <summary>
/// Brings what hosts publish of a network into the tables of its segment: the replication list is the live VTEPs of its members but this one, every endpoint of another host that
/// lives has an FDB entry and its addresses are neighbours. What did not change is not touched, nor are entries of the operator; what was learned gives way.
/// Endpoints of this host have neither: they answer for themselves on the bridge, and an answer of the proxy would teach the bridge that they are behind the TAP.
/// Any thread; one change of a segment at a time.
/// </summary>
internal sealed class TableProgrammer
{
    private readonly Lock _turn = new();
    private readonly Dictionary<string, SegmentProgram> _programs = [];

    /// <summary>Brings a segment's tables to what a view says. Costs a look at each endpoint, and a change of the tables for each that is different.</summary>
    /// <param name="segment">The segment; another object under the same name is looked at in full.</param>
    /// <param name="view">The network as it is to be.</param>
    /// <param name="self">Name of this host.</param>
    /// <param name="isUp">Whether a host's VTEP is alive.</param>
    /// <param name="everything">Look at each entry, whether or not what was published changed: for what somebody else changed in the tables.</param>
    public TableChanges Apply(Segment segment, NetworkView view, string self, Func<string, bool> isUp, bool everything = false)
    {
        lock (_turn)
        {
            if (!_programs.TryGetValue(segment.Options.Name, out var program) || program.Segment != segment || program.Self != self)
                _programs[segment.Options.Name] = program = new SegmentProgram(segment, self);
            return program.Apply(view, isUp, everything, Vtep.NowMilliseconds);
        }
    }

    /// <summary>The claims that lose at the moment, and entries that cannot be had; one line each.</summary>
    public IReadOnlyList<string> ConflictsOf(string device)
    {
        lock (_turn) return _programs.TryGetValue(device, out var program) ? program.Conflicts : [];
    }

    /// <summary>Forgets a segment that is gone.</summary>
    public void Forget(string device)
    {
        lock (_turn) _programs.Remove(device);
    }
}
