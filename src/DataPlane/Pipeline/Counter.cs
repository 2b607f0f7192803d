namespace Sleeve.DataPlane.Pipeline;

/// <summary>What a worker counts besides drops: frames, bytes and events since the segment was made.</summary>
public enum Counter
{
    /// <summary>Frames taken from the TAP; a super-frame counts as the frames it stands for.</summary>
    TapReceived,

    /// <summary>Bytes in them.</summary>
    TapReceivedBytes,

    /// <summary>Frames written to the TAP, answers of the proxy not counted.</summary>
    TapSent,

    /// <summary>Bytes in them.</summary>
    TapSentBytes,

    /// <summary>Requests that the ARP and ND proxy answered.</summary>
    Proxied,

    /// <summary>Copies beyond the first that head-end replication made.</summary>
    Replicated,

    /// <summary>Frames that went to the default destinations.</summary>
    Flooded,

    /// <summary>Datagrams received for the segment.</summary>
    DatagramsReceived,

    /// <summary>Datagrams the kernel took.</summary>
    DatagramsSent,

    /// <summary>Stations learned.</summary>
    Learned,

    /// <summary>Stations that moved from one VTEP to another.</summary>
    Moved,

    /// <summary>Frames whose new source was not learned because the table was full or busy.</summary>
    NotLearned,

    /// <summary>Super-frames from the TAP that were cut.</summary>
    SuperFramesCut,

    /// <summary>Super-frames that several datagrams were merged into for the TAP.</summary>
    SuperFramesMerged,

    /// <summary>Frames whose unfinished checksum or size was recognised and handed to the kernel to finish.</summary>
    OffloadRecognised,

    /// <summary>Inner packets too long for the path to their VTEP that were answered by ICMP: fragmentation needed, packet too big.</summary>
    PmtuReplies,

    /// <summary>TCP connections whose maximum segment size was lowered on its way.</summary>
    MssClamped,

    /// <summary>Frames without ECN in datagrams that claimed it (RFC 6040, section 4.2); they were delivered.</summary>
    EcnUnexpected,

    /// <summary>Frames that were flooded from here and came back within a second; they were delivered.</summary>
    Returned,

    /// <summary>Frames whose source was not learned because its VTEP has as many stations as it may.</summary>
    StationsLimited,
}
