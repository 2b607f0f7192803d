namespace Sleeve.Control.Api;

/// <summary>Asks a VTEP to test the path to a remote; <c>POST /v1/doctor/path</c>.</summary>
/// <param name="Dev">The TAP of the segment on whose behalf.</param>
/// <param name="Remote">Address of the VTEP.</param>
internal sealed record PathRequestJson(string? Dev, string? Remote);

/// <summary>Asks a VTEP to measure the path to a remote; <c>POST /v1/bench</c>.</summary>
/// <param name="Dev">The TAP of the segment on whose behalf.</param>
/// <param name="Remote">Address of the VTEP.</param>
/// <param name="Seconds">How long, 1 to 60.</param>
/// <param name="Rate">The highest rate that is tried, 1 to 10000 Mbit/s.</param>
internal sealed record BenchRequestJson(string? Dev, string? Remote, int Seconds, int Rate);

/// <summary>One line of an answer that comes bit by bit; one of the four.</summary>
internal sealed record PathLineJson
{
    /// <summary>What is being done.</summary>
    public string? Step { get; init; }

    /// <summary>How much of all is done, in per cent.</summary>
    public int? Percent { get; init; }

    /// <summary>Something that was found.</summary>
    public FindingJson? Finding { get; init; }

    /// <summary>The numbers of a path test.</summary>
    public PathResultJson? Result { get; init; }

    /// <summary>The numbers of a measurement.</summary>
    public WireResultJson? Wire { get; init; }

    /// <summary>Why it could not go on.</summary>
    public string? Error { get; init; }
}

/// <summary>Round-trip times in microseconds.</summary>
/// <param name="Min">The shortest.</param>
/// <param name="Median">Half of them are shorter.</param>
/// <param name="P99">All but one in a hundred are shorter.</param>
/// <param name="Max">The longest.</param>
internal sealed record RoundTripJson(double Min, double Median, double P99, double Max);

/// <summary>One source port of a path test: where routers spread flows, a path of its own.</summary>
/// <param name="SourcePort">The UDP source port.</param>
/// <param name="Sent">Requests sent.</param>
/// <param name="Answered">Answers.</param>
/// <param name="MedianUs">Median round-trip time, microseconds; left out without an answer.</param>
internal sealed record PathFlowJson(int SourcePort, int Sent, int Answered, double? MedianUs);

/// <summary>The numbers of a path test.</summary>
/// <param name="Dev">The TAP of the segment.</param>
/// <param name="Remote">Address of the VTEP.</param>
/// <param name="Echo">Whether it answers echo requests: a Sleeve that knows us.</param>
internal sealed record PathResultJson(string Dev, string Remote, bool Echo)
{
    /// <summary>Round-trip times of small requests.</summary>
    public RoundTripJson? RoundTripUs { get; init; }

    /// <summary>Small requests sent.</summary>
    public int Sent { get; init; }

    /// <summary>Lost on the way there.</summary>
    public int LostThere { get; init; }

    /// <summary>Answers lost on the way back.</summary>
    public int LostBack { get; init; }

    /// <summary>Requests that came in another order than they were sent.</summary>
    public int LateThere { get; init; }

    /// <summary>Source ports.</summary>
    public IReadOnlyList<PathFlowJson> Flows { get; init; } = [];

    /// <summary>Bytes of the largest IP packet that arrives whole; left out if it was not found.</summary>
    public int? MtuThere { get; init; }

    /// <summary>The same of the way back.</summary>
    public int? MtuBack { get; init; }

    /// <summary>Datagrams of bursts that were sent, arrived, and arrived merged (UDP_GRO).</summary>
    public BurstJson? Burst { get; init; }
}

/// <summary>Bursts of full-sized datagrams that the kernel cuts (UDP_SEGMENT), as super-frames of the host leave.</summary>
/// <param name="Sent">Datagrams.</param>
/// <param name="Arrived">How many arrived.</param>
/// <param name="Merged">How many of them came together with others.</param>
/// <param name="Late">How many came late.</param>
internal sealed record BurstJson(int Sent, int Arrived, int Merged, int Late);

/// <summary>The numbers of a measurement of a path.</summary>
/// <param name="Dev">The TAP of the segment.</param>
/// <param name="Remote">Address of the VTEP.</param>
/// <param name="RoundTripUs">Round-trip times of small requests, from worker to worker and back.</param>
/// <param name="FarEndUs">Of them, median time that the far end took between receipt and answer, microseconds.</param>
/// <param name="Sent">Small requests.</param>
/// <param name="Answered">Answers.</param>
/// <param name="DatagramBytes">UDP payload bytes of the datagrams of the steps.</param>
/// <param name="Steps">What was offered and what arrived.</param>
internal sealed record WireResultJson(
    string Dev, string Remote, RoundTripJson RoundTripUs, double FarEndUs, int Sent, int Answered, int DatagramBytes, IReadOnlyList<RateStepJson> Steps);

/// <summary>One step of a measurement.</summary>
/// <param name="OfferedMbit">Mbit/s of IP packets that were sent.</param>
/// <param name="ArrivedMbit">Mbit/s that arrived, by the clock of the far end.</param>
/// <param name="Sent">Datagrams that the kernel took.</param>
/// <param name="NotSent">Datagrams that it did not take.</param>
/// <param name="Arrived">Datagrams that arrived.</param>
/// <param name="Late">How many came late.</param>
internal sealed record RateStepJson(double OfferedMbit, double ArrivedMbit, int Sent, int NotSent, int Arrived, int Late);
