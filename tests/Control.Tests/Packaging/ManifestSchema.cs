using System.Globalization;
using System.Text.Json;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Sleeve.Control.Tests.Packaging;

/// <summary>
/// Judges objects of Kubernetes by the schema beside this file, as the API server does with <c>fieldValidation=Strict</c>: what of JSON Schema stands in it (type, const, required, properties, additionalProperties,
/// items, anyOf and references), and nothing else. No library that knows more of it restores from the package source.
/// </summary>
internal sealed class ManifestSchema : IDisposable
{
    private readonly JsonDocument _document = JsonDocument.Parse(File.ReadAllText(Path.Combine(Root(), "tests/Control.Tests/Packaging/kubernetes-schema.json")));

    /// <summary>The top of the repository.</summary>
    public static string Root()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Sleeve.slnx"))) folder = Path.GetDirectoryName(folder) ?? throw new DirectoryNotFoundException("Sleeve.slnx is above none of the folders");
        return folder;
    }

    /// <summary>The objects of a manifest.</summary>
    public static IReadOnlyList<YamlNode> Read(string text)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(text));
        return [.. stream.Documents.Select(static document => document.RootNode)];
    }

    /// <summary>What is wrong with an object, each with its path; nothing if it is as it should be.</summary>
    public IReadOnlyList<string> Judge(YamlNode node)
    {
        var kind = Text(node, "kind");
        if (kind is null || !_document.RootElement.GetProperty("definitions").TryGetProperty(kind, out var schema)) return [$"kind: {kind ?? "nothing"} is not in the schema"];
        var faults = new List<string>();
        Judge(node, schema, kind, faults);
        return faults;
    }

    /// <summary>The text of a member, however deep; null if it is not there.</summary>
    public static string? Text(YamlNode? node, params IReadOnlyList<string> path) => (At(node, path) as YamlScalarNode)?.Value;

    /// <summary>A member, however deep; null if it is not there.</summary>
    public static YamlNode? At(YamlNode? node, params IReadOnlyList<string> path)
    {
        foreach (var key in path) node = (node as YamlMappingNode)?.Children.FirstOrDefault(pair => (pair.Key as YamlScalarNode)?.Value == key).Value;
        return node;
    }

    /// <summary>The members of a list; none if it is not there.</summary>
    public static IReadOnlyList<YamlNode> ListAt(YamlNode? node, params IReadOnlyList<string> path) => At(node, path) is YamlSequenceNode list ? [.. list.Children] : [];

    /// <inheritdoc/>
    public void Dispose() => _document.Dispose();

    private void Judge(YamlNode node, JsonElement schema, string path, List<string> faults)
    {
        if (schema.TryGetProperty("$ref", out var reference))
        {
            Judge(node, _document.RootElement.GetProperty("definitions").GetProperty(reference.GetString()!["#/definitions/".Length..]), path, faults);
        }
        else if (schema.TryGetProperty("anyOf", out var choices))
        {
            if (!choices.EnumerateArray().Any(choice => IsRight(node, choice))) faults.Add($"{path}: is none of {choices}");
        }
        else if (schema.TryGetProperty("const", out var only))
        {
            if ((node as YamlScalarNode)?.Value != only.GetString()) faults.Add($"{path}: must be {only}");
        }
        else if (schema.GetProperty("type").GetString() is var type && !IsOfType(node, type!))
        {
            faults.Add($"{path}: must be of type {type}");
        }
        else if (node is YamlSequenceNode list)
        {
            for (var at = 0; at < list.Children.Count; at++) Judge(list.Children[at], schema.GetProperty("items"), string.Create(CultureInfo.InvariantCulture, $"{path}[{at}]"), faults);
        }
        else if (node is YamlMappingNode mapping)
        {
            JudgeMembers(mapping, schema, path, faults);
        }
    }

    private void JudgeMembers(YamlMappingNode mapping, JsonElement schema, string path, List<string> faults)
    {
        schema.TryGetProperty("additionalProperties", out var others);
        foreach (var (key, value) in mapping.Children)
        {
            var name = ((YamlScalarNode)key).Value!;
            if (schema.TryGetProperty("properties", out var properties) && properties.TryGetProperty(name, out var member)) Judge(value, member, $"{path}.{name}", faults);
            else if (others.ValueKind == JsonValueKind.Object) Judge(value, others, $"{path}.{name}", faults);
            else if (others.ValueKind == JsonValueKind.False) faults.Add($"{path}.{name}: there is no such field");
        }

        if (!schema.TryGetProperty("required", out var required)) return;
        foreach (var missing in required.EnumerateArray().Select(static each => each.GetString()!).Where(each => At(mapping, each) is null)) faults.Add($"{path}.{missing}: is missing");
    }

    private bool IsRight(YamlNode node, JsonElement schema)
    {
        var faults = new List<string>();
        Judge(node, schema, "", faults);
        return faults.Count == 0;
    }

    private static bool IsOfType(YamlNode node, string type) => (type, node) switch
    {
        ("object", YamlMappingNode) or ("array", YamlSequenceNode) => true,
        ("string", YamlScalarNode { Style: not ScalarStyle.Plain }) => true,
        ("string", YamlScalarNode { Value: { } text }) => !IsNumber(text) && !IsWord(text),
        ("integer", YamlScalarNode { Style: ScalarStyle.Plain, Value: { } text }) => long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _),
        ("boolean", YamlScalarNode { Style: ScalarStyle.Plain, Value: { } text }) => text is "true" or "false",
        _ => false,
    };

    private static bool IsNumber(string text) => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out _);

    // What YAML 1.1 takes for something else than text.
    private static bool IsWord(string text) => text.ToUpperInvariant() is "" or "~" or "NULL" or "TRUE" or "FALSE" or "YES" or "NO" or "ON" or "OFF" or "Y" or "N";
}
