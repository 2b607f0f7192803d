using System.Text.Json;

namespace Sleeve.Control.Config;

/// <summary>JSON, into the same nodes as YAML: a text that begins with a brace may hold tabs and escapes that YAML does not know.</summary>
internal static class JsonText
{
    /// <summary>Whether a text is to be read as JSON.</summary>
    public static bool IsJson(ReadOnlySpan<byte> text) => text.TrimStart(" \t\r\n"u8) is [(byte)'{', ..];

    /// <summary>Reads a text.</summary>
    /// <exception cref="ConfigSyntaxException">It is not JSON, or passes one of <see cref="ConfigLimits"/>.</exception>
    public static ConfigNode Parse(ReadOnlySpan<byte> text)
    {
        var reader = new Utf8JsonReader(text, new JsonReaderOptions { MaxDepth = ConfigLimits.MaxDepth });
        var lines = new LineCounter();
        try
        {
            reader.Read();
            var root = Read(ref reader, ref lines, text);
            reader.Read();
            return root.Size <= ConfigLimits.MaxNodes ? root : throw new ConfigSyntaxException(0, $"holds more than {ConfigLimits.MaxNodes} values");
        }
        catch (JsonException failure)
        {
            throw new ConfigSyntaxException((int)(failure.LineNumber ?? 0) + 1, $"is not JSON: {failure.Message.Split(" LineNumber")[0].TrimEnd('.')}");
        }
        catch (InvalidOperationException)
        {
            // A string with half a surrogate pair.
            throw new ConfigSyntaxException(lines.At(text, (int)reader.TokenStartIndex), "is not JSON: a string is no text");
        }
    }

    private static ConfigNode Read(ref Utf8JsonReader reader, ref LineCounter lines, ReadOnlySpan<byte> text)
    {
        var line = lines.At(text, (int)reader.TokenStartIndex);
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
                var members = new MapBuilder(line);
                while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                {
                    var keyLine = lines.At(text, (int)reader.TokenStartIndex);
                    var key = reader.GetString()!;
                    reader.Read();
                    members.Add(key, keyLine, Read(ref reader, ref lines, text));
                }

                return members.Done();
            case JsonTokenType.StartArray:
                var items = new List<ConfigNode>();
                var size = 1L;
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    var item = Read(ref reader, ref lines, text);
                    size += item.Size;
                    items.Add(item);
                }

                return new ConfigList(line, items) { Size = size };
            case JsonTokenType.String:
                return new ConfigScalar(line, reader.GetString()!);
            case JsonTokenType.Null:
                return new ConfigScalar(line, "");
            default:
                return new ConfigScalar(line, System.Text.Encoding.UTF8.GetString(reader.ValueSpan));
        }
    }

    // Tokens come in order, so each byte is looked at once.
    private ref struct LineCounter
    {
        private int _offset;
        private int _lines;

        public int At(ReadOnlySpan<byte> text, int offset)
        {
            _lines += text[_offset..offset].Count((byte)'\n');
            _offset = offset;
            return _lines + 1;
        }
    }
}
