using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sleeve.Bench.ClusterScale.Report;

/// <summary>All that one run of the bench gave.</summary>
/// <param name="Machine">Where, in a line.</param>
/// <param name="Commit">Of the repository; with "+" if files were changed since.</param>
/// <param name="Busy">Share of the CPU, 0 to 1, that something else used just before.</param>
/// <param name="Day">When.</param>
internal sealed record ScaleRun(string Machine, string Commit, double Busy, DateOnly Day)
{
    /// <summary>Simulated clusters.</summary>
    public List<SimulatedFigures> Simulated { get; init; } = [];

    /// <summary>Real daemons; null if they were left out.</summary>
    public DaemonFigures? Daemons { get; set; }

    /// <summary>What could not be measured, and why.</summary>
    public List<string> Failures { get; init; } = [];

    /// <summary>As JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, ScaleJson.Default.ScaleRun);
}

/// <summary>How a run is written.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals)]
[JsonSerializable(typeof(ScaleRun))]
internal sealed partial class ScaleJson : JsonSerializerContext;
