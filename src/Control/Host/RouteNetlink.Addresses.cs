using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Host;

/// <summary>An address of an interface.</summary>
/// <param name="LinkIndex">The interface.</param>
/// <param name="Prefix">The address and its network's length.</param>
/// <param name="Flags">IFA_F_… bits.</param>
internal sealed record LinkAddress(int LinkIndex, AddressPrefix Prefix, uint Flags)
{
    /// <summary>True while duplicate address detection runs, when a socket cannot yet be bound to it (IPv6).</summary>
    public bool IsTentative => (Flags & LibC.IFA_F_TENTATIVE) != 0;
}

/// <summary>The way the kernel would send.</summary>
/// <param name="LinkIndex">Through this interface.</param>
/// <param name="Gateway">By this router; null if the destination is a neighbour.</param>
/// <param name="Source">From this address; null if the kernel does not say.</param>
/// <param name="MtuMetric">The route's own MTU in bytes, set by an operator or found by path MTU discovery; 0 if it has none.</param>
/// <param name="IsLocal">The destination is this host itself.</param>
/// <param name="IsMtuLearned">The MTU is what path MTU discovery found, which the kernel forgets after a time (net.ipv4.route.mtu_expires).</param>
internal sealed record RouteInfo(int LinkIndex, InternetAddress? Gateway, InternetAddress? Source, int MtuMetric, bool IsLocal, bool IsMtuLearned = false);

/// <summary>A route to be added.</summary>
internal sealed record RouteOptions
{
    /// <summary>The destination; its host bits are cleared.</summary>
    public required AddressPrefix Destination { get; init; }

    /// <summary>The router; null for a directly connected network.</summary>
    public InternetAddress? Gateway { get; init; }

    /// <summary>The interface; 0 to let the gateway tell.</summary>
    public int LinkIndex { get; init; }

    /// <summary>Preferred source address.</summary>
    public InternetAddress? Source { get; init; }

    /// <summary>The MTU metric in bytes; 0 for none.</summary>
    public int Mtu { get; init; }

    /// <summary>Take the gateway to be a neighbour though no network says so, as flannel does.</summary>
    public bool OnLink { get; init; }
}

/// <content>Addresses, routes, neighbours and forwarding entries.</content>
internal sealed partial class RouteNetlink
{
    /// <summary>Lists addresses of both families.</summary>
    /// <param name="index">The interface; 0 for all.</param>
    public IReadOnlyList<LinkAddress> ListAddresses(int index = 0)
    {
        var addresses = new List<LinkAddress>();
        var request = new NetlinkRequest(LibC.RTM_GETADDR, LibC.NLM_F_DUMP).Struct(new LibC.ifaddrmsg());
        var outcome = Query(request, addresses.Clear, (in message) =>
        {
            if (ReadAddress(in message) is { } address && (index == 0 || address.LinkIndex == index)) addresses.Add(address);
        });
        return outcome.Succeeded ? addresses : throw HostException.Of("list addresses", outcome);
    }

    /// <summary>True if a socket could be bound to it here, which goes for all of 127.0.0.0/8.</summary>
    public bool HasAddress(InternetAddress address) => TryGetRoute(address, null, 0, out _) is { IsLocal: true };

    /// <summary>Adds an address to an interface.</summary>
    /// <param name="index">The interface.</param>
    /// <param name="prefix">The address and its network's length.</param>
    /// <param name="noDad">IPv6: usable at once, without duplicate address detection.</param>
    /// <returns>False if the interface had it already.</returns>
    public bool AddAddress(int index, AddressPrefix prefix, bool noDad = false)
    {
        var request = OnAddress(LibC.RTM_NEWADDR, LibC.NLM_F_CREATE | LibC.NLM_F_EXCL, index, prefix);
        if (noDad && !prefix.Address.IsIPv4) request.Add(LibC.IFA_FLAGS, LibC.IFA_F_NODAD);
        var outcome = Execute(request);
        if (outcome.Errno == LibC.EEXIST) return false;
        return outcome.Succeeded ? true : throw HostException.Of($"add address {prefix} to {NameOf(index)}", outcome, AdviceOnIPv6(prefix, outcome));
    }

    /// <summary>Removes an address from an interface.</summary>
    /// <returns>False if the interface did not have it, or is gone.</returns>
    public bool RemoveAddress(int index, AddressPrefix prefix)
    {
        var outcome = Execute(OnAddress(LibC.RTM_DELADDR, 0, index, prefix));
        if (outcome.Errno is LibC.EADDRNOTAVAIL or LibC.ENODEV) return false;
        return outcome.Succeeded ? true : throw HostException.Of($"remove address {prefix} from {NameOf(index)}", outcome);
    }

    /// <summary>Asks how the kernel would send to a destination.</summary>
    /// <param name="destination">An address; a link-local one needs <paramref name="linkIndex"/>.</param>
    /// <param name="source">From this address; null for any.</param>
    /// <param name="linkIndex">Through this interface; 0 for any.</param>
    /// <exception cref="HostException">There is no route, or one that forbids it.</exception>
    public RouteInfo GetRoute(InternetAddress destination, InternetAddress? source = null, int linkIndex = 0) =>
        TryGetRoute(destination, source, linkIndex, out var outcome)
            ?? throw HostException.Of($"find a route to {destination}{(source is { } from ? $" from {from}" : "")}", outcome, outcome.Errno switch
            {
                LibC.EACCES => "a route prohibits it",
                _ when source is { } own && !HasAddress(own) => $"{own} is not an address of this host",
                _ => null,
            });

    /// <summary>Asks how the kernel would send to a destination.</summary>
    /// <returns>Null if it would not; <paramref name="outcome"/> says why.</returns>
    public RouteInfo? TryGetRoute(InternetAddress destination, InternetAddress? source, int linkIndex, out NetlinkOutcome outcome)
    {
        var header = new LibC.rtmsg
        {
            rtm_family = destination.Family(),
            rtm_dst_len = (byte)(destination.Size * 8),
            rtm_src_len = (byte)((source?.Size ?? 0) * 8),
        };
        var request = new NetlinkRequest(LibC.RTM_GETROUTE, 0).Struct(header).Add(LibC.RTA_DST, destination);
        if (source is { } from) request.Add(LibC.RTA_SRC, from);
        if (linkIndex != 0) request.Add(LibC.RTA_OIF, (uint)linkIndex);
        RouteInfo? route = null;
        outcome = Query(request, () => route = null, (in message) => route ??= ReadRoute(in message));
        if (!outcome.Succeeded) return null;
        if (route is null) outcome = new NetlinkOutcome(LibC.ENETUNREACH, null);
        // Asked from a source, the kernel names none.
        return route is { Source: null } ? route with { Source = source } : route;
    }

    /// <summary>Adds a route to the main table.</summary>
    /// <exception cref="HostException">It exists, or the gateway cannot be reached.</exception>
    public void AddRoute(RouteOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var destination = options.Destination.Network();
        var header = new LibC.rtmsg
        {
            rtm_family = destination.Address.Family(),
            rtm_dst_len = (byte)destination.Length,
            rtm_table = LibC.RT_TABLE_MAIN,
            rtm_protocol = LibC.RTPROT_BOOT,
            rtm_scope = options.Gateway is null && destination.Address.IsIPv4 ? LibC.RT_SCOPE_LINK : LibC.RT_SCOPE_UNIVERSE,
            rtm_type = LibC.RTN_UNICAST,
            rtm_flags = options.OnLink ? LibC.RTNH_F_ONLINK : 0,
        };
        var request = new NetlinkRequest(LibC.RTM_NEWROUTE, LibC.NLM_F_CREATE | LibC.NLM_F_EXCL)
            .Struct(header).Add(LibC.RTA_DST, destination.Address);
        if (options.Gateway is { } gateway) request.Add(LibC.RTA_GATEWAY, gateway);
        if (options.LinkIndex != 0) request.Add(LibC.RTA_OIF, (uint)options.LinkIndex);
        if (options.Source is { } source) request.Add(LibC.RTA_PREFSRC, source);
        if (options.Mtu != 0)
        {
            var metrics = request.BeginNest(LibC.RTA_METRICS);
            request.Add(LibC.RTAX_MTU, (uint)options.Mtu);
            request.EndNest(metrics);
        }

        var outcome = Execute(request);
        if (!outcome.Succeeded) throw HostException.Of($"add a route to {destination}", outcome);
    }

    /// <summary>Adds or replaces a permanent neighbour, so that the kernel need not ask for it.</summary>
    public void ReplaceNeighbour(int index, InternetAddress address, MacAddress mac)
    {
        var header = new LibC.ndmsg
        {
            ndm_family = address.Family(),
            ndm_ifindex = index,
            ndm_state = LibC.NUD_PERMANENT,
            ndm_type = LibC.RTN_UNICAST,
        };
        var request = new NetlinkRequest(LibC.RTM_NEWNEIGH, LibC.NLM_F_CREATE | LibC.NLM_F_REPLACE)
            .Struct(header).Add(LibC.NDA_DST, address).Add(LibC.NDA_LLADDR, mac);
        var outcome = Execute(request);
        if (!outcome.Succeeded) throw HostException.Of($"set neighbour {address} lladdr {mac} on {NameOf(index)}", outcome);
    }

    /// <summary>Has the kernel ask for a neighbour now (ARP or neighbour solicitation), without anything to be sent to it.</summary>
    public void AskForNeighbour(int index, InternetAddress address)
    {
        var header = new LibC.ndmsg { ndm_family = address.Family(), ndm_ifindex = index, ndm_flags = LibC.NTF_USE };
        var request = new NetlinkRequest(LibC.RTM_NEWNEIGH, LibC.NLM_F_CREATE | LibC.NLM_F_REPLACE).Struct(header).Add(LibC.NDA_DST, address);
        var outcome = Execute(request);
        if (!outcome.Succeeded) throw HostException.Of($"ask for neighbour {address} on {NameOf(index)}", outcome);
    }

    /// <summary>Reads what the kernel knows of a neighbour.</summary>
    /// <returns>Its MAC address; null if it is not known, or was asked for in vain.</returns>
    public MacAddress? FindNeighbour(int index, InternetAddress address)
    {
        MacAddress? found = null;
        var request = new NetlinkRequest(LibC.RTM_GETNEIGH, LibC.NLM_F_DUMP).Struct(new LibC.ndmsg { ndm_family = address.Family() });
        var outcome = Query(request, () => found = null, (in message) => found ??= ReadNeighbour(in message, index, address));
        return outcome.Succeeded ? found : throw HostException.Of($"look up neighbour {address}", outcome);
    }

    /// <summary>Forgets a neighbour.</summary>
    /// <returns>False if it was not known.</returns>
    public bool RemoveNeighbour(int index, InternetAddress address)
    {
        var header = new LibC.ndmsg { ndm_family = address.Family(), ndm_ifindex = index };
        var outcome = Execute(new NetlinkRequest(LibC.RTM_DELNEIGH, 0).Struct(header).Add(LibC.NDA_DST, address));
        if (outcome.Errno is LibC.ENOENT or LibC.ENODEV) return false;
        return outcome.Succeeded ? true : throw HostException.Of($"forget neighbour {address} on {NameOf(index)}", outcome);
    }

    /// <summary>
    /// Appends a destination to an entry in a kernel vxlan device's forwarding table (`bridge fdb append MAC dev DEV dst REMOTE`); the zero
    /// address stands for what is unknown, and takes several. Any other takes several only if it is a group address.
    /// </summary>
    /// <param name="index">The kernel's vxlan device.</param>
    /// <param name="mac">The inner destination.</param>
    /// <param name="remote">The VTEP.</param>
    /// <param name="port">Its UDP port; 0 for the device's.</param>
    public void AppendForwarding(int index, MacAddress mac, InternetAddress remote, ushort port = 0)
    {
        var outcome = Execute(OnForwarding(LibC.RTM_NEWNEIGH, LibC.NLM_F_CREATE | LibC.NLM_F_APPEND, index, mac, remote, port));
        if (!outcome.Succeeded) throw HostException.Of($"append {mac} dst {remote} to the forwarding table of {NameOf(index)}", outcome);
    }

    /// <summary>Removes a destination that <see cref="AppendForwarding"/> added.</summary>
    /// <returns>False if the table has no such MAC address; true also if it has, but not with this destination: the kernel does not tell.</returns>
    public bool RemoveForwarding(int index, MacAddress mac, InternetAddress remote, ushort port = 0)
    {
        var outcome = Execute(OnForwarding(LibC.RTM_DELNEIGH, 0, index, mac, remote, port));
        if (outcome.Errno is LibC.ENOENT or LibC.ENODEV) return false;
        return outcome.Succeeded ? true : throw HostException.Of($"remove {mac} dst {remote} from the forwarding table of {NameOf(index)}", outcome);
    }

    private static MacAddress? ReadNeighbour(in NetlinkMessage message, int index, InternetAddress address)
    {
        const ushort Valid = LibC.NUD_PERMANENT | LibC.NUD_NOARP | LibC.NUD_REACHABLE | LibC.NUD_STALE | LibC.NUD_DELAY | LibC.NUD_PROBE;
        if (message.Type != LibC.RTM_NEWNEIGH || !message.TryRead(out LibC.ndmsg header, out var attributes)) return null;
        if (header.ndm_ifindex != index || (header.ndm_state & Valid) == 0) return null;
        MacAddress? mac = null;
        var isAsked = false;
        foreach (var attribute in attributes)
        {
            switch (attribute.Type)
            {
                case LibC.NDA_DST: isAsked = attribute.ToInternetAddress() == address; break;
                case LibC.NDA_LLADDR: mac = attribute.ToMacAddress(); break;
            }
        }

        return isAsked ? mac : null;
    }

    private static NetlinkRequest OnForwarding(ushort type, int flags, int index, MacAddress mac, InternetAddress remote, ushort port)
    {
        var header = new LibC.ndmsg
        {
            ndm_family = LibC.AF_BRIDGE,
            ndm_ifindex = index,
            ndm_state = LibC.NUD_PERMANENT | LibC.NUD_NOARP,
            ndm_flags = LibC.NTF_SELF,
        };
        var request = new NetlinkRequest(type, flags).Struct(header).Add(LibC.NDA_LLADDR, mac).Add(LibC.NDA_DST, remote);
        return port == 0 ? request : request.AddPort(LibC.NDA_PORT, port);
    }

    private static NetlinkRequest OnAddress(ushort type, int flags, int index, AddressPrefix prefix) => new NetlinkRequest(type, flags)
        .Struct(new LibC.ifaddrmsg { ifa_family = prefix.Address.Family(), ifa_prefixlen = (byte)prefix.Length, ifa_index = (uint)index })
        .Add(LibC.IFA_LOCAL, prefix.Address).Add(LibC.IFA_ADDRESS, prefix.Address);

    private static string? AdviceOnIPv6(AddressPrefix prefix, NetlinkOutcome outcome) =>
        !prefix.Address.IsIPv4 && outcome.Errno is LibC.EACCES or LibC.EOPNOTSUPP or LibC.EAFNOSUPPORT
            ? "IPv6 is off here (sysctl net.ipv6.conf.*.disable_ipv6)"
            : null;

    private static LinkAddress? ReadAddress(in NetlinkMessage message)
    {
        if (message.Type != LibC.RTM_NEWADDR || !message.TryRead(out LibC.ifaddrmsg header, out var attributes)) return null;
        InternetAddress? own = null, peerOrOwn = null;
        uint flags = header.ifa_flags;
        foreach (var attribute in attributes)
        {
            switch (attribute.Type)
            {
                // On a point-to-point link IFA_ADDRESS is the other end; IFA_LOCAL, where there is one, is always ours.
                case LibC.IFA_LOCAL: own = attribute.ToInternetAddress(); break;
                case LibC.IFA_ADDRESS: peerOrOwn = attribute.ToInternetAddress(); break;
                case LibC.IFA_FLAGS: flags = attribute.UInt32; break;
            }
        }

        if ((own ?? peerOrOwn) is not { } address || header.ifa_prefixlen > address.Size * 8) return null;
        return new LinkAddress((int)header.ifa_index, new AddressPrefix(address, header.ifa_prefixlen), flags);
    }

    private static RouteInfo? ReadRoute(in NetlinkMessage message)
    {
        if (message.Type != LibC.RTM_NEWROUTE || !message.TryRead(out LibC.rtmsg header, out var attributes)) return null;
        var route = new RouteInfo(0, null, null, 0, header.rtm_type == LibC.RTN_LOCAL);
        foreach (var attribute in attributes)
        {
            switch (attribute.Type)
            {
                case LibC.RTA_OIF: route = route with { LinkIndex = attribute.Int32 }; break;
                case LibC.RTA_GATEWAY: route = route with { Gateway = attribute.ToInternetAddress() }; break;
                case LibC.RTA_PREFSRC: route = route with { Source = attribute.ToInternetAddress() }; break;
                case LibC.RTA_METRICS: route = route with { MtuMetric = ReadMtu(attribute.Nested) }; break;
                // A clone that expires is an exception of the route, for this destination alone.
                case LibC.RTA_CACHEINFO: route = route with { IsMtuLearned = (header.rtm_flags & LibC.RTM_F_CLONED) != 0 && ReadExpiry(attribute.Payload) > 0 }; break;
            }
        }

        return route with { IsMtuLearned = route.IsMtuLearned && route.MtuMetric > 0 };
    }

    // struct rta_cacheinfo of linux/rtnetlink.h: two 32-bit numbers, then rta_expires.
    private static int ReadExpiry(ReadOnlySpan<byte> cacheInfo) => cacheInfo.Length < 12 ? 0 : BitConverter.ToInt32(cacheInfo[8..]);

    private static int ReadMtu(NetlinkAttributes metrics)
    {
        foreach (var metric in metrics)
        {
            if (metric.Type == LibC.RTAX_MTU) return metric.Int32;
        }

        return 0;
    }
}
