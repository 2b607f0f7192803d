namespace Sleeve.Control.Networks;

/// <summary>What the cluster knows of this host's endpoints, as <see cref="Endpoints"/> needs it. A store that is away is a <see cref="Store.StoreUnavailableException"/>, at once.</summary>
internal interface IEndpointClaims
{
    /// <summary>Claims the addresses and the MAC of an endpoint and publishes it; what it is not given is chosen. Done twice it is as done once.</summary>
    /// <exception cref="Daemon.CommandRefusedException">They are somebody else's, or there are none left.</exception>
    Task<Published<EndpointRecord>> PublishAsync(NetworkRecord network, EndpointRecord draft, CancellationToken cancellation);

    /// <summary>Withdraws an endpoint and frees what it had; one that is not there is no error.</summary>
    Task WithdrawAsync(string network, string id, CancellationToken cancellation);

    /// <summary>Says once more what this host has, after a restart or a partition.</summary>
    /// <returns>What is another's by now.</returns>
    Task<IReadOnlyList<LostClaim>> ReassertAsync(IReadOnlyList<(string Network, EndpointRecord Endpoint)> local, CancellationToken cancellation);
}

/// <summary>What this host does for endpoints, as <see cref="Endpoints"/> needs it.</summary>
internal interface IEndpointWires
{
    /// <summary>Has a network here for an endpoint (<see cref="LocalNetworks.HoldAsync"/>).</summary>
    Task<LocalNetwork> HoldAsync(NetworkRecord record, string user, CancellationToken cancellation);

    /// <summary>Takes it away if nobody needs it any more.</summary>
    Task ReleaseAsync(string network, string user);

    /// <summary>Which namespace a target is at the moment: equal if and only if it is the same one, also after a restart of the host.</summary>
    /// <exception cref="Host.HostException">There is no such target.</exception>
    Task<string> IdentifyAsync(string target, CancellationToken cancellation);

    /// <summary>Wires a target (<see cref="Wiring.Connect"/>).</summary>
    /// <param name="target">As an operator called it.</param>
    /// <param name="identity">What <see cref="IdentifyAsync"/> said; another one by now is refused.</param>
    /// <param name="plan">How.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <returns>Name of the interface there.</returns>
    /// <exception cref="Host.HostException">It cannot be done, and nothing is left.</exception>
    Task<string> ConnectAsync(string target, string identity, WirePlan plan, CancellationToken cancellation);

    /// <summary>Makes the near end of a wire a port of its network's bridge again, without looking at the target.</summary>
    void Plug(string link, LocalNetwork network);

    /// <summary>Takes a wire away.</summary>
    /// <returns>False if there is none.</returns>
    bool Disconnect(string link);

    /// <summary>The near ends of wires that are there.</summary>
    IReadOnlySet<string> Links();

    /// <summary>Removes TAPs and bridges of an earlier run that nobody needs, and wires that are not among these.</summary>
    void RemoveLeftOvers(IReadOnlySet<string> links);
}
