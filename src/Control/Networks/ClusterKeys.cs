using Sleeve.Control.Host;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>
/// The keys in the store, and who may write them. Names in keys are those of <see cref="Names"/>, so none has a slash.
/// <code>
/// peers/HOST                          PeerRecord       its host; whoever forgets it
/// alive/HOST                          INSTANCE         its host, under a lease that the host keeps alive
/// networks/NETWORK                    NetworkRecord    any host
/// vnis/VNI                            NETWORK          any host, together with the network
/// addresses/NETWORK/ADDRESS           AddressRecord    the host that stands in it; a reservation: any
/// macs/NETWORK/MAC                    HOST/ID          the host that stands in it
/// blocks/NETWORK/PREFIX_LENGTH        BlockRecord      the host that stands in it
/// hosts/HOST/networks/NETWORK         MemberRecord     its host
/// hosts/HOST/endpoints/NETWORK/ID     EndpointRecord   its host
/// hosts/HOST/audits/ID                AuditReport      its host, under a lease
/// audits/ID                           AuditRequest     any host, under a lease
/// </code>
/// A dead host's keys may be deleted by any host after the grace time (<c>reclaim</c>), never changed.
/// </summary>
internal static class ClusterKeys
{
    /// <summary>What all keys begin with if nothing else is said (--store-prefix).</summary>
    public const string DefaultRoot = "/sleeve/1/";

    /// <summary>Prefix of all peers.</summary>
    public const string Peers = "peers/";

    /// <summary>Prefix of the signs of life.</summary>
    public const string Alive = "alive/";

    /// <summary>Prefix of all networks.</summary>
    public const string Networks = "networks/";

    /// <summary>Prefix of the VNIs in use.</summary>
    public const string Vnis = "vnis/";

    /// <summary>Prefix of the addresses in use.</summary>
    public const string Addresses = "addresses/";

    /// <summary>Prefix of the MACs in use.</summary>
    public const string Macs = "macs/";

    /// <summary>Prefix of the address blocks.</summary>
    public const string Blocks = "blocks/";

    /// <summary>Prefix of what hosts say of themselves.</summary>
    public const string Hosts = "hosts/";

    /// <summary>Prefix of the audits that were asked for.</summary>
    public const string Audits = "audits/";

    /// <summary>A peer.</summary>
    public static string Peer(string host) => $"{Peers}{host}";

    /// <summary>Its sign of life.</summary>
    public static string AliveOf(string host) => $"{Alive}{host}";

    /// <summary>A network.</summary>
    public static string Network(string name) => $"{Networks}{name}";

    /// <summary>A VNI.</summary>
    public static string Vni(Vni vni) => $"{Vnis}{vni}";

    /// <summary>An address of a network.</summary>
    public static string Address(string network, InternetAddress address) => $"{Addresses}{network}/{address}";

    /// <summary>A MAC of a network.</summary>
    public static string Mac(string network, MacAddress mac) => $"{Macs}{network}/{mac}";

    /// <summary>A block of addresses; the slash of the prefix is an underscore.</summary>
    public static string Block(string network, AddressPrefix block) => $"{Blocks}{network}/{block.Address}_{block.Length}";

    /// <summary>That a host has a network.</summary>
    public static string Member(string host, string network) => $"{Hosts}{host}/networks/{network}";

    /// <summary>All endpoints of a host.</summary>
    public static string EndpointsOf(string host) => $"{Hosts}{host}/endpoints/";

    /// <summary>An endpoint.</summary>
    public static string Endpoint(string host, string network, string id) => $"{Hosts}{host}/endpoints/{network}/{id}";

    /// <summary>What a host answered to an audit.</summary>
    public static string AuditOf(string host, string id) => $"{Hosts}{host}/audits/{id}";
}
