using Sleeve.DataPlane.Guards;
using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Forwarding;

/// <summary>Whose datagrams a segment takes (RFC 7348, section 7).</summary>
public enum Admission
{
    /// <summary>Those of VTEPs that are configured; of anybody as long as none is.</summary>
    Peers,

    /// <summary>Anybody's, as the kernel's device does.</summary>
    Any,

    /// <summary>Those of VTEPs that are configured, and nobody's as long as none is.</summary>
    Listed,
}

/// <summary>What a segment is made with; the kernel's option names in parentheses.</summary>
public sealed record SegmentOptions
{
    /// <summary>FDB entries if <see cref="MaxAddress"/> is 0: 12 bytes each, twice over.</summary>
    public const int DefaultMaxAddress = 1 << 20;

    /// <summary>Seconds after which a silent station is forgotten if nothing else is said.</summary>
    public const int DefaultAgeingSeconds = 300;

    /// <summary><see cref="MssClamp"/> for the path MTU's own.</summary>
    public const int MssClampAuto = -1;

    /// <summary>The least segment size that <see cref="MssClamp"/> asks of anybody.</summary>
    public const int LeastMss = 64;

    /// <summary>The segment's network identifier (vni, id).</summary>
    public required Vni Vni { get; init; }

    /// <summary>Name of its TAP, for messages.</summary>
    public required string Name { get; init; }

    /// <summary>Multicast group that stands for all VTEPs of the segment (group): a default destination, and joined while the TAP is up. Default none.</summary>
    public InternetAddress? Group { get; init; }

    /// <summary>Learn which station is behind which VTEP from received frames (learning). Default true.</summary>
    public bool Learning { get; init; } = true;

    /// <summary>Seconds of silence after which a dynamic entry goes (ageing); 0 means 300, as in the kernel. Default 300.</summary>
    public int AgeingSeconds { get; init; } = DefaultAgeingSeconds;

    /// <summary>FDB entries of all kinds, at most (maxaddress); 0 means 1,048,576, where the kernel has no limit. Default 0.</summary>
    public int MaxAddress { get; init; }

    /// <summary>Answer ARP requests and neighbour solicitations for known neighbours (proxy). Default false.</summary>
    public bool Proxy { get; init; }

    /// <summary>With <see cref="Proxy"/>: consume every ARP frame and neighbour solicitation, answered or not, as the kernel's device does. Default false.</summary>
    public bool ProxyStrict { get; init; }

    /// <summary>Tell of frames that have no destination (l2miss). Default false.</summary>
    public bool L2Miss { get; init; }

    /// <summary>With <see cref="Proxy"/>: tell of addresses that were asked for and are not known (l3miss). Default false.</summary>
    public bool L3Miss { get; init; }

    /// <summary>Keep the addresses that stations are heard to claim, for the proxy to answer with and to find duplicates. Default false.</summary>
    public bool NeighbourSnooping { get; init; }

    /// <summary>Drop frames with a VLAN tag, both ways (RFC 7348, section 6.1); the kernel's device carries them. Default false.</summary>
    public bool DropTagged { get; init; }

    /// <summary>Drop frames to 01:80:c2:00:00:00, both ways; the kernel's device carries them. Default false.</summary>
    public bool DropSpanningTree { get; init; }

    /// <summary>
    /// Drop unicast from the TAP that has no FDB entry, where the kernel floods it (as a bridge port with "flood off"); broadcast and multicast still go to the default
    /// destinations. For tables that are complete. Default false.
    /// </summary>
    public bool SuppressUnknown { get; init; }

    /// <summary>
    /// Do not flood what resolves addresses (as a bridge port with "neigh_suppress on"): questions that the proxy cannot answer, announcements, probes for duplicates, router
    /// solicitations, group memberships. For tables that are complete. Default false.
    /// </summary>
    public bool SuppressResolution { get; init; }

    /// <summary>MAC of the gateway that each host of the network has for itself: frames from or to it are dropped, both ways. Null: there is none. Default null.</summary>
    public MacAddress? GatewayMac { get; init; }

    /// <summary>The guard rails. Default none.</summary>
    public GuardOptions Guards { get; init; } = GuardOptions.None;

    /// <summary>Whose datagrams to take. Default peers.</summary>
    public Admission Admission { get; init; } = Admission.Peers;

    /// <summary>Drop datagrams with a reserved bit set, as the kernel does; RFC 7348, section 5 says ignore them. Default false.</summary>
    public bool Strict { get; init; }

    /// <summary>Group policy extension (gbp): what to stamp on frames from the TAP. Null: its bits are reserved bits like others. Default null.</summary>
    public GroupPolicy? Policy { get; init; }

    /// <summary>With <see cref="Policy"/>: groups whose frames are delivered, bit by bit (<see cref="PolicyGroups"/>); null for every group. Default null.</summary>
    public PolicyGroups? AcceptedGroups { get; init; }

    /// <summary>
    /// The most that the maximum segment size of an inner TCP connection may be, either way, in bytes (--mss-clamp); 0 leaves it alone,
    /// <see cref="MssClampAuto"/> takes what fits the path to the VTEP. Default 0.
    /// </summary>
    public int MssClamp { get; init; }

    /// <summary>What the outer IP headers say (tos, ttl, df, flowlabel). Default: nothing but ECN.</summary>
    public OuterOptions Outer { get; init; } = new();

    internal bool HasFramePolicy => DropTagged || DropSpanningTree || GatewayMac is not null;

    internal int? VtepLimit => Guards.StationsPerVtep is 0 ? Math.Max(1, EntryLimit / 2) : Guards.StationsPerVtep;

    internal long AgeingMilliseconds => (AgeingSeconds == 0 ? DefaultAgeingSeconds : AgeingSeconds) * 1000L;

    /// <summary>FDB entries at most, whichever way that was said.</summary>
    public int EntryLimit => MaxAddress == 0 ? DefaultMaxAddress : MaxAddress;
}
