using Sleeve.Control.Cli;
using Sleeve.Control.Host;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Interop;

namespace Sleeve.Control.Up;

/// <summary>How long a TAP lives.</summary>
internal enum DeviceLife
{
    /// <summary>As long as the process, if it was made here.</summary>
    Process,

    /// <summary>Until it is removed, if it was made here or by an earlier run.</summary>
    Kept,
}

/// <summary>
/// The TAP of a segment: made, or adopted as it was found, and then configured. Everything that is changed is noted with how to undo it, so that
/// the end removes what was made and leaves what was found, also when the set-up fails half-way. One that is to outlive the process is
/// persistent in the kernel, and <see cref="Release"/> leaves it with all that was set.
/// </summary>
internal sealed class OverlayDevice : IDisposable
{
    /// <summary>Where TAP devices come from.</summary>
    public const string TunPath = "/dev/net/tun";

    /// <summary>Says of a TAP that outlives its process whose it is; on the interface, where it can neither get lost nor be wrong (ip link shows it).</summary>
    public const string OwnAlias = "made by sleeve";

    private const int LeastIPv6Mtu = 1280;

    private readonly RouteNetlink _host;
    private readonly Stack<Action> _undo = new();
    private readonly string _name;
    private readonly List<TapDevice> _queues = [];
    private readonly List<string> _mended = [];
    private readonly List<string> _left = [];
    private volatile bool _isGone;
    private bool _isNew;

    private OverlayDevice(RouteNetlink host, string name)
    {
        _host = host;
        _name = name;
    }

    /// <summary>The name it was made or adopted under.</summary>
    public string Name => _name;

    /// <summary>Its queues: one a worker, or one that was made or passed as such.</summary>
    public IReadOnlyList<TapDevice> Queues => _queues;

    /// <summary>The link, as it was configured.</summary>
    public LinkInfo Link { get; private set; } = null!;

    /// <summary>True if it was made here, or by an earlier run, and is ours to remove.</summary>
    public bool IsMade { get; private set; }

    /// <summary>True if it was there before.</summary>
    public bool WasThere { get; private set; }

    /// <summary>What was different about a TAP that was there already, and is now as it was asked for; one phrase each.</summary>
    public IReadOnlyList<string> Mended => _mended;

    /// <summary>What could not be set on a TAP that was found, without being asked for in so many words; one phrase each, with what to type.</summary>
    public IReadOnlyList<string> Left => _left;

    /// <summary>Makes or adopts the TAP of a segment and configures it, all but setting it up.</summary>
    /// <param name="host">The configuration of the namespace that the TAP is in; stays the caller's, who keeps it until this is disposed.</param>
    /// <param name="where">That namespace; null for the current one.</param>
    /// <param name="segment">The segment, and what was asked for.</param>
    /// <param name="queues">Queues to open, at least 1; an existing TAP that was made with one has one.</param>
    /// <param name="mtu">The MTU to set.</param>
    /// <param name="life">Whether it outlives the process.</param>
    /// <param name="passed">Open queues of the run before, in their order; taken over, or closed. May be empty.</param>
    /// <exception cref="HostException">It cannot be done; nothing is left changed.</exception>
    public static OverlayDevice Make(RouteNetlink host, NetworkNamespace? where, UpSegment segment, int queues, int mtu, DeviceLife life, IReadOnlyList<FileDescriptor> passed)
    {
        var device = new OverlayDevice(host, segment.Segment.Name);
        try
        {
            device.TakeOver(passed, queues);
            device.Open(where, segment.TapDescriptor, queues);
            device.Configure(segment, mtu);
            if (life == DeviceLife.Kept) device.Keep();
            return device;
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }

    /// <summary>Whether the TAP is a port of a bridge of Linux or of Open vSwitch, as the kernel's netif_is_any_bridge_port sees it. From any thread.</summary>
    /// <param name="link">The TAP as it is now.</param>
    public bool IsBridgePort(LinkInfo link) => link.MasterIndex != 0 && _host.FindLink(link.MasterIndex) is { Kind: "bridge" or "openvswitch" };

    /// <summary>Says why <see cref="TunPath"/> cannot be opened and what to do.</summary>
    public static string ExplainTun(int errno) => errno is LibC.ENOENT or LibC.ENODEV or LibC.ENXIO
        ? $"there is no {TunPath}: load the kernel's tun module (modprobe tun), or pass the device into the container (--device {TunPath})"
        : $"cannot open {TunPath}: {ErrnoException.Describe(errno)}: run as root, or let the user have it (chmod 0666 {TunPath})";

    /// <summary>Sets the TAP up.</summary>
    public void SetUp()
    {
        if (Link.IsUp) return;
        if (TryAsOrdinaryUser(() => _host.SetUp(Link.Index, up: true), $"it is down: ip link set {_name} up")) Undo(() => _host.SetUp(Link.Index, up: false));
    }

    // In this order: one that is persistent always says whose it is.
    private void Keep()
    {
        if (Link.Alias == OwnAlias) IsMade = true;
        if (!IsMade) return;
        if (Link.Alias != OwnAlias) _host.SetAlias(Link.Index, OwnAlias);
        _queues[0].SetPersistent(true);
    }

    /// <summary>Changes what differs between two wishes: MTU, MAC, bridge, addresses.</summary>
    /// <returns>What was changed, one phrase each.</returns>
    /// <exception cref="HostException">The kernel refuses; what was changed before stays.</exception>
    public IReadOnlyList<string> Change(UpSegment before, UpSegment wanted, int mtu)
    {
        var first = _mended.Count;
        Leave(before, wanted);
        Configure(wanted, mtu);
        return _mended[first..];
    }

    // What was set for a former wish, and is no longer asked for.
    private void Leave(UpSegment before, UpSegment wanted)
    {
        foreach (var address in before.Addresses.Except(wanted.Addresses))
        {
            if (_host.RemoveAddress(Link.Index, address)) _mended.Add($"address {address} removed");
        }

        if (before.Bridge is null || wanted.Bridge is not null) return;
        if (_host.FindLink(Link.Index) is not { MasterIndex: not 0 }) return;
        _host.SetMaster(Link.Index, 0);
        _mended.Add($"taken out of bridge {before.Bridge}");
    }

    /// <summary>Closes the queues and leaves the interface as it is, for the next run to adopt; one that is not persistent vanishes.</summary>
    public void Release()
    {
        _undo.Clear();
        foreach (var queue in _queues) queue.Dispose();
    }

    /// <summary>Removes the interface if it is ours, else puts back what was changed on it.</summary>
    public void Remove()
    {
        try
        {
            if (IsMade && !_isGone) _queues[0].SetPersistent(false);
        }
        catch (ErrnoException)
        {
            // It is gone already: there is nothing to keep.
        }

        Dispose();
    }

    /// <summary>Ends what could not be brought up: what was new goes, what was there stays, and one that an earlier run made with all that it has.</summary>
    public void GiveUp()
    {
        if (IsMade && WasThere) Release();
        else Remove();
    }

    /// <summary>Tells that the interface is gone, so that there is nothing left to undo on it.</summary>
    public void MarkGone() => _isGone = true;

    // With what is queued in them. Something else under that name is not taken for it.
    private void TakeOver(IReadOnlyList<FileDescriptor> passed, int queues)
    {
        foreach (var descriptor in passed)
        {
            try
            {
                if (_queues.Count < queues && TapDevice.Identify(descriptor.Number).Name == _name) _queues.Add(TapDevice.FromDescriptor(descriptor));
                else descriptor.Dispose();
            }
            catch (Exception failure) when (failure is ErrnoException or NotSupportedException)
            {
                descriptor.Dispose();
            }
        }

        if (_queues.Count == 0 || _host.FindLink(_name) is not null) return;
        // Moved to another namespace meanwhile.
        foreach (var queue in _queues) queue.Dispose();
        _queues.Clear();
    }

    private void Open(NetworkNamespace? where, int? descriptor, int queues)
    {
        var existing = _host.FindLink(_name);
        if (existing is { Tun: not { IsTap: true } })
            throw new HostException($"{_name} is taken: it is a {Describe(existing)} interface; choose another name, or remove it: ip link del {_name}");
        if (descriptor is { } passed)
        {
            Adopt(passed, existing);
            return;
        }

        // Anybody may open another queue of a multi-queue TAP, and would then take part of its frames.
        if (existing?.Tun is { IsMultiQueue: true, QueueCount: var open } && open > _queues.Count) throw InUse();
        try
        {
            var multiQueue = existing?.Tun?.IsMultiQueue ?? queues > 1;
            for (var i = _queues.Count; i < (multiQueue ? queues : 1); i++)
                _queues.Add(TapDevice.Open(_name, multiQueue, where));
        }
        catch (ErrnoException failure)
        {
            throw new HostException(Explain(failure), failure.Errno);
        }

        Link = _host.GetLink(_name);
        WasThere = existing is not null;
        IsMade = _isNew = !WasThere;
        // The kernel's vxlan device has no queueing discipline either. A multi-queue TAP would get one for each of 256 queues, some 6 MB, and
        // what they hold back the TAP's own queue would drop.
        if (IsMade) _host.TrySetNoQueue(Link.Index);
        if (Link.Tun is { IsMultiQueue: true, QueueCount: var held } && held > _queues.Count) throw InUse();
    }

    private void Adopt(int descriptor, LinkInfo? existing)
    {
        try
        {
            var identity = TapDevice.Identify(descriptor);
            if (identity.Name != _name) throw new HostException($"--tap-fd {descriptor}: is attached to {identity.Name}; must be attached to {_name}");
            Link = existing ?? throw new HostException($"--tap-fd {descriptor}: its interface {_name} is not in this network namespace; name the right one with --netns");
            _queues.Add(TapDevice.FromDescriptor(descriptor));
        }
        catch (ErrnoException)
        {
            throw new HostException($"--tap-fd {descriptor}: is not an open descriptor of an attached TAP");
        }
        catch (NotSupportedException)
        {
            throw new HostException($"--tap-fd {descriptor}: must be a TAP that was opened with IFF_NO_PI and IFF_VNET_HDR");
        }
    }

    private void Configure(UpSegment options, int mtu)
    {
        var before = _host.FindLink(Link.Index) ?? throw new HostException($"{_name} was removed while it was being set up");
        if (options.Mac is { } mac && mac != before.Mac)
        {
            _host.SetMac(before.Index, mac);
            Tell($"MAC {before.Mac} changed to {mac}");
            Undo(() => _host.SetMac(before.Index, before.Mac));
        }

        if (mtu < LeastIPv6Mtu && before.Mtu >= LeastIPv6Mtu && FirstIPv6Address(before.Index) is { } lost)
            throw new HostException($"{_name} has the IPv6 address {lost}, which an MTU of {mtu} would remove; it must be at least {LeastIPv6Mtu} (--mtu sets it)");
        if (mtu != before.Mtu)
        {
            if (options.Mtu is not null) _host.SetMtu(before.Index, mtu);
            if (options.Mtu is not null || TryAsOrdinaryUser(() => _host.SetMtu(before.Index, mtu), $"its MTU stays {before.Mtu}: ip link set {_name} mtu {mtu}"))
            {
                Tell($"MTU {before.Mtu} changed to {mtu}");
                Undo(() => _host.SetMtu(before.Index, before.Mtu));
            }
        }

        // A super-frame that fits one send costs half of one that does not; a kernel without the attribute just keeps its own limit.
        var superFrame = Math.Min(Vtep.SuperFrameLimit(mtu), before.GsoMaxSize);
        if (superFrame < before.GsoMaxSize)
        {
            if (TryAsOrdinaryUser(() => _host.SetGsoMaxSize(before.Index, superFrame, superFrame), $"its gso_max_size stays {before.GsoMaxSize}: ip link set {_name} gso_max_size {superFrame} gso_ipv4_max_size {superFrame}"))
                Undo(() => _host.SetGsoMaxSize(before.Index, before.GsoMaxSize, before.GsoIPv4MaxSize));
        }

        if (options.Bridge is { } name)
        {
            var bridge = _host.FindLink(name) ?? throw new HostException($"--bridge {name}: there is no such interface; make it: ip link add {name} type bridge");
            if (bridge.Kind != "bridge") throw new HostException($"--bridge {name}: is a {Describe(bridge)} interface; must be a bridge");
            if (before.MasterIndex != bridge.Index)
            {
                _host.SetMaster(before.Index, bridge.Index);
                Tell($"made a port of bridge {name}");
                Undo(() => _host.SetMaster(before.Index, before.MasterIndex));
            }
        }

        foreach (var address in options.Addresses)
        {
            if (!_host.AddAddress(before.Index, address)) continue;
            Tell($"address {address} added");
            Undo(() => _host.RemoveAddress(before.Index, address));
        }

        Link = _host.FindLink(before.Index) ?? throw new HostException($"{_name} was removed while it was being set up");
        _isNew = false;
    }

    // Below RFC 8200's least MTU the kernel takes IPv6 off the interface, and does not put the addresses back.
    private AddressPrefix? FirstIPv6Address(int index) => _host.ListAddresses()
        .Where(held => held.LinkIndex == index && held.Prefix.Address is { IsIPv4: false, IsIPv6LinkLocal: false })
        .Select(static held => (AddressPrefix?)held.Prefix).FirstOrDefault();

    // A TAP that root made for this user can be used without any capability, but not be changed.
    private bool TryAsOrdinaryUser(Action change, string left)
    {
        try
        {
            change();
            return true;
        }
        catch (HostException refused) when (refused.Errno == LibC.EPERM && !IsMade)
        {
            if (!_left.Contains(left)) _left.Add(left);
            return false;
        }
    }

    // Of an interface that was just made everything is new.
    private void Tell(string difference)
    {
        if (!_isNew) _mended.Add(difference);
    }

    private void Undo(Action action) => _undo.Push(action);

    private HostException InUse() => new(Explain(new ErrnoException(LibC.EBUSY, nameof(LibC.TUNSETIFF), _name)), LibC.EBUSY);

    private string Explain(ErrnoException failure) => failure switch
    {
        { Call: nameof(LibC.open) } => ExplainTun(failure.Errno),
        { Errno: LibC.EPERM } => $"cannot make {_name}: CAP_NET_ADMIN is missing: run as root, or in a user namespace of its own (unshare -Urn); or have root make it for this user: ip tuntap add {_name} mode tap multi_queue vnet_hdr user NAME",
        { Errno: LibC.EBUSY } => $"{_name} is in use: another process has this TAP open; stop it or choose another name",
        { Errno: LibC.EINVAL } => $"cannot open {_name}: the kernel refuses the name, or the TAP cannot take another queue",
        _ => $"cannot open {_name}: {ErrnoException.Describe(failure.Errno)}",
    };

    private static string Describe(LinkInfo link) => link switch
    {
        { Tun: not null } => "tun",
        { Kind: "" } => "physical",
        _ => link.Kind,
    };

    /// <summary>Undoes what was done; an interface that was made here vanishes with its queues.</summary>
    public void Dispose()
    {
        while (!_isGone && !IsMade && _undo.TryPop(out var undo))
        {
            try
            {
                undo();
            }
            catch (HostException failure)
            {
                // Whoever changed it meanwhile has the last word; the rest is still put back.
                CommandLine.Fail("up", failure.Message);
            }
        }

        foreach (var queue in _queues) queue.Dispose();
    }
}
