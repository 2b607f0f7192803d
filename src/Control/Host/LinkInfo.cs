using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Host;

/// <summary>A network interface as it was when the kernel was asked.</summary>
internal sealed record LinkInfo
{
    /// <summary>The longest name, in bytes: IFNAMSIZ without the final zero.</summary>
    public const int MaxNameLength = LibC.IFNAMSIZ - 1;

    /// <summary>The number that names it for its life in this namespace; 1 or more.</summary>
    public required int Index { get; init; }

    /// <summary>The name, which can change.</summary>
    public string Name { get; private set; } = "";

    /// <summary>What `ip link` calls type: tun, bridge, vxlan, veth …; empty for hardware and loopback.</summary>
    public string Kind { get; private set; } = "";

    /// <summary>What it carries, one of LibC.ARPHRD_…: 1 for Ethernet.</summary>
    public required ushort HardwareType { get; init; }

    /// <summary>IFF_… bits.</summary>
    public required uint Flags { get; init; }

    /// <summary>The MAC address; zero for a link without.</summary>
    public MacAddress Mac { get; private set; }

    /// <summary>Bytes of the largest packet, without the Ethernet header.</summary>
    public int Mtu { get; private set; }

    /// <summary>The smallest and the largest MTU the device takes; 0 if it does not say.</summary>
    public (int Min, int Max) MtuRange { get; private set; }

    /// <summary>The bridge or other device that it is a port of; 0 for none.</summary>
    public int MasterIndex { get; private set; }

    /// <summary>The other end of a veth pair, or the device underneath; 0 for none. It may be an index of another namespace.</summary>
    public int LinkIndex { get; private set; }

    /// <summary>Bytes of the largest super-frame of IPv6, and of any if the kernel keeps one number for both.</summary>
    public int GsoMaxSize { get; private set; }

    /// <summary>Bytes of the largest super-frame of IPv4; 0 before Linux 6.3.</summary>
    public int GsoIPv4MaxSize { get; private set; }

    /// <summary>What a TUN or TAP device has besides; null for others.</summary>
    public TunInfo? Tun { get; private set; }

    /// <summary>What a kernel vxlan device has besides; null for others.</summary>
    public VxlanInfo? Vxlan { get; private set; }

    /// <summary>The device's counters.</summary>
    public LinkStatistics Statistics { get; private set; }

    /// <summary>True if it was set up (administratively).</summary>
    public bool IsUp => (Flags & LibC.IFF_UP) != 0;

    /// <summary>What somebody wrote to it (ip link set DEV alias TEXT); empty if nobody did.</summary>
    public string Alias { get; private set; } = "";

    /// <summary>True if something is on the other end: a cable, a process.</summary>
    public bool HasCarrier => (Flags & LibC.IFF_LOWER_UP) != 0;

    /// <summary>
    /// True if it is up, has carrier, and the kernel has acted on both. It does so a moment after the second end of a veth pair is set up, or a
    /// process has opened a TAP; until then the device drops what it is to send.
    /// </summary>
    public bool IsRunning => (Flags & (LibC.IFF_UP | LibC.IFF_RUNNING)) == (LibC.IFF_UP | LibC.IFF_RUNNING);

    /// <summary>True if the kernel would take it as a name: 1 to 15 bytes without slash, colon or space, not "." or "..".</summary>
    public static bool IsValidName(string name) =>
        name.Length > 0 && System.Text.Encoding.UTF8.GetByteCount(name) <= MaxNameLength && name is not ("." or "..")
        && !name.Any(static c => c is '/' or ':' or '\0' || char.IsWhiteSpace(c));

    /// <summary>Reads an RTM_NEWLINK.</summary>
    /// <returns>Null for any other message, also for a bridge's about its ports (AF_BRIDGE).</returns>
    public static LinkInfo? Read(in NetlinkMessage message)
    {
        if (message.Type != LibC.RTM_NEWLINK || !message.TryRead(out LibC.ifinfomsg header, out var attributes)) return null;
        if (header.ifi_family != LibC.AF_UNSPEC) return null;
        var link = new LinkInfo { Index = header.ifi_index, HardwareType = header.ifi_type, Flags = header.ifi_flags };
        foreach (var attribute in attributes)
        {
            switch (attribute.Type)
            {
                case LibC.IFLA_IFNAME: link.Name = attribute.Text; break;
                case LibC.IFLA_ADDRESS: link.Mac = attribute.ToMacAddress(); break;
                case LibC.IFLA_IFALIAS: link.Alias = attribute.Text; break;
                case LibC.IFLA_MTU: link.Mtu = attribute.Int32; break;
                case LibC.IFLA_MIN_MTU: link.MtuRange = (attribute.Int32, link.MtuRange.Max); break;
                case LibC.IFLA_MAX_MTU: link.MtuRange = (link.MtuRange.Min, attribute.Int32); break;
                case LibC.IFLA_MASTER: link.MasterIndex = attribute.Int32; break;
                case LibC.IFLA_LINK: link.LinkIndex = attribute.Int32; break;
                case LibC.IFLA_GSO_MAX_SIZE: link.GsoMaxSize = attribute.Int32; break;
                case LibC.IFLA_GSO_IPV4_MAX_SIZE: link.GsoIPv4MaxSize = attribute.Int32; break;
                case LibC.IFLA_STATS64: link.Statistics = LinkStatistics.Read(attribute); break;
                case LibC.IFLA_LINKINFO: link.ReadKind(attribute.Nested); break;
            }
        }

        return link;
    }

    private void ReadKind(NetlinkAttributes attributes)
    {
        foreach (var attribute in attributes)
        {
            switch (attribute.Type)
            {
                case LibC.IFLA_INFO_KIND: Kind = attribute.Text; break;
                case LibC.IFLA_INFO_DATA when Kind == "tun": Tun = TunInfo.Read(attribute.Nested); break;
                case LibC.IFLA_INFO_DATA when Kind == "vxlan": Vxlan = VxlanInfo.Read(attribute.Nested); break;
            }
        }
    }
}

/// <summary>A TUN or TAP device's own facts.</summary>
/// <param name="IsTap">Ethernet frames (TAP), not IP packets (TUN).</param>
/// <param name="IsPersistent">It stays when the last descriptor is closed.</param>
/// <param name="HasVnetHeader">A virtio header stands before each frame.</param>
/// <param name="IsMultiQueue">More than one descriptor may be attached.</param>
/// <param name="QueueCount">Descriptors attached; 0 means that nobody has it open. Multi-queue devices only.</param>
internal sealed record TunInfo(bool IsTap, bool IsPersistent, bool HasVnetHeader, bool IsMultiQueue, int QueueCount)
{
    private const byte IffTap = 2;

    /// <summary>Reads IFLA_TUN_….</summary>
    public static TunInfo Read(NetlinkAttributes attributes)
    {
        var info = new TunInfo(false, false, false, false, 0);
        foreach (var attribute in attributes)
        {
            info = attribute.Type switch
            {
                LibC.IFLA_TUN_TYPE => info with { IsTap = attribute.Byte == IffTap },
                LibC.IFLA_TUN_PERSIST => info with { IsPersistent = attribute.Byte != 0 },
                LibC.IFLA_TUN_VNET_HDR => info with { HasVnetHeader = attribute.Byte != 0 },
                LibC.IFLA_TUN_MULTI_QUEUE => info with { IsMultiQueue = attribute.Byte != 0 },
                LibC.IFLA_TUN_NUM_QUEUES => info with { QueueCount = attribute.Int32 },
                _ => info,
            };
        }

        return info;
    }
}

/// <summary>A kernel vxlan device's own facts.</summary>
/// <param name="Id">The VNI; 0 also for an external one.</param>
/// <param name="Port">The UDP port it listens on while it is up.</param>
/// <param name="Local">Its source address; null for any.</param>
/// <param name="Remote">The default destination, unicast or a group; null for none.</param>
/// <param name="LowerIndex">The interface it is bound to; 0 for none.</param>
/// <param name="IsLearning">It learns where MAC addresses are.</param>
/// <param name="IsProxy">It answers ARP.</param>
/// <param name="IsExternal">VNI and destination come with each packet (`external`), as Open vSwitch and Cilium use it.</param>
internal sealed record VxlanInfo(
    uint Id, ushort Port, InternetAddress? Local, InternetAddress? Remote, int LowerIndex, bool IsLearning, bool IsProxy, bool IsExternal)
{
    /// <summary>Reads IFLA_VXLAN_….</summary>
    public static VxlanInfo Read(NetlinkAttributes attributes)
    {
        var info = new VxlanInfo(0, 0, null, null, 0, false, false, false);
        foreach (var attribute in attributes)
        {
            info = attribute.Type switch
            {
                LibC.IFLA_VXLAN_ID => info with { Id = attribute.UInt32 },
                LibC.IFLA_VXLAN_PORT => info with { Port = attribute.UInt16BigEndian },
                LibC.IFLA_VXLAN_LOCAL or LibC.IFLA_VXLAN_LOCAL6 => info with { Local = attribute.ToInternetAddress() },
                LibC.IFLA_VXLAN_GROUP or LibC.IFLA_VXLAN_GROUP6 => info with { Remote = attribute.ToInternetAddress() },
                LibC.IFLA_VXLAN_LINK => info with { LowerIndex = attribute.Int32 },
                LibC.IFLA_VXLAN_LEARNING => info with { IsLearning = attribute.Byte != 0 },
                LibC.IFLA_VXLAN_PROXY => info with { IsProxy = attribute.Byte != 0 },
                LibC.IFLA_VXLAN_COLLECT_METADATA => info with { IsExternal = attribute.Byte != 0 },
                _ => info,
            };
        }

        return info;
    }
}

/// <summary>A device's counters as the host sees them: what the host sends is the device's tx.</summary>
/// <param name="RxPackets">Packets the host received from it.</param>
/// <param name="TxPackets">Packets the host sent to it.</param>
/// <param name="RxBytes">Bytes received.</param>
/// <param name="TxBytes">Bytes sent.</param>
/// <param name="RxDropped">Received and dropped.</param>
/// <param name="TxDropped">To be sent and dropped, for a TAP: nobody read it in time.</param>
internal readonly record struct LinkStatistics(ulong RxPackets, ulong TxPackets, ulong RxBytes, ulong TxBytes, ulong RxDropped, ulong TxDropped)
{
    /// <summary>Reads IFLA_STATS64.</summary>
    public static LinkStatistics Read(NetlinkAttribute attribute)
    {
        var native = attribute.Read<LibC.rtnl_link_stats64>();
        return new LinkStatistics(native.rx_packets, native.tx_packets, native.rx_bytes, native.tx_bytes, native.rx_dropped, native.tx_dropped);
    }
}
