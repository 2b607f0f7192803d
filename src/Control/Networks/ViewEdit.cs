using System.Collections.Immutable;
using Sleeve.Control.Host;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>
/// Changes on their way into a <see cref="ClusterView"/>: each costs the depth of the trees it touches, whatever the size of the cluster. Used once, by one thread.
/// </summary>
/// <param name="before">What the view was.</param>
internal sealed class ViewEdit(ClusterView before)
{
    private const int MaxKeyParts = 5;

    private readonly Dictionary<string, NetworkEdit> _networks = [];
    private readonly ImmutableDictionary<string, Published<PeerRecord>>.Builder _peers = before.Peers.ToBuilder();
    private readonly ImmutableHashSet<string>.Builder _alive = before.Alive.ToBuilder();
    private readonly ImmutableDictionary<string, string>.Builder _faults = before.Faults.ToBuilder();
    private int _entries = before.Entries;
    private ulong _digest = before.Digest;
    private bool _isAnotherHistory;
    private bool _isWhole;

    /// <summary>Whether a key is one that a view is made of. Others stand in the store too: VNIs, MACs, audits.</summary>
    public static bool IsOfView(string key) =>
        !key.StartsWith(ClusterKeys.Macs, StringComparison.Ordinal) && !key.StartsWith(ClusterKeys.Vnis, StringComparison.Ordinal) && !key.StartsWith(ClusterKeys.Audits, StringComparison.Ordinal)
        && !(key.StartsWith(ClusterKeys.Hosts, StringComparison.Ordinal) && key.Contains("/audits/", StringComparison.Ordinal));

    /// <summary>Takes a key as it stands now.</summary>
    /// <param name="key">Anything.</param>
    /// <param name="entry">Null if it was deleted.</param>
    public void Set(string key, StoreEntry? entry)
    {
        if (!IsOfView(key)) return;
        Span<Range> ranges = stackalloc Range[MaxKeyParts + 1];
        var count = key.AsSpan().Split(ranges, '/');
        var fault = count > MaxKeyParts || key.Length > StoreLimits.MaxKeyBytes ? "no key of sleeve's" : (count, key[ranges[0]]) switch
        {
            (2, "peers") => SetPeer(key, key[ranges[1]], entry),
            (2, "alive") => SetAlive(key[ranges[1]], entry),
            (2, "networks") => SetNetwork(key, key[ranges[1]], entry),
            (3, "addresses") => SetAddress(key, key[ranges[1]], key[ranges[2]], entry),
            (3, "blocks") => SetBlock(key, key[ranges[1]], key[ranges[2]], entry),
            (4, "hosts") when key[ranges[2]] == "networks" => SetMember(key, key[ranges[1]], key[ranges[3]], entry),
            (5, "hosts") when key[ranges[2]] == "endpoints" => SetEndpoint(key, key[ranges[1]], key[ranges[3]], key[ranges[4]], entry),
            _ => "no key of sleeve's",
        };
        Note(key, entry is null ? null : fault);
    }

    /// <summary>Takes all that there is: what stands in the view and not there is gone.</summary>
    /// <param name="entries">All of them.</param>
    /// <param name="isAnotherHistory">The revisions are not those of the view: a value may be another though its revision is the same.</param>
    public void SetAll(IReadOnlyList<StoreEntry> entries, bool isAnotherHistory = false)
    {
        _isAnotherHistory = isAnotherHistory;
        _isWhole = true;
        var there = new HashSet<string>(entries.Count);
        foreach (var entry in entries) there.Add(entry.Key);
        foreach (var key in KeysOf(before))
            if (!there.Contains(key)) Set(key, null);
        foreach (var key in before.Faults.Keys)
            if (!there.Contains(key)) _faults.Remove(key);
        foreach (var entry in entries) Set(entry.Key, entry);
    }

    /// <summary>The view with the changes.</summary>
    /// <param name="revision">Of the store, with all of them.</param>
    /// <param name="touched">The networks of which something is different.</param>
    public ClusterView Finish(long revision, out IReadOnlySet<string> touched)
    {
        var names = new HashSet<string>();
        var networks = before.Networks.ToBuilder();
        foreach (var (name, edit) in _networks)
        {
            if (!edit.IsChanged) continue;
            names.Add(name);
            var now = edit.Finish();
            if (now.IsGone) networks.Remove(name);
            else networks[name] = now;
        }

        touched = names;
        return before with
        {
            Revision = revision,
            Peers = _peers.ToImmutable(),
            Alive = _alive.ToImmutable(),
            Networks = networks.ToImmutable(),
            Faults = _faults.ToImmutable(),
            Entries = _entries,
            Digest = _digest,
        };
    }

    /// <summary>Every key that a view is made of, signs of life too.</summary>
    public static IEnumerable<string> KeysOf(ClusterView view)
    {
        foreach (var host in view.Peers.Keys) yield return ClusterKeys.Peer(host);
        foreach (var host in view.Alive) yield return ClusterKeys.AliveOf(host);
        foreach (var (name, network) in view.Networks)
        {
            if (network.Record is not null) yield return ClusterKeys.Network(name);
            foreach (var host in network.Members.Keys) yield return ClusterKeys.Member(host, name);
            foreach (var (host, id) in network.Endpoints.Keys) yield return ClusterKeys.Endpoint(host, name, id);
            foreach (var address in network.Addresses.Keys) yield return $"{ClusterKeys.Addresses}{name}/{address}";
            foreach (var block in network.Blocks.Keys) yield return $"{ClusterKeys.Blocks}{name}/{block.Replace('/', '_')}";
        }
    }

    private string? SetPeer(string key, string host, StoreEntry? entry)
    {
        var peer = Read<PeerRecord>(entry, out var fault);
        if (peer is not null && peer.Name != host)
        {
            fault = $"it says it is {peer.Name}";
            peer = null;
        }

        return Keep(_peers, key, host, peer, host, entry, fault);
    }

    private string? SetAlive(string host, StoreEntry? entry)
    {
        if (!Names.IsName(host)) return "no name of a host";
        if (entry is null) _alive.Remove(host);
        else if (_alive.Count < ClusterView.MaxEntries) _alive.Add(host);
        return null;
    }

    private string? SetNetwork(string key, string name, StoreEntry? entry)
    {
        var network = Read<NetworkRecord>(entry, out var fault);
        if (network is not null && network.Name != name)
        {
            fault = $"it says it is {network.Name}";
            network = null;
        }

        if (!Names.IsName(name)) return "no name of a network";
        var edit = Edit(name);
        if (Count(key, edit.Record?.Version, network is null ? null : entry, ref fault))
            edit.Record = network is null ? null : new Published<NetworkRecord>(network, "", entry!.ModRevision);
        return fault;
    }

    private string? SetAddress(string key, string network, string text, StoreEntry? entry)
    {
        var claim = Read<AddressRecord>(entry, out var fault);
        // An address has one spelling, or two keys would claim it.
        if (!InternetAddress.TryParse(text, out var address) || address.ToString() != text) return "no address";
        return Names.IsName(network) ? Keep(Edit(network).Addresses, key, text, claim, claim?.Host ?? "", entry, fault) : "no name of a network";
    }

    private string? SetBlock(string key, string network, string text, StoreEntry? entry)
    {
        var block = Read<BlockRecord>(entry, out var fault);
        if (!AddressPrefix.TryParse(text.Replace('_', '/'), out var prefix) || !prefix.IsNetwork() || $"{prefix.Address}_{prefix.Length}" != text) return "no block";
        return Names.IsName(network) ? Keep(Edit(network).Blocks, key, prefix.ToString(), block, block?.Host ?? "", entry, fault) : "no name of a network";
    }

    private string? SetMember(string key, string host, string network, StoreEntry? entry)
    {
        var member = Read<MemberRecord>(entry, out var fault);
        return Names.IsName(network) && Names.IsName(host) ? Keep(Edit(network).Members, key, host, member, host, entry, fault) : "no name of a host or a network";
    }

    private string? SetEndpoint(string key, string host, string network, string id, StoreEntry? entry)
    {
        var endpoint = Read<EndpointRecord>(entry, out var fault);
        if (endpoint is not null && endpoint.Id != id)
        {
            fault = $"it says it is {endpoint.Id}";
            endpoint = null;
        }

        if (!Names.IsName(network) || !Names.IsName(host) || !Names.IsName(id)) return "no name of a host, a network or an endpoint";
        var edit = Edit(network);
        if (!_isWhole) edit.Touch((host, id));
        return Keep(edit.Endpoints, key, (host, id), endpoint, host, entry, fault);
    }

    private static T? Read<T>(StoreEntry? entry, out string? fault)
        where T : class
    {
        fault = null;
        return entry is null || !RecordJson.TryRead<T>(entry.Value, out var record, out fault) ? null : record;
    }

    private string? Keep<TKey, T>(
        ImmutableDictionary<TKey, Published<T>>.Builder kept, string key, TKey at, T? record, string host, StoreEntry? entry, string? fault)
        where TKey : notnull
        where T : class
    {
        var known = kept.GetValueOrDefault(at);
        if (!Count(key, known?.Version, record is null ? null : entry, ref fault)) return fault;
        if (record is null) kept.Remove(at);
        else kept[at] = new Published<T>(record, host, entry!.ModRevision);
        return fault;
    }

    // Keeps the sums. False if nothing is to be changed: it stands there already, or there is no room.
    private bool Count(string key, long? known, StoreEntry? now, ref string? fault)
    {
        if (known == now?.ModRevision && !(_isAnotherHistory && now is not null)) return false;
        if (known is null && _entries >= ClusterView.MaxEntries)
        {
            fault = "more entries than are kept";
            return false;
        }

        if (known is { } before) (_entries, _digest) = (_entries - 1, unchecked(_digest - StableHash.Of(key, before)));
        if (now is not null) (_entries, _digest) = (_entries + 1, unchecked(_digest + StableHash.Of(key, now.ModRevision)));
        return true;
    }

    private void Note(string key, string? fault)
    {
        if (fault is null) _faults.Remove(key);
        else if (_faults.Count < ClusterView.MaxFaults || _faults.ContainsKey(key)) _faults[key] = fault;
    }

    private NetworkEdit Edit(string name)
    {
        if (!_networks.TryGetValue(name, out var edit)) _networks[name] = edit = new NetworkEdit(before.Networks.GetValueOrDefault(name) ?? NetworkView.Nobody);
        return edit;
    }

    private sealed class NetworkEdit(NetworkView before)
    {
        private readonly HashSet<(string Host, string Id)> _touched = [];
        private NetworkView? _finished;

        public Published<NetworkRecord>? Record { get; set; } = before.Record;

        public ImmutableDictionary<string, Published<MemberRecord>>.Builder Members { get; } = before.Members.ToBuilder();

        public ImmutableDictionary<(string Host, string Id), Published<EndpointRecord>>.Builder Endpoints { get; } = before.Endpoints.ToBuilder();

        public ImmutableDictionary<string, Published<AddressRecord>>.Builder Addresses { get; } = before.Addresses.ToBuilder();

        public ImmutableDictionary<string, Published<BlockRecord>>.Builder Blocks { get; } = before.Blocks.ToBuilder();

        public void Touch((string Host, string Id) endpoint)
        {
            // One beyond tells that there were too many.
            if (_touched.Count <= EndpointChanges.MaxKeys) _touched.Add(endpoint);
        }

        // A builder that nothing was done with gives back the very dictionary it was made of.
        public bool IsChanged
        {
            get
            {
                var now = Finish();
                return now.Record != before.Record || now.Members != before.Members || now.Endpoints != before.Endpoints || now.Addresses != before.Addresses || now.Blocks != before.Blocks;
            }
        }

        public NetworkView Finish() => _finished ??= new NetworkView
        {
            Record = Record,
            Members = Members.ToImmutable(),
            Endpoints = Endpoints.ToImmutable(),
            Addresses = Addresses.ToImmutable(),
            Blocks = Blocks.ToImmutable(),
            Changes = _touched.Count is 0 or > EndpointChanges.MaxKeys ? null : new EndpointChanges(before.Endpoints, [.. _touched]),
        };
    }
}
