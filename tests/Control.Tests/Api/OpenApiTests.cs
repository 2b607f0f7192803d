using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.OpenApi;
using Sleeve.Control.Api;
using Sleeve.Control.Tests.Up;

namespace Sleeve.Control.Tests.Api;

/// <summary>The OpenAPI document is valid and has every route in it.</summary>
public sealed partial class OpenApiTests
{
    // The page is for people, and the document is what describes.
    private static readonly string[] NotDescribed = ["GET /", "GET /openapi/{documentName}.json"];

    [GeneratedRegex("\\.Map(?<verb>Get|Put|Post|Delete|Patch|OpenApi)\\(\\s*\"(?<path>/[^\"]*)\"")]
    private static partial Regex Mapping { get; }

    [SkippableFact]
    public async Task Every_route_is_described_with_what_it_answers_and_its_problems()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        using var api = new ApiCaller(up.Socket);
        var text = (await api.ExpectAsync(200, "GET openapi/v1.json")).Text;
        var (document, diagnostic) = OpenApiDocument.Parse(text, "json");
        Assert.Empty(diagnostic!.Errors);
        Assert.Empty(diagnostic.Warnings);
        var operations = document!.Paths.SelectMany(path => path.Value.Operations!.Select(operation => (Name: $"{operation.Key.Method} {path.Key}", Operation: operation.Value))).ToArray();
        Assert.Equal(RoutesInSource().Order(StringComparer.Ordinal), operations.Select(operation => operation.Name).Order(StringComparer.Ordinal));
        Assert.Equal(operations.Length, operations.Select(operation => operation.Operation.OperationId).Distinct().Count());
        foreach (var (name, operation) in operations)
        {
            Assert.True(operation.Summary?.Length > 5, $"{name}: say what it is for: .Describe(id, summary)");
            Assert.True(operation.Responses!.Keys.Any(status => status.StartsWith('2')), $"{name}: say what it answers: .Answers<T>() or .AnswersNothing()");
            var success = operation.Responses.First(response => response.Key.StartsWith('2'));
            Assert.True(success.Key == "204" || success.Value.Content?.Values.All(content => content.Schema is not null) == true, $"{name}: {success.Key} says nothing of its body");
            foreach (var (status, response) in operation.Responses.Where(response => !response.Key.StartsWith('2')))
                Assert.True(response.Content?.ContainsKey(Problem.MediaType) == true, $"{name}: {status} is no problem");
            Assert.Contains("default", operation.Responses.Keys);
            if (name.Contains("{dev}/", StringComparison.Ordinal)) Assert.Contains("404", operation.Responses.Keys);
            if (!name.StartsWith("GET ", StringComparison.Ordinal) && name != "POST /v1/explain") Assert.True(operation.Responses.ContainsKey("403"), $"{name}: is refused on a read-only socket: 403");
        }
    }

    [SkippableFact]
    public async Task Schemas_have_the_names_that_are_sent()
    {
        using var up = UpNetwork.CreateOrSkip();
        using var vtep = RunningVtep.Start(up.Network, up.Words("vx0"));
        using var api = new ApiCaller(up.Socket);
        var schemas = (await api.ExpectAsync(200, "GET openapi/v1.json")).Json["components"]!["schemas"]!;
        var stats = (await api.ExpectAsync(200, "GET v1/stats")).Json.AsObject();
        AssertDescribes(schemas, "VtepStats", stats);
        AssertDescribes(schemas, "SegmentStats", stats["segments"]![0]!.AsObject());
        AssertDescribes(schemas, "Worker", stats["workers"]![0]!.AsObject());
        AssertDescribes(schemas, "Problem", (await api.ExpectAsync(404, "GET v1/nothing")).Json.AsObject());
    }

    [Fact]
    public void Every_problem_type_is_in_the_documentation()
    {
        var page = File.ReadAllText(Path.Combine(Root(), "docs/api.md"));
        Assert.All(Problem.Types, type => Assert.Contains($"`{type}`", page, StringComparison.Ordinal));
    }

    private static void AssertDescribes(JsonNode schemas, string name, JsonObject sent)
    {
        var properties = schemas[name]!["properties"]!.AsObject();
        Assert.All(sent, field => Assert.True(properties.ContainsKey(field.Key), $"{name} lacks {field.Key}"));
        Assert.All(schemas[name]!["required"]?.AsArray() ?? [], field => Assert.True(sent.ContainsKey((string)field!), $"{name} does not always have {field}"));
        Assert.All(properties, property => Assert.False(string.IsNullOrEmpty((string?)property.Value!["description"]) && property.Value["$ref"] is null, $"{name}.{property.Key} says nothing"));
    }

    private static IEnumerable<string> RoutesInSource() =>
        from file in Directory.EnumerateFiles(Path.Combine(Root(), "src/Control"), "*.cs", SearchOption.AllDirectories)
        where !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/Web/", StringComparison.Ordinal)
        from Match match in Mapping.Matches(File.ReadAllText(file))
        let verb = match.Groups["verb"].Value == "OpenApi" ? "GET" : match.Groups["verb"].Value.ToUpperInvariant()
        let name = $"{verb} {match.Groups["path"].Value}"
        where !NotDescribed.Contains(name)
        select name;

    private static string Root()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Sleeve.slnx"))) folder = Path.GetDirectoryName(folder)!;
        return folder;
    }
}
