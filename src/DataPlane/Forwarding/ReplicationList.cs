using System.Collections.Immutable;

namespace Sleeve.DataPlane.Forwarding;

/// <summary>
/// The VTEPs that get a copy of a frame, immutable. Of one for a unicast entry; of all VTEPs of the segment for broadcast, unknown and multicast
/// frames (head-end replication, RFC 8365, section 5.1.3 in its ingress form).
/// </summary>
public sealed class ReplicationList
{
    /// <summary>Remotes a list may have: the cost of a broadcast is one send each.</summary>
    public const int MaxRemotes = 4096;

    internal ReplicationList(ImmutableArray<Remote> remotes)
    {
        Remotes = remotes;
        First = remotes.IsEmpty ? null : remotes[0];
        Only = remotes.Length == 1 ? remotes[0] : null;
    }

    /// <summary>No destination at all.</summary>
    public static ReplicationList Empty { get; } = new([]);

    /// <summary>The remotes in the order they were added.</summary>
    public ImmutableArray<Remote> Remotes { get; }

    /// <summary>The first remote; null if there is none.</summary>
    internal Remote? First { get; }

    /// <summary>The remote if there is but one.</summary>
    internal Remote? Only { get; }

    internal ReplicationList With(Remote remote) => Remotes.IsEmpty ? remote.Alone : new ReplicationList(Remotes.Add(remote));

    internal ReplicationList Without(Remote remote) => Remotes.Length == 1 ? Empty : new ReplicationList(Remotes.Remove(remote));
}
