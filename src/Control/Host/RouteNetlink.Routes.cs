using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Host;

/// <summary>A route that leads through a gateway.</summary>
/// <param name="Destination">The network, host bits zero.</param>
/// <param name="Gateway">The next hop; the kernel takes it to be on the link.</param>
/// <param name="LinkIndex">The interface.</param>
internal readonly record struct GatewayRoute(AddressPrefix Destination, InternetAddress Gateway, int LinkIndex);

/// <content>Routes of our own: marked by their protocol (proto 83 in ip route), so that they are told from everybody else's after a restart.</content>
internal sealed partial class RouteNetlink
{
    /// <summary>What marks routes of ours: 83, a number that nobody has in /etc/iproute2/rt_protos.</summary>
    public const byte OwnProtocol = 83;

    /// <summary>Lists the routes of our own in the main table.</summary>
    public IReadOnlyList<GatewayRoute> ListOwnRoutes()
    {
        var routes = new List<GatewayRoute>();
        foreach (var family in (ReadOnlySpan<byte>)[LibC.AF_INET, LibC.AF_INET6])
        {
            var found = new List<GatewayRoute>();
            var outcome = Query(new NetlinkRequest(LibC.RTM_GETROUTE, LibC.NLM_F_DUMP).Struct(new LibC.rtmsg { rtm_family = family }), found.Clear, (in message) =>
            {
                if (ReadOwnRoute(in message) is { } route) found.Add(route);
            });
            if (!outcome.Succeeded) throw HostException.Of("list routes", outcome);
            routes.AddRange(found);
        }

        return routes;
    }

    /// <summary>Adds a route of our own, or changes the one there is to the same network.</summary>
    /// <exception cref="HostException">The interface is down or gone, or somebody else has a route to the same network.</exception>
    public void ReplaceOwnRoute(GatewayRoute route)
    {
        if (FindForeignRoute(route.Destination) is { } other)
            throw new HostException($"cannot add a route to {route.Destination}: there is one already, of proto {other}: ip route show {route.Destination}", LibC.EEXIST);
        var outcome = Execute(OnOwnRoute(LibC.RTM_NEWROUTE, LibC.NLM_F_CREATE | LibC.NLM_F_REPLACE, route));
        if (!outcome.Succeeded) throw HostException.Of($"add a route to {route.Destination} via {route.Gateway} dev {NameOf(route.LinkIndex)}", outcome);
    }

    /// <summary>Removes a route of our own.</summary>
    /// <returns>False if there is none.</returns>
    public bool RemoveOwnRoute(GatewayRoute route)
    {
        var outcome = Execute(OnOwnRoute(LibC.RTM_DELROUTE, 0, route));
        if (outcome.Errno is LibC.ESRCH or LibC.ENODEV) return false;
        return outcome.Succeeded ? true : throw HostException.Of($"remove the route to {route.Destination}", outcome);
    }

    /// <summary>Lists the permanent neighbours of an interface (<see cref="ReplaceNeighbour"/>).</summary>
    public IReadOnlyList<(InternetAddress Address, MacAddress Mac)> ListPermanentNeighbours(int index)
    {
        var neighbours = new List<(InternetAddress, MacAddress)>();
        var outcome = Query(new NetlinkRequest(LibC.RTM_GETNEIGH, LibC.NLM_F_DUMP).Struct(new LibC.ndmsg()), neighbours.Clear, (in message) =>
        {
            if (message.Type != LibC.RTM_NEWNEIGH || !message.TryRead(out LibC.ndmsg header, out var attributes)) return;
            if (header.ndm_ifindex != index || (header.ndm_state & LibC.NUD_PERMANENT) == 0) return;
            InternetAddress? address = null;
            MacAddress? mac = null;
            foreach (var attribute in attributes)
            {
                switch (attribute.Type)
                {
                    case LibC.NDA_DST: address = attribute.ToInternetAddress(); break;
                    case LibC.NDA_LLADDR: mac = attribute.ToMacAddress(); break;
                }
            }

            if (address is { } known && mac is { } station) neighbours.Add((known, station));
        });
        return outcome.Succeeded ? neighbours : throw HostException.Of($"list the neighbours of {NameOf(index)}", outcome);
    }

    private byte? FindForeignRoute(AddressPrefix destination)
    {
        byte? found = null;
        var request = new NetlinkRequest(LibC.RTM_GETROUTE, LibC.NLM_F_DUMP).Struct(new LibC.rtmsg { rtm_family = destination.Address.Family() });
        var outcome = Query(request, () => found = null, (in message) =>
        {
            if (ReadMainRoute(in message, out var header, out var attributes) && header.rtm_protocol != OwnProtocol && header.rtm_dst_len == destination.Length && DestinationOf(attributes) == destination.Address)
                found = header.rtm_protocol;
        });
        return outcome.Succeeded ? found : throw HostException.Of($"look for a route to {destination}", outcome);
    }

    private static bool ReadMainRoute(in NetlinkMessage message, out LibC.rtmsg header, out NetlinkAttributes attributes)
    {
        header = default;
        attributes = default;
        return message.Type == LibC.RTM_NEWROUTE && message.TryRead(out header, out attributes) && header.rtm_table == LibC.RT_TABLE_MAIN && header.rtm_type == LibC.RTN_UNICAST && (header.rtm_flags & LibC.RTM_F_CLONED) == 0;
    }

    private static InternetAddress? DestinationOf(NetlinkAttributes attributes)
    {
        foreach (var attribute in attributes)
            if (attribute.Type == LibC.RTA_DST) return attribute.ToInternetAddress();
        return null;
    }

    private static GatewayRoute? ReadOwnRoute(in NetlinkMessage message)
    {
        if (!ReadMainRoute(in message, out var header, out var attributes) || header.rtm_protocol != OwnProtocol) return null;
        InternetAddress? destination = null, gateway = null;
        var index = 0;
        foreach (var attribute in attributes)
        {
            switch (attribute.Type)
            {
                case LibC.RTA_DST: destination = attribute.ToInternetAddress(); break;
                case LibC.RTA_GATEWAY: gateway = attribute.ToInternetAddress(); break;
                case LibC.RTA_OIF: index = attribute.Int32; break;
            }
        }

        return destination is { } to && gateway is { } hop && header.rtm_dst_len <= to.Size * 8 ? new GatewayRoute(new AddressPrefix(to, header.rtm_dst_len), hop, index) : null;
    }

    private static NetlinkRequest OnOwnRoute(ushort type, int flags, GatewayRoute route) => new NetlinkRequest(type, flags)
        .Struct(new LibC.rtmsg
        {
            rtm_family = route.Destination.Address.Family(),
            rtm_dst_len = (byte)route.Destination.Length,
            rtm_table = LibC.RT_TABLE_MAIN,
            rtm_protocol = OwnProtocol,
            rtm_scope = LibC.RT_SCOPE_UNIVERSE,
            rtm_type = LibC.RTN_UNICAST,
            rtm_flags = LibC.RTNH_F_ONLINK,
        })
        .Add(LibC.RTA_DST, route.Destination.Network().Address).Add(LibC.RTA_GATEWAY, route.Gateway).Add(LibC.RTA_OIF, (uint)route.LinkIndex);
}
