using Sleeve.Control.Host;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>How a key stands, as far as is known.</summary>
/// <param name="Revision">Of its last change; 0 if it is not there.</param>
/// <param name="IsMine">Whether it is claimed by whoever asks.</param>
/// <param name="Whose">Whose it is, for messages.</param>
internal readonly record struct ClaimState(long Revision, bool IsMine, string Whose);

/// <summary>
/// What stands in the store about the keys that one change of one endpoint needs: what the replica has of it, and over that what refused transactions found. The replica may lag behind; since every key
/// that is gone by is a condition of the transaction, that costs another attempt and nothing else.
/// </summary>
/// <param name="replica">The copy.</param>
/// <param name="host">This host.</param>
/// <param name="network">The network's name.</param>
/// <param name="endpoint">The endpoint's id.</param>
/// <param name="complete">Fills in what of the network does not stand in the store; null for nothing.</param>
internal sealed class Claims(Replica replica, string host, string network, string endpoint, Func<NetworkView, NetworkView>? complete = null)
{
    private readonly Dictionary<string, StoreEntry?> _known = [];
    private NetworkView _view = Read(replica, network, complete);

    /// <summary>What the store said: keys with what stands there, or null.</summary>
    public IReadOnlyDictionary<string, StoreEntry?> Known => _known;

    /// <summary>The network as the replica had it when it was last looked at.</summary>
    public NetworkView View => _view;

    /// <summary>Looks at the replica again: once an attempt, so that all of an attempt goes by the same.</summary>
    public void Look() => _view = Read(replica, network, complete);

    /// <summary>Waits until a change of the store is in the replica.</summary>
    public Task WaitForAsync(long revision, CancellationToken cancellation) => replica.WaitForAsync(revision, cancellation);

    private static NetworkView Read(Replica replica, string network, Func<NetworkView, NetworkView>? complete)
    {
        var view = replica.View.Networks.GetValueOrDefault(network) ?? NetworkView.Nobody;
        return complete is null ? view : complete(view);
    }

    /// <summary>The value of a MAC's key that says that it is this endpoint's.</summary>
    public string MacValue => $"{host}/{endpoint}";

    /// <summary>Takes in what a refused transaction found.</summary>
    public void Learn(StoreTransaction refused, StoreOutcome outcome)
    {
        foreach (var condition in refused.Conditions) _known[condition.Key] = null;
        Learn(outcome.Found);
    }

    /// <summary>Takes in what was read.</summary>
    public void Learn(IEnumerable<StoreEntry> entries)
    {
        foreach (var entry in entries) _known[entry.Key] = entry;
    }

    /// <summary>Takes in that a key was read and is not there.</summary>
    public void LearnAbsent(string key) => _known[key] = null;

    /// <summary>The network's record.</summary>
    public Published<NetworkRecord>? Network => Find(ClusterKeys.Network(network), View.Record, "");

    /// <summary>What this host says of itself in the network.</summary>
    public Published<MemberRecord>? Member => Find(ClusterKeys.Member(host, network), View.Members.GetValueOrDefault(host), host);

    /// <summary>The endpoint as it is published.</summary>
    public Published<EndpointRecord>? Endpoint => Find(ClusterKeys.Endpoint(host, network, endpoint), View.Endpoints.GetValueOrDefault((host, endpoint)), host);

    /// <summary>Whose a block is; null if nobody's.</summary>
    public Published<BlockRecord>? Block(AddressPrefix block)
    {
        var found = Find(ClusterKeys.Block(network, block), View.Blocks.GetValueOrDefault(block.ToString()), "");
        return found is null ? null : found with { Host = found.Value.Host };
    }

    /// <summary>How a key of this host stands, whatever its value says.</summary>
    public long RevisionOf(string key, long inView) => _known.TryGetValue(key, out var entry) ? entry?.ModRevision ?? 0 : inView;

    /// <summary>How an address stands.</summary>
    public ClaimState Address(InternetAddress address)
    {
        var key = ClusterKeys.Address(network, address);
        if (_known.TryGetValue(key, out var entry) && entry is not null && !RecordJson.TryRead<AddressRecord>(entry.Value, out _, out _)) return new ClaimState(entry.ModRevision, false, "somebody unreadable");
        if (Find(key, View.Addresses.GetValueOrDefault(address.ToString()), "") is not { } claim) return default;
        var value = claim.Value;
        var isMine = value.Why == AddressRecord.OfEndpoint && value.Host == host && value.Endpoint == endpoint;
        return new ClaimState(claim.Version, isMine, value.Why switch
        {
            AddressRecord.OfGateway => "the gateway",
            AddressRecord.OfReservation => value.Note.Length == 0 ? "reserved" : $"reserved ({value.Note})",
            _ => $"endpoint {value.Endpoint} of host {value.Host}",
        });
    }

    /// <summary>How a MAC stands. The replica does not have them: until the store says otherwise, it is taken to be free, or mine if it is that of the endpoint as published.</summary>
    public ClaimState Mac(MacAddress mac)
    {
        if (_known.TryGetValue(ClusterKeys.Mac(network, mac), out var entry))
            return entry is null ? default : new ClaimState(entry.ModRevision, entry.Value == MacValue, WhoseMac(entry.Value));
        return Endpoint?.Value.Mac == mac ? new ClaimState(-1, true, "") : default;
    }

    /// <summary>The condition that a MAC stands as it is taken to.</summary>
    public StoreCondition MacCondition(MacAddress mac)
    {
        var (key, state) = (ClusterKeys.Mac(network, mac), Mac(mac));
        return state.IsMine ? StoreCondition.Has(key, MacValue) : new StoreCondition(key, state.Revision);
    }

    private static string WhoseMac(string value) => value.Split('/') is [var host, var id] && Names.IsName(host) && Names.IsName(id) ? $"endpoint {id} of host {host}" : "somebody unreadable";

    private Published<T>? Find<T>(string key, Published<T>? inView, string whose)
        where T : class
    {
        if (!_known.TryGetValue(key, out var entry)) return inView;
        return entry is not null && RecordJson.TryRead<T>(entry.Value, out var record, out _) ? new Published<T>(record, whose, entry.ModRevision) : null;
    }
}
