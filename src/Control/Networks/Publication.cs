using Sleeve.Control.Daemon;
using Sleeve.Control.Host;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>Something that was this host's and is another's by now.</summary>
/// <param name="Network">The network.</param>
/// <param name="Endpoint">The endpoint that had it.</param>
/// <param name="What">"address 10.0.0.5", "mac 02:42:0a:00:00:05" or "network" (it was removed, or made anew).</param>
/// <param name="Whose">Who has it now.</param>
/// <param name="Since">Revision of the store in which it was taken; 0 if that is not known.</param>
internal sealed record LostClaim(string Network, string Endpoint, string What, string Whose, long Since)
{
    /// <inheritdoc/>
    public override string ToString() => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{Network}: endpoint {Endpoint}: {What} is lost: {Whose}{(Since > 0 ? $", since revision {Since}" : "")}");
}

/// <summary>
/// Publishes one endpoint in one transaction: its addresses, its MAC, its record, and what the host needs for it in the network. Refused means that somebody was first: what the transaction found is known then, and
/// another attempt goes by it. What was given and is taken is an error; what was to be chosen is chosen again.
/// </summary>
/// <param name="store">Where.</param>
/// <param name="claims">How things stand.</param>
/// <param name="state">This host's work in the network.</param>
/// <param name="me">This host.</param>
/// <param name="network">The network.</param>
/// <param name="draft">The endpoint; without addresses they are chosen, with a MAC of zero that is too.</param>
/// <param name="isReassertion">It was published before: what is taken is given up and told, instead of refused.</param>
internal sealed class Publication(IStore store, Claims claims, NetworkState state, PeerRecord me, NetworkRecord network, EndpointRecord draft, bool isReassertion)
{
    private const int MaxAttempts = 200;

    private readonly Dictionary<string, LostClaim> _lost = [];
    private readonly List<InternetAddress> _held = [];
    private readonly List<AddressPrefix> _leases = [];
    private readonly HashSet<string> _unsure = [];
    private bool _isFresh;

    /// <summary>What is another's by now.</summary>
    public IReadOnlyCollection<LostClaim> Lost => _lost.Values;

    /// <summary>Does it.</summary>
    /// <returns>As it is published; null if all of it is <see cref="Lost"/>, and nothing was done.</returns>
    /// <exception cref="CommandRefusedException">Not as it was asked for.</exception>
    public async Task<Published<EndpointRecord>?> RunAsync(CancellationToken cancellation)
    {
        try
        {
            for (var attempt = 0; attempt < MaxAttempts; attempt++)
            {
                claims.Look();
                if (claims.Network is null) await ReadAsync(ClusterKeys.Network(network.Name), cancellation);
                if (CheckNetwork() is { } gone && !Lose("network", gone, 0)) throw Refused(gone);
                if (_lost.ContainsKey("network")) return null;
                var prepared = Prepare(attempt);
                if (_unsure.Count > 0)
                {
                    foreach (var key in _unsure) await ReadAsync(key, cancellation);
                    _unsure.Clear();
                    continue;
                }

                if (prepared is not { } record)
                {
                    if (isReassertion) return null;
                    if (_isFresh) throw Full();
                    await RefreshAsync(cancellation);
                    continue;
                }

                var transaction = Compose(record, out var isSame);
                var outcome = await store.CommitAsync(transaction, cancellation);
                if (outcome.IsDone) return new Published<EndpointRecord>(record, me.Name, isSame ? claims.Endpoint!.Version : outcome.Revision);
                claims.Learn(transaction, outcome);
            }
        }
        catch (StoreRefusedException refusal)
        {
            throw new CommandRefusedException(RefusalKind.Impossible, [$"{store.Place} refuses it: {refusal.Message}"]);
        }
        finally
        {
            LetGo();
        }

        throw new CommandRefusedException(RefusalKind.Impossible, [$"network {network.Name}: too many want addresses of it at the same time; try again"]);
    }

    private string? CheckNetwork() => claims.Network switch
    {
        null => $"network {network.Name}: was removed",
        { Value.Id: var id } when id != network.Id => $"network {network.Name}: was removed and made anew",
        _ => null,
    };

    private EndpointRecord? Prepare(int attempt)
    {
        LetGo();
        _leases.Clear();
        var current = claims.Endpoint?.Value;
        if (current is null && me.IsDraining && !isReassertion) throw Refused($"host {me.Name}: is being drained and takes no new endpoints; sleeve peer drain {me.Name} --off ends that");
        var random = attempt == 0 ? null : new Random((int)StableHash.Of($"{me.Name}/{draft.Id}", attempt));
        var addresses = draft.Addresses.Count > 0 ? Given() : current is { Addresses.Count: > 0 } ? Kept(current) : [];
        if (addresses.Count == 0 && draft.Addresses.Count == 0 && Choose(random) is { } chosen) addresses = chosen;
        else if (addresses.Count == 0 && (draft.Addresses.Count > 0 || network.Subnets.Count > 0)) return null;
        return MacOf(current, addresses) is not { } mac ? null : draft with { Mac = mac, Addresses = addresses, Vtep = me.Local, Generation = me.Generation };
    }

    private List<InternetAddress> Given()
    {
        var mine = new List<InternetAddress>();
        foreach (var address in draft.Addresses)
        {
            var key = ClusterKeys.Address(network.Name, address);
            var reason = Misplaced(address, ref key, out var since);
            if (reason is null && claims.Address(address) is { Revision: not 0, IsMine: false } taken) (reason, since) = (taken.Whose, taken.Revision);
            if (reason is null) mine.Add(address);
            // The replica may lag behind: nobody is refused by what it says alone.
            else if (since > 0 && !claims.Known.ContainsKey(key)) _unsure.Add(key);
            else if (!Lose($"address {address}", reason, since)) throw Refused($"address {address}: is taken: {reason}");
        }

        return mine;
    }

    // Why an address cannot be had here, whoever has it; null if it can. In a routed network the block decides, which is leased with it; its key is given then.
    private string? Misplaced(InternetAddress address, ref string key, out long since)
    {
        since = 0;
        if (network.Subnets.Count == 0) return null;
        var subnets = network.Subnets.Where(subnet => subnet.Contains(address)).ToArray();
        if (subnets is not [var subnet]) return $"not of a subnet of {network.Name} ({string.Join(", ", network.Subnets)})";
        if (!AddressPool.IsUsable(subnet, address)) return $"the network or broadcast address of {subnet}";
        if (network.Mode != NetworkMode.Routed) return null;
        var block = AddressPool.BlockOf(address, AddressPool.BlockLength(network, subnet));
        if (!AddressPool.IsUsable(block, address) || address == AddressPool.DefaultGateway(block)) return $"the network's, the host's or the broadcast address of {block}";
        var own = AddressChooser.BlocksOf(me.Name, network, subnet, claims.View, claims.Known);
        if (own.Contains(block) || _leases.Contains(block)) return null;
        if (own.Count > 0) return $"not of {string.Join(", ", own)}, which is the subnet of this host";
        if (claims.Block(block) is { } other)
        {
            (since, key) = (other.Version, ClusterKeys.Block(network.Name, block));
            return $"of {block}, the subnet of host {other.Host}";
        }

        if (claims.View.Foreign.Values.FirstOrDefault(each => each.Value.Subnets.Any(subnet => subnet.Overlaps(block))) is { } foreign) return $"of {block}, the subnet of host {foreign.Host}";
        _leases.Add(block);
        return null;
    }

    private List<InternetAddress> Kept(EndpointRecord current) => [.. current.Addresses.Where(address => claims.Address(address).IsMine)];

    // One of each family: null if a family has none left.
    private List<InternetAddress>? Choose(Random? random)
    {
        var chosen = new List<InternetAddress>();
        foreach (var family in network.Subnets.GroupBy(static subnet => subnet.Address.IsIPv4))
        {
            AddressChoice? choice = null;
            lock (state.Chooser)
            {
                foreach (var subnet in family)
                {
                    choice = state.Chooser.Choose(network, subnet, claims.View, claims.Known, me.Location, random);
                    if (choice is not { } found) continue;
                    state.Chooser.Hold(found.Address);
                    _held.Add(found.Address);
                    break;
                }
            }

            if (choice is not { } address) return null;
            chosen.Add(address.Address);
            if (address.Lease is { } lease) _leases.Add(lease);
        }

        return network.Subnets.Count == 0 ? null : chosen;
    }

    private MacAddress? MacOf(EndpointRecord? current, List<InternetAddress> addresses)
    {
        if (!draft.Mac.IsZero)
        {
            if (claims.Mac(draft.Mac) is not { Revision: not 0, IsMine: false } taken) return draft.Mac;
            if (!Lose($"mac {draft.Mac}", taken.Whose, taken.Revision)) throw Refused($"mac {draft.Mac}: is taken: {taken.Whose}");
            return null;
        }

        if (current is not null && claims.Mac(current.Mac) is { IsMine: true }) return current.Mac;
        for (var salt = 0; ; salt++)
        {
            var mac = DerivedMac.Of(addresses.Count > 0 ? addresses[0] : null, network.Id, me.Name, draft.Id, salt);
            if (claims.Mac(mac) is { Revision: 0 } or { IsMine: true }) return mac;
        }
    }

    private StoreTransaction Compose(EndpointRecord record, out bool isSame)
    {
        var (conditions, writes) = (new List<StoreCondition>(), new List<StoreWrite>());
        var current = claims.Endpoint;
        conditions.Add(new StoreCondition(ClusterKeys.Network(network.Name), claims.Network!.Version));
        foreach (var block in _leases.Distinct())
        {
            conditions.Add(StoreCondition.Absent(ClusterKeys.Block(network.Name, block)));
            writes.Add(new StoreWrite(ClusterKeys.Block(network.Name, block), RecordJson.Write(new BlockRecord(me.Name))));
        }

        var claim = RecordJson.Write(new AddressRecord(me.Name, record.Id, AddressRecord.OfEndpoint));
        foreach (var address in record.Addresses)
        {
            var (key, stands) = (ClusterKeys.Address(network.Name, address), claims.Address(address));
            conditions.Add(new StoreCondition(key, stands.Revision));
            if (!stands.IsMine) writes.Add(new StoreWrite(key, claim));
        }

        conditions.Add(claims.MacCondition(record.Mac));
        if (!claims.Mac(record.Mac).IsMine) writes.Add(new StoreWrite(ClusterKeys.Mac(network.Name, record.Mac), claims.MacValue));
        if (current is not null) GiveUp(current.Value, record, conditions, writes);
        var text = RecordJson.Write(record);
        var endpoint = ClusterKeys.Endpoint(me.Name, network.Name, record.Id);
        conditions.Add(new StoreCondition(endpoint, claims.RevisionOf(endpoint, current?.Version ?? 0)));
        isSame = current is not null && RecordJson.Write(current.Value) == text;
        if (!isSame) writes.Add(new StoreWrite(endpoint, text));
        AddMember(conditions, writes);
        return new StoreTransaction(conditions, writes);
    }

    // What it had and has no longer: its own alone.
    private void GiveUp(EndpointRecord before, EndpointRecord now, List<StoreCondition> conditions, List<StoreWrite> writes)
    {
        foreach (var address in before.Addresses.Except(now.Addresses))
        {
            if (claims.Address(address) is not { IsMine: true } mine) continue;
            conditions.Add(new StoreCondition(ClusterKeys.Address(network.Name, address), mine.Revision));
            writes.Add(new StoreWrite(ClusterKeys.Address(network.Name, address), null));
        }

        if (before.Mac == now.Mac || !claims.Mac(before.Mac).IsMine) return;
        conditions.Add(claims.MacCondition(before.Mac));
        writes.Add(new StoreWrite(ClusterKeys.Mac(network.Name, before.Mac), null));
    }

    // Whoever removes the network looks whether it has endpoints, and then holds its VNI to be unchanged: the first endpoint of a host changes it.
    private void AddMember(List<StoreCondition> conditions, List<StoreWrite> writes)
    {
        var (key, known) = (ClusterKeys.Member(me.Name, network.Name), claims.Member);
        var wanted = NetworkState.MemberOf(me, network, known?.Value, claims.View, claims.Known, _leases);
        var isSame = known is not null && RecordJson.Write(known.Value) == RecordJson.Write(wanted);
        conditions.Add(new StoreCondition(key, claims.RevisionOf(key, known?.Version ?? 0)));
        if (!isSame) writes.Add(new StoreWrite(key, RecordJson.Write(wanted)));
        if (!isSame || !claims.View.Endpoints.Keys.Any(each => each.Host == me.Name)) writes.Add(new StoreWrite(ClusterKeys.Vni(network.Vni), network.Name));
    }

    private bool Lose(string what, string whose, long since)
    {
        if (isReassertion) _lost[what] = new LostClaim(network.Name, draft.Id, what, whose, since);
        return isReassertion;
    }

    private void LetGo()
    {
        lock (state.Chooser)
            foreach (var address in _held) state.Chooser.LetGo(address);
        _held.Clear();
    }

    private async Task ReadAsync(string key, CancellationToken cancellation)
    {
        var slice = await store.RangeAsync(key, cancellation);
        claims.LearnAbsent(key);
        claims.Learn(slice.Entries.Where(entry => entry.Key == key));
    }

    // Before it is said that there is nothing left, the store is asked: the replica may lag behind.
    private async Task RefreshAsync(CancellationToken cancellation)
    {
        _isFresh = true;
        foreach (var address in claims.View.Addresses.Keys) claims.LearnAbsent($"{ClusterKeys.Addresses}{network.Name}/{address}");
        claims.Learn((await store.RangeAsync($"{ClusterKeys.Addresses}{network.Name}/", cancellation)).Entries);
        claims.Learn((await store.RangeAsync($"{ClusterKeys.Blocks}{network.Name}/", cancellation)).Entries);
    }

    private CommandRefusedException Full() => new(RefusalKind.Impossible,
    [
        network.Mode == NetworkMode.Routed
            ? $"network {network.Name}: the subnet of this host is full, or no host's part of {string.Join(", ", network.Subnets)} is free; sleeve ipam show {network.Name} shows who has what"
            : $"network {network.Name}: the pool is full: no free address in {string.Join(", ", network.Subnets)}; sleeve ipam show {network.Name} shows who has what",
    ]);

    private static CommandRefusedException Refused(string reason) => new(RefusalKind.Conflict, [reason]);
}
