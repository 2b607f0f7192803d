using System.Globalization;
using System.Numerics;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Bench.ClusterScale.Model;

/// <summary>
/// A cluster of any size, the same whenever it is asked for: host i is in the networks i, i+1 … (at most <see cref="NetworksOfAHost"/>), with the same number of endpoints in each; a network has its hosts by the same rule.
/// With one network all hosts are in it. What it says is what real hosts write: the same keys, records and claims.
/// </summary>
/// <param name="Peers">Hosts; at least 2, a multiple of the networks.</param>
/// <param name="EndpointsOfAHost">Endpoints of each.</param>
/// <param name="Networks">Networks; at most as many as hosts.</param>
internal sealed record ClusterModel(int Peers, int EndpointsOfAHost, int Networks)
{
    /// <summary>Networks that a host is in, where there are as many.</summary>
    public const int NetworksOfAHost = 10;

    private const uint FirstVni = 1000;
    private const uint FirstVtep = 0xAC10_0001;
    private const uint Pool = 0x0A00_0000;
    private const int PoolLength = 8;
    private const uint Spare = 0x0AFF_0000;
    private const ushort Port = 4789;

    /// <summary>Networks that each host is in.</summary>
    public int Joined => Math.Min(NetworksOfAHost, Networks);

    /// <summary>Hosts that each network has.</summary>
    public int Members => Joined * Peers / Networks;

    /// <summary>Endpoints of all hosts.</summary>
    public int Endpoints => Peers * EndpointsOfAHost;

    /// <summary>Keys that all of it takes in the store, signs of life too.</summary>
    public int Keys => (3 * Networks) + (Peers * (2 + (2 * Joined) + (3 * EndpointsOfAHost)));

    private int EndpointsTogether => EndpointsOfAHost / Joined;

    private int BlockBits => Math.Max(2, BitOperations.Log2((uint)EndpointsTogether) + 1);

    /// <summary>The name of a host.</summary>
    public static string HostOf(int host) => string.Create(CultureInfo.InvariantCulture, $"h{host:d4}");

    /// <summary>The name of a network.</summary>
    public static string NetworkOf(int network) => string.Create(CultureInfo.InvariantCulture, $"net{network:d4}");

    /// <summary>A network's VNI.</summary>
    public static Vni VniOf(int network) => new(FirstVni + (uint)network);

    /// <summary>Address of a host's VTEP.</summary>
    public static InternetAddress VtepOf(int host) => InternetAddress.FromIPv4(FirstVtep + (uint)host);

    /// <summary>The networks of a host.</summary>
    public IEnumerable<int> NetworksOf(int host) => Enumerable.Range(host, Joined).Select(each => each % Networks);

    /// <summary>The hosts of a network.</summary>
    public IEnumerable<int> HostsOf(int network) => Enumerable.Range(0, Peers).Where(host => PositionOf(host, network) is not null);

    /// <summary>What all networks take: each one's record, VNI and gateway.</summary>
    public IEnumerable<StoreWrite> OfNetwork(int network)
    {
        var gateway = InternetAddress.FromIPv4(Pool + 1);
        var record = new NetworkRecord(NetworkOf(network), string.Create(CultureInfo.InvariantCulture, $"{network:x16}"), VniOf(network))
        {
            Subnets = [new AddressPrefix(InternetAddress.FromIPv4(Pool), PoolLength)],
            Gateways = [gateway],
            BlockLength = 32 - BlockBits,
        };
        yield return new StoreWrite(ClusterKeys.Network(record.Name), RecordJson.Write(record));
        yield return new StoreWrite(ClusterKeys.Vni(record.Vni), record.Name);
        yield return new StoreWrite(ClusterKeys.Address(record.Name, gateway), RecordJson.Write(new AddressRecord("", "", AddressRecord.OfGateway)));
    }

    /// <summary>What a host says of itself, and its blocks: all but its endpoints and its sign of life.</summary>
    public IEnumerable<StoreWrite> OfHost(int host)
    {
        var name = HostOf(host);
        var peer = new PeerRecord(name, VtepOf(host), Port) { Version = "1.0.0+0123456789abcdef", Generation = 1, Since = DateTimeOffset.UnixEpoch, Location = "eu/r1" };
        yield return new StoreWrite(ClusterKeys.Peer(name), RecordJson.Write(peer));
        foreach (var network in NetworksOf(host))
        {
            yield return new StoreWrite(ClusterKeys.Member(name, NetworkOf(network)), RecordJson.Write(new MemberRecord(VtepOf(host), Port)));
            var block = new AddressPrefix(InternetAddress.FromIPv4(BlockOf(host, network)), 32 - BlockBits);
            yield return new StoreWrite(ClusterKeys.Block(NetworkOf(network), block), RecordJson.Write(new BlockRecord(name)));
        }
    }

    /// <summary>What one endpoint of a host takes: its record, address and MAC.</summary>
    /// <param name="host">The host.</param>
    /// <param name="number">0 to <see cref="EndpointsOfAHost"/> - 1.</param>
    public IReadOnlyList<StoreWrite> OfEndpoint(int host, int number)
    {
        var network = (host + (number % Joined)) % Networks;
        return Attach(host, network, BlockOf(host, network) + (uint)(number / Joined), string.Create(CultureInfo.InvariantCulture, $"c{number:x8}"));
    }

    /// <summary>A change: an endpoint that comes, beyond those that there are.</summary>
    /// <param name="host">Where.</param>
    /// <param name="network">Of those that the host is in.</param>
    /// <param name="number">Below 65,536; another is another endpoint.</param>
    public static IReadOnlyList<StoreWrite> Arrival(int host, int network, int number) => Attach(host, network, Spare + (uint)number, string.Create(CultureInfo.InvariantCulture, $"x{number:x8}"));

    /// <summary>The same endpoint, going.</summary>
    public static IReadOnlyList<StoreWrite> Departure(int host, int network, int number) => [.. Arrival(host, network, number).Select(static write => write with { Value = null })];

    /// <summary>The transaction that a host makes of an arrival or a departure: each key must be free for the one, and there for the other.</summary>
    public static StoreTransaction Commit(IReadOnlyList<StoreWrite> writes) =>
        new([.. writes.Where(static write => write.Value is not null).Select(static write => StoreCondition.Absent(write.Key))], writes);

    private static List<StoreWrite> Attach(int host, int network, uint address, string id)
    {
        var (name, where, ip) = (HostOf(host), NetworkOf(network), InternetAddress.FromIPv4(address));
        var mac = DerivedMac.Of(ip, "", name, id, salt: 0);
        var endpoint = new EndpointRecord(id, mac, [ip]) { Name = $"{id}-{name}", Vtep = VtepOf(host), Generation = 1 };
        return
        [
            new StoreWrite(ClusterKeys.Address(where, ip), RecordJson.Write(new AddressRecord(name, id, AddressRecord.OfEndpoint))),
            new StoreWrite(ClusterKeys.Mac(where, mac), $"{name}/{id}"),
            new StoreWrite(ClusterKeys.Endpoint(name, where, id), RecordJson.Write(endpoint)),
        ];
    }

    // The first block of the pool has the network's address and the gateway.
    private uint BlockOf(int host, int network) => Pool + (((uint)PositionOf(host, network)!.Value + 1) << BlockBits);

    private int? PositionOf(int host, int network)
    {
        var distance = (((network - host) % Networks) + Networks) % Networks;
        return distance < Joined ? distance + (Joined * (host / Networks)) : null;
    }
}
