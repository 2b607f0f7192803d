namespace Sleeve.Control.Api;

/// <summary>A station and what it moves, by a sample.</summary>
/// <param name="Mac">The station.</param>
/// <param name="Ifname">The TAP of its segment.</param>
/// <param name="Dst">The VTEP that it is behind; left out for one behind the TAP.</param>
/// <param name="TxBitsPerSecond">What it sends.</param>
/// <param name="RxBitsPerSecond">What it is sent.</param>
internal sealed record TalkerJson(string Mac, string Ifname, string? Dst, long TxBitsPerSecond, long RxBitsPerSecond);

/// <summary>The stations that move most, by a short look at the frames.</summary>
/// <param name="SampledMilliseconds">How long was looked.</param>
/// <param name="SampledFrames">Frames that were seen; a super-frame is one.</param>
/// <param name="LeftOutFrames">Frames, about, that there was no room for; the rates make up for them.</param>
/// <param name="Stations">The busiest first.</param>
internal sealed record TalkersJson(long SampledMilliseconds, long SampledFrames, long LeftOutFrames, IReadOnlyList<TalkerJson> Stations);

/// <summary>Rates of a worker.</summary>
/// <param name="Worker">Its number.</param>
/// <param name="CpuPercent">CPU time of its thread, 100 for a whole core.</param>
/// <param name="TapBitsPerSecond">Bits it took from TAPs.</param>
/// <param name="UnderlayBitsPerSecond">Bits it took from its sockets.</param>
internal sealed record TopWorkerJson(int Worker, double CpuPercent, double TapBitsPerSecond, double UnderlayBitsPerSecond);

/// <summary>Rates of a segment; tx is from the host into the overlay.</summary>
/// <param name="Ifname">Its TAP.</param>
/// <param name="Vni">Its VNI.</param>
/// <param name="Up">Whether the TAP is up.</param>
/// <param name="TxFramesPerSecond">Frames taken from the TAP.</param>
/// <param name="TxBitsPerSecond">Bits in them.</param>
/// <param name="RxFramesPerSecond">Frames written to the TAP.</param>
/// <param name="RxBitsPerSecond">Bits in them.</param>
/// <param name="DropsPerSecond">Frames dropped, both ways.</param>
/// <param name="FdbEntries">Entries in its FDB.</param>
/// <param name="Neighbours">Entries in its neighbour table.</param>
internal sealed record TopSegmentJson(
    string Ifname, long Vni, bool Up, double TxFramesPerSecond, double TxBitsPerSecond, double RxFramesPerSecond, double RxBitsPerSecond, double DropsPerSecond, int FdbEntries, int Neighbours);

/// <summary>Rates of a remote VTEP in a segment.</summary>
/// <param name="Ifname">The TAP of the segment.</param>
/// <param name="Dst">Its address.</param>
/// <param name="Port">Its UDP port.</param>
/// <param name="Vni">The VNI towards it.</param>
/// <param name="Via">The interface that it is reached by, where an FDB entry names one.</param>
/// <param name="TxDatagramsPerSecond">Datagrams sent to it.</param>
/// <param name="TxBitsPerSecond">Bits of UDP payload in them.</param>
/// <param name="RxDatagramsPerSecond">Datagrams admitted from it.</param>
/// <param name="RxBitsPerSecond">Bits of UDP payload in them.</param>
/// <param name="TxDroppedPerSecond">Datagrams that could not be sent.</param>
internal sealed record TopRemoteJson(
    string Ifname, string Dst, int Port, long Vni, string? Via, double TxDatagramsPerSecond, double TxBitsPerSecond, double RxDatagramsPerSecond, double RxBitsPerSecond, double TxDroppedPerSecond);

/// <summary>Drops of one kind.</summary>
/// <param name="Ifname">The TAP; left out where no segment could be found.</param>
/// <param name="Direction">"out" or "in".</param>
/// <param name="Reason">Name of the reason.</param>
/// <param name="PerSecond">Now.</param>
/// <param name="Total">Since the segment was made.</param>
/// <param name="Sentence">What happened, and what to do.</param>
internal sealed record TopDropJson(string? Ifname, string Direction, string Reason, double PerSecond, long Total, string Sentence);

/// <summary>What a VTEP does, as rates over an interval.</summary>
/// <param name="Pid">Process id.</param>
/// <param name="Local">Underlay address that is sent from.</param>
/// <param name="Dstport">UDP port.</param>
/// <param name="Time">When the interval ended.</param>
/// <param name="IntervalSeconds">How long it was.</param>
/// <param name="TxOffload">How runs of datagrams reach the kernel.</param>
/// <param name="TxOffloadReason">Why that way.</param>
/// <param name="RxOffload">How they come from it.</param>
/// <param name="Steering">What gives a flow its worker.</param>
/// <param name="SocketDropsPerSecond">Datagrams that did not fit the receive buffer.</param>
/// <param name="Workers">The threads that move frames.</param>
/// <param name="Segments">The segments.</param>
/// <param name="Remotes">The remote VTEPs.</param>
/// <param name="Drops">Every kind of drop that has happened.</param>
internal sealed record TopJson(
    int Pid, string Local, int Dstport, DateTimeOffset Time, double IntervalSeconds, string TxOffload, string TxOffloadReason, string RxOffload, string Steering, double SocketDropsPerSecond,
    IReadOnlyList<TopWorkerJson> Workers, IReadOnlyList<TopSegmentJson> Segments, IReadOnlyList<TopRemoteJson> Remotes, IReadOnlyList<TopDropJson> Drops)
{
    /// <summary>The busiest stations; left out where they could not be sampled.</summary>
    public TalkersJson? Talkers { get; init; }

    /// <summary>Why stations could not be sampled; left out where they were.</summary>
    public string? TalkersMissing { get; init; }
}
