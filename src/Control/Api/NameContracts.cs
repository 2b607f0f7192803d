namespace Sleeve.Control.Api;

/// <summary>The names of a network.</summary>
/// <param name="Network">The network.</param>
/// <param name="Domain">What full names end with: NAME.NETWORK.DOMAIN.</param>
/// <param name="Names">One after the other, sorted.</param>
internal sealed record NetworkNamesJson(string Network, string Domain, IReadOnlyList<NameJson> Names)
{
    /// <summary>Its server on this host; left out if the network is not here.</summary>
    public NameServerJson? Server { get; init; }
}

/// <summary>A name or alias.</summary>
/// <param name="Name">In lower case.</param>
/// <param name="Addresses">Its addresses.</param>
internal sealed record NameJson(string Name, IReadOnlyList<NameAddressJson> Addresses);

/// <summary>An address of a name.</summary>
/// <param name="Address">The address.</param>
/// <param name="Host">The host that has it.</param>
/// <param name="Endpoint">The endpoint's id there.</param>
/// <param name="Up">Whether the host is up; if not, nobody is told the address.</param>
internal sealed record NameAddressJson(string Address, string Host, string Endpoint, bool Up);

/// <summary>A network's name server on this host.</summary>
/// <param name="Dev">The bridge; who is attached to it may ask.</param>
/// <param name="Addresses">Where it answers.</param>
/// <param name="Serving">Whether it does.</param>
/// <param name="Error">Why not; left out if it does.</param>
/// <param name="Queries">Questions that came.</param>
/// <param name="Answered">Those that were answered out of the network, or refused.</param>
/// <param name="Forwarded">Those that one of the host's resolvers answered.</param>
/// <param name="Failed">Those that none did, or that were too many at a time.</param>
/// <param name="Limited">Those that were dropped for the limits of a client.</param>
internal sealed record NameServerJson(
    string Dev, IReadOnlyList<string> Addresses, bool Serving, string? Error, long Queries, long Answered, long Forwarded, long Failed, long Limited);

/// <summary>What members of a network get for a name.</summary>
/// <param name="Name">As it was asked for.</param>
/// <param name="Status">"found"; "no-data": there is the name but no address now; "no-name"; "elsewhere": the host's resolvers would be asked; "refused".</param>
/// <param name="Addresses">Its addresses, IPv4 first.</param>
internal sealed record ResolvedNameJson(string Name, string Status, IReadOnlyList<string> Addresses)
{
    /// <summary>The name of the address, if an address was asked for and has one.</summary>
    public string? Pointer { get; init; }
}
