using Sleeve.Control.Daemon;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Docker;

/// <summary>
/// The networks of the network driver (<c>docker network create -d sleeve</c>). A network of Docker is one of the cluster, on all its hosts. dockerd does not tell its driver how a network is called, so it is made
/// under a name for the time being, and <see cref="DockerMirror"/> asks for the right one as soon as Docker knows it. Hosts have no address in a network of Docker: what goes in and out goes by docker_gwbridge, as with
/// Docker's own overlay, and nothing is routed from one network to another.
/// </summary>
/// <param name="cluster">The cluster at the moment.</param>
/// <param name="networks">The networks of this host's Docker.</param>
/// <param name="addresses">Knows what --ip-range said.</param>
/// <param name="say">Takes lines for whoever watches.</param>
internal sealed class NetworkDriver(Func<Cluster> cluster, DockerNetworks networks, IpamDriver addresses, Action<string> say)
{
    /// <summary>The label of networks that Docker made.</summary>
    public const string MadeByLabel = "made-by";

    /// <summary>Its value.</summary>
    public const string MadeBy = "docker";

    /// <summary>The label of networks that were made without a way out (--internal), which they have on no host then; its value says nothing.</summary>
    public const string InternalLabel = "docker-internal";

    /// <summary>Label of a network that is Docker's on more than one host, with its scope: <see cref="EngineNetwork.SwarmScope"/>.</summary>
    public const string ScopeLabel = "docker-scope";

    /// <summary>What provisional names begin with; Docker's id follows.</summary>
    public const string ProvisionalPrefix = "docker-";

    private const int MaxIdLength = 128;
    private const int ShownIdLength = 12;
    private const string NoPools = "null";
    private const int MaxAttempts = 3;
    private static readonly TimeSpan PatienceForOthers = TimeSpan.FromMilliseconds(300);

    /// <summary>Told when a network was made whose name is not known yet, and when one is about to go that is to come back.</summary>
    public Action OnChange { get; set; } = static () => { };

    /// <summary>Adds its methods.</summary>
    public void AddTo(PluginMethods methods)
    {
        methods.Add("Plugin.Activate", PluginJson.Default.ActivationAnswer, new ActivationAnswer(["NetworkDriver", "IpamDriver"]));
        methods.Add("NetworkDriver.GetCapabilities", PluginJson.Default.NetworkCapabilities, new NetworkCapabilities("local", "global"));
        methods.Add("NetworkDriver.CreateNetwork", PluginJson.Default.NetworkRequest, PluginJson.Default.NothingAnswer, CreateAsync);
        methods.Add("NetworkDriver.DeleteNetwork", PluginJson.Default.NetworkRequest, PluginJson.Default.NothingAnswer, DeleteAsync);
        // Of swarm, and of what other drivers do outside of the network: nothing is to be done here.
        methods.Add("NetworkDriver.AllocateNetwork", PluginJson.Default.AllocationAnswer, new AllocationAnswer(new Dictionary<string, string>()));
        foreach (var name in (ReadOnlySpan<string>)["FreeNetwork", "DiscoverNew", "DiscoverDelete", "ProgramExternalConnectivity", "RevokeExternalConnectivity"])
            methods.Add($"NetworkDriver.{name}", PluginJson.Default.NothingAnswer, new NothingAnswer());
    }

    /// <summary>An id as dockerd sends it.</summary>
    /// <exception cref="CommandRefusedException">It is none.</exception>
    public static string ReadId(string key, string? text) =>
        text is { Length: > 0 and <= MaxIdLength } && text.All(char.IsAsciiLetterOrDigit) ? text : throw new CommandRefusedException(RefusalKind.Invalid, [$"{key}: must be 1 to {MaxIdLength} letters and digits"]);

    /// <summary>The part of an id that people are shown.</summary>
    public static string Shown(string id) => id.Length <= ShownIdLength ? id : id[..ShownIdLength];

    private async Task<NothingAnswer> CreateAsync(NetworkRequest request, CancellationToken cancellation)
    {
        var id = ReadId("NetworkID", request.NetworkId);
        var options = DriverOptions.Read(request.Options);
        var pools = (request.Pools4 ?? []).Concat(request.Pools6 ?? []).Where(static pool => pool.AddressSpace != NoPools).ToArray();
        string[] ours = [.. pools.Where(pool => pool.AddressSpace == IpamDriver.AddressSpace && options.Network is null).Select(static pool => pool.Pool ?? "")];
        if (networks.Find(id) is { } before && RecordOf(before.Network)?.Id == before.RecordId)
        {
            if (!before.Pools.SequenceEqual(ours)) networks.Save(before with { Pools = ours });
            return new NothingAnswer();
        }

        var draft = Draft(id, options, pools);
        // By its provisional name it is there if another node of a swarm, where it has the same id, makes it now, or if this daemon was killed while it did.
        var there = RecordOf(draft.Name);
        if (there is not null) RequireSame(there, draft, options);
        if (options.Network is null && pools.FirstOrDefault(pool => pool.AddressSpace == IpamDriver.AddressSpace && networks.All.Any(each => each.Pools.Contains(pool.Pool ?? ""))) is { } twice)
            throw new CommandRefusedException(RefusalKind.Conflict, [$"--subnet {twice.Pool}: another network of this host has it with the IPAM driver {IpamDriver.AddressSpace} already; choose another subnet, or name the network there too: --ipam-opt network=NAME -o network=NAME"]);
        if (options.Ignored.Count > 0) say($"docker network {Shown(id)}: {string.Join(", ", options.Ignored)}: mean nothing to this driver");
        var (record, isNew) = there is not null ? (there, false) : await MakeAsync(draft, options, cancellation);
        try
        {
            if (isNew) await ReserveAsync(record, pools, cancellation);
            networks.Save(new DockerNetwork(id, record.Name, record.Id)
            {
                IsProvisional = options.Network is null,
                IsInternal = options.IsInternal,
                Pools = ours,
            });
        }
        catch (Exception failure) when (isNew && failure is IOException or CommandRefusedException or OperationCanceledException)
        {
            await cluster().Parts.Networks.RemoveAsync(record.Name, CancellationToken.None);
            throw;
        }

        if (options.Network is null) OnChange();
        return new NothingAnswer();
    }

    private async Task<(NetworkRecord Record, bool IsNew)> MakeAsync(NetworkRecord draft, DriverOptions options, CancellationToken cancellation)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return ((await cluster().Parts.Networks.CreateAsync(draft, options.Vni is null, cancellation)).Value, true);
            }
            catch (CommandRefusedException refusal) when (refusal.Kind == RefusalKind.Conflict && options.Network is null && attempt < MaxAttempts)
            {
                // Another node was faster by less than it takes to hear of it, and may have given it its name already: then this one's is made, and found to be the same.
                await Task.Delay(PatienceForOthers, cancellation);
                if (RecordOf(draft.Name) is not { } there) continue;
                RequireSame(there, draft, options);
                return (there, false);
            }
        }
    }

    private NetworkRecord Draft(string id, DriverOptions options, IReadOnlyList<IpamData> pools)
    {
        var (subnets, gateways, ranges, errors) = (new List<AddressPrefix>(), new List<InternetAddress>(), new List<AddressPrefix>(), new List<string>());
        foreach (var pool in pools)
        {
            if (!AddressPrefix.TryParse(pool.Pool, out var subnet))
            {
                errors.Add("Pool: must be ADDRESS/LENGTH");
                continue;
            }

            subnets.Add(subnet);
            if (!string.IsNullOrEmpty(pool.Gateway))
            {
                if (AddressPrefix.TryParse(pool.Gateway, out var gateway)) gateways.Add(gateway.Address);
                else errors.Add("Gateway: must be ADDRESS/LENGTH");
            }

            if (pool.AddressSpace != IpamDriver.AddressSpace) ranges.Add(UpperHalf(subnet));
            else if (addresses.RangeOf(subnet) is { } range) ranges.Add(range);
            else if (ranges.Count > 0) ranges.Add(subnet);
        }

        if (errors.Count > 0) throw new CommandRefusedException(RefusalKind.Invalid, errors);
        return new NetworkRecord(options.Network ?? $"{ProvisionalPrefix}{Shown(id)}", "", new Vni(options.Vni ?? 0))
        {
            Subnets = subnets,
            Gateways = gateways,
            Mtu = options.Mtu,
            IsInternal = true,
            Ranges = ranges.Count == 0 ? null : ranges,
            Labels = options.IsInternal
                ? new SortedDictionary<string, string>(StringComparer.Ordinal) { [MadeByLabel] = MadeBy, [InternalLabel] = "true" }
                : new SortedDictionary<string, string>(StringComparer.Ordinal) { [MadeByLabel] = MadeBy },
        };
    }

    /// <summary>Where other hosts choose addresses if this one's Docker chooses its own: that begins at the beginning, and knows of nobody.</summary>
    public static AddressPrefix UpperHalf(AddressPrefix subnet) =>
        subnet.HostBits() < NetworkRules.MinHostBits + 1 ? subnet : new AddressPrefix(PrefixArithmetic.FromNumber(subnet.First() + (subnet.Count() / 2), subnet.Address.IsIPv4), subnet.Length + 1);

    private static void RequireSame(NetworkRecord there, NetworkRecord draft, DriverOptions options)
    {
        var errors = new List<string>();
        if (there.Mode == NetworkMode.Routed) errors.Add($"network {there.Name}: is routed; Docker takes part in bridged networks only");
        foreach (var subnet in draft.Subnets)
            if (!there.Subnets.Contains(subnet)) errors.Add($"--subnet {subnet}: network {there.Name} has {(there.Subnets.Count == 0 ? "none" : string.Join(", ", there.Subnets))}");
        if (options.Vni is { } vni && vni != there.Vni.Value) errors.Add($"-o vni={vni}: network {there.Name} has {there.Vni}");
        if (options.Mtu != 0 && options.Mtu != there.Mtu) errors.Add($"-o mtu={options.Mtu}: network {there.Name} has {(there.Mtu == 0 ? "what fits the underlay" : there.Mtu)}");
        if (errors.Count > 0) throw new CommandRefusedException(RefusalKind.Conflict, errors);
    }

    private async Task ReserveAsync(NetworkRecord record, IEnumerable<IpamData> pools, CancellationToken cancellation)
    {
        foreach (var (name, text) in pools.SelectMany(static pool => pool.AuxAddresses ?? new Dictionary<string, string>()))
        {
            if (!AddressPrefix.TryParse(text, out var address)) throw new CommandRefusedException(RefusalKind.Invalid, [$"--aux-address {name}: must be an address"]);
            if (!record.Gateways.Contains(address.Address)) await cluster().Networks.ReserveAsync(record.Name, address.Address, name.Length > RecordJson.MaxNoteLength ? "" : name, cancellation);
        }
    }

    private async Task<NothingAnswer> DeleteAsync(NetworkRequest request, CancellationToken cancellation)
    {
        var id = ReadId("NetworkID", request.NetworkId);
        if (networks.Find(id) is not { } network) return new NothingAnswer();
        try
        {
            // One that is gone from the cluster goes from Docker too (DockerMirror); there is nothing left to remove then.
            if (RecordOf(network.Network) is { } record && record.Id == network.RecordId) await RemoveAsync(record, cancellation);
        }
        catch (CommandRefusedException refusal) when (RecordOf(network.Network)?.Labels.GetValueOrDefault(ScopeLabel) == EngineNetwork.SwarmScope)
        {
            // Each node has its own copy as long as it has tasks: the last one takes it along.
            say($"docker network {network.Network}: stays for other nodes of the swarm: {refusal.Message}");
        }
        catch (Exception refusal) when (refusal is CommandRefusedException or IOException)
        {
            // dockerd removes it here whatever its driver says, and tells nobody why it comes back.
            say($"docker network {network.Network}: stays, and is made again here: {refusal.Message}");
            OnChange();
            throw;
        }
        finally
        {
            networks.Remove(id);
        }

        return new NothingAnswer();
    }

    private async Task RemoveAsync(NetworkRecord record, CancellationToken cancellation)
    {
        if (record.Labels.GetValueOrDefault(MadeByLabel) != MadeBy)
            throw new CommandRefusedException(RefusalKind.Conflict, [$"network {record.Name}: was not made by Docker; sleeve net rm {record.Name} removes it, here and on all hosts"]);
        await cluster().Parts.Networks.RemoveAsync(record.Name, cancellation);
    }

    private NetworkRecord? RecordOf(string name) => cluster().Replica.View.Networks.GetValueOrDefault(name)?.Record?.Value;
}
