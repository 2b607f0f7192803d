using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Forwarding;

/// <summary>
/// Underlay address → remote, which every received datagram asks for. Open addressing over references, at most half full, no removal but by
/// making it anew; the remote itself is the key. Read by any thread without a lock; changed under the forwarding table's lock.
/// </summary>
internal sealed class SenderIndex
{
    private Remote?[] _slots = new Remote?[16];
    private int _count;

    /// <summary>The remote that datagrams of a sender are counted at; null if the sender is not known.</summary>
    internal Remote? Find(InternetAddress sender)
    {
        var slots = Volatile.Read(ref _slots);
        for (var i = sender.GetHashCode(); ; i++)
        {
            var remote = Volatile.Read(ref slots[i & (slots.Length - 1)]);
            if (remote is null || remote.Address.Address == sender) return remote;
        }
    }

    /// <summary>Sets the remote of its address.</summary>
    internal void Set(Remote remote)
    {
        if ((_count + 1) * 2 > _slots.Length) Rebuild(_slots.Length * 2, static _ => true);
        if (Put(_slots, remote)) _count++;
    }

    /// <summary>Keeps only some.</summary>
    internal void Keep(Predicate<Remote> isKept) => Rebuild(_slots.Length, isKept);

    private void Rebuild(int capacity, Predicate<Remote> isKept)
    {
        var slots = new Remote?[capacity];
        _count = 0;
        foreach (var remote in _slots)
            if (remote is not null && isKept(remote) && Put(slots, remote)) _count++;
        Volatile.Write(ref _slots, slots);
    }

    // True if the address was not there.
    private static bool Put(Remote?[] slots, Remote remote)
    {
        var i = remote.Address.Address.GetHashCode() & (slots.Length - 1);
        while (slots[i] is { } other && other.Address.Address != remote.Address.Address) i = (i + 1) & (slots.Length - 1);
        var isNew = slots[i] is null;
        Volatile.Write(ref slots[i], remote);
        return isNew;
    }
}
