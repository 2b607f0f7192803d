using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Host;

/// <summary>What the host knows of the MTU on the way to a destination, in bytes; 0 for what it does not know.</summary>
/// <param name="Link">Of the interface.</param>
/// <param name="Route">Of the route, if it has one of its own.</param>
/// <param name="Learned">What path MTU discovery found and the kernel has not forgotten.</param>
internal readonly record struct RouteMtu(int Link, int Route, int Learned);

/// <summary>Asks the host for the MTU of routes, and for that of an interface only once. One thread.</summary>
/// <param name="host">The namespace of the UDP sockets.</param>
/// <param name="local">The address that datagrams are sent from; unspecified for any.</param>
internal sealed class RouteMtuReader(RouteNetlink host, InternetAddress local)
{
    private readonly Dictionary<int, int> _links = [];

    /// <summary>Forgets what it knows of interfaces.</summary>
    public void Forget() => _links.Clear();

    /// <summary>Asks about one destination.</summary>
    /// <param name="remote">An address, or a multicast group.</param>
    /// <param name="linkIndex">The interface to send by; 0 lets the route decide.</param>
    public RouteMtu Read(InternetAddress remote, int linkIndex)
    {
        var source = local.IsUnspecified || local.IsIPv4 != remote.IsIPv4 ? (InternetAddress?)null : local;
        var route = host.TryGetRoute(remote, source, linkIndex, out var outcome);
        // An address that is gone for the moment makes every remote look unreachable.
        if (route is null && source is not null && outcome.Errno == LibC.EINVAL) route = host.TryGetRoute(remote, null, linkIndex, out _);
        if (route is null) return default;
        var link = LinkMtu(route.LinkIndex);
        return route.IsMtuLearned ? new RouteMtu(link, 0, route.MtuMetric) : new RouteMtu(link, route.MtuMetric, 0);
    }

    private int LinkMtu(int index)
    {
        if (_links.TryGetValue(index, out var mtu)) return mtu;
        return _links[index] = host.FindLink(index)?.Mtu ?? 0;
    }
}
