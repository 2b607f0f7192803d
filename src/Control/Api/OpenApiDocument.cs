using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.OpenApi;

namespace Sleeve.Control.Api;

/// <summary>The OpenAPI document, made out of the routes that are served: <c>GET /openapi/v1.json</c>. A route describes itself where it is mapped.</summary>
internal static class OpenApiDocument
{
    /// <summary>Where it is.</summary>
    public const string Path = "/openapi/v1.json";

    /// <summary>Adds what makes it.</summary>
    public static void AddTo(IServiceCollection services) => services.AddOpenApi("v1", static options =>
    {
        options.OpenApiVersion = OpenApiSpecVersion.OpenApi3_1;
        options.AddDocumentTransformer(static (document, _, _) =>
        {
            document.Info = new OpenApiInfo
            {
                Title = "Sleeve",
                Version = typeof(OpenApiDocument).Assembly.GetName().Version?.ToString(3) ?? "0",
                Description = "A running VXLAN tunnel end point. Errors are problem details (RFC 9457); PUT and DELETE are idempotent.",
            };
            // A unix socket has no address that could stand here.
            document.Servers = [new OpenApiServer { Url = "/" }];
            return Task.CompletedTask;
        });
    });

    /// <summary>Adds the route.</summary>
    public static void Map(IEndpointRouteBuilder routes) => routes.MapOpenApi("/openapi/{documentName}.json");

    /// <summary>Says what a route is for.</summary>
    /// <param name="route">The route.</param>
    /// <param name="id">Its name for programs that are generated: operationId, unique.</param>
    /// <param name="summary">What it does, in a line.</param>
    /// <param name="description">What else there is to say.</param>
    /// <returns>The route; what it answers when all is well follows: <see cref="Answers"/>, <see cref="AnswersNothing"/> or <see cref="Streams"/>.</returns>
    public static RouteHandlerBuilder Describe(this RouteHandlerBuilder route, string id, string summary, string? description = null)
    {
        route.WithName(id).WithSummary(summary);
        return description is null ? route : route.WithDescription(description);
    }

    /// <summary>It answers JSON, or one of these problems.</summary>
    public static RouteHandlerBuilder Answers<T>(this RouteHandlerBuilder route, params ReadOnlySpan<int> problems) => route.Produces<T>().AnswersProblems(problems);

    /// <summary>It answers nothing (204), or one of these problems.</summary>
    public static RouteHandlerBuilder AnswersNothing(this RouteHandlerBuilder route, params ReadOnlySpan<int> problems) => route.Produces(StatusCodes.Status204NoContent).AnswersProblems(problems);

    /// <summary>It answers bytes of a media type until either side ends it, or one of these problems.</summary>
    public static RouteHandlerBuilder Streams(this RouteHandlerBuilder route, string mediaType, params ReadOnlySpan<int> problems) =>
        route.Produces<string>(StatusCodes.Status200OK, mediaType).AnswersProblems(problems);

    /// <summary>It answers one of these problems.</summary>
    public static RouteHandlerBuilder AnswersProblems(this RouteHandlerBuilder route, params ReadOnlySpan<int> problems)
    {
        foreach (var status in problems) route.Produces<ProblemJson>(status, Problem.MediaType);
        return route;
    }
}
