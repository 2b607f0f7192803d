using System.Globalization;
using System.Text.Json;

namespace Sleeve.Control.Cni;

/// <summary>An object of JSON that somebody else wrote: each key is checked as it is read. A key with null is as one that is left out.</summary>
/// <param name="element">An object.</param>
/// <param name="path">What it is called in messages, with a dot at the end; "" for the whole.</param>
internal sealed class CniNode(JsonElement element, string path)
{
    /// <summary>Items of an array, at most.</summary>
    public const int MaxItems = 1024;

    /// <summary>Characters of a text, at most.</summary>
    public const int MaxText = 4096;

    private const int MaxEcho = 100;

    /// <summary>A key in messages.</summary>
    public string NameOf(string key) => path + key;

    /// <summary>A value, of whatever type.</summary>
    public JsonElement? Find(string key) => element.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    /// <summary>A text; null if it is left out.</summary>
    /// <exception cref="CniFault">It is something else.</exception>
    public string? Text(string key) => Find(key) is { } value ? TextOf(value, key) : null;

    /// <summary>A whole number; null if it is left out.</summary>
    /// <exception cref="CniFault">It is something else, or beyond what is allowed.</exception>
    public long? Number(string key, long least, long most)
    {
        if (Find(key) is not { } value) return null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) && number >= least && number <= most) return number;
        throw Wrong(key, value, string.Create(CultureInfo.InvariantCulture, $"a number from {least} to {most}"));
    }

    /// <summary>An object; null if it is left out.</summary>
    /// <exception cref="CniFault">It is something else.</exception>
    public CniNode? Object(string key)
    {
        if (Find(key) is not { } value) return null;
        return value.ValueKind == JsonValueKind.Object ? new CniNode(value, $"{path}{key}.") : throw Wrong(key, value, "an object");
    }

    /// <summary>The objects of an array; empty if it is left out.</summary>
    /// <exception cref="CniFault">It is something else, or longer than <see cref="MaxItems"/>.</exception>
    public IReadOnlyList<CniNode> Objects(string key, int most = MaxItems)
    {
        if (Find(key) is not { } value) return [];
        var nodes = new List<CniNode>();
        foreach (var item in Items(key, value, most))
        {
            if (item.ValueKind != JsonValueKind.Object) throw Wrong(key, item, "an array of objects");
            nodes.Add(new CniNode(item, $"{path}{key}[{nodes.Count.ToString(CultureInfo.InvariantCulture)}]."));
        }

        return nodes;
    }

    /// <summary>The texts of an array, or the one text that stands in its place; empty if it is left out.</summary>
    /// <exception cref="CniFault">It is something else, or longer than <see cref="MaxItems"/>.</exception>
    public IReadOnlyList<string> Texts(string key)
    {
        if (Find(key) is not { } value) return [];
        if (value.ValueKind == JsonValueKind.String) return [TextOf(value, key)];
        var texts = new List<string>();
        foreach (var item in Items(key, value, MaxItems)) texts.Add(TextOf(item, key));
        return texts;
    }

    /// <summary>The fault of a value: names the key, the value and what is allowed.</summary>
    public CniFault Wrong(string key, JsonElement value, string allowed) => new(CniCode.BadConfig, $"{path}{key} {Shorten(value.GetRawText())}: must be {allowed}");

    /// <summary>The fault of a text.</summary>
    public CniFault Wrong(string key, string value, string allowed) => new(CniCode.BadConfig, $"{path}{key} {Shorten(value)}: must be {allowed}");

    /// <summary>The fault of a key that is not there.</summary>
    public CniFault Missing(string key, string allowed) => new(CniCode.BadConfig, $"{path}{key}: missing; it must be {allowed}");

    /// <summary>A value in a message: on one line and no longer than one can read.</summary>
    public static string Shorten(string value)
    {
        var text = value.Length <= MaxEcho ? value : value[..MaxEcho] + "…";
        foreach (var letter in text)
            if (char.IsControl(letter) || char.IsSurrogate(letter)) return string.Create(text.Length, text, static (all, from) =>
            {
                for (var i = 0; i < from.Length; i++) all[i] = char.IsControl(from[i]) || char.IsSurrogate(from[i]) ? '?' : from[i];
            });
        return text;
    }

    private JsonElement.ArrayEnumerator Items(string key, JsonElement value, int most)
    {
        if (value.ValueKind != JsonValueKind.Array) throw Wrong(key, value, "an array");
        if (value.GetArrayLength() > most) throw new CniFault(CniCode.BadConfig, $"{path}{key}: has {value.GetArrayLength()} items; at most {most} are allowed");
        return value.EnumerateArray();
    }

    private string TextOf(JsonElement value, string key)
    {
        if (value.ValueKind != JsonValueKind.String) throw Wrong(key, value, "a text");
        string? text;
        try
        {
            text = value.GetString();
        }
        catch (InvalidOperationException)
        {
            // Half of a surrogate pair.
            throw new CniFault(CniCode.Decode, $"{path}{key}: is no text of Unicode");
        }

        return text!.Length <= MaxText ? text : throw new CniFault(CniCode.BadConfig, $"{path}{key}: has {text.Length} characters; at most {MaxText} are allowed");
    }
}
