using Sleeve.Bench.EndToEnd.Measure;

namespace Sleeve.Bench.EndToEnd.Workloads;

/// <summary>A measurement that has no result.</summary>
/// <param name="System">Name of the contender.</param>
/// <param name="Mtu">MTU of the underlay.</param>
/// <param name="Workload">What was measured.</param>
/// <param name="Round">From 1.</param>
/// <param name="Message">Why.</param>
internal sealed record Failure(string System, int Mtu, string Workload, int Round, string Message);

/// <summary>Takes what one system gives in one round.</summary>
/// <param name="system">Name of the contender.</param>
/// <param name="mtu">MTU of the underlay.</param>
/// <param name="round">From 1.</param>
internal sealed class Recorder(string system, int mtu, int round)
{
    /// <summary>The measured values.</summary>
    public List<Sample> Samples { get; } = [];

    /// <summary>Takes a value.</summary>
    public void Add(string metric, double value, int parameter = 0) => Samples.Add(new Sample(system, mtu, metric, parameter, round, value));

    /// <summary>A failure of this system in this round.</summary>
    public Failure Fail(string workload, string message) => new(system, mtu, workload, round, message);
}
