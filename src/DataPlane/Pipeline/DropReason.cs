namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// Why a frame or datagram ended badly. Each is counted per segment, or for the whole VTEP where no segment is known yet, and explained by
/// <see cref="DropReasons.Describe"/>.
/// </summary>
public enum DropReason
{
    /// <summary>Shorter than the headers it must have: VXLAN (8 bytes) and Ethernet (14).</summary>
    Truncated,

    /// <summary>The I flag is not set (RFC 7348, section 5).</summary>
    NoVniFlag,

    /// <summary>A reserved bit is set and the segment is strict.</summary>
    ReservedBits,

    /// <summary>No segment has this VNI here.</summary>
    UnknownVni,

    /// <summary>The sender is not a VTEP of the segment (RFC 7348, section 7).</summary>
    UnknownVtep,

    /// <summary>The sender is this VTEP itself: what it sent to its group has come back.</summary>
    Reflected,

    /// <summary>The source MAC is the TAP's own: a loop, or somebody pretends.</summary>
    OwnMac,

    /// <summary>The source MAC is multicast, broadcast or zero.</summary>
    InvalidSource,

    /// <summary>Says it is IP, but is shorter than an IP header.</summary>
    TruncatedIp,

    /// <summary>The outer header says congestion, but the frame's sender does not take part in ECN: loss is all it understands (RFC 6040, section 4.2).</summary>
    EcnContradiction,

    /// <summary>A static or permanent FDB entry puts the source behind another VTEP.</summary>
    StaticConflict,

    /// <summary>The frame's VXLAN-GBP group is not one that the segment accepts.</summary>
    PolicyDenied,

    /// <summary>The TAP is down.</summary>
    DeviceDown,

    /// <summary>The kernel did not take the frame on the TAP.</summary>
    TapRejected,

    /// <summary>No FDB entry, and no default destination.</summary>
    NoRemoteVtep,

    /// <summary>The FDB entry's destination is 0.0.0.0 or ::.</summary>
    NullDestination,

    /// <summary>The destination is this VTEP itself.</summary>
    Hairpin,

    /// <summary>The kernel handed over a super-frame or an unfinished checksum whose headers do not bear it out.</summary>
    BadOffload,

    /// <summary>No route to the VTEP, or none that works now.</summary>
    NoRoute,

    /// <summary>The interface that the FDB entry, or the VTEP, is to send by is gone.</summary>
    NoInterface,

    /// <summary>Longer than the path or UDP takes.</summary>
    TooBig,

    /// <summary>An inner packet that must not be fragmented is too long for the path to the VTEP; its sender was told.</summary>
    ExceedsPathMtu,

    /// <summary>The socket's send buffer is full.</summary>
    WouldBlock,

    /// <summary>The kernel refused the datagram for another reason, such as a firewall rule.</summary>
    Rejected,

    /// <summary>A station, or all of the segment, floods more than the limit.</summary>
    FloodLimit,

    /// <summary>A station sends more ARP requests and neighbour solicitations than the limit.</summary>
    RequestLimit,

    /// <summary>A station that moved too often is held where it was, and this came from elsewhere.</summary>
    MoveHeld,

    /// <summary>The frame has a VLAN tag and the segment carries none (RFC 7348, section 6.1).</summary>
    InnerVlan,

    /// <summary>A frame of a spanning tree, and the segment carries none.</summary>
    SpanningTree,

    /// <summary>The strict proxy consumed what it could not answer.</summary>
    Unanswered,

    /// <summary>Unicast to a station that has no FDB entry, and the segment floods only what is for several (--flood known).</summary>
    UnknownUnicast,

    /// <summary>A question for an address that is not known, or an announcement that nobody needs, where tables are complete (--neigh-suppress).</summary>
    ResolutionSuppressed,

    /// <summary>From or to the MAC of the network's gateway, which each host has for itself.</summary>
    GatewayMac,

    /// <summary>An echo request (<see cref="Wire.EchoMessage"/>) of somebody who is no VTEP of its segment, or one too many, or echo is off; or a hello (<see cref="Wire.HelloMessage"/>) of no peer.</summary>
    EchoRefused,
}

/// <summary>The sentences behind <see cref="DropReason"/>.</summary>
public static class DropReasons
{
    /// <summary>How many there are.</summary>
    public static int Count { get; } = Enum.GetValues<DropReason>().Length;

    /// <summary>What happened and, where something can be done, what.</summary>
    public static string Describe(DropReason reason) => reason switch
    {
        DropReason.Truncated => "shorter than a VXLAN and an Ethernet header",
        DropReason.NoVniFlag => "the VXLAN header does not have its I flag set",
        DropReason.ReservedBits => "a reserved bit of the VXLAN header is set (--strict drops these, as the kernel does)",
        DropReason.UnknownVni => "no segment here has this VNI",
        DropReason.UnknownVtep => "the sender is not a VTEP of the segment (add it with --remote or sleeve fdb append, or start with --admit any)",
        DropReason.Reflected => "this VTEP sent it to its group and the underlay brought it back: a loop there, or a forgery",
        DropReason.OwnMac => "the source MAC is the TAP's own: a loop or a forgery",
        DropReason.InvalidSource => "the source MAC is multicast, broadcast or zero",
        DropReason.TruncatedIp => "the frame says it is IP but ends before its IP header does",
        DropReason.EcnContradiction => "the underlay marked congestion on a frame whose sender does not take part in ECN, so that only loss can tell it (RFC 6040)",
        DropReason.StaticConflict => "a static FDB entry puts the source MAC behind another VTEP",
        DropReason.PolicyDenied => "the frame's group is not one of --gbp-accept",
        DropReason.DeviceDown => "the TAP is down (ip link set up)",
        DropReason.TapRejected => "the kernel did not take the frame on the TAP",
        DropReason.NoRemoteVtep => "no FDB entry for the destination and no default destination (sleeve fdb append 00:00:00:00:00:00)",
        DropReason.NullDestination => "the FDB entry for the destination says drop (dst 0.0.0.0 or ::)",
        DropReason.Hairpin => "the destination VTEP is this one",
        DropReason.BadOffload => "a super-frame or unfinished checksum from the TAP that its headers do not bear out",
        DropReason.NoRoute => "there is no route to the VTEP (ip route get)",
        DropReason.NoInterface => "the interface to send by is gone (via of the FDB entry, or --dev)",
        DropReason.TooBig => "longer than the path to the VTEP takes",
        DropReason.ExceedsPathMtu => "an inner packet that must not be fragmented is too long for the path to the VTEP; its sender was told by ICMP (pmtu in sleeve stats)",
        DropReason.WouldBlock => "the socket's send buffer is full",
        DropReason.Rejected => "the kernel refused to send, perhaps by a firewall rule",
        DropReason.FloodLimit => "more broadcast, multicast and unknown unicast than the limit (--flood-limit, --flood-limit-segment): a loop, or a station gone mad",
        DropReason.RequestLimit => "more ARP requests and neighbour solicitations of one station than the limit (--request-limit)",
        DropReason.MoveHeld => "the station moved between VTEPs too often and is held behind another one for 30 s (--move-limit): a loop, or one MAC twice",
        DropReason.InnerVlan => "the frame has a VLAN tag (--inner-vlan pass carries those)",
        DropReason.SpanningTree => "a frame of a spanning tree (--stp pass carries those)",
        DropReason.Unanswered => "ARP or a neighbour solicitation that the strict proxy could not answer (--proxy floods those)",
        DropReason.UnknownUnicast => "unicast to a station that has no FDB entry (--flood all sends it to all default destinations; sleeve fdb audit compares a network's tables)",
        DropReason.ResolutionSuppressed => "ARP, neighbour or router discovery or group membership that nobody on another host has to hear (--noneigh-suppress floods those)",
        DropReason.GatewayMac => "from or to the gateway's MAC, which every host of the network has for itself: it stays on its host",
        DropReason.EchoRefused => "an echo request (sleeve doctor REMOTE) of somebody who is no VTEP of its segment, or one too many, or --echo is off; or a hello of no peer",
        _ => throw new ArgumentOutOfRangeException(nameof(reason), reason, "not a drop reason"),
    };
}
