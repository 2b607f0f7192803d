using Sleeve.Control.Host;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>
/// What a routed network needs on a host, as flannel's vxlan backend has it: per remote host one route to its subnet, one neighbour that says which MAC its gateway has, and one FDB entry that says behind which VTEP
/// that MAC is. Hosts that can be reached without a router are sent to without encapsulation if the network is <see cref="NetworkRecord.IsDirect"/>.
/// </summary>
/// <param name="Routes">To the subnets of other hosts; the interface is 0 for the network's TAP.</param>
/// <param name="Neighbours">Of the TAP: the gateway of each remote subnet and its MAC.</param>
/// <param name="Stations">FDB: that MAC, and the VTEP.</param>
/// <param name="Sources">Who says so of each MAC, and since which revision of the store.</param>
/// <param name="Faults">Members that cannot be served, and why.</param>
internal sealed record RoutedPlan(
    IReadOnlyDictionary<AddressPrefix, GatewayRoute> Routes,
    IReadOnlyDictionary<InternetAddress, MacAddress> Neighbours,
    IReadOnlyDictionary<MacAddress, VtepAddress> Stations,
    IReadOnlyDictionary<MacAddress, (string Host, long Version)> Sources,
    IReadOnlyList<string> Faults)
{
    /// <summary>Works it out.</summary>
    /// <param name="network">The network with its members.</param>
    /// <param name="self">Name of this host.</param>
    /// <param name="isUp">Whether the VTEP of a host is alive: the subnets of one that is not are no longer routed, so that whoever sends there is told at once.</param>
    /// <param name="directLink">The interface over which an address is reached without a router; 0 if there is none.</param>
    /// <param name="refuse">Why nothing can be sent to a member; null if it can.</param>
    public static RoutedPlan Of(NetworkView network, string self, Func<string, bool> isUp, Func<InternetAddress, int> directLink, Func<MemberRecord, string?>? refuse = null)
    {
        var draft = new Draft(network, self, directLink);
        // What was entered by hand or stands in flannel's keys gives way to hosts of the cluster, and says no sign of life.
        foreach (var member in network.Foreign.Values.OrderBy(static member => member.Version).ThenBy(static member => member.Host, StringComparer.Ordinal)) draft.Add(member, isForeign: true, refuse);
        // In this order every host comes to the same.
        foreach (var member in network.Members.Values.OrderBy(static member => member.Version))
            if (member.Host != self && isUp(member.Host)) draft.Add(member, isForeign: false, refuse);
        return new RoutedPlan(draft.Routes, draft.Neighbours, draft.Stations, draft.Sources, draft.Faults);
    }

    // What it comes to so far.
    private sealed class Draft(NetworkView network, string self, Func<InternetAddress, int> directLink)
    {
        private readonly bool _isDirect = network.Record?.Value.IsDirect ?? false;
        private readonly IReadOnlyList<AddressPrefix> _pools = network.Record?.Value.Subnets ?? [];
        private readonly IReadOnlyList<AddressPrefix> _own = network.Members.GetValueOrDefault(self)?.Value.Subnets ?? [];

        public Dictionary<AddressPrefix, GatewayRoute> Routes { get; } = [];

        public Dictionary<InternetAddress, MacAddress> Neighbours { get; } = [];

        public Dictionary<MacAddress, VtepAddress> Stations { get; } = [];

        public Dictionary<MacAddress, (string Host, long Version)> Sources { get; } = [];

        public List<string> Faults { get; } = [];

        public void Add(Published<MemberRecord> member, bool isForeign, Func<MemberRecord, string?>? refuse)
        {
            if (refuse?.Invoke(member.Value) is { } refusal)
            {
                Faults.Add($"{member.Host}: nothing is sent to it: {refusal}");
                return;
            }

            if (member.Value.Mac is not { } mac)
            {
                Faults.Add($"{member.Host}: does not say the MAC of its TAP");
                return;
            }

            if (Sources.TryGetValue(mac, out var other)) Faults.Add($"mac {mac}: {other.Host} and {member.Host} both say it is theirs; that of {member.Host} counts");
            foreach (var subnet in member.Value.Subnets)
            {
                if (Misplaced(subnet, isForeign ? null : member.Host) is { } reason)
                {
                    Faults.Add($"{member.Host}: its subnet {subnet} {reason}");
                    continue;
                }

                if (Routes.ContainsKey(subnet)) Faults.Add($"{subnet}: two hosts claim it; that of {member.Host} counts");
                // The way by VXLAN is there in any case: what comes by it is to be let in, and when the other way ends it is at hand.
                var link = _isDirect ? directLink(member.Value.Vtep) : 0;
                Routes[subnet] = link != 0 && member.Value.Vtep.IsIPv4 == subnet.Address.IsIPv4 ? new GatewayRoute(subnet, member.Value.Vtep, link) : new GatewayRoute(subnet, subnet.Address, 0);
                Neighbours[subnet.Address] = mac;
                Stations[mac] = new VtepAddress(member.Value.Vtep, member.Value.Port);
                Sources[mac] = (member.Host, member.Version);
            }
        }

        // Nobody is believed beyond his lease: a route is a way to take away somebody else's packets.
        private string? Misplaced(AddressPrefix subnet, string? host)
        {
            if (!_pools.Any(pool => pool.Contains(subnet))) return $"is not of {string.Join(", ", _pools)}";
            if (_own.Any(own => own.Overlaps(subnet))) return "overlaps this host's";
            if (host is not null && network.Blocks.GetValueOrDefault(subnet.ToString())?.Value.Host != host) return "is not leased to it";
            return null;
        }
    }
}
