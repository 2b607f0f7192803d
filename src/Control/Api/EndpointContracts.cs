namespace Sleeve.Control.Api;

/// <summary>What is to be attached to a network; what is left out is chosen.</summary>
/// <param name="Target">A name of ip netns, a process id, a path such as /proc/PID/ns/net, or the name of a running container of docker or podman.</param>
internal sealed record AttachJson(string Target)
{
    /// <summary>Its addresses, without prefix length.</summary>
    public IReadOnlyList<string>? Addresses { get; init; }

    /// <summary>Its MAC.</summary>
    public string? Mac { get; init; }

    /// <summary>Name of its interface; left out: the first of eth0, eth1 … that is free.</summary>
    public string? Ifname { get; init; }

    /// <summary>"auto" (or left out): the network's, where there is no default route; "none"; or an address, which must become the default route.</summary>
    public string? Gateway { get; init; }

    /// <summary>Its name; left out: that of its container or namespace; "" for none.</summary>
    public string? Name { get; init; }

    /// <summary>Other names, which several endpoints may share.</summary>
    public IReadOnlyList<string>? Aliases { get; init; }
}

/// <summary>An endpoint of this host.</summary>
/// <param name="Network">Its network.</param>
/// <param name="Id">Its id there.</param>
/// <param name="Target">What it is attached to, as it was named.</param>
/// <param name="State">"attaching", "attached", or "detaching": its wire is gone, and the store is yet to be told.</param>
internal sealed record EndpointJson(string Network, string Id, string Target, string State)
{
    /// <summary>Its MAC.</summary>
    public string? Mac { get; init; }

    /// <summary>Its addresses, with the length of their subnets.</summary>
    public IReadOnlyList<string>? Addresses { get; init; }

    /// <summary>Name of its interface.</summary>
    public string? Ifname { get; init; }

    /// <summary>The other end, on this host.</summary>
    public string? Link { get; init; }

    /// <summary>The bridge that end is a port of.</summary>
    public string? Bridge { get; init; }

    /// <summary>Addresses of the bridge that are the network's default routes on this host; left out without any.</summary>
    public IReadOnlyList<string>? Gateways { get; init; }

    /// <summary>Name servers of the network, as resolv.conf(5) has them; left out where names are not served.</summary>
    public IReadOnlyList<string>? Nameservers { get; init; }

    /// <summary>The domain that short names are looked up in, with <see cref="Nameservers"/>.</summary>
    public string? Search { get; init; }

    /// <summary>Its name; left out without one.</summary>
    public string? Name { get; init; }

    /// <summary>Its other names; left out without any.</summary>
    public IReadOnlyList<string>? Aliases { get; init; }

    /// <summary>Version that it was published in.</summary>
    public long? Version { get; init; }

    /// <summary>Why it goes, where nobody asked for that.</summary>
    public string? Reason { get; init; }
}

/// <summary>What became of a request to detach.</summary>
/// <param name="Outcome">"done", "nothing" (it was not there), or "queued": the wire is gone, and the store is told as soon as it answers.</param>
internal sealed record DetachJson(string Outcome);

/// <summary>The tables of a network's segment, compared with what hosts publish.</summary>
/// <param name="Ifname">The TAP.</param>
/// <param name="Network">The network.</param>
/// <param name="Differences">What they do not agree about; nothing if all is well.</param>
/// <param name="Conflicts">Claims that lose at the moment, and entries that cannot be had; one line each.</param>
internal sealed record TableAuditJson(string Ifname, string Network, IReadOnlyList<TableDifferenceJson> Differences, IReadOnlyList<string> Conflicts);

/// <summary>Something that a table and what is published do not agree about.</summary>
/// <param name="What">"missing": published, and not in the table; "surplus": in the table, and nobody says so; "different".</param>
/// <param name="Table">"fdb", "neigh", "flood" for the default destinations, or "route" of a routed network, whose neighbours are the kernel's.</param>
/// <param name="Key">The MAC, the address, or the VTEP.</param>
/// <param name="Wanted">Where it is to lead; left out if it is surplus.</param>
/// <param name="Found">Where it leads; left out if it is missing.</param>
/// <param name="By">The host that says so; "learned" for an entry that was.</param>
internal sealed record TableDifferenceJson(string What, string Table, string Key, string? Wanted, string? Found, string By);
