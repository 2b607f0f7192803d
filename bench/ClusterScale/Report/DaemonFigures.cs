namespace Sleeve.Bench.ClusterScale.Report;

/// <summary>What a cluster of real daemons on one machine gave. Seconds, but where it says otherwise; memory in MiB.</summary>
internal sealed record DaemonFigures
{
    /// <summary>Daemons.</summary>
    public required int Daemons { get; init; }

    /// <summary>Networks, each of some of the hosts.</summary>
    public required int Networks { get; init; }

    /// <summary>Endpoints of all.</summary>
    public int Endpoints { get; set; }

    /// <summary>From the first start until all are ready, four at a time.</summary>
    public double Started { get; set; }

    /// <summary>From the first sleeve join until every daemon knows every other, four at a time.</summary>
    public double Joined { get; set; }

    /// <summary>A sleeve join, median, milliseconds: program, TLS, certificate, copy of the store.</summary>
    public double Join { get; set; }

    /// <summary>A sleeve attach, median, milliseconds, four at a time.</summary>
    public double Attach { get; set; }

    /// <summary>All of them.</summary>
    public double Attached { get; set; }

    /// <summary>From the answer to the last of them until no table lacks an entry; 0 if none did when it was looked.</summary>
    public double Complete { get; set; }

    /// <summary>FDB entries of all daemons together.</summary>
    public int Entries { get; set; }

    /// <summary>Whether an audit of all hosts found no difference.</summary>
    public bool IsAuditClean { get; set; }

    /// <summary>Hosts that have the network of which one endpoint comes.</summary>
    public int Hosts { get; set; }

    /// <summary>From sleeve attach to its entry on the first and on the last of them; medians, milliseconds, the start of the command included.</summary>
    public double FirstHost { get; set; }

    /// <inheritdoc cref="FirstHost"/>
    public double LastHost { get; set; }

    /// <summary>The longest of the last.</summary>
    public double LastHostMax { get; set; }

    /// <summary>From the first host's entry to the last's: how far apart they are. Median, milliseconds.</summary>
    public double Apart { get; set; }

    /// <summary>Resident memory of a member, median and largest; its share of pages that it has with others counted in part.</summary>
    public double Rss { get; set; }

    /// <inheritdoc cref="Rss"/>
    public double RssMax { get; set; }

    /// <inheritdoc cref="Rss"/>
    public double Pss { get; set; }

    /// <summary>Resident memory of the daemon that serves the store.</summary>
    public double ServingRss { get; set; }

    /// <summary>CPU of a member at rest, median and largest, percent of a core.</summary>
    public double Cpu { get; set; }

    /// <inheritdoc cref="Cpu"/>
    public double CpuMax { get; set; }

    /// <summary>CPU of the daemon that serves the store, at rest, percent of a core.</summary>
    public double ServingCpu { get; set; }
}
