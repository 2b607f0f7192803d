namespace Sleeve.DataPlane.Forwarding;

/// <summary>
/// What one worker has still to count of remotes. Their counters are shared by all workers, and a locked instruction costs as much as
/// the rest of a small frame's forwarding; so a batch is added up here and reaches each remote once. Direct-mapped: two remotes of a batch
/// that fall into one slot take it from each other, which costs time and loses nothing. One thread.
/// </summary>
/// <param name="isOnTrial">Count nothing.</param>
internal sealed class RemoteTally(bool isOnTrial = false)
{
    private const int Slots = 64;

    private readonly Slot[] _slots = new Slot[Slots];
    private readonly int[] _used = new int[Slots];
    private int _usedCount;

    /// <summary>Counts datagrams that went to a remote, or should have.</summary>
    internal void CountSent(Remote remote, long datagrams, long bytes, long drops)
    {
        ref var slot = ref SlotOf(remote);
        slot.Sent += datagrams;
        slot.SentBytes += bytes;
        slot.Drops += drops;
    }

    /// <summary>Counts a datagram that was admitted.</summary>
    internal void CountReceived(Remote remote, long bytes)
    {
        ref var slot = ref SlotOf(remote);
        slot.Received++;
        slot.ReceivedBytes += bytes;
    }

    /// <summary>Hands everything over to the remotes; at the end of each batch.</summary>
    internal void Flush()
    {
        foreach (var index in _used.AsSpan(0, _usedCount)) Empty(ref _slots[index]);
        _usedCount = 0;
    }

    private ref Slot SlotOf(Remote remote)
    {
        ref var slot = ref _slots[(int)((uint)remote.Number % Slots)];
        if (slot.Remote != remote) Take(ref slot, remote);
        return ref slot;
    }

    private void Take(ref Slot slot, Remote remote)
    {
        if (slot.Remote is null) _used[_usedCount++] = (int)((uint)remote.Number % Slots);
        else Empty(ref slot);
        slot.Remote = remote;
    }

    private void Empty(ref Slot slot)
    {
        if (!isOnTrial) slot.Remote!.Count(new RemoteCounters(slot.Sent, slot.SentBytes, slot.Received, slot.ReceivedBytes, slot.Drops));
        slot = default;
    }

    private struct Slot
    {
        public Remote? Remote;
        public long Sent;
        public long SentBytes;
        public long Received;
        public long ReceivedBytes;
        public long Drops;
    }
}
