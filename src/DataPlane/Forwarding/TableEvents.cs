using Sleeve.DataPlane.Events;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Forwarding;

/// <summary>Tells what a command changed about an FDB entry: one event a destination that came or went.</summary>
internal static class TableEvents
{
    /// <summary>Compares two destination lists of one MAC.</summary>
    public static void PublishChange(EventSource events, MacAddress mac, EntryKind kind, ReplicationList before, ReplicationList after, long nowMilliseconds)
    {
        if (!events.IsHeard) return;
        foreach (var remote in before.Remotes)
            if (!after.Remotes.Contains(remote)) events.Publish(EventKind.Removed, nowMilliseconds, mac, remote: remote.Address.Address);
        foreach (var remote in after.Remotes)
            if (!before.Remotes.Contains(remote)) events.Publish(EventKind.Added, nowMilliseconds, mac, remote: remote.Address.Address, number: (long)kind);
    }
}
