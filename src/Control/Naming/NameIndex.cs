using Sleeve.Control.Host;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Naming;

/// <summary>
/// The names of one network as one revision of the store has them, in lower case, for looking up. Immutable. Whether a host is up is not in it: that is asked with each question.
/// </summary>
internal sealed class NameIndex
{
    private readonly Dictionary<string, List<NamedAddress>> _names = new(StringComparer.Ordinal);
    private readonly Dictionary<InternetAddress, AddressOwner> _owners = [];
    private readonly HashSet<string> _parents = new(StringComparer.Ordinal);

    /// <summary>Reads a network.</summary>
    /// <param name="view">The network; without a record it has no names.</param>
    public NameIndex(NetworkView view)
    {
        View = view;
        if (view.Record is not { Value: var network }) return;
        Network = network.Name.ToLowerInvariant();
        Subnets = network.Subnets;
        foreach (var ((host, id), published) in view.Endpoints)
        {
            Serial = Math.Max(Serial, published.Version);
            Add(host, id, published);
        }
    }

    /// <summary>What it was made of.</summary>
    public NetworkView View { get; }

    /// <summary>Name of the network in lower case; "" if it was removed.</summary>
    public string Network { get; } = "";

    /// <summary>Its address pools.</summary>
    public IReadOnlyList<AddressPrefix> Subnets { get; } = [];

    /// <summary>Revision of the latest endpoint.</summary>
    public long Serial { get; }

    /// <summary>The names, sorted.</summary>
    public IEnumerable<string> All => _names.Keys.Order(StringComparer.Ordinal);

    /// <summary>The addresses of a name, on whatever host; null if there is no such name.</summary>
    /// <param name="name">In lower case; "web" or, if somebody is called that, "web.1".</param>
    public IReadOnlyList<NamedAddress>? Find(ReadOnlySpan<char> name) =>
        _names.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(name, out var found) ? found : null;

    /// <summary>Whether there are names below this one though none is called so: "1" if somebody is called "web.1".</summary>
    public bool IsParent(ReadOnlySpan<char> name) => _parents.GetAlternateLookup<ReadOnlySpan<char>>().Contains(name);

    /// <summary>Whose an address is.</summary>
    public bool TryFind(InternetAddress address, out AddressOwner owner) => _owners.TryGetValue(address, out owner);

    private void Add(string host, string id, Published<EndpointRecord> published)
    {
        var endpoint = published.Value;
        List<NamedAddress> addresses = [];
        foreach (var address in endpoint.Addresses)
        {
            if (address.IsMulticast || address.IsUnspecified || address.IsLoopback || IsOfAnother(address, host, id)) continue;
            addresses.Add(new NamedAddress(host, id, address));
            if (!_owners.TryGetValue(address, out var known) || known.Version < published.Version)
                _owners[address] = new AddressOwner(host, IsServed(endpoint.Name) ? endpoint.Name.ToLowerInvariant() : "", published.Version);
        }

        AddName(endpoint.Name, addresses);
        foreach (var alias in endpoint.Aliases) AddName(alias, addresses);
    }

    // The claim in the store decides who has an address; what a host said before it lost the claim does not count.
    private bool IsOfAnother(InternetAddress address, string host, string id) =>
        View.Addresses.TryGetValue(address.ToString(), out var claim) && (claim.Value.Host != host || claim.Value.Endpoint != id);

    private void AddName(string name, List<NamedAddress> addresses)
    {
        if (!IsServed(name)) return;
        var lower = name.ToLowerInvariant();
        if (!_names.TryGetValue(lower, out var known)) _names[lower] = known = [];
        known.AddRange(addresses);
        for (var dot = lower.IndexOf('.', StringComparison.Ordinal); dot >= 0; dot = lower.IndexOf('.', dot + 1)) _parents.Add(lower[(dot + 1)..]);
    }

    // "a..b" and "a." may be names of endpoints, but nobody can ask for them.
    private static bool IsServed(string name) => Names.IsName(name) && !name.EndsWith('.') && !name.Contains("..", StringComparison.Ordinal);
}

/// <summary>An address of a name.</summary>
/// <param name="Host">The host that has it.</param>
/// <param name="Endpoint">The endpoint's id there.</param>
/// <param name="Address">The address.</param>
internal readonly record struct NamedAddress(string Host, string Endpoint, InternetAddress Address);

/// <summary>Whose an address is.</summary>
/// <param name="Host">The host that has it.</param>
/// <param name="Name">The endpoint's name, in lower case; "" if it has none.</param>
/// <param name="Version">Revision of the store that said so.</param>
internal readonly record struct AddressOwner(string Host, string Name, long Version);
