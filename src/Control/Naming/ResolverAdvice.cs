using System.Text;
using Sleeve.Control.Host;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Naming;

/// <summary>
/// What an endpoint needs to resolve the names of its network: lines of its resolv.conf(5), and how it reaches the server. A network with gateways has the server on those; one without
/// has it on a link-local address, the same on every host, where each hears only its own members.
/// </summary>
internal sealed record ResolverAdvice
{
    // 169.254.96.0 to 169.254.127.255 of 169.254/16 (RFC 3927): taken by no known service.
    private const uint LinkLocalBase = 0xA9FE_6000;
    private const uint LinkLocalThirds = 32;
    private const uint LinkLocalFourths = 254;

    /// <summary>
    /// Where the names of a network without a gateway are served, of IPv4: 169.254.96.1 to 169.254.127.254 by its VNI, since a container that is in two networks needs a route to each.
    /// Of two VNIs that differ by a multiple of 8128 both have the same, and such a container resolves the names of the first alone.
    /// </summary>
    public static InternetAddress LinkLocalOf(Vni vni) =>
        InternetAddress.FromIPv4(LinkLocalBase + ((vni.Value / LinkLocalFourths % LinkLocalThirds) << 8) + 1 + (vni.Value % LinkLocalFourths));

    /// <summary>Where the names of a network with IPv6 alone are served: fe80::53.</summary>
    public static readonly InternetAddress LinkLocalIPv6 = InternetAddress.FromIPAddress(System.Net.IPAddress.Parse("fe80::53"));

    /// <summary>The network.</summary>
    public required string Network { get; init; }

    /// <summary>Addresses for the lines "nameserver"; a link-local one with its interface, as glibc has it.</summary>
    public required IReadOnlyList<string> Nameservers { get; init; }

    /// <summary>The domain for the line "search": NETWORK.DOMAIN, so that NAME alone is enough.</summary>
    public required string Search { get; init; }

    /// <summary>Addresses that answer, which the bridge must have.</summary>
    public required IReadOnlyList<InternetAddress> Servers { get; init; }

    /// <summary>Those of <see cref="Servers"/> that the bridge has for names alone; empty if its gateways serve.</summary>
    public required IReadOnlyList<AddressPrefix> BridgeAddresses { get; init; }

    /// <summary>Routes without a gateway that the endpoint needs to its interface; empty if its subnets hold the servers.</summary>
    public required IReadOnlyList<AddressPrefix> Routes { get; init; }

    /// <summary>Says what the endpoints of a network need.</summary>
    /// <param name="network">The network.</param>
    /// <param name="options">How names are served.</param>
    /// <param name="interfaceName">What the endpoint calls its interface.</param>
    /// <param name="gateways">Addresses of this host's bridge that serve; those of the network if null (a routed network has others on each host).</param>
    public static ResolverAdvice Of(NetworkRecord network, NameOptions options, string interfaceName, IReadOnlyList<InternetAddress>? gateways = null)
    {
        IReadOnlyList<InternetAddress> servers = gateways ?? (network.IsInternal ? [] : network.Gateways);
        IReadOnlyList<AddressPrefix> own = [];
        IReadOnlyList<AddressPrefix> routes = [];
        if (servers.Count == 0)
        {
            var isIPv6Only = network.Subnets.Count > 0 && network.Subnets.All(static subnet => !subnet.Address.IsIPv4);
            servers = [isIPv6Only ? LinkLocalIPv6 : LinkLocalOf(network.Vni)];
            own = [isIPv6Only ? new AddressPrefix(LinkLocalIPv6, 64) : AddressPrefix.Of(servers[0])];
            // Every interface has a route to fe80::/64 already.
            routes = isIPv6Only ? [] : own;
        }

        return new ResolverAdvice
        {
            Network = network.Name, Servers = servers, BridgeAddresses = own, Routes = routes, Search = $"{network.Name.ToLowerInvariant()}.{options.Domain}",
            Nameservers = [.. servers.Take(HostResolvers.MaxServers).Select(server => server.IsIPv6LinkLocal ? $"{server}%{interfaceName}" : server.ToString())],
        };
    }

    /// <summary>What the first line begins with: such a file was made here.</summary>
    public const string Mark = "# made by sleeve for ";

    /// <summary>The first line.</summary>
    /// <param name="wire">The wire that the endpoint hangs at: one network, one endpoint.</param>
    public string MarkOf(string wire) => $"{Mark}{wire} of network {Network}; goes when that is detached\n";

    /// <summary>A whole resolv.conf.</summary>
    /// <param name="wire">The wire that it goes with.</param>
    public string ToText(string wire)
    {
        var text = new StringBuilder(MarkOf(wire));
        text.Append("search ").Append(Search).Append('\n');
        foreach (var server in Nameservers) text.Append("nameserver ").Append(server).Append('\n');
        return text.ToString();
    }
}
