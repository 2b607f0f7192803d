using Sleeve.Control.Host;
using Sleeve.Control.Store;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Daemon;

/// <summary>
/// Keeps in the store what the tables of the segments hold: static entries as they are changed, before whoever changed them is answered; what was learned, now and
/// then. What cannot be written is tried again, and the frames do not wait for it.
/// </summary>
internal sealed class TableKeeper(StateStore store, Action<string> say) : IDisposable
{
    private readonly Dictionary<string, Changed> _changed = [];
    private readonly Lock _marks = new();
    private readonly SemaphoreSlim _turn = new(1);

    /// <summary>Why the store is behind what is in use; null if it is not.</summary>
    public string? Unsaved { get; private set; }

    /// <summary>Follows the tables of a segment from here on, and takes all that they hold for changed.</summary>
    public void Follow(Segment segment)
    {
        var name = segment.Options.Name;
        segment.Fdb.OnConfigured = mac => Mark(name, segment, mac, null);
        segment.Neighbours.OnConfigured = address => Mark(name, segment, null, address);
        lock (_marks) _changed[name] = new Changed(segment);
        foreach (var entry in segment.Fdb.Snapshot(Vtep.NowMilliseconds).Where(static entry => entry.Kind != EntryKind.Dynamic)) Mark(name, segment, entry.Mac, null);
        foreach (var neighbour in segment.Neighbours.Snapshot()) Mark(name, segment, null, neighbour.Address);
        try
        {
            foreach (var stored in store.FdbOf(name)) Mark(name, segment, stored.Mac, null);
            foreach (var stored in store.NeighboursOf(name)) Mark(name, segment, null, stored.Address);
        }
        catch (HostException failure)
        {
            Fail(failure);
        }
    }

    /// <summary>Follows a segment no more, and forgets all that it knew.</summary>
    /// <exception cref="HostException">The store cannot be written.</exception>
    public void Forget(string name)
    {
        lock (_marks) _changed.Remove(name);
        store.Forget(name);
    }

    /// <summary>Puts back what the store holds of a segment's static entries.</summary>
    public void Restore(Segment segment)
    {
        using var links = new LinkNames();
        foreach (var to in store.FdbOf(segment.Options.Name))
        {
            var via = to.Via == "" ? 0 : links.IndexOf(to.Via);
            var result = via is not { } index ? TableResult.NotFound : segment.Fdb.Append(
                to.Mac, new VtepAddress(to.Address, to.Port), new Vni(to.Vni & Vni.MaxValue), to.IsPermanent ? EntryKind.Permanent : EntryKind.Static, Vtep.NowMilliseconds, index);
            if (result == TableResult.NotFound) say($"warning: {segment.Options.Name}: fdb {to.Mac} dst {to.Address} via {to.Via} is left out: there is no such interface");
            else if (result != TableResult.Done) say($"warning: {segment.Options.Name}: fdb {to.Mac} dst {to.Address} is left out: the table refuses it ({result})");
        }

        foreach (var neighbour in store.NeighboursOf(segment.Options.Name)) segment.Neighbours.Replace(neighbour);
    }

    /// <summary>Puts back what a segment had learned.</summary>
    /// <returns>Stations.</returns>
    public int RestoreLearned(Segment segment) =>
        store.LearnedBy(segment.Options.Name) is { } learned ? LearnedStations.Restore(segment, learned.Stations, DateTimeOffset.UtcNow - learned.TakenAt, Vtep.NowMilliseconds) : 0;

    /// <summary>Notes what was learned.</summary>
    public void SaveLearned(IEnumerable<Segment> segments)
    {
        try
        {
            foreach (var segment in segments)
                if (LearnedStations.Pack(segment, Vtep.NowMilliseconds) is { } packed) store.SaveLearned(segment.Options.Name, new StoredLearning(DateTimeOffset.UtcNow, packed));
        }
        catch (HostException failure)
        {
            Fail(failure);
        }
    }

    /// <summary>Writes what was changed; when it returns it is there for good, or <see cref="Unsaved"/> says why not.</summary>
    public async Task SaveAsync()
    {
        if (!HasChanges()) return;
        await _turn.WaitAsync();
        try
        {
            // Somebody else may have written it while this one waited: many changes share one transaction.
            while (TakeNext() is var (name, changed)) Save(name, changed);
            if (Unsaved is null) return;
            say("the state is saved again");
            Unsaved = null;
        }
        catch (HostException failure)
        {
            Fail(failure);
        }
        finally
        {
            _turn.Release();
        }
    }

    private void Save(string name, Changed changed)
    {
        using var links = new LinkNames();
        try
        {
            var now = Vtep.NowMilliseconds;
            store.SaveEntries(
                name,
                changed.Stations.Select(mac => (mac, (IReadOnlyList<StoredDestination>)[.. DestinationsOf(changed.Segment.Fdb.Show(mac, now), links)])),
                changed.Addresses.Select(address => (address, changed.Segment.Neighbours.TryGet(address, out var neighbour) ? neighbour : (Neighbour?)null)));
        }
        catch (HostException)
        {
            foreach (var mac in changed.Stations) Mark(name, changed.Segment, mac, null);
            foreach (var address in changed.Addresses) Mark(name, changed.Segment, null, address);
            throw;
        }
    }

    private static IEnumerable<StoredDestination> DestinationsOf(ForwardingEntry? entry, LinkNames links) => entry is not { Kind: not EntryKind.Dynamic } ? [] :
        entry.Destinations.Remotes.Select(remote => new StoredDestination(
            entry.Mac, remote.Address.Address, remote.Address.Port, remote.Vni.Value, links.NameOf(remote.InterfaceIndex) ?? "", entry.Kind == EntryKind.Permanent));

    private void Fail(HostException failure)
    {
        if (Unsaved is null) say($"warning: the state is not saved: {failure.Message}; frames and commands go on, what is changed now is lost if the daemon ends before it can be written");
        Unsaved = failure.Message;
    }

    private void Mark(string name, Segment segment, MacAddress? mac, InternetAddress? address)
    {
        lock (_marks)
        {
            // What was replaced or removed has no say any more.
            if (!_changed.TryGetValue(name, out var changed) || changed.Segment != segment) return;
            changed.IsNew = true;
            if (mac is { } station) changed.Stations.Add(station);
            if (address is { } ip) changed.Addresses.Add(ip);
        }
    }

    private bool HasChanges()
    {
        lock (_marks) return _changed.Values.Any(static changed => changed.IsNew);
    }

    private (string Name, Changed Changed)? TakeNext()
    {
        lock (_marks)
        {
            foreach (var (name, changed) in _changed)
            {
                if (!changed.IsNew) continue;
                _changed[name] = new Changed(changed.Segment) { IsNew = false };
                return (name, changed);
            }

            return null;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _turn.Dispose();

    // A segment that was never written is new even if its tables are empty.
    private sealed class Changed(Segment segment)
    {
        public Segment Segment { get; } = segment;

        public HashSet<MacAddress> Stations { get; } = [];

        public HashSet<InternetAddress> Addresses { get; } = [];

        public bool IsNew { get; set; } = true;
    }
}
