using Sleeve.Control.Host;
using Sleeve.Control.Up;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>
/// What routed networks are on this host: the TAP stands beside the bridge instead of in it, with the first address of the host's subnet, and packets go from one to the other by the host's routes (<see cref="RoutedTables"/>).
/// Any thread; one change at a time.
/// </summary>
/// <param name="self">Name of this host.</param>
/// <param name="isUp">Whether a host's VTEP is alive.</param>
/// <param name="say">Takes lines for whoever watches.</param>
internal sealed class RoutedHost(string self, Func<string, bool> isUp, Action<string> say) : IDisposable
{
    private const string IPv4 = "ipv4";
    private const int MaxFaults = 100;

    // Whoever sends by the one way may be answered by the other (rp_filter of ip-sysctl.rst: loose).
    private const int LooseFilter = 2;

    private readonly RouteNetlink _host = RouteNetlink.Open();
    private readonly Lock _turn = new();
    private readonly Dictionary<string, HashSet<string>> _told = [];

    /// <summary>MAC of the TAP of a routed network: of the subnet's first address, which is the host's, so that it is the same after a restart and in the store before there is a TAP.</summary>
    public static MacAddress MacOf(NetworkRecord network, string self, AddressPrefix block) => DerivedMac.Of(block.Network().Address, network.Id, self, "", 0);

    /// <summary>The subnets of this host: what the store says, or what an earlier run left on the bridge where the store was never read.</summary>
    /// <exception cref="HostException">It has none, as far as is known.</exception>
    public IReadOnlyList<AddressPrefix> BlocksOf(NetworkRecord network, NetworkView? view)
    {
        if (view?.Record?.Value.Id == network.Id && view.Members.TryGetValue(self, out var member) && member.Value.Subnets.Count > 0) return member.Value.Subnets;
        if (_host.FindLink(LocalNetwork.BridgeOf(network.Vni)) is { Alias: OverlayDevice.OwnAlias } bridge)
        {
            AddressPrefix[] left = [.. _host.ListAddresses(bridge.Index).Select(static each => each.Prefix.Network()).Where(prefix => network.Subnets.Any(subnet => subnet.Contains(prefix)))];
            if (left.Length > 0) return left;
        }

        throw new HostException($"network {network.Name}: the subnet of this host is not known, the store was not read yet: it is wired when the store is back");
    }

    /// <summary>Lets packets pass between TAP, bridge and underlay.</summary>
    /// <param name="network">A routed network that is here.</param>
    /// <exception cref="HostException">It may not be done here, and was not done by an operator.</exception>
    public static void LetPass(LocalNetwork network)
    {
        foreach (var name in (string[])[network.Device, network.Bridge]) Forward(name);
        if (!network.Record.IsDirect) return;
        try
        {
            InterfaceSysctl.Write(IPv4, network.Device, "rp_filter", LooseFilter);
        }
        catch (HostException)
        {
            // It matters where a strict filter is the default, while one of two hosts falls back and the other has not yet.
        }
    }

    /// <summary>What could not be done of what is published, one line each.</summary>
    public IReadOnlyList<string> FaultsOf(string network)
    {
        lock (_turn) return [.. _told.GetValueOrDefault(network) ?? []];
    }

    /// <summary>Brings routes, neighbours and the FDB to what is known.</summary>
    /// <param name="network">A routed network that is here.</param>
    /// <param name="view">What is known of it.</param>
    /// <param name="segment">Its segment.</param>
    /// <param name="isHere">Asked in turn: whether it still is.</param>
    /// <exception cref="HostException">Something cannot be done.</exception>
    public void Program(LocalNetwork network, NetworkView view, Segment segment, Func<bool> isHere)
    {
        lock (_turn)
        {
            if (!isHere() || _host.FindLink(network.Device) is not { IsUp: true } tap) return;
            var plan = PlanOf(view, segment);
            foreach (var link in plan.Routes.Values.Select(static route => route.LinkIndex).Where(static index => index != 0).Distinct()) LetPassFrom(link);
            var changes = RoutedTables.Apply(_host, tap.Index, network.Record.Subnets, segment, plan, Vtep.NowMilliseconds);
            Tell(network.Record.Name, [.. plan.Faults, .. changes.Faults]);
        }
    }

    /// <summary>Takes away the routes of a network that is gone from here. Those over the TAP went with it.</summary>
    public void Remove(LocalNetwork network)
    {
        lock (_turn)
        {
            RoutedTables.Remove(_host, network.Record.Subnets);
            _told.Remove(network.Record.Name);
        }
    }

    /// <summary>Takes away the routes that an earlier run left and no network needs.</summary>
    /// <param name="pools">Of the routed networks that are here.</param>
    public void RemoveLeftOvers(IReadOnlyList<AddressPrefix> pools)
    {
        lock (_turn)
        {
            foreach (var route in _host.ListOwnRoutes().Where(route => !pools.Any(pool => pool.Contains(route.Destination))))
                if (_host.RemoveOwnRoute(route)) say($"the route to {route.Destination}, which an earlier run left, is removed");
        }
    }

    /// <summary>Compares what is there with what is published.</summary>
    public IReadOnlyList<TableDifference> Audit(LocalNetwork network, NetworkView view, Segment segment)
    {
        lock (_turn)
        {
            if (_host.FindLink(network.Device) is not { } tap) return [];
            return RoutedTables.Compare(_host, tap.Index, network.Record.Subnets, segment, PlanOf(view, segment), Vtep.NowMilliseconds);
        }
    }

    private RoutedPlan PlanOf(NetworkView view, Segment segment)
    {
        var links = new Dictionary<int, bool>();
        return RoutedPlan.Of(view, self, isUp, DirectLink, Refuse);

        int DirectLink(InternetAddress vtep)
        {
            if (_host.TryGetRoute(vtep, null, 0, out _) is not { Gateway: null, IsLocal: false, LinkIndex: not 0 } route) return 0;
            if (!links.TryGetValue(route.LinkIndex, out var isLayer2))
            {
                // What has no MACs hands on by address, and does not know those of the subnets.
                links[route.LinkIndex] = isLayer2 = _host.FindLink(route.LinkIndex) is { HardwareType: LibC.ARPHRD_ETHER, Alias: not OverlayDevice.OwnAlias };
            }

            return isLayer2 ? route.LinkIndex : 0;
        }

        string? Refuse(MemberRecord member) =>
            Bindings.Refuse(member.Vtep, member.Port, segment) ?? (member.Mac is { } mac && !Bindings.IsUsable(mac, segment) ? $"its MAC {mac} is no station's, or this host's" : null);
    }

    // Packets that came without encapsulation are to go on to the bridge.
    private void LetPassFrom(int link)
    {
        if (_host.FindLink(link)?.Name is not { } name || InterfaceSysctl.Read(IPv4, name, "forwarding") is 1) return;
        Forward(name);
        say($"forwarding is switched on for {name} (net.ipv4.conf.{name}.forwarding=1): direct routes lead over it");
    }

    private static void Forward(string name)
    {
        try
        {
            if (InterfaceSysctl.Read(IPv4, name, "forwarding") != 1) InterfaceSysctl.Write(IPv4, name, "forwarding", 1);
        }
        catch (HostException failure)
        {
            // Interfaces that are made after that have it from the start.
            throw new HostException($"{failure.Message}; routed networks need it: sysctl -w net.ipv4.ip_forward=1 switches it on for all interfaces");
        }
    }

    private void Tell(string network, IReadOnlyList<string> faults)
    {
        var told = _told.GetValueOrDefault(network) ?? [];
        var now = faults.Take(MaxFaults).ToHashSet();
        foreach (var fault in now.Where(fault => !told.Contains(fault))) say($"warning: network {network}: {fault}");
        _told[network] = now;
    }

    /// <inheritdoc/>
    public void Dispose() => _host.Dispose();
}
