using System.Globalization;
using Sleeve.Control.Host;
using Sleeve.Control.Up;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>How an endpoint is wired.</summary>
internal sealed record WirePlan
{
    /// <summary>Name of the end that stays on the host.</summary>
    public required string Link { get; init; }

    /// <summary>The bridge that it is a port of.</summary>
    public required string Bridge { get; init; }

    /// <summary>Name of the other end; "" for the first of eth0, eth1 … that is free there.</summary>
    public string InterfaceName { get; init; } = "";

    /// <summary>Its MAC.</summary>
    public required MacAddress Mac { get; init; }

    /// <summary>Its addresses, with the length of their subnets.</summary>
    public IReadOnlyList<AddressPrefix> Addresses { get; init; } = [];

    /// <summary>MTU of both ends in bytes.</summary>
    public required int Mtu { get; init; }

    /// <summary>Routers for what has no other route, at most one a family.</summary>
    public IReadOnlyList<InternetAddress> Gateways { get; init; } = [];

    /// <summary>Somebody asked for them in so many words: where there is a default route already that is an error, and else they are left out.</summary>
    public bool InsistsOnGateways { get; init; }
}

/// <summary>
/// The wire between a network's bridge and a container: a veth pair, its far end with address, MAC, MTU and default route, in the container's namespace from the first moment. Done
/// twice it is as done once; what fails leaves nothing. All of it is rtnetlink, some milliseconds in all. Addresses are used at once, without asking whether
/// somebody has them (RFC 4862, section 5.4; RFC 5227): the store has given them to nobody else. Neighbours that knew them elsewhere are told.
/// </summary>
internal static class Wiring
{
    private const int FirstNames = 1000;
    private const int CarrierMilliseconds = 500;
    private const int HeaderSize = 14;

    private static readonly AddressPrefix DefaultIPv4 = new(InternetAddress.AnyIPv4, 0);
    private static readonly AddressPrefix DefaultIPv6 = new(InternetAddress.AnyIPv6, 0);
    private static readonly MacAddress AllNodesMac = MacAddress.FromValue(0x3333_0000_0001);
    private static readonly InternetAddress AllNodes = InternetAddress.FromIPAddress(System.Net.IPAddress.Parse("ff02::1"));

    /// <summary>Wires a namespace.</summary>
    /// <param name="host">The host's own configuration.</param>
    /// <param name="target">Where to.</param>
    /// <param name="plan">How.</param>
    /// <returns>The far end.</returns>
    /// <exception cref="HostException">It cannot be done; a wire that was not there is not there.</exception>
    public static LinkInfo Connect(RouteNetlink host, NetworkNamespace target, WirePlan plan)
    {
        using var inside = RouteNetlink.Open(target);
        var bridge = host.FindLink(plan.Bridge) ?? throw new HostException($"there is no bridge {plan.Bridge}");
        var (near, far) = FindPair(host, inside, plan);
        var undo = new Stack<Action>();
        try
        {
            if (near is null || far is null)
            {
                (near, far) = MakePair(host, inside, target, plan);
                var made = near.Index;
                undo.Push(() => host.DeleteLink(made));
                // Without an owner an interface is nobody's to remove after a crash.
                host.SetAlias(near.Index, OverlayDevice.OwnAlias);
                Silence(near.Name);
            }

            Configure(inside, target, far, plan, undo);
            if (near.Mtu != plan.Mtu) host.SetMtu(near.Index, plan.Mtu);
            if (near.MasterIndex != bridge.Index) host.SetMaster(near.Index, bridge.Index);
            if (!near.IsUp) host.SetUp(near.Index, up: true);
            AddRoutes(inside, far, plan);
            inside.WaitUntilRunning(far.Index, TimeSpan.FromMilliseconds(CarrierMilliseconds));
            // A bridge lets nothing through a port whose carrier it has not heard of: what is announced before that is told to nobody.
            host.WaitUntilRunning(near.Index, TimeSpan.FromMilliseconds(CarrierMilliseconds));
            Announce(target, far.Index, plan);
            return inside.FindLink(far.Index) ?? throw new HostException($"the interface {far.Name} was removed while it was being set up");
        }
        catch (Exception failure) when (failure is IOException or ErrnoException)
        {
            while (undo.TryPop(out var step)) TryUndo(step);
            throw failure as HostException ?? new HostException(failure.Message);
        }
    }

    /// <summary>Takes a wire away, both ends of it.</summary>
    /// <returns>False if there is none.</returns>
    /// <exception cref="HostException">The interface of that name is not ours, or stays.</exception>
    public static bool Disconnect(RouteNetlink host, string link)
    {
        if (host.FindLink(link) is not { } near) return false;
        if (MachineTap.IsOne(near)) return host.DeleteLink(near.Index);
        // A TAP has the name that its owner chose, and so it may be another's by now.
        if (!link.StartsWith(EndpointEntry.LinkPrefix, StringComparison.Ordinal)) return false;
        if (near is not { Kind: "veth", Alias: OverlayDevice.OwnAlias or "" }) throw new HostException($"{link} is not of Sleeve's making (alias {OverlayDevice.OwnAlias}): it stays; ip link del {link}");
        return host.DeleteLink(near.Index);
    }

    /// <summary>Whether the near end of a wire is there; it goes with the namespace of the far one.</summary>
    public static bool IsThere(RouteNetlink host, string link) => host.FindLink(link) is { Kind: "veth" };

    private static void TryUndo(Action step)
    {
        try
        {
            step();
        }
        catch (HostException)
        {
            // Gone already, with its namespace.
        }
    }

    // Both ends, or none: one whose other end is elsewhere is a left-over.
    private static (LinkInfo? Near, LinkInfo? Far) FindPair(RouteNetlink host, RouteNetlink inside, WirePlan plan)
    {
        if (host.FindLink(plan.Link) is not { } near) return default;
        if (near is not { Kind: "veth", Alias: OverlayDevice.OwnAlias or "" }) throw new HostException($"{plan.Link} is taken by an interface that is not of Sleeve's making; remove it: ip link del {plan.Link}");
        var far = inside.FindLink(near.LinkIndex) is { Kind: "veth" } other && other.LinkIndex == near.Index && other.Mac == plan.Mac ? other : null;
        if (far is not null && (plan.InterfaceName == "" || far.Name == plan.InterfaceName)) return (near, far);
        host.DeleteLink(near.Index);
        return default;
    }

    private static (LinkInfo Near, LinkInfo Far) MakePair(RouteNetlink host, RouteNetlink inside, NetworkNamespace target, WirePlan plan)
    {
        for (var number = 0; ; number++)
        {
            var name = plan.InterfaceName != "" ? plan.InterfaceName : string.Create(CultureInfo.InvariantCulture, $"eth{number}");
            var mayTryNext = plan.InterfaceName == "" && number < FirstNames;
            if (inside.FindLink(name) is not null)
            {
                if (mayTryNext) continue;
                throw new HostException($"ifname {name}: there is such an interface in {target.Name} already; choose another");
            }

            try
            {
                var near = host.CreateVethPair(plan.Link, name, target);
                return (near, inside.GetLink(name));
            }
            catch (HostException failure) when (failure.Errno == LibC.EEXIST && mayTryNext && host.FindLink(plan.Link) is null)
            {
                // Somebody else was faster with that name.
            }
        }
    }

    private static void Configure(RouteNetlink inside, NetworkNamespace target, LinkInfo far, WirePlan plan, Stack<Action> undo)
    {
        var hasIPv6 = plan.Addresses.Any(static address => !address.Address.IsIPv4);
        target.Run(() =>
        {
            // Containers often begin without IPv6; that of an interface is its own.
            if (hasIPv6) TryWrite("ipv6", far.Name, "disable_ipv6", 0);
            TryWrite("ipv6", far.Name, "accept_dad", 0);
        });
        if (far.Mac != plan.Mac) inside.SetMac(far.Index, plan.Mac);
        if (far.Mtu != plan.Mtu) inside.SetMtu(far.Index, plan.Mtu);
        foreach (var address in plan.Addresses) inside.AddAddress(far.Index, address, noDad: true);
        if (inside.FindLink("lo") is { IsUp: false } loopback)
        {
            inside.SetUp(loopback.Index, up: true);
            undo.Push(() =>
            {
                using var again = RouteNetlink.Open(target);
                again.SetUp(loopback.Index, up: false);
            });
        }

        if (!far.IsUp) inside.SetUp(far.Index, up: true);
    }

    private static void AddRoutes(RouteNetlink inside, LinkInfo far, WirePlan plan)
    {
        foreach (var gateway in plan.Gateways)
        {
            var links = inside.DefaultRouteLinks(gateway.IsIPv4);
            if (links.Contains(far.Index)) continue;
            if (links.Count == 0)
            {
                inside.AddRoute(new RouteOptions { Destination = gateway.IsIPv4 ? DefaultIPv4 : DefaultIPv6, Gateway = gateway, LinkIndex = far.Index, OnLink = true });
                continue;
            }

            if (!plan.InsistsOnGateways) continue;
            var by = inside.FindLink(links[0])?.Name ?? "another interface";
            throw new HostException($"gateway {gateway}: there is a default route by {by} already, which stays; leave --gateway out, or remove it first: ip route del default");
        }
    }

    // ARP announcements (RFC 5227, section 3) as request and as reply, since some listen to one of them only; unsolicited advertisements (RFC 4861, section 7.2.6).
    private static void Announce(NetworkNamespace target, int index, WirePlan plan)
    {
        if (plan.Addresses.Count == 0) return;
        using var sender = FrameSender.Open(index, target);
        Span<byte> frame = stackalloc byte[HeaderSize + NeighborAdvertisement.Size];
        foreach (var address in plan.Addresses.Select(static each => each.Address))
        {
            if (address.IsIPv4)
            {
                foreach (var operation in (ReadOnlySpan<ushort>)[ArpPacket.Request, ArpPacket.Reply])
                {
                    WriteHeader(frame, MacAddress.Broadcast, plan.Mac, EtherType.Arp);
                    ArpPacket.Write(frame[HeaderSize..], operation, plan.Mac, address, MacAddress.Broadcast, address);
                    sender.TrySend(frame[..(HeaderSize + ArpPacket.Size)]);
                }
            }
            else
            {
                WriteHeader(frame, AllNodesMac, plan.Mac, EtherType.IPv6);
                NeighborAdvertisement.Write(frame[HeaderSize..], address, AllNodes, address, plan.Mac, NeighborAdvertisement.Override);
                sender.TrySend(frame);
            }
        }
    }

    private static void WriteHeader(Span<byte> frame, MacAddress destination, MacAddress source, ushort type)
    {
        destination.Write(frame);
        source.Write(frame[MacAddress.Size..]);
        (frame[12], frame[13]) = ((byte)(type >> 8), (byte)type);
    }

    /// <summary>Takes IPv6 off an interface that is only there to carry frames, so that it says nothing of its own.</summary>
    public static void Silence(string name) => TryWrite("ipv6", name, "disable_ipv6", 1);

    // In most containers /proc/sys is read-only, and without IPv6 there is nothing to set; it works without.
    private static void TryWrite(string family, string name, string key, int value)
    {
        try
        {
            InterfaceSysctl.Write(family, name, key, value);
        }
        catch (HostException)
        {
        }
    }
}
