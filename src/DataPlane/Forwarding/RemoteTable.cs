using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Forwarding;

/// <summary>
/// Every remote a segment knows, configured or learned. Read without a lock by the data plane; changed under the forwarding table's lock.
/// Learned remotes that nothing names any more leave after the ageing time, so that strangers cannot fill it for good.
/// </summary>
public sealed class RemoteTable
{
    /// <summary>Remotes learned from datagrams, at most; beyond that frames are delivered but not learned from.</summary>
    public const int MaxLearned = 4096;

    private readonly ConcurrentDictionary<InternetAddress, Remote> _bySender = new();
    private readonly ConcurrentDictionary<(VtepAddress Address, Vni Vni), Remote> _all = new();
    private readonly SegmentOptions _options;
    private readonly VtepAddress _self;
    private int _configured;
    private int _count;

    internal RemoteTable(SegmentOptions options, VtepAddress self)
    {
        _options = options;
        _self = self;
    }

    /// <summary>Every remote, in no order.</summary>
    public IEnumerable<Remote> All => _all.Values;

    /// <summary>Remotes known.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>True if a datagram from <paramref name="sender"/> may enter the segment; <paramref name="remote"/> is null if it is not known yet.</summary>
    internal bool Admits(InternetAddress sender, out Remote? remote)
    {
        if (_bySender.TryGetValue(sender, out remote) && remote.IsConfigured) return true;
        return _options.Admission == Admission.Any || Volatile.Read(ref _configured) == 0;
    }

    /// <summary>The remote to learn stations behind, made if need be; false if the table is full.</summary>
    internal bool TryGetLearned(InternetAddress sender, long nowMilliseconds, [NotNullWhen(true)] out Remote? remote)
    {
        if (_bySender.TryGetValue(sender, out remote)) return true;
        if (Count - Volatile.Read(ref _configured) >= MaxLearned) return false;
        // The port is the segment's own, never the datagram's source port, which is only entropy.
        remote = Get(new VtepAddress(sender, _self.Port), _options.Vni);
        remote.LastUsedMilliseconds = nowMilliseconds;
        return true;
    }

    /// <summary>The one object of a destination.</summary>
    internal Remote Get(VtepAddress address, Vni vni)
    {
        if (!_all.TryGetValue((address, vni), out var remote))
        {
            remote = new Remote(address, vni, address == _self);
            if (_all.TryAdd((address, vni), remote)) Interlocked.Increment(ref _count);
            else remote = _all[(address, vni)];
        }

        // Datagrams of a sender are counted where its canonical remote is: own port, own VNI; else the first one seen.
        if ((address.Port == _self.Port && vni == _options.Vni) || !_bySender.ContainsKey(address.Address)) _bySender[address.Address] = remote;
        return remote;
    }

    /// <summary>Counts a static or permanent entry that names the remote.</summary>
    internal void Configure(Remote remote)
    {
        // A sender is configured whatever port or VNI is used towards it, so the count is kept on its canonical remote too.
        var canonical = Get(new VtepAddress(remote.Address.Address, _self.Port), _options.Vni);
        if (canonical != remote) Interlocked.Increment(ref canonical.ConfiguredEntries);
        if (Interlocked.Increment(ref remote.ConfiguredEntries) == 1 && !remote.IsNull && !remote.IsSelf) _configured++;
    }

    /// <summary>Undoes <see cref="Configure"/>.</summary>
    internal void Unconfigure(Remote remote, long nowMilliseconds)
    {
        var canonical = Get(new VtepAddress(remote.Address.Address, _self.Port), _options.Vni);
        if (canonical != remote) Interlocked.Decrement(ref canonical.ConfiguredEntries);
        remote.LastUsedMilliseconds = canonical.LastUsedMilliseconds = nowMilliseconds;
        if (Interlocked.Decrement(ref remote.ConfiguredEntries) == 0 && !remote.IsNull && !remote.IsSelf) _configured--;
    }

    /// <summary>Forgets remotes that no entry has named since <paramref name="oldestMilliseconds"/>.</summary>
    internal void Forget(long oldestMilliseconds)
    {
        foreach (var (key, remote) in _all)
        {
            if (remote.ConfiguredEntries > 0 || remote.LastUsedMilliseconds >= oldestMilliseconds) continue;
            if (_all.TryRemove(key, out _)) Interlocked.Decrement(ref _count);
            if (_bySender.TryGetValue(key.Address.Address, out var bySender) && bySender == remote) _bySender.TryRemove(key.Address.Address, out _);
        }
    }
}
