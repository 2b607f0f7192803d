using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Host;

/// <summary>A kernel vxlan device to be made; the names are those of `ip link add type vxlan`, and what is null is left to the kernel.</summary>
internal sealed record VxlanOptions
{
    /// <summary>The segment.</summary>
    public required Vni Id { get; init; }

    /// <summary>UDP port to listen on and to send to.</summary>
    public ushort DestinationPort { get; init; } = VtepAddress.DefaultPort;

    /// <summary>Source address.</summary>
    public InternetAddress? Local { get; init; }

    /// <summary>The default destination, unicast or a group (which needs <see cref="LowerIndex"/>).</summary>
    public InternetAddress? Remote { get; init; }

    /// <summary>The interface to send through; 0 for whichever the route names.</summary>
    public int LowerIndex { get; init; }

    /// <summary>Learn where MAC addresses are; the kernel's default is true.</summary>
    public bool? Learning { get; init; }

    /// <summary>Answer ARP and neighbour solicitations from the neighbour table.</summary>
    public bool? Proxy { get; init; }

    /// <summary>Send netlink notifications for unknown destinations.</summary>
    public bool? L2Miss { get; init; }

    /// <summary>Send netlink notifications for unknown neighbours.</summary>
    public bool? L3Miss { get; init; }

    /// <summary>Outer UDP checksums over IPv4; the kernel's default is true.</summary>
    public bool? UdpChecksum { get; init; }

    /// <summary>Send without UDP checksum over IPv6.</summary>
    public bool? UdpZeroChecksum6Transmit { get; init; }

    /// <summary>Accept a zero UDP checksum over IPv6.</summary>
    public bool? UdpZeroChecksum6Receive { get; init; }

    /// <summary>Seconds until a learned entry is forgotten; the kernel's default is 300.</summary>
    public uint? AgeingSeconds { get; init; }

    /// <summary>Outer TTL.</summary>
    public byte? Ttl { get; init; }
}

/// <content>Making links.</content>
internal sealed partial class RouteNetlink
{
    /// <summary>Makes a link that needs no parameters: dummy, ifb ….</summary>
    /// <returns>The new link, down.</returns>
    public LinkInfo CreateLink(string name, string kind) => Create(name, kind, static _ => { });

    /// <summary>Makes a bridge without spanning tree, whose ports forward at once.</summary>
    /// <returns>The new link, down.</returns>
    public LinkInfo CreateBridge(string name) => Create(name, "bridge", static _ => { });

    /// <summary>Makes a bridge that leaves multicast alone, which it would else hold back from ports where nobody was heard to want it (mcast_snooping 0).</summary>
    /// <returns>The new link, down.</returns>
    public LinkInfo CreateQuietBridge(string name) => Create(name, "bridge", static request => request.Add(LibC.IFLA_BR_MCAST_SNOOPING, (byte)0));

    /// <summary>Makes a pair of veth devices.</summary>
    /// <param name="name">The end here.</param>
    /// <param name="peerName">The other end.</param>
    /// <param name="peerNamespace">Where the other end shall be; null for here.</param>
    /// <returns>The end here, down.</returns>
    public LinkInfo CreateVethPair(string name, string peerName, NetworkNamespace? peerNamespace = null)
    {
        RequireValidName(peerName);
        return Create(name, "veth", request =>
        {
            var peer = request.BeginNest(LibC.VETH_INFO_PEER);
            request.Struct(new LibC.ifinfomsg()).Add(LibC.IFLA_IFNAME, peerName);
            if (peerNamespace is not null) request.Add(LibC.IFLA_NET_NS_FD, (uint)peerNamespace.Descriptor);
            request.EndNest(peer);
        }, peerName, peerNamespace);
    }

    /// <summary>Makes a device of the kernel's own VXLAN. It takes its UDP port when it is set up, not here.</summary>
    /// <returns>The new link, down.</returns>
    public LinkInfo CreateVxlan(string name, VxlanOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return Create(name, "vxlan", request =>
        {
            request.Add(LibC.IFLA_VXLAN_ID, options.Id.Value).AddPort(LibC.IFLA_VXLAN_PORT, options.DestinationPort);
            if (options.Local is { } local) request.Add(local.IsIPv4 ? LibC.IFLA_VXLAN_LOCAL : LibC.IFLA_VXLAN_LOCAL6, local);
            if (options.Remote is { } remote) request.Add(remote.IsIPv4 ? LibC.IFLA_VXLAN_GROUP : LibC.IFLA_VXLAN_GROUP6, remote);
            if (options.LowerIndex != 0) request.Add(LibC.IFLA_VXLAN_LINK, (uint)options.LowerIndex);
            AddFlag(request, LibC.IFLA_VXLAN_LEARNING, options.Learning);
            AddFlag(request, LibC.IFLA_VXLAN_PROXY, options.Proxy);
            AddFlag(request, LibC.IFLA_VXLAN_L2MISS, options.L2Miss);
            AddFlag(request, LibC.IFLA_VXLAN_L3MISS, options.L3Miss);
            AddFlag(request, LibC.IFLA_VXLAN_UDP_CSUM, options.UdpChecksum);
            AddFlag(request, LibC.IFLA_VXLAN_UDP_ZERO_CSUM6_TX, options.UdpZeroChecksum6Transmit);
            AddFlag(request, LibC.IFLA_VXLAN_UDP_ZERO_CSUM6_RX, options.UdpZeroChecksum6Receive);
            if (options.AgeingSeconds is { } ageing) request.Add(LibC.IFLA_VXLAN_AGEING, ageing);
            if (options.Ttl is { } ttl) request.Add(LibC.IFLA_VXLAN_TTL, ttl);
        });
    }

    private static void AddFlag(NetlinkRequest request, ushort type, bool? value)
    {
        if (value is { } given) request.Add(type, given);
    }

    private LinkInfo Create(
        string name, string kind, Action<NetlinkRequest> writeData, string? peerName = null, NetworkNamespace? peerNamespace = null)
    {
        RequireValidName(name);
        var request = new NetlinkRequest(LibC.RTM_NEWLINK, LibC.NLM_F_CREATE | LibC.NLM_F_EXCL)
            .Struct(new LibC.ifinfomsg()).Add(LibC.IFLA_IFNAME, name);
        var info = request.BeginNest(LibC.IFLA_LINKINFO);
        request.Add(LibC.IFLA_INFO_KIND, kind);
        var data = request.BeginNest(LibC.IFLA_INFO_DATA);
        writeData(request);
        request.EndNest(data);
        request.EndNest(info);

        var outcome = Execute(request);
        if (outcome.Succeeded) return GetLink(name);
        throw HostException.Of($"create {kind} device {name}", outcome, outcome.Errno switch
        {
            LibC.EEXIST => AdviceOnExisting(name, kind, peerName, peerNamespace),
            LibC.EOPNOTSUPP => $"the kernel has no {kind} devices (`modprobe {kind}`)",
            _ => null,
        });
    }

    private string AdviceOnExisting(string name, string kind, string? peerName, NetworkNamespace? peerNamespace)
    {
        if (FindLink(name) is not null) return AdviceOnTaken(name);
        if (peerName is not null) return $"the peer's name {peerName} is taken{(peerNamespace is null ? "" : $" in {peerNamespace.Name}")}";
        // A vxlan device of the same VNI and port collides with it even under another name.
        return kind == "vxlan" ? "a device with the same id and dstport exists: `ip -d link show type vxlan` lists them" : "it exists already";
    }
}
