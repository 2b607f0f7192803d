using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;

namespace Sleeve.Control.Api;

/// <summary>What no route answers: requests that cannot be read, that nobody serves, and our own bugs. All become problem details.</summary>
internal static class ApiErrors
{
    /// <summary>Adds it to the server, before whatever may fail.</summary>
    /// <param name="application">The server.</param>
    /// <param name="maxBodyBytes">What a body may have where a route says nothing else.</param>
    public static void Use(WebApplication application, long maxBodyBytes)
    {
        application.UseExceptionHandler(static failed => failed.Run(static async context =>
        {
            var failure = context.Features.Get<IExceptionHandlerFeature>()?.Error;
            if (failure is BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge }) context.Response.Headers.Connection = "close";
            var (status, type, detail) = failure switch
            {
                BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } large => (large.StatusCode, "too-large", large.Message),
                BadHttpRequestException bad => (bad.StatusCode, "bad-request", bad.InnerException is JsonException json ? json.Message : bad.Message),
                _ => (StatusCodes.Status500InternalServerError, "internal", failure?.Message),
            };
            context.Response.StatusCode = status;
            await WriteAsync(context, new ProblemJson(status < 500 ? "Invalid argument" : "Internal error", status, detail) { Type = Problem.TypePrefix + type });
        }));
        application.UseStatusCodePages(pages =>
        {
            var (request, status) = (pages.HttpContext.Request, pages.HttpContext.Response.StatusCode);
            var (type, title, detail) = status switch
            {
                StatusCodes.Status404NotFound => ("no-resource", "Not found", $"{request.Path}: there is nothing here"),
                StatusCodes.Status405MethodNotAllowed => ("no-resource", "Method not allowed", $"{request.Method}: must be {pages.HttpContext.Response.Headers.Allow}"),
                StatusCodes.Status413PayloadTooLarge => ("too-large", "Invalid argument", $"the body must be at most {LimitOf(pages.HttpContext, maxBodyBytes)} bytes"),
                StatusCodes.Status415UnsupportedMediaType => ("bad-request", "Invalid argument", "Content-Type: must be application/json"),
                _ => ("bad-request", "Invalid argument", (string?)null),
            };
            return WriteAsync(pages.HttpContext, new ProblemJson(title, status, detail) { Type = Problem.TypePrefix + type });
        });
    }

    private static long LimitOf(HttpContext context, long usual) =>
        context.GetEndpoint()?.Metadata.GetMetadata<Microsoft.AspNetCore.Http.Metadata.IRequestSizeLimitMetadata>()?.MaxRequestBodySize ?? usual;

    private static Task WriteAsync(HttpContext context, ProblemJson problem) => HttpMethods.IsHead(context.Request.Method)
        ? Task.CompletedTask
        : context.Response.WriteAsJsonAsync(problem, ApiJson.Default.ProblemJson, Problem.MediaType);
}
