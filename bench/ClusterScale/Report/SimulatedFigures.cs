namespace Sleeve.Bench.ClusterScale.Report;

/// <summary>What one simulated cluster gave. Times in milliseconds, memory in MiB, CPU in milliseconds unless it says otherwise.</summary>
internal sealed record SimulatedFigures
{
    /// <summary>"embedded" or "etcd".</summary>
    public required string Store { get; init; }

    /// <summary>Hosts.</summary>
    public required int Peers { get; init; }

    /// <summary>Endpoints.</summary>
    public required int Endpoints { get; init; }

    /// <summary>Networks.</summary>
    public required int Networks { get; init; }

    /// <summary>Watches that were really open.</summary>
    public required int Watchers { get; init; }

    /// <summary>Keys in the store.</summary>
    public int Keys { get; set; }

    /// <summary>Keys written a second while it was filled.</summary>
    public double FillRate { get; set; }

    /// <summary>Size of the store's file.</summary>
    public double Disk { get; set; }

    /// <summary>Resident memory of the store, without watches and with them.</summary>
    public double StoreRss { get; set; }

    /// <inheritdoc cref="StoreRss"/>
    public double StoreRssWatched { get; set; }

    /// <summary>From nothing until all tables of the observing host are programmed.</summary>
    public double Cold { get; set; }

    /// <summary>Of that: reading the store, making the view, programming.</summary>
    public double ColdRange { get; set; }

    /// <inheritdoc cref="ColdRange"/>
    public double ColdView { get; set; }

    /// <inheritdoc cref="ColdRange"/>
    public double ColdProgram { get; set; }

    /// <summary>CPU of the host for it.</summary>
    public double ColdCpu { get; set; }

    /// <summary>CPU of the store for it.</summary>
    public double ColdStoreCpu { get; set; }

    /// <summary>MiB on the wire for it.</summary>
    public double ColdBytes { get; set; }

    /// <summary>Requests for it; null where the store does not count.</summary>
    public double? ColdRequests { get; set; }

    /// <summary>Entries that the host's view has, and those of its FDBs.</summary>
    public double Entries { get; set; }

    /// <inheritdoc cref="Entries"/>
    public double Fdb { get; set; }

    /// <summary>Memory of the host: resident, its peak while it started, alive on the heap.</summary>
    public double HostRss { get; set; }

    /// <inheritdoc cref="HostRss"/>
    public double HostPeak { get; set; }

    /// <inheritdoc cref="HostRss"/>
    public double HostHeap { get; set; }

    /// <summary>A change of a network that the host has.</summary>
    public ChangeFigures Near { get; set; } = new();

    /// <summary>A change of a network that it has not; nothing if it has all.</summary>
    public ChangeFigures? Far { get; set; }

    /// <summary>Changes a second that reached everybody, many at a time.</summary>
    public double BurstRate { get; set; }

    /// <summary>CPU of the store for a sign of life, microseconds.</summary>
    public double KeepAliveCpu { get; set; }

    /// <summary>CPU of a look at every entry of the host's tables, and what it allocates (MiB).</summary>
    public double MendCpu { get; set; }

    /// <inheritdoc cref="MendCpu"/>
    public double MendAllocated { get; set; }

    /// <summary>CPU of making the names of the host's networks anew.</summary>
    public double NamesCpu { get; set; }
}

/// <summary>What one change costs.</summary>
internal sealed record ChangeFigures
{
    /// <summary>The store's answer to who made it: median.</summary>
    public double Commit { get; init; }

    /// <summary>From before the commit until it stands in the observing host's table, or in its copy: median and 99th percentile.</summary>
    public double Programmed { get; init; }

    /// <inheritdoc cref="Programmed"/>
    public double Programmed99 { get; init; }

    /// <summary>Until the last watch has it: median and 99th percentile.</summary>
    public double Everybody { get; init; }

    /// <inheritdoc cref="Everybody"/>
    public double Everybody99 { get; init; }

    /// <summary>Lines to each watch.</summary>
    public double Lines { get; init; }

    /// <summary>Bytes of lines to each watch, and on the wire.</summary>
    public double Bytes { get; init; }

    /// <inheritdoc cref="Bytes"/>
    public double WireBytes { get; init; }

    /// <summary>CPU of the store, all watches together.</summary>
    public double StoreCpu { get; init; }

    /// <summary>CPU of the observing host.</summary>
    public double HostCpu { get; init; }

    /// <summary>KiB that the observing host allocates.</summary>
    public double HostAllocated { get; init; }
}
