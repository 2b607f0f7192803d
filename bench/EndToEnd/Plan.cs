using Sleeve.Bench.EndToEnd.Systems;
using Sleeve.Bench.EndToEnd.Workloads;

namespace Sleeve.Bench.EndToEnd;

/// <summary>What a run measures.</summary>
internal sealed record Plan
{
    // Making two hosts, starting two VTEPs, and undoing it.
    private const double SetUpSeconds = 1.2;

    /// <summary>Everything that <c>--workload</c> takes.</summary>
    public static IReadOnlyList<string> WorkloadNames { get; } = ["setup", "tcp", "udp", "latency", "flows", "remotes", "segments", "fdb", "steady"];

    /// <summary>Systems, in the order in which they take turns.</summary>
    public required IReadOnlyList<Contender> Contenders { get; init; }

    /// <summary>Which workloads.</summary>
    public required IReadOnlyList<string> Workloads { get; init; }

    /// <summary>MTUs of the underlay, bytes.</summary>
    public required IReadOnlyList<int> Mtus { get; init; }

    /// <summary>How often each system has its turn.</summary>
    public required int Rounds { get; init; }

    /// <summary>Seconds of each measurement.</summary>
    public required int Seconds { get; init; }

    /// <summary>True if as much as possible is left out that does not need to be there for every kind of figure to appear.</summary>
    public required bool IsQuick { get; init; }

    /// <summary>Seconds of each half of the steady run.</summary>
    public required int SteadySeconds { get; init; }

    /// <summary>Numbers of flows.</summary>
    public IReadOnlyList<int> Flows => IsQuick ? [1, 1000] : [1, 100, 1000, 10_000];

    /// <summary>Numbers of remotes.</summary>
    public IReadOnlyList<int> Remotes => IsQuick ? [1, 100] : [1, 10, 100, 1000];

    /// <summary>Numbers of segments.</summary>
    public IReadOnlyList<int> Segments => IsQuick ? [1, 100] : [1, 100, 1000];

    /// <summary>Stations for the FDB.</summary>
    public int Stations => IsQuick ? 100_000 : 1_000_000;

    /// <summary>True if a workload is asked for.</summary>
    public bool Has(string workload) => Workloads.Contains(workload);

    /// <summary>What is done to a running system in its turn.</summary>
    /// <param name="contender">Which.</param>
    /// <param name="mtu">On which underlay.</param>
    /// <param name="round">From 1.</param>
    public IReadOnlyList<Workload> TurnOf(Contender contender, int mtu, int round)
    {
        // Quick: the large MTU is one glance, and only at who is compared.
        if (IsQuick && mtu != Mtus[0]) return round == 1 && IsCompared(contender) && Has("tcp") ? [new TcpWorkload(1, isReverse: false, Seconds)] : [];
        var turn = new List<Workload>();
        if (Has("tcp"))
        {
            turn.Add(new TcpWorkload(1, isReverse: false, Seconds));
            turn.Add(new TcpWorkload(4, isReverse: true, Seconds));
            if (!IsQuick) turn.AddRange([new TcpWorkload(1, isReverse: true, Seconds), new TcpWorkload(4, isReverse: false, Seconds)]);
        }

        if (Has("udp")) turn.Add(new UdpWorkload(64, Seconds));
        if (Has("udp") && (!IsQuick || round == 1)) turn.Add(new UdpWorkload(1400, Seconds));
        if (Has("latency")) turn.Add(new LatencyWorkload(Seconds));
        if (Has("flows") && mtu == Mtus[0] && (!IsQuick || (round == 1 && IsCompared(contender))))
            turn.AddRange(Flows.Select(flows => new FlowsWorkload(flows, Seconds)));
        return turn;
    }

    /// <summary>True if a system has a turn.</summary>
    public bool HasTurn(Contender contender, int mtu, int round) => TurnOf(contender, mtu, round).Count > 0 || (Has("setup") && !(IsQuick && mtu != Mtus[0]));

    /// <summary>Systems for which a VTEP of its own is scaled: the two that have replication lists and segments in our sense.</summary>
    public IEnumerable<Contender> Scaled => Contenders.Where(IsCompared);

    /// <summary>Rounds of what scales a single VTEP: memory does not vary as rates do.</summary>
    public int ScaleRounds(string workload) => IsQuick ? 1 : workload == "remotes" ? Rounds : Math.Min(Rounds, 3);

    /// <summary>How long the run will take, about.</summary>
    public TimeSpan Estimate
    {
        get
        {
            double seconds = 2;
            foreach (var mtu in Mtus)
            {
                for (var round = 1; round <= Rounds; round++)
                    seconds += Contenders.Where(contender => HasTurn(contender, mtu, round))
                        .Sum(contender => SetUpSeconds + TurnOf(contender, mtu, round).Sum(static workload => workload.EstimatedSeconds));
            }

            var scaled = Scaled.Count();
            if (Has("remotes")) seconds += scaled * ScaleRounds("remotes") * Remotes.Count * (Seconds + 1.8);
            if (Has("segments")) seconds += scaled * ScaleRounds("segments") * Segments.Sum(static count => 1.5 + (count / 80.0));
            if (Has("fdb")) seconds += scaled * ScaleRounds("fdb") * (3 + (Stations / 30_000.0));
            if (Has("steady") && Contenders.Any(static contender => contender.Name == "sleeve")) seconds += (2 * SteadySeconds) + 10;
            return TimeSpan.FromSeconds(seconds);
        }
    }

    private static bool IsCompared(Contender contender) => contender.Name is Contender.Baseline or "sleeve";
}
