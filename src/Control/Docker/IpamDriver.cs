using System.Collections.Concurrent;
using Sleeve.Control.Daemon;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Docker;

/// <summary>
/// The IPAM driver (<c>--ipam-driver sleeve</c>): addresses out of the blocks of this host, so that no two hosts choose the same. What it answers is a proposal; the address becomes the endpoint's when the network
/// driver publishes that, in one transaction with its MAC. So it keeps nothing that a restart of either side could lose, and needs no replay. A pool's id is NETWORK/SUBNET, or SUBNET alone while the network
/// has no name yet: dockerd asks for pool and gateway before it makes the network.
/// </summary>
/// <param name="cluster">The cluster at the moment.</param>
/// <param name="networks">The networks of this host's Docker.</param>
internal sealed class IpamDriver(Func<Cluster> cluster, DockerNetworks networks)
{
    /// <summary>The address space of its pools.</summary>
    public const string AddressSpace = "sleeve";

    /// <summary>The key of --ipam-opt that names a network of the cluster.</summary>
    public const string NetworkKey = "network";

    private const string TypeKey = "RequestAddressType";
    private const string GatewayType = "com.docker.network.gateway";
    private static readonly Dictionary<string, string> Nothing = [];

    // Of --ip-range, until the network is made.
    private readonly ConcurrentDictionary<AddressPrefix, AddressPrefix> _ranges = new();

    /// <summary>Adds its methods.</summary>
    public void AddTo(PluginMethods methods)
    {
        methods.Add("IpamDriver.GetCapabilities", PluginJson.Default.IpamCapabilities, new IpamCapabilities(RequiresMac: false, RequiresRequestReplay: false));
        methods.Add("IpamDriver.GetDefaultAddressSpaces", PluginJson.Default.AddressSpacesAnswer, new AddressSpacesAnswer(AddressSpace, AddressSpace));
        methods.Add("IpamDriver.RequestPool", PluginJson.Default.IpamRequest, PluginJson.Default.PoolAnswer, (asked, _) => Task.FromResult(RequestPool(asked)));
        methods.Add("IpamDriver.ReleasePool", PluginJson.Default.IpamRequest, PluginJson.Default.NothingAnswer, (asked, _) => Task.FromResult(ReleasePool(asked)));
        methods.Add("IpamDriver.RequestAddress", PluginJson.Default.IpamRequest, PluginJson.Default.AddressAnswer, RequestAddressAsync);
        methods.Add("IpamDriver.ReleaseAddress", PluginJson.Default.IpamRequest, PluginJson.Default.NothingAnswer, (asked, _) => Task.FromResult(ReleaseAddress(asked)));
    }

    /// <summary>The part of a pool that addresses are to be chosen of; null for all of it.</summary>
    public AddressPrefix? RangeOf(AddressPrefix pool) => _ranges.TryGetValue(pool, out var range) ? range : null;

    private PoolAnswer RequestPool(IpamRequest asked)
    {
        if (asked.AddressSpace is not (null or "" or AddressSpace)) throw Refused($"AddressSpace {asked.AddressSpace}: must be {AddressSpace}");
        foreach (var key in asked.Options?.Keys ?? [])
            if (key != NetworkKey) throw Refused($"--ipam-opt {key}: unknown; must be {NetworkKey}=NAME");
        var name = asked.Options?.GetValueOrDefault(NetworkKey) ?? "";
        AddressPrefix? given = string.IsNullOrEmpty(asked.Pool) ? null : ReadPrefix("Pool", asked.Pool);
        if (given is { } pool && pool.Address.IsIPv4 == asked.V6) throw Refused($"Pool {pool}: must be of {(asked.V6 ? "IPv6" : "IPv4")}");
        if (name.Length > 0)
        {
            var record = RecordOf(name);
            var subnets = record.Subnets.Where(each => each.Address.IsIPv4 != asked.V6).ToArray();
            if (subnets.Length == 0 || (given is { } wanted && !subnets.Contains(wanted))) throw Refused($"Pool {asked.Pool}: network {name} has {(record.Subnets.Count == 0 ? "no subnet" : string.Join(", ", record.Subnets))}");
            if (!string.IsNullOrEmpty(asked.SubPool)) throw Refused($"--ip-range {StoreChecks.Show(asked.SubPool)}: network {name} says itself where addresses are chosen; leave it out");
            return new PoolAnswer($"{name}/{given ?? subnets[0]}", $"{given ?? subnets[0]}", Nothing);
        }

        var chosen = given ?? ChoosePool(asked.V6);
        if (!string.IsNullOrEmpty(asked.SubPool))
        {
            var range = ReadPrefix("SubPool", asked.SubPool);
            if (!chosen.Contains(range)) throw Refused($"--ip-range {range}: must lie in {chosen}");
            _ranges[chosen] = range;
        }
        else _ranges.TryRemove(chosen, out _);
        return new PoolAnswer($"{chosen}", $"{chosen}", Nothing);
    }

    private NothingAnswer ReleasePool(IpamRequest asked)
    {
        _ranges.TryRemove(ReadPoolId(asked.PoolId).Subnet, out _);
        return new NothingAnswer();
    }

    // The first /24 of 10.192.0.0/10, or /64 of fd53:4c00::/32, that is no network's and that this host has no address in.
    private AddressPrefix ChoosePool(bool isIPv6)
    {
        using var host = RouteNetlink.Open();
        var taken = host.ListAddresses().Select(static each => each.Prefix).Concat(cluster().Replica.View.Networks.Values.SelectMany(static network => network.Record?.Value.Subnets ?? [])).ToArray();
        const int Count = 1 << 14;
        for (var i = 0; i < Count; i++)
        {
            var number = isIPv6 ? ((UInt128)0xFD53_4C00_0000_0000 + (UInt128)i) << 64 : (UInt128)(0x0AC0_0000u + ((uint)i << 8));
            var pool = new AddressPrefix(PrefixArithmetic.FromNumber(number, !isIPv6), isIPv6 ? 64 : 24);
            if (!taken.Any(each => each.Overlaps(pool))) return pool;
        }

        throw Refused("Pool: none is free; give one with --subnet");
    }

    private async Task<AddressAnswer> RequestAddressAsync(IpamRequest asked, CancellationToken cancellation)
    {
        var (name, subnet) = ReadPoolId(asked.PoolId);
        if (asked.Options?.GetValueOrDefault(TypeKey) == GatewayType) return Answer(string.IsNullOrEmpty(asked.Address) ? GatewayOf(name, subnet) : ReadAddress(asked.Address, subnet), subnet);
        // Whose it is the endpoint's publication decides; before there is a network it is one that Docker keeps for somebody (--aux-address).
        if (!string.IsNullOrEmpty(asked.Address)) return Answer(ReadAddress(asked.Address, subnet), subnet);
        return Answer(await cluster().Parts.Claims.ProposeAsync(RecordOf(name ?? NameOf(subnet)), subnet, cancellation), subnet);
    }

    private NothingAnswer ReleaseAddress(IpamRequest asked)
    {
        var (name, subnet) = ReadPoolId(asked.PoolId);
        if (InternetAddress.TryParse(asked.Address, out var address) && (name ?? networks.All.FirstOrDefault(each => each.Pools.Contains($"{subnet}"))?.Network) is { } network
            && cluster().Replica.View.Networks.GetValueOrDefault(network)?.Record is { } record) cluster().Parts.Claims.LetGo(record.Value, address);
        return new NothingAnswer();
    }

    private InternetAddress GatewayOf(string? name, AddressPrefix subnet) =>
        name is not null && RecordOf(name).Gateways.Where(each => subnet.Contains(each)).Take(1).ToArray() is [var gateway] ? gateway : AddressPool.DefaultGateway(subnet);

    private string NameOf(AddressPrefix subnet) =>
        networks.All.FirstOrDefault(each => each.Pools.Contains($"{subnet}"))?.Network ?? throw Refused($"PoolID {subnet}: no network of this host's Docker has it");

    private NetworkRecord RecordOf(string name) =>
        cluster().Replica.View.Networks.GetValueOrDefault(name)?.Record?.Value ?? throw new CommandRefusedException(RefusalKind.Conflict, [$"network {name}: there is none; sleeve net ls lists them"]);

    private static AddressAnswer Answer(InternetAddress address, AddressPrefix subnet) => new($"{address}/{subnet.Length}", Nothing);

    private static (string? Name, AddressPrefix Subnet) ReadPoolId(string? text)
    {
        var parts = (text ?? "").Split('/');
        return parts switch
        {
            [_, _] => (null, ReadPrefix("PoolID", text!)),
            [var name, var address, var length] when Names.IsName(name) => (name, ReadPrefix("PoolID", $"{address}/{length}")),
            _ => throw Refused($"PoolID {StoreChecks.Show(text ?? "")}: must be one that RequestPool gave"),
        };
    }

    private static AddressPrefix ReadPrefix(string key, string text) =>
        AddressPrefix.TryParse(text, out var prefix) && prefix.IsNetwork() ? prefix : throw Refused($"{key} {StoreChecks.Show(text ?? "")}: must be ADDRESS/LENGTH with zero host bits");

    private static InternetAddress ReadAddress(string text, AddressPrefix subnet) =>
        InternetAddress.TryParse(text, out var address) && AddressPool.IsUsable(subnet, address) ? address : throw Refused($"address {StoreChecks.Show(text ?? "")}: must be one of {subnet} that can be given out");

    private static CommandRefusedException Refused(string line) => new(RefusalKind.Invalid, [line]);
}
