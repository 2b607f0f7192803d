using Sleeve.Bench.EndToEnd.Systems;

namespace Sleeve.Bench.EndToEnd.Workloads;

/// <summary>Something that is done to every running system in its turn.</summary>
internal abstract class Workload
{
    /// <summary>As <c>--workload</c> takes it.</summary>
    public abstract string Name { get; }

    /// <summary>Seconds that it takes for one system and round, about.</summary>
    public abstract double EstimatedSeconds { get; }

    /// <summary>Measures.</summary>
    /// <exception cref="Rig.BenchFailure">There is no result.</exception>
    public abstract void Run(Pair pair, Recorder recorder);
}
