using System.Collections.Immutable;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>What stands in the tables of one segment because of what hosts publish, see <see cref="TableProgrammer"/>. Not for several threads.</summary>
/// <param name="segment">The segment.</param>
/// <param name="self">Name of this host.</param>
internal sealed class SegmentProgram(Segment segment, string self)
{
    /// <summary>Lines about conflicts that are kept, at most.</summary>
    public const int MaxConflicts = 100;

    // A table that nobody else changed since is as it was left; once in a while each entry is looked at all the same.
    private const long LookAtAllMilliseconds = 60_000;

    private readonly Dictionary<(string Host, string Id), Published<EndpointRecord>> _known = [];
    private readonly EndpointClaims<MacAddress> _stations = new();
    private readonly EndpointClaims<InternetAddress> _addresses = new();
    private readonly Dictionary<string, string> _conflicts = [];
    private readonly List<string> _told = [];
    private readonly HashSet<MacAddress> _touchedStations = [];
    private readonly HashSet<InternetAddress> _touchedAddresses = [];
    private ImmutableDictionary<(string Host, string Id), Published<EndpointRecord>> _endpoints = ImmutableDictionary<(string Host, string Id), Published<EndpointRecord>>.Empty;
    private Dictionary<string, (VtepAddress To, long Version)> _vteps = [];
    private ImmutableDictionary<string, Published<MemberRecord>> _members = ImmutableDictionary<string, Published<MemberRecord>>.Empty;
    private NetworkView _view = new();
    private TableChanges _changes = new();
    private (long Fdb, long Neighbours)? _tables;
    private long _lookedAtAll;
    private long _now;

    /// <summary>The segment.</summary>
    public Segment Segment => segment;

    /// <summary>Name of this host.</summary>
    public string Self => self;

    /// <summary>The claims that lose, and entries that cannot be had; one line each.</summary>
    public IReadOnlyList<string> Conflicts => [.. _conflicts.Values];

    /// <inheritdoc cref="TableProgrammer.Apply"/>
    public TableChanges Apply(NetworkView view, Func<string, bool> isUp, bool everything, long nowMilliseconds)
    {
        _changes = new TableChanges();
        _told.Clear();
        _now = nowMilliseconds;
        // Without a record it is no network any more, whoever still speaks of it.
        var isAnother = _view.Record?.Value.Id != view.Record?.Value.Id;
        _view = view;
        var isThere = view.Record is not null;
        var isWhole = isAnother || (everything && (_tables != TablesNow || _now - _lookedAtAll >= LookAtAllMilliseconds));
        var isOurs = _tables == TablesNow;
        NoteVteps(isThere ? view.Members : ImmutableDictionary<string, Published<MemberRecord>>.Empty, isUp, isWhole);
        NoteEndpoints(isThere ? view.Endpoints : ImmutableDictionary<(string Host, string Id), Published<EndpointRecord>>.Empty, isThere ? view.Changes : null);
        if (isWhole) TouchAll();
        Settle();
        if (isWhole) _lookedAtAll = _now;
        // What somebody else changed before this waits for the next look at everything, unless this was one; what changed meanwhile, for the one after a minute.
        _tables = isWhole || isOurs ? TablesNow : null;
        return _changes with { Conflicts = [.. _told] };
    }

    private (long Fdb, long Neighbours) TablesNow => (segment.Fdb.Changes, segment.Neighbours.Changes);

    private void NoteVteps(ImmutableDictionary<string, Published<MemberRecord>> members, Func<string, bool> isUp, bool everything)
    {
        if (!everything && ReferenceEquals(members, _members) && IsAsBefore(members, isUp)) return;
        _members = members;
        var vteps = new Dictionary<string, (VtepAddress To, long Version)>();
        var taken = new Dictionary<VtepAddress, string>();
        foreach (var (host, member) in members)
        {
            if (host == self) continue;
            var key = $"member {host}";
            if (Bindings.Refuse(member.Value.Vtep, member.Value.Port, segment) is { } refusal)
            {
                Tell(key, $"host {host}: nothing is sent to it: {refusal}");
                continue;
            }

            Untell(key);
            if (!isUp(host)) continue;
            vteps[host] = (new VtepAddress(member.Value.Vtep, member.Value.Port), member.Version);
            taken.TryAdd(vteps[host].To, host);
        }

        foreach (var gone in _vteps.Keys.Where(host => !members.ContainsKey(host))) Untell($"member {gone}");
        var changed = vteps.Keys.Union(_vteps.Keys).Where(host => !vteps.TryGetValue(host, out var now) || !_vteps.TryGetValue(host, out var before) || now.To != before.To).ToHashSet();
        if (changed.Count > 0)
        {
            foreach (var ((host, _), endpoint) in _known)
                if (changed.Contains(host)) Touch(endpoint);
        }

        var isNewer = vteps.Any(vtep => _vteps.TryGetValue(vtep.Key, out var before) && before.Version != vtep.Value.Version);
        _vteps = vteps;
        if (changed.Count > 0 || isNewer || everything) Replicate(taken);
    }

    // The same hosts are up as when the members were looked at.
    private bool IsAsBefore(ImmutableDictionary<string, Published<MemberRecord>> members, Func<string, bool> isUp)
    {
        foreach (var (host, member) in members)
            if (host != self && _vteps.ContainsKey(host) != (isUp(host) && Bindings.Refuse(member.Value.Vtep, member.Value.Port, segment) is null)) return false;
        return true;
    }

    // In the order of names, so that every run on every host does the same.
    private void Replicate(Dictionary<VtepAddress, string> hosts)
    {
        var before = segment.Fdb.Show(MacAddress.Zero, _now);
        var published = segment.Published.Vteps.ToHashSet();
        bool IsOurs(Remote remote) => remote.Vni == segment.Options.Vni && remote.InterfaceIndex == 0 && published.Contains(remote.Address);
        Remote[] ofOperator = [.. (before?.Destinations.Remotes ?? []).Where(remote => !IsOurs(remote))];
        VtepAddress[] wanted = [.. hosts.OrderBy(static each => each.Value, StringComparer.Ordinal).Select(static each => each.Key).Take(ReplicationList.MaxRemotes - ofOperator.Length)];
        if (wanted.Length < hosts.Count) Tell("list", $"{hosts.Count} VTEPs have the network, more than the {ReplicationList.MaxRemotes} that a replication list holds: broadcast does not reach all");
        else Untell("list");
        EntryDestination[] list =
        [
            .. ofOperator.Select(static remote => new EntryDestination(remote.Address, remote.Vni, remote.InterfaceIndex)),
            .. wanted.Select(to => new EntryDestination(to, segment.Options.Vni)),
        ];
        var kind = ofOperator.Length > 0 ? before!.Kind : EntryKind.Static;
        if (Refused("replication list", segment.Fdb.Set(MacAddress.Zero, list, kind, _now))) return;
        segment.Published.SetVteps(wanted.Select(to => (to, new PublishedBy(hosts[to], "", _vteps[hosts[to]].Version, Since(to)))));
        _changes = _changes with { Added = _changes.Added + wanted.Except(published).Count(), Removed = _changes.Removed + published.Except(wanted).Count() };
    }

    private long Since(VtepAddress to) => segment.Published.TryGet(to, out var by) ? by.SinceMilliseconds : _now;

    private void NoteEndpoints(ImmutableDictionary<(string Host, string Id), Published<EndpointRecord>> endpoints, EndpointChanges? changes)
    {
        if (ReferenceEquals(endpoints, _endpoints)) return;
        var isNext = changes is not null && ReferenceEquals(changes.Before, _endpoints);
        _endpoints = endpoints;
        if (isNext)
        {
            foreach (var key in changes!.Keys)
            {
                if (endpoints.TryGetValue(key, out var now)) Note(key, now);
                else if (_known.Remove(key, out var gone)) Withdraw(gone);
            }

            return;
        }

        foreach (var (key, now) in endpoints) Note(key, now);
        if (_known.Count == endpoints.Count) return;
        foreach (var (key, gone) in _known)
        {
            if (endpoints.ContainsKey(key)) continue;
            _known.Remove(key);
            Withdraw(gone);
        }
    }

    private void Note((string Host, string Id) key, Published<EndpointRecord> now)
    {
        if (_known.TryGetValue(key, out var before))
        {
            if (ReferenceEquals(before, now)) return;
            Withdraw(before);
        }

        _known[key] = now;
        if (Bindings.IsUsable(now.Value.Mac, segment)) _stations.Add(now.Value.Mac, now);
        foreach (var address in AddressesOf(now)) _addresses.Add(address, now);
        Touch(now);
    }

    private void Withdraw(Published<EndpointRecord> endpoint)
    {
        _stations.Remove(endpoint.Value.Mac, endpoint);
        foreach (var address in AddressesOf(endpoint)) _addresses.Remove(address, endpoint);
        Touch(endpoint);
    }

    private static IEnumerable<InternetAddress> AddressesOf(Published<EndpointRecord> endpoint) => endpoint.Value.Addresses.Take(Bindings.MaxAddresses).Distinct();

    private void Touch(Published<EndpointRecord> endpoint)
    {
        _touchedStations.Add(endpoint.Value.Mac);
        _touchedAddresses.UnionWith(AddressesOf(endpoint));
    }

    // Also what stands there for a reason that is not known any more.
    private void TouchAll()
    {
        foreach (var endpoint in _known.Values) Touch(endpoint);
        _touchedStations.UnionWith(segment.Published.Stations);
        _touchedAddresses.UnionWith(segment.Published.Neighbours);
    }

    // A station is known before its addresses lead to it, and still is when they do no more.
    private void Settle()
    {
        // An address leads to a MAC that another may have won by now.
        foreach (var mac in _touchedStations)
            foreach (var claim in _stations.Of(mac)) _touchedAddresses.UnionWith(AddressesOf(claim));
        var leaving = new List<MacAddress>();
        foreach (var mac in _touchedStations)
        {
            if (Wanted(mac) is var (by, to)) SetStation(mac, by, to);
            else leaving.Add(mac);
        }

        foreach (var address in _touchedAddresses) SettleAddress(address);
        foreach (var mac in leaving) RemoveStation(mac);
        _touchedStations.Clear();
        _touchedAddresses.Clear();
    }

    // Whose it is does not depend on who lives: what a dead host said last is not what another said before.
    private (Published<EndpointRecord> By, VtepAddress To)? Wanted(MacAddress mac)
    {
        var claims = _stations.Of(mac);
        if (claims.Count == 0)
        {
            Untell("mac", mac);
            return null;
        }

        var winner = _stations.WinnerOf(mac)!;
        Judge("mac", mac, claims, winner);
        return winner.Host != self && _vteps.TryGetValue(winner.Host, out var vtep) ? (winner, vtep.To) : null;
    }

    private void SetStation(MacAddress mac, Published<EndpointRecord> by, VtepAddress to)
    {
        var entry = segment.Fdb.Show(mac, _now);
        var had = default(PublishedBy);
        var isOurs = entry is not null && segment.Published.TryGet(entry, out had);
        var isThere = PublishedBindings.IsJust(entry, to);
        if (entry is { Kind: not EntryKind.Dynamic } && !isOurs && !isThere)
        {
            // Permanent to the same VTEP is no contradiction.
            if (entry.Destinations.Remotes is not [var only] || only.Address != to)
                Tell($"fdb {mac}", $"mac {mac}: is behind {to} says {by.Host} (version {by.Version}), but an entry that was made by hand stands: sleeve fdb del {mac} dev {segment.Options.Name}");
            segment.Published.Remove(mac);
            return;
        }

        Untell("fdb", mac);
        if (!isThere && Refused($"fdb {mac}", segment.Fdb.Set(mac, [new EntryDestination(to, segment.Options.Vni)], EntryKind.Static, _now))) return;
        var isSame = isOurs && isThere && had.Version == by.Version && had.Host == by.Host;
        segment.Published.Set(mac, to, isSame ? had : new PublishedBy(by.Host, by.Value.Id, by.Version, _now));
        if (!isSame) Count(isAdded: !isOurs);
    }

    private void RemoveStation(MacAddress mac)
    {
        Untell("fdb", mac);
        var entry = segment.Fdb.Show(mac, _now);
        if (entry is not null && segment.Published.TryGet(entry, out _))
        {
            segment.Fdb.Delete(mac, null, segment.Options.Vni, _now);
            _changes = _changes with { Removed = _changes.Removed + 1 };
        }

        segment.Published.Remove(mac);
    }

    private void SettleAddress(InternetAddress address)
    {
        var known = segment.Neighbours.TryGet(address, out var entry);
        var had = default(PublishedBy);
        var isOurs = known && segment.Published.TryGet(entry, out had);
        if (WantedOf(address) is not { } by)
        {
            Untell("neigh", address);
            if (isOurs)
            {
                segment.Neighbours.Delete(address);
                _changes = _changes with { Removed = _changes.Removed + 1 };
            }

            segment.Published.Remove(address);
            return;
        }

        var wanted = new Neighbour(address, by.Value.Mac);
        if (known && !isOurs && entry.Mac != wanted.Mac)
        {
            Tell($"neigh {address}", $"address {address}: is {wanted.Mac} says {by.Host} (version {by.Version}), but a neighbour that was set by hand stands: sleeve neigh del {address} dev {segment.Options.Name}");
            segment.Published.Remove(address);
            return;
        }

        Untell("neigh", address);
        // Where an operator said the same it stays the operator's.
        if (known && !isOurs) return;
        if (entry.Mac != wanted.Mac && Refused($"neigh {address}", segment.Neighbours.Replace(wanted))) return;
        var isSame = isOurs && entry.Mac == wanted.Mac && had.Version == by.Version && had.Host == by.Host;
        segment.Published.Set(wanted, isSame ? had : new PublishedBy(by.Host, by.Value.Id, by.Version, _now));
        if (!isSame) Count(isAdded: !isOurs);
    }

    private Published<EndpointRecord>? WantedOf(InternetAddress address)
    {
        var claims = _addresses.Of(address);
        if (claims.Count == 0)
        {
            Untell("address", address);
            return null;
        }

        var winner = _addresses.WinnerOf(address)!;
        if (!Bindings.IsUsable(address, _view))
        {
            Tell($"address {address}", $"address {address}: is no endpoint's (the gateway's, a group's or nobody's), whatever {Name(winner)} says");
            return null;
        }

        Judge("address", address, claims, winner);
        // Nobody is told an address whose station is another's, or cannot be reached.
        return winner.Host != self && ReferenceEquals(_stations.WinnerOf(winner.Value.Mac), winner) && _vteps.ContainsKey(winner.Host) ? winner : null;
    }

    private void Judge<T>(string kind, T what, IReadOnlyList<Published<EndpointRecord>> claims, Published<EndpointRecord> winner)
    {
        if (claims.Count == 1) Untell(kind, what);
        else Tell($"{kind} {what}", $"{kind} {what}: claimed by {Name(winner)}, which counts, and in vain by {string.Join(", ", claims.Where(each => !ReferenceEquals(each, winner)).Select(Name).Order(StringComparer.Ordinal).Take(8))}");
    }

    private static string Name(Published<EndpointRecord> endpoint) => $"{endpoint.Value.Id} of {endpoint.Host} (version {endpoint.Version})";

    private void Count(bool isAdded) => _changes = isAdded ? _changes with { Added = _changes.Added + 1 } : _changes with { Changed = _changes.Changed + 1 };

    private bool Refused(string what, TableResult result)
    {
        if (result == TableResult.Done)
        {
            Untell(what);
            return false;
        }

        Tell(what, $"{what}: the table refuses it ({result})");
        return true;
    }

    private void Tell(string key, string line)
    {
        if (_conflicts.TryGetValue(key, out var known) ? known == line : _conflicts.Count >= MaxConflicts) return;
        _conflicts[key] = line;
        if (_told.Count < MaxConflicts) _told.Add(line);
    }

    private void Untell(string key) => _conflicts.Remove(key);

    // Of a hundred thousand entries none has a conflict, as a rule: no text is made to find that out.
    private void Untell<T>(string kind, T what)
    {
        if (_conflicts.Count > 0) Untell($"{kind} {what}");
    }
}
