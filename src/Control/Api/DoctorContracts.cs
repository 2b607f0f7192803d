namespace Sleeve.Control.Api;

/// <summary>What a running VTEP says of itself besides its statistics; for <c>sleeve doctor</c>.</summary>
/// <param name="Pid">Process id.</param>
/// <param name="NetworkNamespace">The namespace of its UDP sockets, as /proc/PID/ns/net has it.</param>
/// <param name="Dev">The interface that everything is sent by; left out where the route decides.</param>
/// <param name="Workers">Whether each worker moves.</param>
/// <param name="Strangers">Senders that were turned away since the start, at most 64.</param>
/// <param name="UptimeSeconds">Seconds since the process started, by the clock that never jumps.</param>
/// <param name="ClockStepSeconds">How far the wall clock was set since then.</param>
/// <param name="Echo">Whether echo requests are answered.</param>
/// <param name="EchoAnswered">How many were.</param>
/// <param name="EchoRefused">How many were not: of others than known VTEPs, beyond the limit, or because echo is off.</param>
internal sealed record VtepDetailsJson(
    int Pid,
    string NetworkNamespace,
    string? Dev,
    IReadOnlyList<WorkerStateJson> Workers,
    IReadOnlyList<StrangerJson> Strangers,
    double UptimeSeconds,
    double ClockStepSeconds,
    bool Echo = true,
    long EchoAnswered = 0,
    long EchoRefused = 0)
{
    /// <summary>The cluster that it is in; left out by one that is in none (<c>sleeve up</c>).</summary>
    public ClusterStateJson? Cluster { get; init; }
}

/// <summary>How a daemon stands to its cluster.</summary>
/// <param name="Host">Name of this host there.</param>
/// <param name="StoreFault">Why the store is not followed; left out while it is.</param>
/// <param name="CertificateEnds">Until when this host may go in and out; left out where it has no certificate.</param>
/// <param name="SilentNames">Networks whose names are not served here, and why.</param>
internal sealed record ClusterStateJson(string Host, string? StoreFault, DateTimeOffset? CertificateEnds, IReadOnlyList<SilentNamesJson> SilentNames);

/// <summary>A network on this host whose names are not served.</summary>
/// <param name="Network">Its name.</param>
/// <param name="Error">Why.</param>
internal sealed record SilentNamesJson(string Network, string Error);

/// <summary>Whether a worker moves.</summary>
/// <param name="Worker">Its number.</param>
/// <param name="Moves">Whether it answered a wake-up within half a second.</param>
internal sealed record WorkerStateJson(int Worker, bool Moves);

/// <summary>A sender that was turned away.</summary>
/// <param name="Ifname">The TAP of the segment that it sent to.</param>
/// <param name="Dst">Its address.</param>
internal sealed record StrangerJson(string Ifname, string Dst);

/// <summary>What <c>sleeve doctor</c> found.</summary>
/// <param name="Verdict">The worst level of all: "ok", "warning" or "error".</param>
/// <param name="Findings">One after the other.</param>
internal sealed record DoctorReportJson(string Verdict, IReadOnlyList<FindingJson> Findings)
{
    /// <summary>The numbers of the test of a path; left out where none was asked for.</summary>
    public PathResultJson? Path { get; init; }
}

/// <summary>One finding.</summary>
/// <param name="Check">Which check, such as "firewall"; docs/doctor.md lists them.</param>
/// <param name="Level">"ok", "skipped", "warning" or "error".</param>
/// <param name="Subject">What it is about; left out for the host as a whole.</param>
/// <param name="Text">What is the matter.</param>
/// <param name="Advice">What to do about it; left out if there is nothing to be done.</param>
internal sealed record FindingJson(string Check, string Level, string? Subject, string Text, string? Advice);
