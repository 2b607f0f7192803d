using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Sleeve.Control.Audit;

namespace Sleeve.Control.Api;

/// <summary>What an audit found.</summary>
/// <param name="Differences">How many; 0 if all agree.</param>
/// <param name="Reports">By host; the first is of the store itself.</param>
/// <param name="Silent">Hosts that are alive and did not answer in time.</param>
/// <param name="Dead">Hosts that give no sign of life.</param>
internal sealed record AuditOutcomeJson(int Differences, IReadOnlyList<AuditHostJson> Reports, IReadOnlyList<string> Silent, IReadOnlyList<string> Dead);

/// <summary>What one host found.</summary>
/// <param name="Host">The host; "store" for the store itself.</param>
/// <param name="Revision">Of the store, when it looked.</param>
/// <param name="Networks">Networks it has.</param>
/// <param name="Endpoints">Endpoints it has.</param>
/// <param name="Differences">What is not as it should be.</param>
/// <param name="More">Further ones that are not listed.</param>
internal sealed record AuditHostJson(string Host, long Revision, int Networks, int Endpoints, IReadOnlyList<AuditDifferenceJson> Differences, int More);

/// <summary>One difference.</summary>
/// <param name="Where">The host that found it.</param>
/// <param name="What">The thing.</param>
/// <param name="Is">What is wrong with it.</param>
internal sealed record AuditDifferenceJson(string Where, string What, string Is);

/// <summary>Compares all hosts with the store: <c>POST /v1/audit</c>.</summary>
internal static class AuditRoutes
{
    private const int MaxWait = 60;
    private const int DefaultWait = 10;

    /// <summary>Adds the route.</summary>
    public static void Map(IEndpointRouteBuilder routes, VtepState state) =>
        routes.MapPost("/v1/audit", (int? wait, CancellationToken cancellation) => StoreAnswers.TryAsync(async () =>
        {
            if (state.Cluster?.Auditor is not { } auditor) return Problem.NoCluster("audit");
            if (wait is < 1 or > MaxWait) return Problem.BadValue("wait", $"{wait}", $"1 to {MaxWait} (seconds)");
            return Results.Json(Show(await auditor.AskAsync(TimeSpan.FromSeconds(wait ?? DefaultWait), cancellation)), ApiJson.Default.AuditOutcomeJson);
        })).Describe("audit", "Compare all hosts with the store", "Every host compares its copy of the store, its segments and its endpoints; the store is compared with itself. wait is in seconds.")
            .Answers<AuditOutcomeJson>(400, 403, 409, 422, 503);

    private static AuditOutcomeJson Show(AuditOutcome outcome) => new(
        outcome.Differences,
        [.. outcome.Reports.Select(static report => new AuditHostJson(
            report.Host, report.Revision, report.Networks, report.Endpoints, [.. report.Differences.Select(static each => new AuditDifferenceJson(each.Where, each.What, each.Is))], report.More))],
        outcome.Silent,
        outcome.Dead);
}
