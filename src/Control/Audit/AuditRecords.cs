using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sleeve.Control.Audit;

/// <summary>An audit that somebody asked for (key <c>audits/ID</c>, under a lease).</summary>
/// <param name="By">The host that asks.</param>
/// <param name="Revision">Every host is to have seen the store up to here before it looks.</param>
internal sealed record AuditRequest(string By, long Revision);

/// <summary>What a host found (key <c>hosts/HOST/audits/ID</c>, under a lease).</summary>
/// <param name="Host">The host.</param>
/// <param name="Revision">Of the store that it compared itself with.</param>
/// <param name="Networks">Networks it has.</param>
/// <param name="Endpoints">Endpoints it has.</param>
/// <param name="Differences">What is not as it should be; at most <see cref="Auditor.MaxDifferences"/>.</param>
/// <param name="More">Further ones that did not fit.</param>
internal sealed record AuditReport(string Host, long Revision, int Networks, int Endpoints, IReadOnlyList<Difference> Differences, int More);

/// <summary>The outcome of an audit.</summary>
/// <param name="Reports">What the hosts found, in the order of their names; the first is of the store itself.</param>
/// <param name="Silent">Hosts that are alive as far as the store knows and did not answer.</param>
/// <param name="Dead">Hosts that give no sign of life: nobody could ask them.</param>
internal sealed record AuditOutcome(IReadOnlyList<AuditReport> Reports, IReadOnlyList<string> Silent, IReadOnlyList<string> Dead)
{
    /// <summary>Differences of all, those that did not fit too.</summary>
    public int Differences => Reports.Sum(static report => report.Differences.Count + report.More);
}

/// <summary>Source-generated JSON of what goes through the store.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, MaxDepth = 8)]
[JsonSerializable(typeof(AuditRequest))]
[JsonSerializable(typeof(AuditReport))]
internal sealed partial class AuditJson : JsonSerializerContext
{
    /// <summary>Reads what a host wrote; null if it is not what it says.</summary>
    public static AuditReport? ReadReport(string text, string host)
    {
        try
        {
            var report = JsonSerializer.Deserialize(text, Default.AuditReport);
            return report is { Differences: not null } && report.Host == host && report.Differences.All(static each => each is { Where: not null, What: not null, Is: not null }) ? report : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Reads a request; null if it is none.</summary>
    public static AuditRequest? ReadRequest(string text)
    {
        try
        {
            return JsonSerializer.Deserialize(text, Default.AuditRequest);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
