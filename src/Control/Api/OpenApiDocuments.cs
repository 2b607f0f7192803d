using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.OpenApi;

namespace Sleeve.Control.Api;

/// <summary>The OpenAPI document, made out of the routes that are served: <c>GET /openapi/v1.json</c>. A route describes itself where it is mapped.</summary>
internal static class OpenApiDocuments
{
    /// <summary>Where it is.</summary>
    public const string Path = "/openapi/v1.json";

    private const string Name = "v1";
    private const string TypeSuffix = "Json";
    private const string AnyOther = "default";

    /// <summary>Adds what makes it.</summary>
    public static void AddTo(IServiceCollection services) => services.AddOpenApi(Name, static options =>
    {
        options.OpenApiVersion = OpenApiSpecVersion.OpenApi3_1;
        options.CreateSchemaReferenceId = static type =>
            OpenApiOptions.CreateDefaultSchemaReferenceId(type) is { } id ? id.EndsWith(TypeSuffix, StringComparison.Ordinal) ? id[..^TypeSuffix.Length] : id : null;
        options.AddSchemaTransformer(static (schema, _, _) =>
        {
            // What may be null is left out instead.
            foreach (var (name, property) in schema.Properties ?? new Dictionary<string, IOpenApiSchema>())
                if (property.Type?.HasFlag(JsonSchemaType.Null) == true) schema.Required?.Remove(name);
            return Task.CompletedTask;
        });
        options.AddDocumentTransformer(static (document, _, _) =>
        {
            Finish(document);
            return Task.CompletedTask;
        });
    });

    /// <summary>Adds the route.</summary>
    public static void Map(IEndpointRouteBuilder routes) => routes.MapOpenApi("/openapi/{documentName}.json");

    private static void Finish(OpenApiDocument document)
    {
        document.Info = new OpenApiInfo
        {
            Title = "Sleeve",
            Version = typeof(OpenApiDocuments).Assembly.GetName().Version?.ToString(3) ?? "0",
            Description = "A running VXLAN tunnel end point. Errors are problem details (RFC 9457); PUT and DELETE are idempotent.",
        };
        // A unix socket has no address that could stand here.
        document.Servers = [new OpenApiServer { Url = "/" }];
        document.Tags = new HashSet<OpenApiTag>();
        foreach (var (path, item) in document.Paths)
        {
            var tag = TagOf(path);
            if (document.Tags.All(known => known.Name != tag)) document.Tags.Add(new OpenApiTag { Name = tag });
            foreach (var operation in item.Operations!.Values)
            {
                operation.Tags = new HashSet<OpenApiTagReference> { new(tag, document) };
                operation.Responses ??= [];
                operation.Responses.TryAdd(AnyOther, new OpenApiResponse
                {
                    Description = "What went wrong",
                    Content = new Dictionary<string, OpenApiMediaType> { [Problem.MediaType] = new OpenApiMediaType { Schema = new OpenApiSchemaReference(nameof(Problem), document) } },
                });
            }
        }
    }

    // /v1/segments/{dev}/fdb/{mac} is about fdb.
    private static string TagOf(string path)
    {
        var words = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        return words is [_, "segments", "{dev}", var resource, ..] ? resource : words.Length > 1 ? words[1] : words[0];
    }

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
    public static RouteHandlerBuilder AnswersNothing(this RouteHandlerBuilder route, params ReadOnlySpan<int> problems) =>
        route.Produces(StatusCodes.Status204NoContent).AnswersProblems(problems);

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
