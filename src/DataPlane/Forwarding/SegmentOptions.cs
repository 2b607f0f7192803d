using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Forwarding;

/// <summary>Whose datagrams a segment takes (RFC 7348, section 7).</summary>
public enum Admission
{
    /// <summary>Those of VTEPs that are configured; of anybody as long as none is.</summary>
    Peers,

    /// <summary>Anybody's, as the kernel's device does.</summary>
    Any,
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

    internal long AgeingMilliseconds => (AgeingSeconds == 0 ? DefaultAgeingSeconds : AgeingSeconds) * 1000L;

    internal int EntryLimit => MaxAddress == 0 ? DefaultMaxAddress : MaxAddress;
}
