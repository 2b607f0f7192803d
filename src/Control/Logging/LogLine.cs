using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Sleeve.Control.Logging;

/// <summary>One thing to be told, and how it is written.</summary>
/// <param name="Level">How bad it is.</param>
/// <param name="Event">Which event; without id and name for what has none.</param>
/// <param name="Message">The sentence.</param>
/// <param name="Fields">What the sentence was made of, by the names in its template.</param>
/// <param name="Exception">What was thrown, if anything.</param>
internal readonly record struct LogLine(LogLevel Level, EventId Event, string Message, IEnumerable<KeyValuePair<string, object?>>? Fields, Exception? Exception)
{
    private const string Template = "{OriginalFormat}";

    private static readonly string[] Reserved = ["time", "level", "id", "event", "message", "exception"];

    // What reads it is a machine or a person, not a browser.
    private static readonly JsonWriterOptions JsonOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>For eyes.</summary>
    /// <param name="prefix">Who says it.</param>
    /// <param name="isDebug">Whether where an exception came from is wanted too.</param>
    public string ToText(string prefix, bool isDebug)
    {
        var level = Level switch { >= LogLevel.Error => "error: ", LogLevel.Warning => "warning: ", LogLevel.Information => "", _ => "debug: " };
        return $"{prefix}: {level}{Told(isDebug)}";
    }

    /// <summary>For the journal (sd-daemon(3)): a priority in front of every line. It has time and program of its own.</summary>
    public string ToJournal(bool isDebug) => $"<{Priority}>{Told(isDebug).Replace("\n", $"\n<{Priority}>", StringComparison.Ordinal)}";

    /// <summary>One JSON object; what the sentence was made of stands in it under its own names.</summary>
    /// <param name="time">When, UTC.</param>
    public string ToJson(DateTimeOffset time)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, JsonOptions))
        {
            json.WriteStartObject();
            json.WriteString("time", time.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture));
            json.WriteString("level", LogOptions.NameOf(Level));
            if (Event.Id != 0) json.WriteNumber("id", Event.Id);
            if (Event.Name is { } name) json.WriteString("event", JsonNamingPolicy.KebabCaseLower.ConvertName(name));
            json.WriteString("message", Message);
            WriteFields(json);
            if (Exception is not null) json.WriteString("exception", Exception.ToString());
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>The priority of syslog(3) as sd-daemon(3) wants it in front.</summary>
    public int Priority => Level switch { LogLevel.Critical => 2, LogLevel.Error => 3, LogLevel.Warning => 4, LogLevel.Information => 6, _ => 7 };

    private void WriteFields(Utf8JsonWriter json)
    {
        var seen = new HashSet<string>(Reserved);
        foreach (var (field, value) in Fields ?? [])
        {
            var name = JsonNamingPolicy.SnakeCaseLower.ConvertName(field);
            if (field == Template || !seen.Add(name)) continue;
            switch (value)
            {
                case null: json.WriteNull(name); break;
                case bool flag: json.WriteBoolean(name, flag); break;
                case int number: json.WriteNumber(name, number); break;
                case long number: json.WriteNumber(name, number); break;
                case double number when double.IsFinite(number): json.WriteNumber(name, number); break;
                default: json.WriteString(name, Convert.ToString(value, CultureInfo.InvariantCulture)); break;
            }
        }
    }

    // A value may contain anything; a sentence is one line all the same, and does nothing to the terminal.
    private string Told(bool isDebug)
    {
        var message = string.Concat(Message.Select(static c => char.IsControl(c) ? '?' : c));
        return Exception is null ? message : isDebug ? $"{message}: {Exception}" : $"{message}: {Exception.Message}";
    }
}
