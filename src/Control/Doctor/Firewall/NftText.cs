using System.Text.Json;

namespace Sleeve.Control.Doctor.Firewall;

/// <summary>A rule of nftables in words, near enough to nft(8) for a reader to find it.</summary>
internal static class NftText
{
    private const int MaxLength = 200;

    /// <summary>Where it is and what it says.</summary>
    public static string Of(JsonElement rule, string table, string chain)
    {
        var words = rule.TryGetProperty("expr", out var expressions) ? string.Join(' ', expressions.EnumerateArray().Select(Expression).Where(static word => word.Length > 0)) : "";
        if (words.Length > MaxLength) words = words[..MaxLength] + "…";
        var handle = rule.TryGetProperty("handle", out var number) ? $" handle {number}" : "";
        return $"the rule \"{words}\" (nft -a list chain {table} {chain},{handle})";
    }

    private static string Expression(JsonElement expression)
    {
        if (expression.ValueKind != JsonValueKind.Object) return "";
        foreach (var part in expression.EnumerateObject())
        {
            return part.Name switch
            {
                "match" => Match(part.Value),
                "counter" or "log" => "",
                "jump" or "goto" => $"{part.Name} {Right(part.Value.TryGetProperty("target", out var target) ? target : default)}",
                "vmap" => $"{Left(part.Value.TryGetProperty("key", out var key) ? key : default)} vmap …",
                "limit" => "limit …",
                _ => part.Name,
            };
        }

        return "";
    }

    private static string Match(JsonElement match)
    {
        var op = match.TryGetProperty("op", out var operation) ? operation.GetString() : "==";
        var sign = op is "==" or "in" ? "" : $"{op} ";
        return $"{Left(match.TryGetProperty("left", out var left) ? left : default)} {sign}{Right(match.TryGetProperty("right", out var right) ? right : default)}";
    }

    private static string Left(JsonElement left)
    {
        if (left.ValueKind != JsonValueKind.Object) return "…";
        foreach (var part in left.EnumerateObject())
        {
            string? Of(string name) => part.Value.ValueKind == JsonValueKind.Object && part.Value.TryGetProperty(name, out var value) ? value.ToString() : null;
            return part.Name switch
            {
                "payload" => $"{Of("protocol")} {Of("field")}",
                "meta" => Of("key") is "iif" or "oif" or "iifname" or "oifname" ? Of("key")! : $"meta {Of("key")}",
                "ct" => $"ct {Of("key")}",
                _ => part.Name,
            };
        }

        return "…";
    }

    private static string Right(JsonElement right)
    {
        if (right.ValueKind == JsonValueKind.Array) return string.Join(',', right.EnumerateArray().Select(Right));
        if (right.ValueKind != JsonValueKind.Object) return right.ValueKind == JsonValueKind.Undefined ? "…" : right.ToString();
        if (right.TryGetProperty("set", out var set) && set.ValueKind == JsonValueKind.Array) return $"{{ {string.Join(", ", set.EnumerateArray().Select(Right))} }}";
        if (right.TryGetProperty("prefix", out var prefix) && prefix.TryGetProperty("addr", out var address) && prefix.TryGetProperty("len", out var length)) return $"{address}/{length}";
        return right.TryGetProperty("range", out var range) && range.ValueKind == JsonValueKind.Array && range.GetArrayLength() == 2 ? $"{range[0]}-{range[1]}" : "…";
    }
}
