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
    /// <summary>Remotes that no static or permanent entry names, at most; beyond that frames are delivered but not learned from.</summary>
    public const int MaxLearned = 4096;

    private readonly SenderIndex _bySender = new();
    private readonly ConcurrentDictionary<(VtepAddress Address, Vni Vni, int InterfaceIndex), Remote> _all = new();
    private readonly SegmentOptions _options;
    private readonly VtepAddress _self;
    private int _configuredVteps;
    private int _unnamed;
    private int _count;
    private int _made;

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
        remote = _bySender.Find(sender);
        if (remote is not null && remote.IsAdmitted) return true;
        return _options.Admission == Admission.Any || (_options.Admission == Admission.Peers && Volatile.Read(ref _configuredVteps) == 0);
    }

    /// <summary>The remote to learn stations behind, made if need be; false if the table is full.</summary>
    internal bool TryGetLearned(InternetAddress sender, long nowMilliseconds, [NotNullWhen(true)] out Remote? remote)
    {
        // The port is the segment's own, never the datagram's source port, which is only entropy.
        var address = new VtepAddress(sender, _self.Port);
        if (!_all.TryGetValue((address, _options.Vni, 0), out remote))
        {
            if (_unnamed >= MaxLearned) return false;
            remote = Get(address, _options.Vni);
        }

        remote.LastUsedMilliseconds = nowMilliseconds;
        return true;
    }

    /// <summary>The one object of a destination.</summary>
    internal Remote Get(VtepAddress address, Vni vni, int interfaceIndex = 0)
    {
        if (!_all.TryGetValue((address, vni, interfaceIndex), out var remote))
        {
            remote = _all[(address, vni, interfaceIndex)] = new Remote(address, new VxlanHeader(vni, _options.Policy ?? default), address == _self, _made++, interfaceIndex);
            Volatile.Write(ref _count, _count + 1);
            _unnamed++;
        }

        // Datagrams of a sender are counted where its canonical remote is: own port, own VNI, no interface; else the first one seen.
        if ((address.Port == _self.Port && vni == _options.Vni && interfaceIndex == 0) || _bySender.Find(address.Address) is null) _bySender.Set(remote);
        return remote;
    }

    /// <summary>Counts a static or permanent entry that names the remote.</summary>
    internal void Configure(Remote remote)
    {
        Hold(remote);
        // A sender is configured whatever port, VNI or interface is used towards it, so its canonical remote counts the entries of all; it stays as long as they do.
        var canonical = Canonical(remote);
        if (canonical != remote) Hold(canonical);
        if (IsVtep(remote) && Interlocked.Increment(ref canonical.AdmittingEntries) == 1) Volatile.Write(ref _configuredVteps, _configuredVteps + 1);
    }

    /// <summary>Undoes <see cref="Configure"/>.</summary>
    internal void Unconfigure(Remote remote, long nowMilliseconds)
    {
        Release(remote, nowMilliseconds);
        var canonical = Canonical(remote);
        if (canonical != remote) Release(canonical, nowMilliseconds);
        if (IsVtep(remote) && Interlocked.Decrement(ref canonical.AdmittingEntries) == 0) Volatile.Write(ref _configuredVteps, _configuredVteps - 1);
    }

    private static bool IsVtep(Remote remote) => !remote.IsNull && !remote.IsSelf && !remote.IsGroup;

    private Remote Canonical(Remote remote) => Get(new VtepAddress(remote.Address.Address, _self.Port), _options.Vni);

    private void Hold(Remote remote)
    {
        if (++remote.ConfiguredEntries == 1) _unnamed--;
    }

    private void Release(Remote remote, long nowMilliseconds)
    {
        remote.LastUsedMilliseconds = nowMilliseconds;
        if (--remote.ConfiguredEntries == 0) _unnamed++;
    }

    /// <summary>Forgets remotes that no entry has named since <paramref name="oldestMilliseconds"/>.</summary>
    internal void Forget(long oldestMilliseconds)
    {
        HashSet<Remote>? forgotten = null;
        foreach (var (key, remote) in _all)
        {
            if (remote.ConfiguredEntries > 0 || remote.LastUsedMilliseconds >= oldestMilliseconds) continue;
            _all.TryRemove(key, out _);
            Volatile.Write(ref _count, _count - 1);
            _unnamed--;
            (forgotten ??= []).Add(remote);
        }

        if (forgotten is not null) _bySender.Keep(remote => !forgotten.Contains(remote));
    }
}
