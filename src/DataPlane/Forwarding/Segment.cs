using Sleeve.DataPlane.Events;
using Sleeve.DataPlane.Guards;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Forwarding;

/// <summary>
/// One overlay layer-2 network on this VTEP: its FDB, its neighbours and the remotes it knows. Shared by all workers; what changes at run time is
/// published by single writes.
/// </summary>
public sealed class Segment
{
    private ulong _deviceMac;
    private int _mtu = 1500;
    private volatile bool _isUp = true;
    private volatile bool _isBridgePort;

    /// <summary>Makes an empty segment.</summary>
    /// <param name="options">Validated options.</param>
    /// <param name="self">This VTEP's own underlay address and port; the address may be unspecified.</param>
    /// <param name="events">Where it tells what happens; null if nobody will listen.</param>
    public Segment(SegmentOptions options, VtepAddress self, EventRing? events = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        Options = options;
        Self = self;
        Outer = new OuterPolicy(options.Outer, self.Address.IsIPv4);
        Remotes = new RemoteTable(options, self);
        Events = new EventSource(events ?? new EventRing(), options.Vni, options.Name);
        Guards = new SegmentGuards(options.Guards, Events);
        HasFramePolicy = options.HasFramePolicy;
        WatchesResolution = options.Proxy || options.SuppressResolution || options.NeighbourSnooping || Guards.LimitsRequests;
        Fdb = new ForwardingTable(options, Remotes, self, Events, Guards);
        if (options.NeighbourSnooping) Neighbours.Snooped = new SnoopedNeighbours(options, Neighbours, Fdb, Events);
    }

    /// <summary>What it was made with.</summary>
    public SegmentOptions Options { get; }

    /// <summary>This VTEP's own underlay address and port.</summary>
    public VtepAddress Self { get; }

    /// <summary>Where it tells what happens.</summary>
    public EventSource Events { get; }

    /// <summary>Which outer IP headers a frame gets.</summary>
    public OuterPolicy Outer { get; }

    /// <summary>The guard rails.</summary>
    public SegmentGuards Guards { get; }

    /// <summary>Whether there are frames that the segment does not carry.</summary>
    internal bool HasFramePolicy { get; }

    /// <summary>Whether ARP and neighbour discovery are looked at.</summary>
    internal bool WatchesResolution { get; }

    /// <summary>MAC → VTEPs.</summary>
    public ForwardingTable Fdb { get; }

    /// <summary>IP → MAC, for the ARP and ND proxy.</summary>
    public NeighbourTable Neighbours { get; } = new();

    /// <summary>Who published what stands in the tables.</summary>
    public PublishedBindings Published { get; } = new();

    /// <summary>The VTEPs known.</summary>
    public RemoteTable Remotes { get; }

    /// <summary>MAC of the TAP interface: a received frame that claims it is dropped.</summary>
    public MacAddress DeviceMac
    {
        get => MacAddress.FromValue(Volatile.Read(ref _deviceMac));
        set => Volatile.Write(ref _deviceMac, value.Value);
    }

    /// <summary>MTU of the TAP interface in bytes; cuts super-frames of unknown segment size.</summary>
    public int Mtu
    {
        get => Volatile.Read(ref _mtu);
        set => Volatile.Write(ref _mtu, value);
    }

    /// <summary>
    /// Whether the TAP interface is a port of a bridge. Then the host is no router for what it sends: a packet too long for the path to a VTEP is
    /// answered and not sent; else answered and sent, as the kernel's device does.
    /// </summary>
    public bool IsBridgePort
    {
        get => _isBridgePort;
        set => _isBridgePort = value;
    }

    /// <summary>Whether the TAP interface is up. Going down flushes dynamic entries, as the kernel's device does; nothing is delivered until it is up.</summary>
    public bool IsUp => _isUp;

    /// <summary>
    /// Takes over what another segment of this VNI knows: its FDB and its configured neighbours. What the new options have no room for, or do not learn, is left out.
    /// </summary>
    public void TakeOver(Segment from, long nowMilliseconds)
    {
        ArgumentNullException.ThrowIfNull(from);
        foreach (var entry in from.Fdb.Snapshot(nowMilliseconds))
        {
            if (entry.Kind == EntryKind.Dynamic && !Options.Learning) continue;
            foreach (var remote in entry.Destinations.Remotes)
                Fdb.Append(entry.Mac, remote.Address, remote.Vni, entry.Kind, nowMilliseconds - entry.IdleMilliseconds, remote.InterfaceIndex);
        }

        foreach (var neighbour in from.Neighbours.Snapshot()) Neighbours.Replace(neighbour);
        Published.TakeOver(from.Published);
    }

    /// <summary>Tells that the TAP interface went up or down.</summary>
    public void SetUp(bool isUp, long nowMilliseconds)
    {
        var wasUp = _isUp;
        _isUp = isUp;
        if (wasUp != isUp) Events.Publish(isUp ? EventKind.LinkUp : EventKind.LinkDown, nowMilliseconds);
        if (wasUp && !isUp) Fdb.Flush(all: false, nowMilliseconds);
    }
}
