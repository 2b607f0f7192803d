using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Sleeve.Control.Config;

/// <summary>Writes nodes as JSON, which <see cref="JsonText"/> reads back to the same settings.</summary>
internal static class ConfigJson
{
    /// <summary>Writes a mapping.</summary>
    public static string Write(ConfigMap map)
    {
        using var text = new MemoryStream();
        using (var writer = new Utf8JsonWriter(text)) Write(writer, map);
        return Encoding.UTF8.GetString(text.ToArray());
    }

    private static void Write(Utf8JsonWriter writer, ConfigNode node)
    {
        switch (node)
        {
            case ConfigMap map:
                writer.WriteStartObject();
                foreach (var member in map.Members)
                {
                    writer.WritePropertyName(member.Key);
                    Write(writer, member.Value);
                }

                writer.WriteEndObject();
                break;
            case ConfigList list:
                writer.WriteStartArray();
                foreach (var item in list.Items) Write(writer, item);
                writer.WriteEndArray();
                break;
            case ConfigScalar { Text: "true" }:
                writer.WriteBooleanValue(true);
                break;
            case ConfigScalar { Text: "false" }:
                writer.WriteBooleanValue(false);
                break;
            case ConfigScalar scalar when long.TryParse(scalar.Text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number.ToString(CultureInfo.InvariantCulture) == scalar.Text:
                writer.WriteNumberValue(number);
                break;
            case ConfigScalar scalar:
                writer.WriteStringValue(scalar.Text);
                break;
        }
    }
}
