namespace Sleeve.DataPlane.Events;

/// <summary>What happened. Which fields of an <see cref="SegmentEvent"/> a kind fills stands with it; the others are unset.</summary>
public enum EventKind : byte
{
    /// <summary>A station was learned. Mac, Remote: the VTEP it is behind.</summary>
    Learned,

    /// <summary>A station moved to another VTEP. Mac, Remote: the VTEP it is behind now, Address: the VTEP before.</summary>
    Moved,

    /// <summary>A station was silent for the ageing time. Mac, Remote.</summary>
    Aged,

    /// <summary>A command or the TAP going down removed an FDB entry, or one destination of it. Mac, Remote.</summary>
    Removed,

    /// <summary>A command added a destination to the FDB. Mac, Remote, Number: 0 dynamic, 1 static, 2 permanent.</summary>
    Added,

    /// <summary>A frame found neither an entry for its destination nor default destinations (l2miss of ip-link(8)). Mac: the destination.</summary>
    L2Miss,

    /// <summary>The ARP and ND proxy does not know an address that was asked for (l3miss of ip-link(8)). Address.</summary>
    L3Miss,

    /// <summary>Datagrams of somebody who is not a VTEP of the segment are dropped. Remote: who.</summary>
    Stranger,

    /// <summary>The MTU of the TAP or of the path to a VTEP changed. Number: bytes, Remote: the VTEP, unset for the TAP.</summary>
    MtuChanged,

    /// <summary>The TAP went up.</summary>
    LinkUp,

    /// <summary>The TAP went down.</summary>
    LinkDown,

    /// <summary>Two stations claim one IP address in turns. Address, Mac: who claims it now, Number: the MAC that had it, as a number.</summary>
    DuplicateAddress,

    /// <summary>A guard rail holds something back. Number: the <see cref="GuardLimit"/>, Mac or Remote: whom.</summary>
    Guard,

    /// <summary>The segment joined its multicast group of the underlay. Address: the group.</summary>
    GroupJoined,

    /// <summary>The segment left its multicast group of the underlay. Address: the group.</summary>
    GroupLeft,
}

/// <summary>Which guard rail spoke in an <see cref="EventKind.Guard"/> event.</summary>
public enum GuardLimit : byte
{
    /// <summary>Flooded frames of the whole segment.</summary>
    FloodSegment,

    /// <summary>Flooded frames of one station.</summary>
    FloodStation,

    /// <summary>ARP requests and neighbour solicitations of one station.</summary>
    Requests,

    /// <summary>A station that moves between VTEPs too often is held where it is.</summary>
    Moves,

    /// <summary>A VTEP has as many stations as it may.</summary>
    Stations,

    /// <summary>Frames of a local station come back from the underlay.</summary>
    Loop,
}
