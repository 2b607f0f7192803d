using System.Collections.Concurrent;
using Sleeve.Control.Daemon;
using Sleeve.Control.Host;
using Sleeve.Control.Naming;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Docker;

/// <summary>
/// The endpoints of the network driver. CreateEndpoint publishes an endpoint and wires it up to a veth that waits under a name of ours (<see cref="HandedVeth"/>); Join tells dockerd that name, which moves it into the
/// container and gives it its addresses. What dockerd does not say goodbye to (a container that died while it was down) goes with its wire.
/// </summary>
/// <param name="cluster">The cluster at the moment.</param>
/// <param name="networks">The networks of this host's Docker.</param>
/// <param name="resolvers">Told who asks Docker for names too.</param>
internal sealed class EndpointDriver(Func<Cluster> cluster, DockerNetworks networks, OwnResolvers resolvers)
{
    /// <summary>What the names of waiting interfaces begin with; 12 digits of Docker's id follow.</summary>
    public const string WaitingPrefix = "sld";

    private const int OnLink = 1;
    private static readonly TimeSpan PatienceForName = TimeSpan.FromSeconds(3);

    // Of each container, where its names are asked for: one route for a server that two networks share.
    private readonly ConcurrentDictionary<(string Sandbox, string Route), string> _routes = new();

    /// <summary>Ends when the name of a network is known that was made a moment ago.</summary>
    public Func<string, CancellationToken, Task> WaitForName { get; init; } = static (_, _) => Task.CompletedTask;

    /// <summary>Told when a container joined, and when it left: its network, and the id of its endpoint here.</summary>
    public Action<DockerNetwork, string, bool> OnContainer { get; set; } = static (_, _, _) => { };

    /// <summary>Adds its methods.</summary>
    public void AddTo(PluginMethods methods)
    {
        methods.Add("NetworkDriver.CreateEndpoint", PluginJson.Default.NetworkRequest, PluginJson.Default.EndpointAnswer, CreateAsync);
        methods.Add("NetworkDriver.EndpointOperInfo", PluginJson.Default.OperationalAnswer, new OperationalAnswer(new Dictionary<string, string>()));
        methods.Add("NetworkDriver.Join", PluginJson.Default.NetworkRequest, PluginJson.Default.JoinAnswer, JoinAsync);
        methods.Add("NetworkDriver.Leave", PluginJson.Default.NetworkRequest, PluginJson.Default.NothingAnswer, (asked, _) => Task.FromResult(Leave(asked)));
        methods.Add("NetworkDriver.DeleteEndpoint", PluginJson.Default.NetworkRequest, PluginJson.Default.NothingAnswer, DeleteAsync);
    }

    /// <summary>The id of an endpoint here: the part of Docker's that people are shown.</summary>
    public static string IdOf(string endpointId) => NetworkDriver.Shown(endpointId);

    /// <summary>Whether an endpoint of this host is Docker's.</summary>
    public static bool IsDockers(EndpointEntry entry) => HandedVeth.NameOf(entry.Request.Target) is { } name && name == $"{WaitingPrefix}{entry.Id}";

    /// <summary>Knows again, after a start, who asks Docker for names too.</summary>
    public void Begin()
    {
        foreach (var entry in cluster().Endpoints.List.Where(IsDockers)) Remember(entry);
    }

    /// <summary>Tells again of every container that has an endpoint, after a start of either side: it may have been killed before a name was known, and what was written for whom is known to nobody.</summary>
    public void TellAgain()
    {
        foreach (var entry in cluster().Endpoints.List.Where(IsDockers))
            foreach (var network in networks.All.Where(network => network.Network == entry.Record!.Name)) OnContainer(network, entry.Id, true);
    }

    /// <summary>Forgets who asked Docker for names too and is no endpoint any more: most go by themselves, with their wire.</summary>
    public void ForgetResolvers()
    {
        var known = cluster().Endpoints.List.Where(IsDockers).SelectMany(static entry => (entry.Published?.Addresses ?? []).Select(address => (entry.Record!.Name, address))).ToHashSet();
        foreach (var member in resolvers.Members.Where(member => !known.Contains(member))) resolvers.Remove(member.Network, member.Address);
    }

    private async Task<EndpointAnswer> CreateAsync(NetworkRequest request, CancellationToken cancellation)
    {
        var id = IdOf(NetworkDriver.ReadId("EndpointID", request.EndpointId));
        var network = await FindAsync(request, cancellation);
        var mac = MacOf(request);
        var addresses = new List<string>();
        foreach (var text in (ReadOnlySpan<string?>)[request.Interface?.Address, request.Interface?.AddressIPv6])
        {
            if (string.IsNullOrEmpty(text)) continue;
            addresses.Add(AddressPrefix.TryParse(text, out var prefix) ? prefix.Address.ToString() : throw new CommandRefusedException(RefusalKind.Invalid, ["Interface.Address: must be ADDRESS/LENGTH"]));
        }

        var entry = await cluster().Endpoints.AttachAsync(network.Network, id, new AttachRequest($"{HandedVeth.Prefix}{WaitingPrefix}{id}") { Addresses = addresses, Mac = mac?.ToString() ?? "" }, cancellation);
        Remember(entry);
        var (record, endpoint) = (entry.Record!, entry.Published!);
        foreach (var address in endpoint.Addresses) cluster().Parts.Claims.LetGo(record, address);
        return new EndpointAnswer(new EndpointInterface
        {
            // What was supplied is not answered: dockerd takes that for an attempt to change it.
            MacAddress = mac is null ? endpoint.Mac.ToString() : null,
            Address = addresses.Count > 0 ? null : AddressOf(record, endpoint, isIPv4: true),
            AddressIPv6 = addresses.Count > 0 ? null : AddressOf(record, endpoint, isIPv4: false),
        });
    }

    // It stands among the options in base64 too.
    private static MacAddress? MacOf(NetworkRequest request)
    {
        if (request.Interface?.MacAddress is not { Length: > 0 } text) return null;
        return MacAddress.TryParse(text, out var mac) && mac.IsValidSource ? mac : throw new CommandRefusedException(RefusalKind.Invalid, [$"mac {StoreChecks.Show(text)}: must be a unicast MAC such as 02:00:00:00:00:01"]);
    }

    private static string? AddressOf(NetworkRecord record, EndpointRecord endpoint, bool isIPv4) =>
        endpoint.Addresses.Where(address => address.IsIPv4 == isIPv4).Take(1).ToArray() is [var address] ? LocalNetworks.NetworkOf(record, address).ToString() : null;

    private async Task<JoinAnswer> JoinAsync(NetworkRequest request, CancellationToken cancellation)
    {
        var id = IdOf(NetworkDriver.ReadId("EndpointID", request.EndpointId));
        var network = await FindAsync(request, cancellation);
        var parts = cluster().Parts;
        var entry = parts.Endpoints.Find(network.Network, id) ?? throw new CommandRefusedException(RefusalKind.Conflict, [$"endpoint {id}: there is none of that id in network {network.Network}"]);
        var name = HandedVeth.NameOf(entry.Request.Target)!;
        if (parts.Local.Host.FindLink(name) is null)
        {
            // It went into a container and did not come back: another one is made.
            Wiring.Disconnect(parts.Local.Host, entry.Link);
            entry = await parts.Endpoints.AttachAsync(network.Network, id, entry.Request, cancellation);
        }

        OnContainer(network, id, true);
        return new JoinAnswer(new InterfaceName(name, "eth"), RoutesOf(parts, entry, request.SandboxKey ?? "")) { DisableGatewayService = network.IsInternal };
    }

    private StaticRoute[] RoutesOf(ClusterParts parts, EndpointEntry entry, string sandbox)
    {
        if (parts.Names is not { } names || !parts.Local.Current.TryGetValue(entry.Record!.Name, out var local)) return [];
        var advice = ResolverAdvice.Of(local.Record, new NameOptions { Domain = names.Domain }, "", local.Gateways);
        // A second route to the same place fails the whole attachment.
        return [.. advice.Routes.Where(route => _routes.GetOrAdd((sandbox, $"{route}"), entry.Id) == entry.Id).Select(static route => new StaticRoute($"{route}", OnLink))];
    }

    private NothingAnswer Leave(NetworkRequest request)
    {
        var id = IdOf(NetworkDriver.ReadId("EndpointID", request.EndpointId));
        foreach (var (key, owner) in _routes)
            if (owner == id) _routes.TryRemove(key, out _);
        if (networks.Find(NetworkDriver.ReadId("NetworkID", request.NetworkId)) is { } network) OnContainer(network, id, false);
        return new NothingAnswer();
    }

    private async Task<NothingAnswer> DeleteAsync(NetworkRequest request, CancellationToken cancellation)
    {
        var id = IdOf(NetworkDriver.ReadId("EndpointID", request.EndpointId));
        Leave(request);
        // By its id alone: the network may have got its name, or be forgotten.
        foreach (var entry in cluster().Endpoints.List.Where(entry => entry.Id == id && IsDockers(entry))) await RemoveAsync(entry, cancellation);
        return new NothingAnswer();
    }

    /// <summary>Detaches an endpoint of Docker's.</summary>
    public async Task RemoveAsync(EndpointEntry entry, CancellationToken cancellation)
    {
        foreach (var address in entry.Published?.Addresses ?? []) resolvers.Remove(entry.Record!.Name, address);
        await cluster().Endpoints.DetachAsync(entry.Record!.Name, entry.Id, cancellation);
    }

    private async Task<DockerNetwork> FindAsync(NetworkRequest request, CancellationToken cancellation)
    {
        var id = NetworkDriver.ReadId("NetworkID", request.NetworkId);
        if (networks.Find(id) is not { IsProvisional: false })
        {
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            patience.CancelAfter(PatienceForName);
            try
            {
                await WaitForName(id, patience.Token);
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                // It goes on under the name that it has.
            }
        }

        return networks.Find(id) ?? throw new CommandRefusedException(RefusalKind.Conflict, [$"network {NetworkDriver.Shown(id)}: this driver knows none of that id; docker network rm and create it again"]);
    }

    private void Remember(EndpointEntry entry)
    {
        foreach (var address in entry.Published?.Addresses ?? []) resolvers.Add(entry.Record!.Name, address);
    }
}
