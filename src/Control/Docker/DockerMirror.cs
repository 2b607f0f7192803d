using System.Collections.Concurrent;
using Sleeve.Control.Daemon;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;

namespace Sleeve.Control.Docker;

/// <summary>
/// Keeps this host's Docker and the cluster alike: a network that Docker made gets the name that Docker calls it; every bridged network of the cluster is one of Docker's under its name, so that what is made on
/// one host can be used on all; one that is gone from the cluster goes; and endpoints that Docker knows nothing of any more are detached. It looks when something changed, and every half minute.
/// </summary>
/// <param name="cluster">The cluster at the moment.</param>
/// <param name="networks">The networks of this host's Docker.</param>
/// <param name="engine">This host's Docker.</param>
/// <param name="endpoints">Detaches what is left.</param>
/// <param name="driver">What Docker calls this driver, for networks and for addresses.</param>
/// <param name="say">Takes lines for whoever watches.</param>
internal sealed class DockerMirror(Func<Cluster> cluster, DockerNetworks networks, DockerEngine engine, EndpointDriver endpoints, string driver, Action<string> say) : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan PaceOfNames = TimeSpan.FromMilliseconds(20);

    private const int HurryMilliseconds = 15_000;

    // dockerd may take some time to write down what it was just answered.
    private const int LeastMissingMilliseconds = 10_000;
    private static readonly TimeSpan IntervalInHurry = TimeSpan.FromSeconds(3);

    private readonly SemaphoreSlim _wake = new(0);
    private readonly ConcurrentDictionary<string, string> _told = new(StringComparer.Ordinal);
    private Dictionary<string, long> _missing = [];
    private string _seen = "";
    private long _hurryUntil;
    private DateTime _startOfEngine;

    /// <summary>Has it look now, and often for some seconds: what dockerd does, it does after its driver answered.</summary>
    public void Wake()
    {
        Volatile.Write(ref _hurryUntil, Environment.TickCount64 + HurryMilliseconds);
        _wake.Release();
    }

    /// <summary>Ends when a network has the name that Docker calls it, or none is to be had.</summary>
    public async Task WaitForNameAsync(string id, CancellationToken cancellation)
    {
        if (networks.Find(id) is null) await AdoptAsync(id, cancellation);
        while (networks.Find(id) is { IsProvisional: true } && engine.IsThere) await Task.Delay(PaceOfNames, cancellation);
    }

    /// <summary>Keeps them alike until it is cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        var last = TimeProvider.System.GetTimestamp() - (long)(Interval.TotalSeconds * TimeProvider.System.TimestampFrequency);
        while (true)
        {
            try
            {
                var isWoken = await _wake.WaitAsync(Pace, cancellation);
                if (IsAnotherEngine())
                {
                    Wake();
                    endpoints.TellAgain();
                }

                var isHurried = isWoken || Environment.TickCount64 < Volatile.Read(ref _hurryUntil);
                var isDue = TimeProvider.System.GetElapsedTime(last) >= (isHurried ? IntervalInHurry : Interval);
                if (!engine.IsThere || (!isHurried && !isDue && !HasChanged())) continue;
                if (await NameAsync(cancellation) && isHurried) _wake.Release();
                await AlignAsync(cancellation);
                if (!isDue) continue;
                last = TimeProvider.System.GetTimestamp();
                await RemoveLeftOversAsync(cancellation);
                _told.TryRemove("", out _);
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                return;
            }
            catch (Exception failure)
            {
                // The root of all that is kept alike: dockerd or the store may be away, and it is tried again in any case.
                Tell("", failure is IOException or CommandRefusedException ? failure.Message : $"{failure.GetType().Name}: {failure.Message}");
                _seen = "";
                await Task.Delay(Pace, CancellationToken.None);
            }
        }
    }

    // dockerd makes its socket anew when it starts, and does not tell its drivers what became of containers meanwhile.
    private bool IsAnotherEngine()
    {
        var start = engine.Start;
        if (start == _startOfEngine) return false;
        _startOfEngine = start;
        return engine.IsThere;
    }

    // Networks of the cluster came or went, or the cluster is another.
    private bool HasChanged()
    {
        var names = string.Join(' ', cluster().Replica.View.Networks.Where(static each => each.Value.Record is not null).Select(static each => $"{each.Key}/{each.Value.Record!.Value.Id}").Order(StringComparer.Ordinal));
        if (names == _seen) return false;
        _seen = names;
        return true;
    }

    // True if one is left that Docker has not finished to make.
    private async Task<bool> NameAsync(CancellationToken cancellation)
    {
        var isLeft = false;
        foreach (var network in networks.All.Where(static each => each.IsProvisional))
        {
            if (await engine.NetworkAsync(network.Id, cancellation) is { Name: { } name } known) await NameAsync(network, name, known, cancellation);
            else isLeft = true;
        }

        if (isLeft) await Task.Delay(PaceOfNames, cancellation);
        return isLeft;
    }

    private async Task NameAsync(DockerNetwork network, string name, EngineNetwork known, CancellationToken cancellation)
    {
        var named = network with { IsProvisional = false };
        if (RecordOf(network.Network) is not { } record || record.Id != network.RecordId)
        {
            // Another node of the swarm has named it.
            networks.Save(named with { Network = NameOf(network.RecordId) ?? network.Network });
            return;
        }

        if (!Names.IsName(name))
        {
            say($"warning: docker network {name}: in the cluster it is called {record.Name}, since a name must be {Names.Allowed}");
            networks.Save(named);
            return;
        }

        try
        {
            var ranges = record.Ranges?.Select(range => Avoid(record, range, known)).ToArray();
            if (await cluster().Parts.Networks.RenameAsync(record, record with { Name = name, Ranges = ranges, Labels = LabelsOf(record, known) }, cancellation) is { } renamed)
            {
                networks.Save(named with { Network = name, RecordId = renamed.Value.Id });
                say($"docker network {name}: vni {renamed.Value.Vni}, on all hosts");
                return;
            }

            await JoinOtherAsync(named, record, name, cancellation);
        }
        catch (CommandRefusedException refusal)
        {
            // It may be that it was named at this moment, and is looked at again then.
            await Task.Delay(Pace, cancellation);
            if (RecordOf(network.Network)?.Id != network.RecordId) return;
            say($"warning: docker network {name}: in the cluster it is called {record.Name}: {refusal.Message}");
            networks.Save(named);
        }
    }

    private string? NameOf(string recordId) => cluster().Replica.View.Networks.Values.FirstOrDefault(view => view.Record?.Value.Id == recordId)?.Record!.Value.Name;

    private static SortedDictionary<string, string> LabelsOf(NetworkRecord record, EngineNetwork known)
    {
        var labels = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in record.Labels) labels[key] = value;
        if (known.Scope == EngineNetwork.SwarmScope) labels[NetworkDriver.ScopeLabel] = EngineNetwork.SwarmScope;
        return labels;
    }

    // Somebody made one of that name at the same time, on another host: it is the same if it has the same addresses.
    private async Task JoinOtherAsync(DockerNetwork network, NetworkRecord record, string name, CancellationToken cancellation)
    {
        if (RecordOf(name) is not { } other || !other.Subnets.SequenceEqual(record.Subnets))
        {
            say($"warning: docker network {name}: in the cluster it is called {record.Name}, since there is a network {name} with other addresses: {string.Join(", ", RecordOf(name)?.Subnets ?? [])}");
            networks.Save(network);
            return;
        }

        networks.Save(network with { Network = name, RecordId = other.Id });
        await cluster().Parts.Networks.RemoveAsync(record.Name, cancellation);
        say($"docker network {name}: is the one that another host made, vni {other.Vni}");
    }

    // Docker's own IPAM goes up from the beginning, or from that of --ip-range: others choose in the other half.
    private AddressPrefix Avoid(NetworkRecord record, AddressPrefix range, EngineNetwork known)
    {
        var subnet = record.Subnets.FirstOrDefault(each => each.Contains(range));
        var pool = known.Addressing?.Config?.FirstOrDefault(each => each.Subnet == $"{subnet}");
        if (known.Addressing?.Driver == driver || !AddressPrefix.TryParse(pool?.Range, out var own) || subnet.Length == range.Length || !range.Contains(own.Address)) return range;
        return new AddressPrefix(subnet.Address, range.Length).Network();
    }

    private async Task AlignAsync(CancellationToken cancellation)
    {
        var known = await engine.NetworksAsync(cancellation);
        var ours = known.Where(each => each.Driver == driver && each.Id is not null).ToArray();
        foreach (var each in ours.Where(each => networks.Find(each.Id!) is null)) Adopt(each);
        if (!cluster().Replica.IsConnected) return;
        foreach (var each in ours)
        {
            if (networks.Find(each.Id!) is not { IsProvisional: false } network || RecordOf(network.Network)?.Id == network.RecordId) continue;
            // What swarm makes, it also removes; of ours it may be gone with the last task.
            if (each.Scope == EngineNetwork.SwarmScope) networks.Remove(network.Id);
            else await RemoveAsync(each, network, cancellation);
        }

        var names = known.Select(static each => each.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var (name, view) in cluster().Replica.View.Networks)
        {
            if (view.Record?.Value is not { Mode: NetworkMode.Bridged } record || name.StartsWith(NetworkDriver.ProvisionalPrefix, StringComparison.Ordinal)) continue;
            // Swarm makes its networks itself, on the nodes that need them.
            if (record.Labels.GetValueOrDefault(NetworkDriver.ScopeLabel) == EngineNetwork.SwarmScope) continue;
            if (!names.Contains(name)) await CreateAsync(record, cancellation);
            else if (!ours.Any(each => each.Name == name) && !networks.All.Any(each => each.Network == name)) Tell(name, $"docker has a network {name} that is not of the driver {driver}, so the cluster's is not to be had by that name here");
        }
    }

    // What the cluster has lost, Docker loses; while containers are in it that is refused, and tried again.
    private async Task RemoveAsync(EngineNetwork known, DockerNetwork network, CancellationToken cancellation)
    {
        try
        {
            await engine.RemoveAsync(network.Id, cancellation);
            networks.Remove(network.Id);
            say($"docker network {known.Name}: removed, as it was on another host");
        }
        catch (HostException failure)
        {
            Tell(network.Id, $"docker network {known.Name}: is gone from the cluster and stays in Docker: {failure.Message}");
        }
    }

    private async Task CreateAsync(NetworkRecord record, CancellationToken cancellation)
    {
        var named = new Dictionary<string, string> { [IpamDriver.NetworkKey] = record.Name };
        try
        {
            await engine.CreateAsync(
                new EngineNetwork
                {
                    Name = record.Name,
                    Driver = driver,
                    CheckDuplicate = true,
                    // What Docker made there without a way out has none here; nor has what was made without Docker and keeps hosts out.
                    Internal = record.Labels.ContainsKey(NetworkDriver.InternalLabel) || (record.IsInternal && record.Labels.GetValueOrDefault(NetworkDriver.MadeByLabel) != NetworkDriver.MadeBy),
                    HasIPv6 = record.Subnets.Any(static subnet => !subnet.Address.IsIPv4) ? true : null,
                    Options = named,
                    // Without a subnet there is nothing to choose of.
                    Addressing = record.Subnets.Count == 0
                        ? new EngineAddressing { Driver = "null" }
                        : new EngineAddressing { Driver = driver, Options = named, Config = [.. OnePerFamily(record).Select(subnet => new EnginePool { Subnet = $"{subnet}" })] },
                },
                cancellation);
        }
        catch (HostException failure)
        {
            Tell(record.Name, $"network {record.Name} cannot be had in Docker: {failure.Message}");
        }
    }

    private static IEnumerable<AddressPrefix> OnePerFamily(NetworkRecord record) => record.Subnets.GroupBy(static subnet => subnet.Address.IsIPv4).Select(static family => family.First());

    private async Task AdoptAsync(string id, CancellationToken cancellation)
    {
        if (engine.IsThere && await engine.NetworkAsync(id, cancellation) is { } known) Adopt(known);
    }

    // Docker has it and nothing is known of it here: the state was lost, or it is of a run without one.
    private void Adopt(EngineNetwork known)
    {
        var name = known.Options?.GetValueOrDefault(IpamDriver.NetworkKey) ?? known.Name ?? "";
        // What swarm has not made on this node yet is only listed.
        if (known.Scope == EngineNetwork.SwarmScope && known.Addressing?.Config is not { Count: > 0 }) return;
        if (known.Id is null || RecordOf(name) is not { } record || networks.Find(known.Id) is not null) return;
        var isNamed = known.Options?.ContainsKey(IpamDriver.NetworkKey) == true;
        networks.Save(new DockerNetwork(known.Id, name, record.Id)
        {
            IsInternal = known.Internal == true,
            Pools = known.Addressing?.Driver == driver && !isNamed ? [.. (known.Addressing.Config ?? []).Select(static pool => pool.Subnet ?? "")] : [],
        });
        say($"docker network {known.Name}: is network {name} of the cluster");
    }

    // What Docker has not known for ten seconds, it does not know.
    private async Task RemoveLeftOversAsync(CancellationToken cancellation)
    {
        var missing = new Dictionary<string, long>(StringComparer.Ordinal);
        var entries = cluster().Endpoints.List.Where(EndpointDriver.IsDockers).ToArray();
        foreach (var group in entries.GroupBy(static entry => entry.Record!.Name))
        {
            var known = new HashSet<string>(StringComparer.Ordinal);
            foreach (var network in networks.All.Where(each => each.Network == group.Key))
                foreach (var member in (await engine.NetworkAsync(network.Id, cancellation))?.Containers?.Values ?? [])
                    if (member.EndpointId is { } id) known.Add(EndpointDriver.IdOf(id));
            foreach (var entry in group.Where(entry => !known.Contains(entry.Id)))
            {
                if (!IsMissingForLong(entry.Id, missing)) continue;
                say($"endpoint {entry.Id} of {group.Key}: withdrawn: Docker knows nothing of it any more");
                await endpoints.RemoveAsync(entry, cancellation);
            }
        }

        endpoints.ForgetResolvers();
        // Of networks that were removed while this daemon was away, Docker says nothing; nor of one that it did not finish to make.
        var ids = (await engine.NetworksAsync(cancellation)).Select(static each => each.Id).ToHashSet();
        foreach (var network in networks.All.Where(each => !ids.Contains(each.Id)))
        {
            if (!IsMissingForLong(network.Id, missing)) continue;
            if (network.IsProvisional && RecordOf(network.Network) is { } record && record.Id == network.RecordId) await cluster().Parts.Networks.RemoveAsync(record.Name, cancellation);
            networks.Remove(network.Id);
        }

        _missing = missing;
    }

    private bool IsMissingForLong(string id, Dictionary<string, long> missing)
    {
        var since = missing[id] = _missing.GetValueOrDefault(id, Environment.TickCount64);
        return Environment.TickCount64 - since >= LeastMissingMilliseconds;
    }

    private NetworkRecord? RecordOf(string name) => cluster().Replica.View.Networks.GetValueOrDefault(name)?.Record?.Value;

    // Once, and again when it is another reason.
    private void Tell(string what, string reason)
    {
        if (_told.TryGetValue(what, out var before) && before == reason) return;
        _told[what] = reason;
        say($"warning: {reason}");
    }

    /// <inheritdoc/>
    public void Dispose() => _wake.Dispose();
}
