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

    /// <summary>Joins a group for a segment; again is no error.</summary>
    /// <exception cref="ErrnoException">The kernel refuses.</exception>
    internal void Join(InternetAddress group, int interfaceIndex, Vni vni)
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

        membership.Users.Add(vni);
    }

    /// <summary>Leaves a group if the segment was its last; one that it is not in is no error.</summary>
    internal void Leave(InternetAddress group, Vni vni)
    {
        if (!_joined.TryGetValue(group, out var membership) || !membership.Users.Remove(vni) || membership.Users.Count > 0) return;
        _joined.Remove(group);
        membership.Worker.Remove(membership.Receiver);
        membership.Receiver.Dispose();
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
