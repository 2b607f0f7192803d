using System.Text.Json.Serialization;
using Sleeve.Bench.EndToEnd.Measure;
using Sleeve.Bench.EndToEnd.Workloads;

namespace Sleeve.Bench.EndToEnd;

/// <summary>Everything that a run found out; what reports are made of.</summary>
/// <param name="Started">When, in UTC.</param>
/// <param name="DurationSeconds">How long it took.</param>
/// <param name="Rounds">How often each system had its turn.</param>
/// <param name="Seconds">Of each measurement.</param>
/// <param name="Quick">True for a run with <c>--quick</c>.</param>
/// <param name="Machine">Where and with what.</param>
/// <param name="Systems">Names of the systems, in the order of their turns.</param>
/// <param name="Details">What systems say about how they work, by name.</param>
/// <param name="Samples">Every measured value.</param>
/// <param name="Failures">Every measurement without a result; a system that could not be set up has one of workload "setup".</param>
/// <param name="Steady">The garbage collector during the steady run.</param>
internal sealed record RunResult(
    DateTime Started,
    double DurationSeconds,
    int Rounds,
    int Seconds,
    bool Quick,
    MachineInfo Machine,
    IReadOnlyList<string> Systems,
    IReadOnlyDictionary<string, string> Details,
    IReadOnlyList<Sample> Samples,
    IReadOnlyList<Failure> Failures,
    IReadOnlyList<SteadyResult> Steady);

/// <summary>A run as JSON, without reflection.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true)]
[JsonSerializable(typeof(RunResult))]
internal sealed partial class BenchJson : JsonSerializerContext;
