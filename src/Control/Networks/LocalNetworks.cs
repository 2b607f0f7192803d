using System.Collections.Concurrent;
using System.Globalization;
using Sleeve.Control.Daemon;
using Sleeve.Control.Host;
using Sleeve.Control.Up;
using Sleeve.DataPlane;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Guards;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>A network as this host has it.</summary>
/// <param name="Record">The network.</param>
/// <param name="Mtu">MTU of its TAP, bytes.</param>
internal sealed record LocalNetwork(NetworkRecord Record, int Mtu)
{
    /// <summary>What names of TAPs of networks begin with.</summary>
    public const string DevicePrefix = "sl-";

    /// <summary>What names of bridges of networks begin with.</summary>
    public const string BridgePrefix = "slbr-";

    // Locally administered, with "SL" in it; the VNI is the other half.
    private const ulong GatewayBase = 0x0253_4C00_0000;

    /// <summary>Routed: the subnets that are this host's.</summary>
    public IReadOnlyList<AddressPrefix> Blocks { get; init; } = [];

    /// <summary>Whether it is a subnet per host.</summary>
    public bool IsRouted => Record.Mode == NetworkMode.Routed;

    /// <summary>Addresses of its bridge that are the default route of endpoints here.</summary>
    public IReadOnlyList<InternetAddress> Gateways => IsRouted ? [.. Blocks.Select(AddressPool.DefaultGateway)] : Record.IsInternal ? [] : Record.Gateways;

    /// <summary>Name of its TAP: sl-VNI.</summary>
    public string Device => DeviceOf(Record.Vni);

    /// <summary>Name of its bridge: slbr-VNI.</summary>
    public string Bridge => BridgeOf(Record.Vni);

    /// <summary>Name of the TAP of a network.</summary>
    public static string DeviceOf(Vni vni) => $"{DevicePrefix}{vni}";

    /// <summary>Name of the bridge of a network.</summary>
    public static string BridgeOf(Vni vni) => $"{BridgePrefix}{vni}";

    /// <summary>MAC of the gateway on every host of a network, so that an endpoint that moves goes on with the one it knows.</summary>
    public static MacAddress GatewayMacOf(Vni vni) => MacAddress.FromValue(GatewayBase | vni.Value);
}

/// <summary>
/// The networks that are used on this host: TAP, segment and bridge come with the first endpoint and go with the last. Tables follow what hosts publish (<see cref="TableProgrammer"/>).
/// Any thread; one change of a network at a time.
/// </summary>
/// <param name="keeper">Makes the segments.</param>
/// <param name="engine">Has them.</param>
/// <param name="self">Name of this host.</param>
/// <param name="viewOf">What is known of a network; null if nothing.</param>
/// <param name="isUp">Whether a host's VTEP is alive.</param>
/// <param name="say">Takes lines for whoever watches.</param>
internal sealed class LocalNetworks(
    SegmentKeeper keeper, Engine engine, string self, Func<string, NetworkView?> viewOf, Func<string, bool> isUp, Action<string> say) : IDisposable
{
    private readonly RouteNetlink _host = RouteNetlink.Open();
    private readonly ConcurrentDictionary<string, LocalNetwork> _networks = new();
    private readonly KeyedTurns _turns = new();
    private readonly Dictionary<string, HashSet<string>> _users = [];
    private readonly Lock _access = new();
    private readonly Lock _programming = new();
    private readonly RoutedHost _routed = new(self, isUp, say);
    private RouteMonitor? _monitor;

    /// <summary>Brings what is published into the tables.</summary>
    public TableProgrammer Programmer { get; } = new();

    /// <summary>Addresses that the bridge of a network has besides its gateways, for names.</summary>
    public Func<NetworkRecord, IReadOnlyList<AddressPrefix>> NameAddresses { get; init; } = static _ => [];

    /// <summary>Networks that are shared with hosts of flannel; null where there are none.</summary>
    public FlannelNetworks? Flannel { get; init; }

    /// <summary>Told after a network came or went.</summary>
    public Action OnChange { get; set; } = static () => { };

    /// <summary>Those that are here, by name.</summary>
    public IReadOnlyDictionary<string, LocalNetwork> Current => _networks;

    /// <summary>The host's links, for whoever wires endpoints.</summary>
    public RouteNetlink Host => _host;

    /// <summary>The network of a TAP; null if it is none's.</summary>
    public LocalNetwork? Find(string device) => _networks.Values.FirstOrDefault(network => network.Device == device);

    /// <summary>The segment of a network; null if the network is not here, or its TAP cannot be had at the moment.</summary>
    public Segment? SegmentOf(string network) => _networks.TryGetValue(network, out var local) ? engine.Segments.GetValueOrDefault(local.Device)?.Segment : null;

    /// <summary>Has a network here for an endpoint.</summary>
    /// <param name="record">The network.</param>
    /// <param name="user">Who needs it, for <see cref="ReleaseAsync"/>; the same twice counts once.</param>
    /// <param name="cancellation">Ends the wait for others.</param>
    /// <exception cref="CommandRefusedException">It cannot be had here; nothing is left.</exception>
    public async Task<LocalNetwork> HoldAsync(NetworkRecord record, string user, CancellationToken cancellation)
    {
        using var turn = await _turns.EnterAsync(record.Name, cancellation);
        if (_networks.TryGetValue(record.Name, out var there) && there.Record.Id != record.Id) await RemoveAsync(there);
        lock (_access)
        {
            if (!_users.TryGetValue(record.Name, out var users)) _users[record.Name] = users = [];
            users.Add(user);
        }

        try
        {
            // Most find it there.
            return there is not null && there.Record.Id == record.Id && engine.Segments.ContainsKey(there.Device) && _host.FindLink(there.Bridge) is not null ? there : await MakeAsync(record);
        }
        catch
        {
            await LetGoAsync(record.Name, user);
            throw;
        }
    }

    /// <summary>Takes a network away if nobody needs it any more.</summary>
    public async Task ReleaseAsync(string network, string user)
    {
        using var turn = await _turns.EnterAsync(network, CancellationToken.None);
        await LetGoAsync(network, user);
    }

    private async Task LetGoAsync(string network, string user)
    {
        lock (_access)
        {
            if (!_users.TryGetValue(network, out var users)) return;
            users.Remove(user);
            if (users.Count > 0) return;
            _users.Remove(network);
        }

        if (_networks.TryGetValue(network, out var there)) await RemoveAsync(there);
    }

    private async Task<LocalNetwork> MakeAsync(NetworkRecord record)
    {
        Refuse(record);
        var bridge = LocalNetwork.BridgeOf(record.Vni);
        var wasThere = _networks.ContainsKey(record.Name);
        try
        {
            var network = new LocalNetwork(record, 0) { Blocks = record.Mode == NetworkMode.Routed ? _routed.BlocksOf(record, viewOf(record.Name)) : [] };
            if (network.IsRouted && Flannel is not null) await Flannel.ClaimAsync(record, network.Blocks[0], RoutedHost.MacOf(record, self, network.Blocks[0]), CancellationToken.None);
            var index = EnsureBridge(bridge, record);
            var running = await keeper.PutNetworkAsync(record.Name, network.IsRouted ? RoutedSegmentOf(network) : SegmentOf(record, bridge));
            Wiring.Silence(running.Name);
            if (_host.FindLink(index) is { } link && link.Mtu != running.Segment.Mtu) _host.SetMtu(index, running.Segment.Mtu);
            AddAddresses(index, network);
            network = network with { Mtu = running.Segment.Mtu };
            if (network.IsRouted) LetPass(network);
            _networks[record.Name] = network;
            Program(network, everything: true);
            if (!wasThere) OnChange();
            return network;
        }
        catch (Exception failure) when (failure is IOException or CommandRefusedException)
        {
            if (!wasThere) await RemoveAsync(new LocalNetwork(record, 0));
            throw failure as CommandRefusedException ?? new CommandRefusedException(RefusalKind.Impossible, [$"network {record.Name}: {failure.Message}"]);
        }
    }

    private void Refuse(NetworkRecord record)
    {
        if (record.Mode == NetworkMode.Routed
            && _networks.Values.FirstOrDefault(other => other.IsRouted && other.Record.Name != record.Name && other.Record.Subnets.Any(there => record.Subnets.Any(each => there.Overlaps(each)))) is { } taken)
            throw new CommandRefusedException(RefusalKind.Conflict, [$"network {record.Name}: has addresses of {taken.Record.Name}, which is on this host too, and a host has one route to an address; attach it on another host"]);
        if (record.Port != 0 && record.Port != engine.Options.Vtep.Port)
            throw new CommandRefusedException(RefusalKind.Conflict, [string.Create(CultureInfo.InvariantCulture, $"network {record.Name}: uses UDP port {record.Port}, and the VTEP of this host {engine.Options.Vtep.Port} (dstport)")]);
    }

    private static UpSegment SegmentOf(NetworkRecord record, string bridge) => new()
    {
        Segment = new SegmentOptions
        {
            Vni = record.Vni,
            Name = LocalNetwork.DeviceOf(record.Vni),
            // What is not published is not there: nothing stale can be learned, and nothing has to be asked.
            Learning = false,
            Proxy = true,
            SuppressUnknown = true,
            SuppressResolution = true,
            GatewayMac = LocalNetwork.GatewayMacOf(record.Vni),
            Admission = Admission.Listed,
            Guards = GuardOptions.Standard,
        },
        Bridge = bridge,
        Mtu = record.Mtu > 0 ? record.Mtu : null,
    };

    // Between hosts there is one station each, and its neighbours are told to the kernel: nothing is asked, nothing flooded.
    private UpSegment RoutedSegmentOf(LocalNetwork network)
    {
        var asked = SegmentOf(network.Record, network.Bridge);
        return asked with
        {
            Segment = asked.Segment with { Proxy = false, GatewayMac = null },
            Bridge = null,
            Mac = RoutedHost.MacOf(network.Record, self, network.Blocks[0]),
            Addresses = [.. network.Blocks.Select(static block => AddressPrefix.Of(block.Network().Address))],
        };
    }

    // Where hosts may be sent to without encapsulation, the routes of others decide; they change without anybody's telling.
    private void LetPass(LocalNetwork network)
    {
        RoutedHost.LetPass(network);
        if (!network.Record.IsDirect) return;
        lock (_access) _monitor ??= RouteMonitor.Start(FollowRoutes, failure => say($"warning: routes are looked at every few seconds only: {failure.Message}"));
    }

    private void FollowRoutes(bool changed)
    {
        if (!changed) return;
        try
        {
            Program([.. _networks.Values.Where(static network => network.IsRouted && network.Record.IsDirect).Select(static network => network.Record.Name)]);
        }
        catch (IOException failure)
        {
            say($"warning: {failure.Message}; it is tried again");
        }
    }

    /// <summary>An address with the length of the subnet of the network that it is in, or of a host's part of that if it is routed; alone where it is in none.</summary>
    public static AddressPrefix NetworkOf(NetworkRecord record, InternetAddress address)
    {
        foreach (var subnet in record.Subnets)
            if (subnet.Contains(address)) return new AddressPrefix(address, record.Mode == NetworkMode.Routed ? AddressPool.BlockLength(record, subnet) : subnet.Length);
        return AddressPrefix.Of(address);
    }

    // One that an earlier run left is taken over with the wires that are in it.
    private int EnsureBridge(string name, NetworkRecord record)
    {
        var link = _host.FindLink(name);
        if (link is not null and not { Kind: "bridge", Alias: OverlayDevice.OwnAlias or "" }) throw new HostException($"{name} is taken by an interface that is not of Sleeve's making; remove it: ip link del {name}");
        if (link is null)
        {
            link = _host.CreateQuietBridge(name);
            _host.SetAlias(link.Index, OverlayDevice.OwnAlias);
        }

        var mac = LocalNetwork.GatewayMacOf(record.Vni);
        if (link.Mac != mac) _host.SetMac(link.Index, mac);
        // A bridge without an address of that family has nothing to say in it.
        if ((record.IsInternal || record.Gateways.All(static gateway => gateway.IsIPv4)) && NameAddresses(record).All(static each => each.Address.IsIPv4)) Wiring.Silence(name);
        if (!link.IsUp) _host.SetUp(link.Index, up: true);
        return link.Index;
    }

    private void AddAddresses(int bridge, LocalNetwork network)
    {
        foreach (var gateway in network.Gateways) _host.AddAddress(bridge, NetworkOf(network.Record, gateway), noDad: true);
        if (network.IsRouted) return;
        foreach (var address in NameAddresses(network.Record)) _host.AddAddress(bridge, address, noDad: true);
    }

    private async Task RemoveAsync(LocalNetwork network)
    {
        _networks.TryRemove(network.Record.Name, out _);
        try
        {
            await keeper.DeleteNetworkAsync(network.Device);
            if (_host.FindLink(network.Bridge) is { Kind: "bridge", Alias: OverlayDevice.OwnAlias } bridge) _host.DeleteLink(bridge.Index);
            if (network.IsRouted) _routed.Remove(network);
            if (Flannel is not null) await Flannel.ReleaseAsync(network.Record.Name);
        }
        catch (IOException failure)
        {
            say($"warning: network {network.Record.Name}: {failure.Message}");
        }

        Programmer.Forget(network.Device);
        OnChange();
    }

    /// <summary>Removes TAPs, bridges and routes of networks that an earlier run left and nobody needs here any more.</summary>
    public void RemoveLeftOvers()
    {
        _routed.RemoveLeftOvers([.. _networks.Values.Where(static network => network.IsRouted).SelectMany(static network => network.Record.Subnets)]);
        var wanted = _networks.Values.SelectMany(static network => (string[])[network.Device, network.Bridge]).ToHashSet();
        foreach (var link in _host.ListLinks().Where(IsOfANetwork))
        {
            if (wanted.Contains(link.Name)) continue;
            try
            {
                if (_host.DeleteLink(link.Index)) say($"{link.Name}, which an earlier run left, is removed");
            }
            catch (HostException failure)
            {
                say($"warning: {failure.Message}");
            }
        }
    }

    private static bool IsOfANetwork(LinkInfo link) => link.Alias == OverlayDevice.OwnAlias
        && ((link.Tun is { IsTap: true } && IsNumbered(link.Name, LocalNetwork.DevicePrefix)) || (link.Kind == "bridge" && IsNumbered(link.Name, LocalNetwork.BridgePrefix)));

    private static bool IsNumbered(string name, string prefix) => name.StartsWith(prefix, StringComparison.Ordinal) && name.Length > prefix.Length && name[prefix.Length..].All(char.IsAsciiDigit);

    /// <summary>Brings the tables of networks to what is known of them now; of those that are not here it does nothing.</summary>
    /// <param name="names">The networks; null for all.</param>
    /// <param name="everything">Look at each entry, also at those of which nothing new was published.</param>
    public void Program(IEnumerable<string>? names = null, bool everything = false)
    {
        foreach (var name in names ?? _networks.Keys)
            if (_networks.TryGetValue(name, out var network)) Program(network, everything);
    }

    // What is known is looked up in the turn that brings it into the tables: of two that come at once, the one with the older view must not be the last.
    private void Program(LocalNetwork network, bool everything)
    {
        TableChanges changes;
        lock (_programming)
        {
            if (engine.Segments.GetValueOrDefault(network.Device) is not { Segment: var segment }) return;
            var view = viewOf(network.Record.Name);
            // Another network of that name is not this one.
            if (view?.Record is { } record && record.Value.Id != network.Record.Id) view = null;
            if (network.IsRouted)
            {
                _routed.Program(network, view ?? new NetworkView(), segment, () => ReferenceEquals(_networks.GetValueOrDefault(network.Record.Name), network));
                return;
            }

            changes = Programmer.Apply(segment, view ?? new NetworkView(), self, isUp, everything);
        }

        foreach (var conflict in changes.Conflicts) say($"warning: network {network.Record.Name}: {conflict}");
    }

    /// <summary>Compares the tables of a network's segment with what is published; null if the TAP is none of a network's.</summary>
    public IReadOnlyList<TableDifference>? Audit(string device)
    {
        if (Find(device) is not { } network || SegmentOf(network.Record.Name) is not { } segment) return null;
        var view = viewOf(network.Record.Name) ?? new NetworkView();
        return network.IsRouted ? _routed.Audit(network, view, segment) : TableAudit.Compare(segment, view, self, isUp, Vtep.NowMilliseconds);
    }

    /// <summary>What is published of a network and cannot be in its tables; one line each.</summary>
    public IReadOnlyList<string> ConflictsOf(LocalNetwork network) => network.IsRouted ? _routed.FaultsOf(network.Record.Name) : Programmer.ConflictsOf(network.Device);

    /// <summary>Puts right what somebody else changed: bridges that are gone, ports that were taken out, tables.</summary>
    public async Task MendAsync(CancellationToken cancellation)
    {
        foreach (var network in _networks.Values)
        {
            using var turn = await _turns.EnterAsync(network.Record.Name, cancellation);
            if (!_networks.ContainsKey(network.Record.Name)) continue;
            try
            {
                MendBridge(network);
                Program(network, everything: true);
            }
            catch (IOException failure)
            {
                say($"warning: network {network.Record.Name}: {failure.Message}");
            }
        }
    }

    private void MendBridge(LocalNetwork network)
    {
        var isGone = _host.FindLink(network.Bridge) is null;
        var index = EnsureBridge(network.Bridge, network.Record);
        AddAddresses(index, network);
        if (network.IsRouted) LetPass(network);
        if (isGone) say($"warning: {network.Bridge} was removed by somebody else: made anew");
        if (!network.IsRouted && _host.FindLink(network.Device) is { } tap && tap.MasterIndex != index) _host.SetMaster(tap.Index, index);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _monitor?.Dispose();
        _routed.Dispose();
        _host.Dispose();
    }
}
