using System.Text.Json;

namespace Sleeve.EndToEnd.Rig;

/// <summary>The counters of a running Sleeve: the only place that knows the shape of `sleeve stats --json`.</summary>
public sealed class SleeveStats
{
    private readonly Dictionary<string, long> _drops = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>How many frames ended for a reason, over all segments and the process; 0 if there is no such counter.</summary>
    public long Drops(string reason) => _drops.GetValueOrDefault(reason);

    /// <summary>Every reason that counted something.</summary>
    public string Summary => string.Join(", ", _drops.Where(d => d.Value != 0).Select(d => $"{d.Key} {d.Value}"));

    /// <summary>Reads what `sleeve stats --json` printed.</summary>
    public static SleeveStats Read(string json)
    {
        using var document = JsonDocument.Parse(json);
        var stats = new SleeveStats();
        stats.Collect(document.RootElement);
        return stats;
    }

    private void Collect(JsonElement element)
    {
        if (element.ValueKind == JsonValueKind.Array)
        {
            foreach (var item in element.EnumerateArray()) Collect(item);
        }
        else if (element.ValueKind == JsonValueKind.Object)
        {
            foreach (var property in element.EnumerateObject())
            {
                if (property.Name == "drops") Add(property.Value);
                else Collect(property.Value);
            }
        }
    }

    private void Add(JsonElement drops)
    {
        foreach (var drop in drops.EnumerateObject())
            _drops[drop.Name] = _drops.GetValueOrDefault(drop.Name) + drop.Value.GetInt64();
    }
}
