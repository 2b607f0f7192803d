using System.Text.Json.Serialization;

namespace Sleeve.Control.Api;

/// <summary>An FDB entry with one destination, in the words of <c>bridge -j fdb</c>.</summary>
/// <param name="Mac">The station; 00:00:00:00:00:00 for a default destination.</param>
/// <param name="Ifname">The TAP; left out where the request names it.</param>
/// <param name="Dst">Address of the VTEP.</param>
/// <param name="Port">Its UDP port, if not the segment's own.</param>
/// <param name="Vni">The VNI towards it, if not the segment's own.</param>
/// <param name="Updated">Seconds since a frame of the station was last received; dynamic entries only.</param>
/// <param name="Flags">Always "self", as for a vxlan device.</param>
/// <param name="State">"permanent", "static", or "" for dynamic.</param>
internal sealed record FdbEntryJson(
    string Mac, string? Ifname, string? Dst, int? Port, long? Vni, long? Updated, IReadOnlyList<string>? Flags, string? State)
{
    /// <summary>The underlay interface that datagrams leave by; left out where the route decides.</summary>
    [JsonPropertyName("viaIf")]
    public string? ViaIf { get; init; }

    /// <summary>Where it comes from: "static" (a command or the configuration), "learned", or "published" (by another host).</summary>
    public string? Origin { get; init; }

    /// <summary>The host that published it.</summary>
    public string? Host { get; init; }

    /// <summary>Its endpoint; left out of a VTEP.</summary>
    public string? Endpoint { get; init; }

    /// <summary>The version that it was published in.</summary>
    public long? Version { get; init; }

    /// <summary>Seconds since what was published stands here.</summary>
    public long? Age { get; init; }
}

/// <summary>A neighbour, in the words of <c>ip -j neigh</c>.</summary>
/// <param name="Dst">Its IP address.</param>
/// <param name="Dev">The TAP; left out where the request names it.</param>
/// <param name="Lladdr">Its MAC.</param>
/// <param name="Router">True if it is a router; left out otherwise.</param>
/// <param name="State">"PERMANENT"; "REACHABLE" if it was heard, "FAILED" if two stations claim it in turns.</param>
internal sealed record NeighbourJson(string? Dst, string? Dev, string? Lladdr, bool? Router, IReadOnlyList<string>? State)
{
    /// <summary>Where it was heard, "local" or "remote"; left out of what was not heard.</summary>
    public string? Learned { get; init; }

    /// <summary>Where it comes from: "static" (a command or the configuration), "snooped", or "published" (by another host).</summary>
    public string? Origin { get; init; }

    /// <summary>The host that published it.</summary>
    public string? Host { get; init; }

    /// <summary>Its endpoint.</summary>
    public string? Endpoint { get; init; }

    /// <summary>The version that it was published in.</summary>
    public long? Version { get; init; }

    /// <summary>Seconds since what was published stands here, or since it was heard.</summary>
    public long? Age { get; init; }
}

/// <summary>How many entries a flush removed.</summary>
internal sealed record FlushJson(int Removed);

/// <summary>Drops of one kind.</summary>
/// <param name="Direction">"out": TAP to underlay; "in": underlay to TAP.</param>
/// <param name="Reason">Name of the reason.</param>
/// <param name="Count">Frames or datagrams.</param>
/// <param name="Sentence">What happened, and what to do.</param>
internal sealed record DropJson(string Direction, string Reason, long Count, string Sentence);

/// <summary>Counters of one remote VTEP, and the MTU of the path to it.</summary>
/// <param name="Dst">Its address.</param>
/// <param name="Port">Its UDP port.</param>
/// <param name="Vni">The VNI towards it.</param>
/// <param name="Configured">Whether a static or permanent entry names it.</param>
/// <param name="TxDatagrams">Datagrams that the kernel took for it.</param>
/// <param name="TxBytes">UDP payload bytes in them.</param>
/// <param name="RxDatagrams">Datagrams admitted from it.</param>
/// <param name="RxBytes">UDP payload bytes in them.</param>
/// <param name="TxDropped">Datagrams for it that could not be sent.</param>
/// <param name="Pmtu">Bytes of the largest outer IP packet that reaches it whole; left out if nothing is known.</param>
/// <param name="PmtuFrom">Where that comes from: "link", "route", "learned", "probe", or "default" if nothing is known.</param>
/// <param name="PmtuProbed">Bytes that the last probe of the path found; left out without one.</param>
/// <param name="PmtuProbe">How sure it is: "confirmed", "unconfirmed", "black-hole" or "unreachable"; left out without one.</param>
internal sealed record RemoteJson(
    string Dst, int Port, long Vni, bool Configured, long TxDatagrams, long TxBytes, long RxDatagrams, long RxBytes, long TxDropped,
    int? Pmtu, string PmtuFrom, int? PmtuProbed, string? PmtuProbe)
{
    /// <summary>The underlay interface that an FDB entry has datagrams leave by; left out where the route decides.</summary>
    public string? Via { get; init; }
}

/// <summary>State and counters of one segment.</summary>
/// <param name="Ifname">Its TAP.</param>
/// <param name="Vni">Its VNI.</param>
/// <param name="Up">Whether the TAP is up.</param>
/// <param name="Mtu">MTU of the TAP, bytes.</param>
/// <param name="Mac">MAC of the TAP.</param>
/// <param name="FdbEntries">Entries in its FDB.</param>
/// <param name="Neighbours">Entries in its neighbour table.</param>
/// <param name="Queues">Queues of its TAP.</param>
/// <param name="TapOffload">Which super-frames the TAP is handed: "tcp udp", "tcp" or "none".</param>
/// <param name="TapOffloadReason">Why those.</param>
/// <param name="Counters">Every counter by name; see docs/operating.md.</param>
/// <param name="Drops">Drops by direction and reason; those that never happened are left out.</param>
/// <param name="Remotes">Counters of each remote VTEP.</param>
/// <param name="Group">Its multicast group; left out without one.</param>
/// <param name="GroupJoined">Whether it is in the group, which it is while the TAP is up; left out without one.</param>
internal sealed record SegmentStatsJson(
    string Ifname,
    long Vni,
    bool Up,
    int Mtu,
    string Mac,
    int FdbEntries,
    int Neighbours,
    int Queues,
    string TapOffload,
    string TapOffloadReason,
    IReadOnlyDictionary<string, long> Counters,
    IReadOnlyList<DropJson> Drops,
    IReadOnlyList<RemoteJson> Remotes,
    string? Group = null,
    bool? GroupJoined = null);

/// <summary>What one worker did.</summary>
/// <param name="Worker">Its number.</param>
/// <param name="TapBytes">Bytes it took from TAPs.</param>
/// <param name="UnderlayBytes">Bytes it took from its socket.</param>
/// <param name="Sleeps">How often it slept.</param>
/// <param name="SleepsSpared">How often something came while it still looked before a sleep.</param>
/// <param name="SocketDrops">Datagrams that did not fit the queue of its socket.</param>
internal sealed record WorkerJson(int Worker, long TapBytes, long UnderlayBytes, long Sleeps, long SleepsSpared, long SocketDrops)
{
    /// <summary>CPU time of its thread in seconds, in steps of a hundredth.</summary>
    public double CpuSeconds { get; init; }
}

/// <summary>
/// Work of the .NET runtime since the process started. The frame path asks for none; set-up, commands and answering this do.
/// </summary>
/// <param name="Gen0Collections">Garbage collections of generation 0 or more.</param>
/// <param name="Gen1Collections">Of generation 1 or more.</param>
/// <param name="Gen2Collections">Of the whole heap.</param>
/// <param name="AllocatedBytes">Bytes handed out to all threads, in the runtime's steps of some 8 KiB a thread.</param>
internal sealed record RuntimeJson(int Gen0Collections, int Gen1Collections, int Gen2Collections, long AllocatedBytes);

/// <summary>State and counters of a running VTEP.</summary>
/// <param name="Pid">Process id.</param>
/// <param name="Local">Underlay address that is sent from.</param>
/// <param name="Dstport">UDP port.</param>
/// <param name="SourcePortsOpen">UDP source ports in use.</param>
/// <param name="SourcePortsLimit">The most that will be used.</param>
/// <param name="ReceiveBufferBytes">What the kernel may queue on the receiving socket.</param>
/// <param name="SocketDrops">Datagrams that did not fit that queue.</param>
/// <param name="TxOffload">How runs of datagrams reach the kernel: "tunnel-gso", "udp-gso" or "none".</param>
/// <param name="TxOffloadReason">Why that way.</param>
/// <param name="TxOffloadMessages">Messages of several datagrams that the kernel was to cut.</param>
/// <param name="TxOffloadRefused">How many of them it refused; their datagrams were sent one by one.</param>
/// <param name="TxTunnelMessages">Super-frames that the kernel took whole, to route them on.</param>
/// <param name="TxTunnelRefused">Super-frames that it refused; they were sent again, cut.</param>
/// <param name="TxTunnelEaten">Super-frames that were watched and not seen leaving; they were sent again, cut.</param>
/// <param name="RxOffload">"udp-gro" if the kernel hands over several datagrams at once, else "none".</param>
/// <param name="RxOffloadReason">Why that way.</param>
/// <param name="RxOffloadMessages">Messages received that held several datagrams.</param>
/// <param name="Workers">The threads that move frames.</param>
/// <param name="Steering">What gives a flow its worker: "inner-flow" (our program in the kernel), "kernel" (it may move flows), or "one-worker".</param>
/// <param name="Drops">Datagrams that no segment could be found for, by reason.</param>
/// <param name="Segments">The segments.</param>
/// <param name="Runtime">What the process as a whole has asked of the garbage collector.</param>
internal sealed record VtepStatsJson(
    int Pid,
    string Local,
    int Dstport,
    int SourcePortsOpen,
    int SourcePortsLimit,
    int ReceiveBufferBytes,
    long SocketDrops,
    string TxOffload,
    string TxOffloadReason,
    long TxOffloadMessages,
    long TxOffloadRefused,
    long TxTunnelMessages,
    long TxTunnelRefused,
    long TxTunnelEaten,
    string RxOffload,
    string RxOffloadReason,
    long RxOffloadMessages,
    IReadOnlyList<WorkerJson> Workers,
    string Steering,
    IReadOnlyList<DropJson> Drops,
    IReadOnlyList<SegmentStatsJson> Segments,
    RuntimeJson Runtime);

/// <summary>Something that happened; what a kind does not have is left out.</summary>
/// <param name="Event">The kind, such as "learned"; "listening" and "lost" come from the stream itself.</param>
/// <param name="Time">When, to some milliseconds.</param>
internal sealed record EventJson(string Event, DateTimeOffset Time)
{
    /// <summary>The TAP.</summary>
    public string? Ifname { get; init; }

    /// <summary>The VNI of the segment.</summary>
    public long? Vni { get; init; }

    /// <summary>The station.</summary>
    public string? Mac { get; init; }

    /// <summary>An address in the overlay, or a multicast group.</summary>
    public string? Ip { get; init; }

    /// <summary>The VTEP.</summary>
    public string? Dst { get; init; }

    /// <summary>The VTEP before.</summary>
    public string? From { get; init; }

    /// <summary>The station that had the address before.</summary>
    public string? Was { get; init; }

    /// <summary>"permanent", "static", or "" for dynamic.</summary>
    public string? State { get; init; }

    /// <summary>Which guard rail.</summary>
    public string? Limit { get; init; }

    /// <summary>Bytes.</summary>
    public int? Mtu { get; init; }

    /// <summary>Events that this reader was too slow for.</summary>
    public long? Lost { get; init; }
}

/// <summary>What <c>sleeve config check</c> found.</summary>
/// <param name="File">As it was named.</param>
/// <param name="Valid">Whether <c>sleeve up</c> would take it.</param>
/// <param name="Segments">Segments in it, if it is valid.</param>
/// <param name="Errors">Every error.</param>
internal sealed record ConfigReportJson(string File, bool Valid, int Segments, IReadOnlyList<ConfigErrorJson> Errors);

/// <summary>An error of a configuration file.</summary>
/// <param name="Line">From 1; left out if it is about the whole file.</param>
/// <param name="Error">Key, value, what is allowed.</param>
internal sealed record ConfigErrorJson(int? Line, string Error);

/// <summary>What went wrong (RFC 9457).</summary>
/// <param name="Title">The reason, in the kernel's words where it has them.</param>
/// <param name="Status">HTTP status.</param>
/// <param name="Detail">What it was about: key, value, what is allowed.</param>
internal sealed record ProblemJson(string Title, int Status, string? Detail)
{
    /// <summary>Which problem it is, for programs: urn:sleeve:problem: and a word that docs/api.md lists; left out where the status says it all.</summary>
    [JsonPropertyOrder(-1)]
    public string? Type { get; init; }
}

/// <summary>Every type that crosses the socket, serialised without reflection.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
[JsonSerializable(typeof(FdbEntryJson))]
[JsonSerializable(typeof(IReadOnlyList<FdbEntryJson>))]
[JsonSerializable(typeof(NeighbourJson))]
[JsonSerializable(typeof(IReadOnlyList<NeighbourJson>))]
[JsonSerializable(typeof(FlushJson))]
[JsonSerializable(typeof(VtepStatsJson))]
[JsonSerializable(typeof(IReadOnlyList<VtepStatsJson>))]
[JsonSerializable(typeof(EventJson))]
[JsonSerializable(typeof(ConfigReportJson))]
[JsonSerializable(typeof(ExplainRequestJson))]
[JsonSerializable(typeof(ExplainJson))]
[JsonSerializable(typeof(IReadOnlyList<ExplainJson>))]
[JsonSerializable(typeof(TalkersJson))]
[JsonSerializable(typeof(TopJson))]
[JsonSerializable(typeof(IReadOnlyList<TopJson>))]
[JsonSerializable(typeof(LogJson))]
[JsonSerializable(typeof(IReadOnlyList<LogJson>))]
[JsonSerializable(typeof(LogChangeJson))]
[JsonSerializable(typeof(SegmentJson))]
[JsonSerializable(typeof(IReadOnlyList<SegmentJson>))]
[JsonSerializable(typeof(SegmentChangeJson))]
[JsonSerializable(typeof(IReadOnlyList<SegmentChangeJson>))]
[JsonSerializable(typeof(ConfigurationJson))]
[JsonSerializable(typeof(System.Text.Json.JsonElement))]
[JsonSerializable(typeof(ProblemJson))]
[JsonSerializable(typeof(VtepDetailsJson))]
[JsonSerializable(typeof(DoctorReportJson))]
[JsonSerializable(typeof(PathRequestJson))]
[JsonSerializable(typeof(BenchRequestJson))]
[JsonSerializable(typeof(PathLineJson))]
[JsonSerializable(typeof(BenchReportJson))]
[JsonSerializable(typeof(IEnumerable<FdbEntryJson>))]
[JsonSerializable(typeof(FdbDestinationJson))]
[JsonSerializable(typeof(IReadOnlyList<RemoteAddressJson>))]
[JsonSerializable(typeof(NeighbourValueJson))]
[JsonSerializable(typeof(AttachJson))]
[JsonSerializable(typeof(EndpointJson))]
[JsonSerializable(typeof(IReadOnlyList<EndpointJson>))]
[JsonSerializable(typeof(DetachJson))]
[JsonSerializable(typeof(TableAuditJson))]
[JsonSerializable(typeof(IReadOnlyList<TableAuditJson>))]
[JsonSerializable(typeof(NetworkNamesJson))]
[JsonSerializable(typeof(ResolvedNameJson))]
[JsonSerializable(typeof(AuditOutcomeJson))]
[JsonSerializable(typeof(NetworkSettingsJson))]
[JsonSerializable(typeof(NetworkJson))]
[JsonSerializable(typeof(IReadOnlyList<NetworkJson>))]
[JsonSerializable(typeof(NetworkLabelsJson))]
[JsonSerializable(typeof(IReadOnlyList<PoolJson>))]
[JsonSerializable(typeof(ReservationJson))]
[JsonSerializable(typeof(NetworkHostJson))]
[JsonSerializable(typeof(PeerJson))]
[JsonSerializable(typeof(IReadOnlyList<PeerJson>))]
[JsonSerializable(typeof(PeerDrainJson))]
[JsonSerializable(typeof(PeerForgottenJson))]
[JsonSerializable(typeof(TokenRequestJson))]
[JsonSerializable(typeof(MadeTokenJson))]
[JsonSerializable(typeof(IReadOnlyList<TokenJson>))]
[JsonSerializable(typeof(ClusterJoinJson))]
[JsonSerializable(typeof(JoinLineJson))]
[JsonSerializable(typeof(ClusterLeaveJson))]
internal sealed partial class ApiJson : JsonSerializerContext;
