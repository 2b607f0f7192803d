using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// Which multicast groups this VTEP is in: those of its segments that are up. Segments that share a group share its membership; groups take turns over the workers. Under the VTEP's
/// command lock.
/// </summary>
internal sealed class GroupMemberships(IReadOnlyList<Worker> workers)
{
    private readonly Dictionary<InternetAddress, Membership> _joined = [];
    private int _next;

    /// <summary>Datagrams that did not fit the sockets that are open.</summary>
    internal long SocketDrops => _joined.Values.Sum(static membership => membership.Receiver.SocketDrops);

    /// <summary>Whether a segment is in its group.</summary>
    internal bool Has(InternetAddress group, Vni vni) => _joined.TryGetValue(group, out var membership) && membership.Users.Contains(vni);

    /// <summary>Joins a group for a segment.</summary>
    /// <returns>False if it was in the group already.</returns>
    /// <exception cref="ErrnoException">The kernel refuses.</exception>
    internal bool Join(InternetAddress group, int interfaceIndex, Vni vni)
    {
        if (!_joined.TryGetValue(group, out var membership))
        {
            var worker = workers[_next];
            // One socket of the port is bound to the wildcard address alone; it has to agree to the others.
            foreach (var each in workers) each.Underlay.SharePort();
            var receiver = worker.Underlay.OpenGroup(group, interfaceIndex);
            worker.Add(receiver);
            _joined[group] = membership = new Membership(worker, receiver);
            _next = (_next + 1) % workers.Count;
        }

        return membership.Users.Add(vni);
    }

    /// <summary>Leaves a group for a segment, on the host only if it was the last of the group's.</summary>
    /// <returns>False if it was not in the group.</returns>
    internal bool Leave(InternetAddress group, Vni vni)
    {
        if (!_joined.TryGetValue(group, out var membership) || !membership.Users.Remove(vni)) return false;
        if (membership.Users.Count > 0) return true;
        _joined.Remove(group);
        membership.Worker.Remove(membership.Receiver);
        membership.Receiver.Dispose();
        return true;
    }

    /// <summary>Leaves all, once the workers have stopped.</summary>
    internal void Close()
    {
        foreach (var membership in _joined.Values) membership.Receiver.Dispose();
        _joined.Clear();
    }

    private sealed record Membership(Worker Worker, GroupReceiver Receiver)
    {
        internal HashSet<Vni> Users { get; } = [];
    }
}
