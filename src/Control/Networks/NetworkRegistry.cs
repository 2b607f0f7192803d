using System.Globalization;
using System.Security.Cryptography;
using Sleeve.Control.Daemon;
using Sleeve.Control.Host;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>
/// Makes, labels and removes networks. A network, its VNI and its gateways are claimed in one transaction that holds only if none of them is there, so any number of hosts may do it at the same time.
/// </summary>
/// <param name="store">Where.</param>
/// <param name="replica">The copy of it.</param>
internal sealed class NetworkRegistry(IStore store, Replica replica)
{
    /// <summary>The first VNI that is given out if nothing else is said: what people number by hand lies below.</summary>
    public const uint FirstVni = 4096;

    private const int MaxAttempts = 200;
    private const int MaxNamed = 10;

    // A condition and a change each.
    private const int MaxAtOnce = 100;
    private static readonly TimeSpan PatienceForReplica = TimeSpan.FromSeconds(2);

    /// <summary>VNIs that may be given out, the first and the last.</summary>
    public (uint First, uint Last) VniRange { get; init; } = (FirstVni, Vni.MaxValue);

    /// <summary>Makes a network.</summary>
    /// <param name="draft">What it is to be; its id is made here. Without gateways, the first address of each subnet is one, unless it is routed.</param>
    /// <param name="autoVni">Choose a VNI, whatever the draft says.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>As it stands in the store.</returns>
    /// <exception cref="CommandRefusedException">The name or the VNI is taken, or a setting is wrong; nothing was changed.</exception>
    /// <exception cref="StoreUnavailableException">No answer; it may have been made.</exception>
    public async Task<Published<NetworkRecord>> CreateAsync(NetworkRecord draft, bool autoVni, CancellationToken cancellation)
    {
        var network = Complete(draft, autoVni);
        string[] errors = [.. NetworkRules.Errors(network), .. RoutedRules.Errors(network), .. RoutedRules.HostErrors(network)];
        if (errors.Length > 0) throw new CommandRefusedException(RefusalKind.Invalid, errors);
        var taken = TakenVnis();
        var leftOver = new Dictionary<string, long>();
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            if (autoVni) network = network with { Vni = await ChooseVniAsync(taken, attempt, cancellation) };
            var transaction = Compose(network, leftOver);
            var outcome = await CommitAsync(transaction, cancellation);
            if (outcome.IsDone)
            {
                await CatchUpAsync(outcome.Revision, cancellation);
                return new Published<NetworkRecord>(network, "", outcome.Revision);
            }

            leftOver.Clear();
            foreach (var found in outcome.Found) Judge(network, autoVni, found, taken, leftOver);
        }

        throw new CommandRefusedException(RefusalKind.Impossible, [$"network {network.Name}: too many are made at the same time; try again"]);
    }

    /// <summary>Makes a network again as it was, with its id: the store was restored from a backup that does not have it. Where its name or VNI is taken nothing is done.</summary>
    /// <param name="network">The network.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="StoreUnavailableException">No answer.</exception>
    public async Task PutBackAsync(NetworkRecord network, CancellationToken cancellation)
    {
        var outcome = await CommitAsync(Compose(network, []), cancellation);
        if (outcome.IsDone) await CatchUpAsync(outcome.Revision, cancellation);
    }

    /// <summary>Removes a network with its reservations. One that is not there is no error.</summary>
    /// <param name="name">The network.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="CommandRefusedException">It has endpoints, which are named; nothing was changed.</exception>
    /// <exception cref="StoreUnavailableException">No answer; it may have been removed.</exception>
    public Task<bool> RemoveAsync(string name, CancellationToken cancellation) => RemoveAsync(name, force: false, cancellation);

    /// <summary>Removes a network.</summary>
    /// <param name="name">The network.</param>
    /// <param name="force">Endpoints of hosts that give no sign of life go with it; those of others are in its way all the same.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>False if there is none.</returns>
    /// <exception cref="CommandRefusedException">It has endpoints, which are named.</exception>
    /// <exception cref="StoreUnavailableException">No answer; it may have been removed.</exception>
    public async Task<bool> RemoveAsync(string name, bool force, CancellationToken cancellation)
    {
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            // In this order: whoever publishes the first endpoint of a host changes the key of the VNI, so an endpoint that comes after the look is noticed.
            if (await FindAsync(ClusterKeys.Network(name), cancellation) is not { } entry) return false;
            var vniKey = RecordJson.TryRead<NetworkRecord>(entry.Value, out var network, out _) ? ClusterKeys.Vni(network.Vni) : null;
            var vni = vniKey is null ? null : await FindAsync(vniKey, cancellation);
            var macs = await store.RangeAsync($"{ClusterKeys.Macs}{name}/", cancellation);
            var left = macs.Entries.ToList();
            left.AddRange((await store.RangeAsync($"{ClusterKeys.Addresses}{name}/", cancellation)).Entries);
            left.AddRange((await store.RangeAsync($"{ClusterKeys.Blocks}{name}/", cancellation)).Entries);
            if (await RefuseOrReclaimAsync(name, left, force, cancellation)) continue;

            // What is left is nobody's. All but the last of it first, so that the record goes with the end of it.
            var isSwept = true;
            foreach (var chunk in left.Skip(MaxAtOnce).Chunk(MaxAtOnce)) isSwept &= (await CommitAsync(DeletionOf(chunk), cancellation)).IsDone;
            if (!isSwept) continue;
            List<StoreEntry> last = [entry, .. left.Take(MaxAtOnce)];
            if (vni is not null && vni.Value == name) last.Add(vni);
            var outcome = await CommitAsync(DeletionOf(last), cancellation);
            if (!outcome.IsDone) continue;
            await CatchUpAsync(outcome.Revision, cancellation);
            return true;
        }

        throw new CommandRefusedException(RefusalKind.Impossible, [$"network {name}: changes faster than it can be removed; try again"]);
    }

    /// <summary>Gives a network that nobody uses yet the name that it is to have, and what else is known of it by now; its VNI and its id stay.</summary>
    /// <param name="from">As it was made.</param>
    /// <param name="to">As it is to be.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>As it stands in the store; null if there is a network of that name, which stays as it is, as this one does.</returns>
    /// <exception cref="CommandRefusedException">It was removed, or has endpoints by now; or a setting is wrong.</exception>
    /// <exception cref="StoreUnavailableException">No answer; it may have been done.</exception>
    public async Task<Published<NetworkRecord>?> RenameAsync(NetworkRecord from, NetworkRecord to, CancellationToken cancellation)
    {
        string[] errors = [.. NetworkRules.Errors(to)];
        if (errors.Length > 0) throw new CommandRefusedException(RefusalKind.Invalid, errors);
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            if (await FindAsync(ClusterKeys.Network(from.Name), cancellation) is not { } stored || !RecordJson.TryRead<NetworkRecord>(stored.Value, out var record, out _) || record.Id != from.Id)
                throw new CommandRefusedException(RefusalKind.Conflict, [$"network {from.Name}: was removed"]);
            if (await FindAsync(ClusterKeys.Network(to.Name), cancellation) is not null) return null;
            // In this order, as for a removal: the first endpoint of a host changes the key of the VNI.
            var vni = await FindAsync(ClusterKeys.Vni(from.Vni), cancellation);
            if ((await store.RangeAsync($"{ClusterKeys.Macs}{from.Name}/", cancellation)).Entries.Count > 0) throw new CommandRefusedException(RefusalKind.Conflict, [$"network {from.Name}: has endpoints already"]);
            var addresses = (await store.RangeAsync($"{ClusterKeys.Addresses}{from.Name}/", cancellation)).Entries;
            if (vni is null || addresses.Count > MaxAtOnce / 2) throw new CommandRefusedException(RefusalKind.Conflict, [$"network {from.Name}: is in use already"]);
            var moved = addresses.Select(entry => new StoreWrite($"{ClusterKeys.Addresses}{to.Name}/{entry.Key[(entry.Key.LastIndexOf('/') + 1)..]}", entry.Value)).ToArray();
            var outcome = await CommitAsync(
                new StoreTransaction(
                    [StoreCondition.Unchanged(stored), StoreCondition.Unchanged(vni), StoreCondition.Absent(ClusterKeys.Network(to.Name)), .. addresses.Select(StoreCondition.Unchanged), .. moved.Select(static write => StoreCondition.Absent(write.Key))],
                    [
                        new StoreWrite(stored.Key, null), new StoreWrite(vni.Key, to.Name), new StoreWrite(ClusterKeys.Network(to.Name), RecordJson.Write(to with { Id = from.Id, Vni = from.Vni })),
                        .. addresses.Select(static entry => new StoreWrite(entry.Key, null)), .. moved,
                    ]),
                cancellation);
            if (!outcome.IsDone) continue;
            await CatchUpAsync(outcome.Revision, cancellation);
            return new Published<NetworkRecord>(to with { Id = from.Id, Vni = from.Vni }, "", outcome.Revision);
        }

        throw new CommandRefusedException(RefusalKind.Impossible, [$"network {from.Name}: changes faster than it can be renamed; try again"]);
    }

    /// <summary>Has a network have these labels and no others.</summary>
    /// <exception cref="CommandRefusedException">There is no such network, or a label is wrong.</exception>
    /// <exception cref="StoreUnavailableException">No answer; it may have been done.</exception>
    public async Task<Published<NetworkRecord>> SetLabelsAsync(string name, IReadOnlyDictionary<string, string> labels, CancellationToken cancellation)
    {
        var errors = NetworkRules.LabelErrors(labels).ToArray();
        if (errors.Length > 0) throw new CommandRefusedException(RefusalKind.Invalid, errors);
        var entry = await FindAsync(ClusterKeys.Network(name), cancellation);
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            if (entry is null || !RecordJson.TryRead<NetworkRecord>(entry.Value, out var network, out _)) throw new CommandRefusedException(RefusalKind.Conflict, [$"network {name}: there is none of that name; sleeve net ls shows them"]);
            network = network with { Labels = new SortedDictionary<string, string>(labels.ToDictionary(), StringComparer.Ordinal) };
            var text = RecordJson.Write(network);
            if (text == entry.Value) return new Published<NetworkRecord>(network, "", entry.ModRevision);
            var outcome = await CommitAsync(new StoreTransaction([StoreCondition.Unchanged(entry)], [new StoreWrite(entry.Key, text)]), cancellation);
            if (outcome.IsDone)
            {
                await CatchUpAsync(outcome.Revision, cancellation);
                return new Published<NetworkRecord>(network, "", outcome.Revision);
            }

            entry = outcome.Found is [var found, ..] ? found : null;
        }

        throw new CommandRefusedException(RefusalKind.Impossible, [$"network {name}: changes faster than it can be labelled; try again"]);
    }

    /// <summary>Enters a host that runs no Sleeve into a routed network, changes it, or takes it out.</summary>
    /// <param name="name">The network.</param>
    /// <param name="host">What the host is called.</param>
    /// <param name="entry">What is entered; null takes it out.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="CommandRefusedException">There is no such network, it is not routed, or a subnet is somebody else's.</exception>
    /// <exception cref="StoreUnavailableException">No answer; it may have been done.</exception>
    public async Task SetHostAsync(string name, string host, ForeignHost? entry, CancellationToken cancellation)
    {
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            if (await FindAsync(ClusterKeys.Network(name), cancellation) is not { } stored || !RecordJson.TryRead<NetworkRecord>(stored.Value, out var network, out _))
                throw new CommandRefusedException(RefusalKind.Conflict, [$"network {name}: there is none of that name; sleeve net ls shows them"]);
            if (network.Mode != NetworkMode.Routed) throw new CommandRefusedException(RefusalKind.Conflict, [$"network {name}: is bridged; hosts that run no Sleeve go into routed networks only"]);
            ForeignHost[] hosts = [.. (network.Hosts ?? []).Where(each => each.Host != host), .. entry is null ? [] : new[] { entry }];
            network = network with { Hosts = hosts.Length == 0 ? null : [.. hosts.OrderBy(static each => each.Host, StringComparer.Ordinal)] };
            var errors = RoutedRules.HostErrors(network).ToArray();
            if (errors.Length > 0) throw new CommandRefusedException(RefusalKind.Invalid, errors);
            var blocks = await store.RangeAsync($"{ClusterKeys.Blocks}{name}/", cancellation);
            if (entry is not null) RefuseLeased(blocks.Entries, entry);
            var text = RecordJson.Write(network);
            if (text == stored.Value) return;
            // Whoever leases a block holds the record to be unchanged, so one of the two is told.
            var free = entry is null ? [] : RoutedRules.BlocksIn(network, entry.Subnets).Take(MaxAtOnce).Select(block => StoreCondition.Absent(ClusterKeys.Block(name, block)));
            var outcome = await CommitAsync(new StoreTransaction([StoreCondition.Unchanged(stored), .. free], [new StoreWrite(stored.Key, text)]), cancellation);
            if (!outcome.IsDone) continue;
            await CatchUpAsync(outcome.Revision, cancellation);
            return;
        }

        throw new CommandRefusedException(RefusalKind.Impossible, [$"network {name}: changes faster than it can be written; try again"]);
    }

    private static void RefuseLeased(IEnumerable<StoreEntry> blocks, ForeignHost entry)
    {
        foreach (var block in blocks)
        {
            var text = block.Key[(block.Key.LastIndexOf('/') + 1)..].Replace('_', '/');
            if (!AddressPrefix.TryParse(text, out var prefix) || !entry.Subnets.Any(subnet => subnet.Overlaps(prefix))) continue;
            var whose = RecordJson.TryRead<BlockRecord>(block.Value, out var record, out _) ? $"host {record.Host}'s" : "leased";
            throw new CommandRefusedException(RefusalKind.Conflict, [$"subnet {string.Join(", ", entry.Subnets)}: {prefix} is {whose}; sleeve ipam show tells who has what"]);
        }
    }

    // Before it is judged: what is wrong is told of what was given.
    private static NetworkRecord Complete(NetworkRecord draft, bool autoVni)
    {
        IReadOnlyList<InternetAddress> gateways = draft.Gateways.Count > 0 || draft.Mode == NetworkMode.Routed
            ? draft.Gateways
            : [.. draft.Subnets.Where(static subnet => subnet.IsNetwork() && subnet.HostBits() >= NetworkRules.MinHostBits).Select(AddressPool.DefaultGateway)];
        return draft with { Id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8)), Gateways = gateways, Vni = autoVni ? new Vni(FirstVni) : draft.Vni };
    }

    private static StoreTransaction Compose(NetworkRecord network, Dictionary<string, long> leftOver)
    {
        List<string> keys = [ClusterKeys.Network(network.Name), ClusterKeys.Vni(network.Vni), .. network.Gateways.Select(gateway => ClusterKeys.Address(network.Name, gateway))];
        var claim = RecordJson.Write(new AddressRecord("", "", AddressRecord.OfGateway));
        return new StoreTransaction(
            [.. keys.Select(key => new StoreCondition(key, leftOver.GetValueOrDefault(key)))],
            [new StoreWrite(keys[0], RecordJson.Write(network)), new StoreWrite(keys[1], network.Name), .. keys.Skip(2).Select(key => new StoreWrite(key, claim))]);
    }

    // Why a network could not be made.
    private static void Judge(NetworkRecord network, bool autoVni, StoreEntry found, HashSet<uint> taken, Dictionary<string, long> leftOver)
    {
        if (found.Key == ClusterKeys.Network(network.Name))
            throw new CommandRefusedException(RefusalKind.Conflict, [$"network {network.Name}: File exists: there is one of that name; sleeve net inspect {network.Name} shows it"]);
        if (found.Key == ClusterKeys.Vni(network.Vni))
        {
            if (!autoVni) throw new CommandRefusedException(RefusalKind.Conflict, [$"--vni {network.Vni}: is that of network {(Names.IsName(found.Value) ? found.Value : "?")}; --vni auto chooses one"]);
            taken.Add(network.Vni.Value);
            return;
        }

        // Of a network of that name that was removed: nothing but an endpoint that is still there makes it somebody's.
        if (RecordJson.TryRead<AddressRecord>(found.Value, out var claim, out _) && claim.Why == AddressRecord.OfEndpoint)
            throw new CommandRefusedException(RefusalKind.Conflict, [$"--gateway {found.Key[(found.Key.LastIndexOf('/') + 1)..]}: is taken: endpoint {claim.Endpoint} of host {claim.Host} is left of an earlier network {network.Name}"]);
        leftOver[found.Key] = found.ModRevision;
    }

    private HashSet<uint> TakenVnis() => [.. replica.View.Networks.Values.Select(static network => network.Record?.Value.Vni.Value ?? 0)];

    // Somewhere in the range, so that hosts that choose at the same time seldom choose the same; where little is left, the first that is free.
    private async Task<Vni> ChooseVniAsync(HashSet<uint> taken, int attempt, CancellationToken cancellation)
    {
        const int RandomAttempts = 32;
        var (first, last) = VniRange;
        for (var i = 0; attempt < RandomAttempts && i < RandomAttempts; i++)
        {
            var candidate = (uint)Random.Shared.NextInt64(first, last + 1L);
            if (!taken.Contains(candidate)) return new Vni(candidate);
        }

        foreach (var entry in (await store.RangeAsync(ClusterKeys.Vnis, cancellation)).Entries)
            if (uint.TryParse(entry.Key.AsSpan(ClusterKeys.Vnis.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var vni)) taken.Add(vni);
        var free = (int)Math.Min(last - first + 1 - taken.Count(vni => vni >= first && vni <= last), 1024);
        var skip = free > 0 ? Random.Shared.Next(free) : 0;
        for (var candidate = first; candidate <= last && free > 0; candidate++)
            if (!taken.Contains(candidate) && skip-- == 0) return new Vni(candidate);
        throw new CommandRefusedException(RefusalKind.Impossible, [string.Create(CultureInfo.InvariantCulture, $"--vni auto: all of {first} to {last} are taken; remove a network, or give a --vni")]);
    }

    // True if something was taken out of the way, and it is to be looked at again.
    private async Task<bool> RefuseOrReclaimAsync(string name, List<StoreEntry> left, bool force, CancellationToken cancellation)
    {
        var endpoints = new HashSet<(string Host, string Id)>();
        foreach (var entry in left)
        {
            if (entry.Key.StartsWith(ClusterKeys.Macs, StringComparison.Ordinal) && entry.Value.Split('/') is [var host, var id]) endpoints.Add((host, id));
            else if (entry.Key.StartsWith(ClusterKeys.Addresses, StringComparison.Ordinal) && RecordJson.TryRead<AddressRecord>(entry.Value, out var claim, out _) && claim.Why == AddressRecord.OfEndpoint) endpoints.Add((claim.Host, claim.Endpoint));
        }

        if (endpoints.Count == 0) return false;
        var alive = (await store.RangeAsync(ClusterKeys.Alive, cancellation)).Entries.Select(static entry => entry.Key[ClusterKeys.Alive.Length..]).ToHashSet();
        var inTheWay = endpoints.Where(each => !force || alive.Contains(each.Host)).Order().ToArray();
        if (inTheWay.Length > 0)
        {
            var named = string.Join(", ", inTheWay.Take(MaxNamed).Select(static each => $"{each.Id} on {each.Host}"));
            var more = inTheWay.Length > MaxNamed ? string.Create(CultureInfo.InvariantCulture, $" and {inTheWay.Length - MaxNamed} more") : "";
            throw new CommandRefusedException(RefusalKind.Conflict,
                [$"network {name}: has endpoints: {named}{more}; detach them first{(force || inTheWay.All(each => alive.Contains(each.Host)) ? "" : ", or --force if their hosts will not come back")}"]);
        }

        foreach (var dead in endpoints.GroupBy(static each => each.Host))
            await new HostRemoval(store, replica, dead.Key).RemoveEndpointsAsync(name, dead.Select(static each => each.Id).ToHashSet(), cancellation);
        return true;
    }

    private static StoreTransaction DeletionOf(IReadOnlyList<StoreEntry> entries) =>
        new([.. entries.Select(StoreCondition.Unchanged)], [.. entries.Select(static entry => new StoreWrite(entry.Key, null))]);

    private async Task<StoreEntry?> FindAsync(string key, CancellationToken cancellation) =>
        (await store.RangeAsync(key, cancellation)).Entries.FirstOrDefault(entry => entry.Key == key);

    private async Task<StoreOutcome> CommitAsync(StoreTransaction transaction, CancellationToken cancellation)
    {
        try
        {
            return await store.CommitAsync(transaction, cancellation);
        }
        catch (StoreRefusedException refusal)
        {
            throw new CommandRefusedException(RefusalKind.Impossible, [$"{store.Place} refuses it: {refusal.Message}"]);
        }
    }

    private async Task CatchUpAsync(long revision, CancellationToken cancellation)
    {
        try
        {
            if (replica.IsConnected) await replica.WaitForAsync(revision, cancellation).WaitAsync(PatienceForReplica, cancellation);
        }
        catch (TimeoutException)
        {
            // It will hear of it.
        }
    }
}
