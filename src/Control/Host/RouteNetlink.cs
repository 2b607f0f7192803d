using System.Diagnostics;
using System.Globalization;
using Sleeve.DataPlane.Interop;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Host;

/// <summary>
/// The host's network configuration in one namespace, by rtnetlink(7): links here, their creation, addresses, routes and neighbours in the
/// other parts of this class. Calls may come from any thread and take their turn. Each throws <see cref="HostException"/> with a line that
/// can be printed as it is; none needs more than a millisecond or so, so none is asynchronous.
/// </summary>
internal sealed partial class RouteNetlink : IDisposable
{
    private const int RunningPollMilliseconds = 5;

    private readonly NetlinkSocket _socket;
    private readonly Lock _turn = new();

    private RouteNetlink(NetlinkSocket socket) => _socket = socket;

    /// <summary>Opens a namespace's configuration. Reading needs no privilege, changing needs CAP_NET_ADMIN there.</summary>
    /// <param name="where">The namespace; null for the calling thread's. Only used during the call.</param>
    /// <exception cref="NetworkNamespaceException">The namespace cannot be entered.</exception>
    /// <exception cref="ErrnoException">No descriptors left.</exception>
    public static RouteNetlink Open(NetworkNamespace? where = null) => new(NetlinkSocket.Open(where));

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    /// <summary>Finds a link by name.</summary>
    /// <returns>Null if there is none of that name.</returns>
    public LinkInfo? FindLink(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        return LinkInfo.IsValidName(name) ? QueryLink(OnLink(LibC.RTM_GETLINK, 0).Add(LibC.IFLA_IFNAME, name), $"look up {name}") : null;
    }

    /// <summary>Finds a link by index.</summary>
    /// <returns>Null if there is none, or no more.</returns>
    public LinkInfo? FindLink(int index) => QueryLink(OnLink(LibC.RTM_GETLINK, index), Invariant($"look up interface {index}"));

    /// <summary>Finds a link that must be there.</summary>
    /// <exception cref="HostException">There is none of that name.</exception>
    public LinkInfo GetLink(string name) =>
        FindLink(name) ?? throw new HostException($"there is no interface '{name}': `ip link` lists them", LibC.ENODEV);

    /// <summary>Lists all links of the namespace.</summary>
    public IReadOnlyList<LinkInfo> ListLinks()
    {
        var links = new List<LinkInfo>();
        var request = new NetlinkRequest(LibC.RTM_GETLINK, LibC.NLM_F_DUMP).Struct(new LibC.ifinfomsg());
        var outcome = Query(request, links.Clear, (in message) =>
        {
            if (LinkInfo.Read(in message) is { } link) links.Add(link);
        });
        return outcome.Succeeded ? links : throw HostException.Of("list interfaces", outcome);
    }

    /// <summary>Sets a link up or down.</summary>
    public void SetUp(int index, bool up)
    {
        var header = new LibC.ifinfomsg { ifi_index = index, ifi_flags = up ? LibC.IFF_UP : 0, ifi_change = LibC.IFF_UP };
        var outcome = Execute(new NetlinkRequest(LibC.RTM_NEWLINK, 0).Struct(header));
        if (!outcome.Succeeded) throw HostException.Of($"set {NameOf(index)} {(up ? "up" : "down")}", outcome);
    }

    /// <summary>Waits until a link that was set up can send (<see cref="LinkInfo.IsRunning"/>).</summary>
    /// <returns>False if the time is over first, or the link is gone.</returns>
    public bool WaitUntilRunning(int index, TimeSpan timeout)
    {
        var start = Stopwatch.GetTimestamp();
        while (FindLink(index) is { } link)
        {
            if (link.IsRunning) return true;
            if (Stopwatch.GetElapsedTime(start) >= timeout) break;
            Thread.Sleep(RunningPollMilliseconds);
        }

        return false;
    }

    /// <summary>Sets the MTU in bytes.</summary>
    public void SetMtu(int index, int mtu)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(mtu);
        var outcome = Execute(OnLink(LibC.RTM_NEWLINK, index).Add(LibC.IFLA_MTU, (uint)mtu));
        if (outcome.Succeeded) return;
        var range = outcome.Errno == LibC.EINVAL ? FindLink(index)?.MtuRange : null;
        var advice = range is { Max: > 0 } allowed ? Invariant($"it takes {allowed.Min} to {allowed.Max}") : null;
        throw HostException.Of(Invariant($"set the MTU of {NameOf(index)} to {mtu}"), outcome, advice);
    }

    /// <summary>Sets the MAC address.</summary>
    public void SetMac(int index, MacAddress mac)
    {
        var outcome = Execute(OnLink(LibC.RTM_NEWLINK, index).Add(LibC.IFLA_ADDRESS, mac));
        if (outcome.Succeeded) return;
        var advice = mac.IsValidSource ? null : "a group address or zero cannot be an interface's own";
        throw HostException.Of($"set the MAC address of {NameOf(index)} to {mac}", outcome, advice);
    }

    /// <summary>Makes a link a port of a bridge or other device.</summary>
    /// <param name="index">The link.</param>
    /// <param name="masterIndex">The bridge; 0 for none.</param>
    public void SetMaster(int index, int masterIndex)
    {
        var outcome = Execute(OnLink(LibC.RTM_NEWLINK, index).Add(LibC.IFLA_MASTER, (uint)masterIndex));
        if (outcome.Succeeded) return;
        if (masterIndex == 0) throw HostException.Of($"take {NameOf(index)} out of its bridge", outcome);
        var isBridge = FindLink(masterIndex) is not { } master || master.Kind is "bridge" or "openvswitch" or "vrf" or "bond" or "team";
        var advice = isBridge ? null : $"{NameOf(masterIndex)} is not a bridge";
        throw HostException.Of($"make {NameOf(index)} a port of {NameOf(masterIndex)}", outcome, advice);
    }

    /// <summary>Renames a link. Before Linux 6.2 it must be down.</summary>
    public void SetName(int index, string name)
    {
        RequireValidName(name);
        var outcome = Execute(OnLink(LibC.RTM_NEWLINK, index).Add(LibC.IFLA_IFNAME, name));
        if (outcome.Succeeded) return;
        throw HostException.Of($"rename {NameOf(index)} to {name}", outcome, outcome.Errno switch
        {
            LibC.EEXIST => AdviceOnTaken(name),
            LibC.EBUSY => "set it down first",
            _ => null,
        });
    }

    /// <summary>Writes a text to a link, at most 255 bytes, which <c>ip link</c> shows; empty for none.</summary>
    public void SetAlias(int index, string alias)
    {
        var outcome = Execute(OnLink(LibC.RTM_NEWLINK, index).Add(LibC.IFLA_IFALIAS, alias));
        if (!outcome.Succeeded) throw HostException.Of($"set the alias of {NameOf(index)}", outcome);
    }

    /// <summary>Moves a link to another namespace, where it arrives down, without addresses, and perhaps with another index.</summary>
    public void MoveTo(int index, NetworkNamespace target)
    {
        ArgumentNullException.ThrowIfNull(target);
        var name = NameOf(index);
        var outcome = Execute(OnLink(LibC.RTM_NEWLINK, index).Add(LibC.IFLA_NET_NS_FD, (uint)target.Descriptor));
        if (outcome.Succeeded) return;
        var advice = outcome.Errno == LibC.EEXIST ? $"an interface {name} is there already" : null;
        throw HostException.Of($"move {name} to {target.Name}", outcome, advice);
    }

    /// <summary>Bounds super-frames that the host hands to the device, in bytes.</summary>
    /// <param name="index">The link.</param>
    /// <param name="size">For IPv6 (and for IPv4 before Linux 6.3); above 65536 only where the device allows (BIG TCP).</param>
    /// <param name="ipv4Size">For IPv4; 0 leaves it. Linux 6.3 and newer.</param>
    public void SetGsoMaxSize(int index, int size, int ipv4Size = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(size);
        ArgumentOutOfRangeException.ThrowIfNegative(ipv4Size);
        var request = OnLink(LibC.RTM_NEWLINK, index).Add(LibC.IFLA_GSO_MAX_SIZE, (uint)size);
        if (ipv4Size != 0) request.Add(LibC.IFLA_GSO_IPV4_MAX_SIZE, (uint)ipv4Size);
        var outcome = Execute(request);
        if (!outcome.Succeeded) throw HostException.Of(Invariant($"set gso_max_size of {NameOf(index)} to {size}"), outcome);
    }

    /// <summary>Takes the queueing discipline off a link, so that frames go to the driver at once (tc qdisc replace dev … root noqueue).</summary>
    /// <returns>False if the kernel refuses, which costs memory and time but nothing else.</returns>
    public bool TrySetNoQueue(int index) => Execute(
        new NetlinkRequest(LibC.RTM_NEWQDISC, LibC.NLM_F_CREATE | LibC.NLM_F_REPLACE)
            .Struct(new LibC.tcmsg { tcm_ifindex = index, tcm_parent = LibC.TC_H_ROOT }).Add(LibC.TCA_KIND, "noqueue")).Succeeded;

    /// <summary>Deletes a link.</summary>
    /// <returns>False if there was none (any more).</returns>
    public bool DeleteLink(int index)
    {
        var outcome = Execute(OnLink(LibC.RTM_DELLINK, index));
        if (outcome.Errno == LibC.ENODEV) return false;
        if (outcome.Succeeded) return true;
        var advice = outcome.Errno == LibC.EOPNOTSUPP ? "an interface of this type goes away with its hardware or its process" : null;
        throw HostException.Of($"delete {NameOf(index)}", outcome, advice);
    }

    private static NetlinkRequest OnLink(ushort type, int index) => new NetlinkRequest(type, 0).Struct(new LibC.ifinfomsg { ifi_index = index });

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static void RequireValidName(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (!LinkInfo.IsValidName(name))
        {
            throw new HostException(
                $"'{name}' cannot be an interface's name: 1 to {LinkInfo.MaxNameLength} bytes without slash, colon or space", LibC.EINVAL);
        }
    }

    private static string AdviceOnTaken(string name) => $"choose another name, or remove it with `ip link del {name}`";

    private LinkInfo? QueryLink(NetlinkRequest request, string action)
    {
        LinkInfo? found = null;
        var outcome = Query(request, () => found = null, (in message) => found ??= LinkInfo.Read(in message));
        return outcome.Succeeded ? found : outcome.Errno == LibC.ENODEV ? null : throw HostException.Of(action, outcome);
    }

    /// <summary>The name for a message; the index if the link is gone.</summary>
    private string NameOf(int index) => FindLink(index)?.Name ?? Invariant($"interface {index}");

    private NetlinkOutcome Execute(NetlinkRequest request)
    {
        lock (_turn) return _socket.Execute(request);
    }

    private NetlinkOutcome Query(NetlinkRequest request, Action begin, NetlinkReceiver receiver)
    {
        lock (_turn) return _socket.Query(request, begin, receiver);
    }
}
