using System.Collections.Concurrent;
using Sleeve.Control.Daemon;
using Sleeve.Control.Host;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>What became of a request to detach.</summary>
internal enum DetachOutcome
{
    /// <summary>There was nothing.</summary>
    Nothing,

    /// <summary>It is gone everywhere.</summary>
    Done,

    /// <summary>Its wire is gone; the store does not answer, and is told as soon as it does.</summary>
    Queued,
}

/// <summary>
/// The endpoints of this host, from the command to the wire and back. Each step is noted before it is taken, so that a crash leaves nothing half: what was being attached is undone by the next run,
/// what was attached goes on, what was going goes. An endpoint is published before it is wired, so that others know it before it speaks, and unwired before it is withdrawn.
/// One change of an endpoint at a time, of several side by side.
/// </summary>
internal sealed partial class Endpoints
{
    private const int ViewMilliseconds = 1000;

    private readonly StateStore _store;
    private readonly IEndpointWires _wires;
    private readonly IEndpointClaims _claims;
    private readonly Func<ClusterView> _view;
    private readonly Action<string> _say;
    private readonly KeyedTurns _turns = new();
    private readonly ConcurrentDictionary<(string Network, string Id), EndpointEntry> _entries = new();
    private volatile bool _mustReassert = true;
    private long _ghostsUntil;

    /// <summary>Makes a host without endpoints; <see cref="ReconcileAsync"/> finds those of the run before.</summary>
    /// <param name="store">The journal.</param>
    /// <param name="wires">What is done on this host.</param>
    /// <param name="claims">What is told to others.</param>
    /// <param name="view">The cluster as it is known.</param>
    /// <param name="say">Takes lines for whoever watches.</param>
    public Endpoints(StateStore store, IEndpointWires wires, IEndpointClaims claims, Func<ClusterView> view, Action<string> say) =>
        (_store, _wires, _claims, _view, _say) = (store, wires, claims, view, say);

    /// <summary>Waits until a revision of the store is in the view; at most a second is waited.</summary>
    public Func<long, CancellationToken, Task> WaitForView { get; init; } = static (_, _) => Task.CompletedTask;

    /// <summary>Makes a network again that a restored store does not have; one that is there stays.</summary>
    public Func<NetworkRecord, CancellationToken, Task> PutBackNetwork { get; init; } = static (_, _) => Task.CompletedTask;

    /// <summary>Told each step as it is taken.</summary>
    public Action<string> OnStep { get; init; } = static _ => { };

    /// <summary>Those of this host, by network and id.</summary>
    public IReadOnlyList<EndpointEntry> List => [.. _entries.OrderBy(static each => each.Key.Network, StringComparer.Ordinal).ThenBy(static each => each.Key.Id, StringComparer.Ordinal).Select(static each => each.Value)];

    /// <summary>Whether there is a network of that name.</summary>
    public bool Knows(string network) => _view().Networks.GetValueOrDefault(network)?.Record is not null;

    /// <summary>One of them; null if there is none.</summary>
    public EndpointEntry? Find(string network, string id) => _entries.GetValueOrDefault((network, id));

    /// <summary>Attaches something to a network; done twice it is as done once.</summary>
    /// <param name="network">Name of the network.</param>
    /// <param name="id">Id of the endpoint, see <see cref="WireTarget.IdOf"/>.</param>
    /// <param name="request">What is asked for.</param>
    /// <param name="cancellation">Undoes it, unless it is done.</param>
    /// <exception cref="CommandRefusedException">It cannot be; nothing is left of it.</exception>
    /// <exception cref="StoreUnavailableException">The store does not answer; nothing is left of it.</exception>
    public async Task<EndpointEntry> AttachAsync(string network, string id, AttachRequest request, CancellationToken cancellation)
    {
        using var turn = await _turns.EnterAsync($"{network}/{id}", cancellation);
        try
        {
            var record = _view().Networks.GetValueOrDefault(network)?.Record?.Value
                ?? throw new CommandRefusedException(RefusalKind.Conflict, [$"network {network}: there is none; sleeve net ls lists them, sleeve net create {network} makes it"]);
            var draft = Read(record, id, request);
            var identity = await _wires.IdentifyAsync(request.Target, cancellation);
            if (await SettleAsync(record, id, request, identity, cancellation) is { } before) return before;
            return await AttachAsync(record, draft, new EndpointEntry { Network = RecordJson.Write(record), Id = id, Request = request, Identity = identity }, cancellation);
        }
        catch (IOException failure) when (failure is not StoreUnavailableException)
        {
            throw new CommandRefusedException(RefusalKind.Impossible, [failure.Message]);
        }
    }

    // What is attached already, just as it is asked for; null if it is to be attached.
    private async Task<EndpointEntry?> SettleAsync(NetworkRecord record, string id, AttachRequest request, string identity, CancellationToken cancellation)
    {
        if (_entries.GetValueOrDefault((record.Name, id)) is not { } before) return null;
        if (before.State == EndpointState.Attached && before.Record!.Id == record.Id)
        {
            // Its container was started again: what it has is kept, and wired anew.
            if (!_wires.Links().Contains(before.Link)) return null;
            if (before.Identity != identity)
                throw new CommandRefusedException(RefusalKind.Conflict, [$"endpoint {id} of {record.Name}: is attached to another namespace, which was {before.Request.Target} then; sleeve detach {record.Name} {id} first, or give this one another --id"]);
            if (before.Request == request) return before;
            // Attached to ask for addresses (DHCP), and now there are some: it is published anew, and its wire gets them.
            if (before is { Request.Addresses.Count: 0, Published.Addresses.Count: 0 } && request == before.Request with { Addresses = request.Addresses }) return null;
            throw new CommandRefusedException(RefusalKind.Conflict, [$"endpoint {id} of {record.Name}: is attached already, with other words; sleeve detach {record.Name} {id} first"]);
        }

        if (await FinishAsync(before with { State = EndpointState.Detaching }, cancellation) == DetachOutcome.Queued)
            throw new StoreUnavailableException($"endpoint {id} of {record.Name}: is going, which the store has to be told first, and it does not answer");
        return null;
    }

    private static EndpointRecord Read(NetworkRecord record, string id, AttachRequest request)
    {
        var errors = new List<string>();
        if (!Names.IsName(id)) errors.Add($"id {id}: must be {Names.Allowed}");
        if (request.Name.Length > 0 && !Names.IsName(request.Name)) errors.Add($"name {request.Name}: must be {Names.Allowed}");
        foreach (var alias in request.Aliases.Where(static alias => !Names.IsName(alias))) errors.Add($"alias {alias}: must be {Names.Allowed}");
        if (request.Aliases.Count > RecordJson.MaxAliases) errors.Add($"alias: given {request.Aliases.Count} times; at most {RecordJson.MaxAliases} are allowed");
        if (request.Ifname.Length > 0 && !LinkInfo.IsValidName(request.Ifname)) errors.Add($"ifname {request.Ifname}: must be {Cli.Words.LinkNameAllowed}");
        if (request.Addresses.Count > Bindings.MaxAddresses) errors.Add($"address: given {request.Addresses.Count} times; at most {Bindings.MaxAddresses} are allowed");
        var addresses = new List<InternetAddress>();
        foreach (var text in request.Addresses)
        {
            if (InternetAddress.TryParse(text, out var address) && address is { IsUnspecified: false, IsMulticast: false, IsLoopback: false, IsIPv4Broadcast: false }) addresses.Add(address);
            else errors.Add($"address {text}: must be an IPv4 or IPv6 unicast address");
        }

        MacAddress mac = default;
        if (request.Mac.Length > 0 && (!MacAddress.TryParse(request.Mac, out mac) || !mac.IsValidSource)) errors.Add($"mac {request.Mac}: must be a unicast MAC such as 02:00:00:00:00:01");
        if (mac == LocalNetwork.GatewayMacOf(record.Vni)) errors.Add($"mac {mac}: is that of the network's gateway; must be another");
        if (request.Gateway is not ("auto" or "none") && (!InternetAddress.TryParse(request.Gateway, out var gateway) || gateway.IsUnspecified || gateway.IsMulticast)) errors.Add($"gateway {request.Gateway}: must be auto, none, or an address");
        if (errors.Count > 0) throw new CommandRefusedException(RefusalKind.Invalid, errors);
        return new EndpointRecord(id, mac, addresses) { Name = request.Name, Aliases = request.Aliases };
    }

    private async Task<EndpointEntry> AttachAsync(NetworkRecord record, EndpointRecord draft, EndpointEntry entry, CancellationToken cancellation)
    {
        OnStep("intend");
        Note(entry);
        try
        {
            OnStep("publish");
            var published = await _claims.PublishAsync(record, draft, cancellation);
            entry = entry with { Endpoint = RecordJson.Write(published.Value), Version = published.Version };
            OnStep("note");
            Note(entry);
            OnStep("hold");
            var network = await _wires.HoldAsync(record, entry.Id, cancellation);
            OnStep("wait");
            await WaitAsync(published.Version, cancellation);
            OnStep("wire");
            entry = entry with { Ifname = await _wires.ConnectAsync(entry.Request.Target, entry.Identity, PlanOf(network, entry, published.Value), cancellation), State = EndpointState.Attached };
            OnStep("finish");
            Note(entry);
            OnStep("done");
            return entry;
        }
        catch (Exception failure) when (failure is IOException or CommandRefusedException or OperationCanceledException)
        {
            await GoAsync(entry with { State = EndpointState.Detaching }, "it could not be attached", CancellationToken.None);
            throw;
        }
    }

    // What others publish shall be in the tables before the first packet; nobody waits for long.
    private async Task WaitAsync(long revision, CancellationToken cancellation)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        patience.CancelAfter(ViewMilliseconds);
        try
        {
            await WaitForView(revision, patience.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            _say($"warning: the store does not tell what it was told (revision {revision}): others may be unknown here for a moment");
        }
    }

    private static WirePlan PlanOf(LocalNetwork network, EndpointEntry entry, EndpointRecord endpoint)
    {
        var isGiven = entry.Request.Gateway is not ("auto" or "none");
        IReadOnlyList<InternetAddress> gateways = entry.Request.Gateway switch
        {
            "none" => [],
            // Of a family in which it has no address it could not answer.
            "auto" => [.. network.Gateways.Where(gateway => endpoint.Addresses.Any(address => address.IsIPv4 == gateway.IsIPv4)).DistinctBy(static gateway => gateway.IsIPv4)],
            var text => InternetAddress.TryParse(text, out var given) ? [given] : [],
        };
        return new WirePlan
        {
            Link = entry.Link,
            Bridge = network.Bridge,
            InterfaceName = entry.Request.Ifname,
            Mac = endpoint.Mac,
            Addresses = [.. endpoint.Addresses.Select(address => LocalNetworks.NetworkOf(network.Record, address))],
            Mtu = network.Mtu,
            Gateways = gateways,
            InsistsOnGateways = isGiven,
        };
    }

    /// <summary>Gives an endpoint of this host another name, and other aliases; one that is not there, or goes, is left alone.</summary>
    /// <param name="network">Name of its network.</param>
    /// <param name="id">Its id.</param>
    /// <param name="name">Its name; "" for none.</param>
    /// <param name="aliases">Other names.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="CommandRefusedException">They are no names; nothing is changed.</exception>
    /// <exception cref="StoreUnavailableException">The store does not answer.</exception>
    public async Task RenameAsync(string network, string id, string name, IReadOnlyList<string> aliases, CancellationToken cancellation)
    {
        using var turn = await _turns.EnterAsync($"{network}/{id}", cancellation);
        if (_entries.GetValueOrDefault((network, id)) is not { State: EndpointState.Attached, Record: { } record, Published: { } before } entry) return;
        var request = entry.Request with { Name = name, Aliases = aliases };
        if (request == entry.Request) return;
        Read(record, id, request);
        var published = await _claims.PublishAsync(record, before with { Name = name, Aliases = aliases }, cancellation);
        Note(entry with { Request = request, Endpoint = RecordJson.Write(published.Value), Version = published.Version });
    }

    /// <summary>Detaches an endpoint: its wire goes at once, also if the store does not answer. Done twice it is as done once.</summary>
    public async Task<DetachOutcome> DetachAsync(string network, string id, CancellationToken cancellation)
    {
        using var turn = await _turns.EnterAsync($"{network}/{id}", cancellation);
        if (_entries.GetValueOrDefault((network, id)) is not { } entry) return DetachOutcome.Nothing;
        try
        {
            return await FinishAsync(entry with { State = EndpointState.Detaching }, cancellation);
        }
        catch (IOException failure)
        {
            throw new CommandRefusedException(RefusalKind.Impossible, [failure.Message]);
        }
    }

    // In its turn. What cannot be done now is done later, since it is noted.
    private async Task<DetachOutcome> FinishAsync(EndpointEntry entry, CancellationToken cancellation)
    {
        var record = entry.Record!;
        TryNote(entry);
        OnStep("unwire");
        _wires.Disconnect(entry.Link);
        OnStep("release");
        await _wires.ReleaseAsync(record.Name, entry.Id);
        OnStep("withdraw");
        try
        {
            await _claims.WithdrawAsync(record.Name, entry.Id, cancellation);
        }
        catch (StoreUnavailableException)
        {
            return DetachOutcome.Queued;
        }

        OnStep("forget");
        _store.RemoveEndpoint(record.Name, entry.Id);
        _entries.TryRemove((record.Name, entry.Id), out _);
        return DetachOutcome.Done;
    }

    private void Note(EndpointEntry entry)
    {
        var name = entry.Record!.Name;
        _store.SaveEndpoint(new StoredEndpoint(name, entry.Id, entry.Write()));
        _entries[(name, entry.Id)] = entry;
    }

    // Where going on is better than to be sure that the next run knows.
    private void TryNote(EndpointEntry entry)
    {
        _entries[(entry.Record!.Name, entry.Id)] = entry;
        try
        {
            Note(entry);
        }
        catch (HostException failure)
        {
            _say($"warning: endpoint {entry.Id} of {entry.Record.Name}: the state is not saved: {failure.Message}");
        }
    }
}
