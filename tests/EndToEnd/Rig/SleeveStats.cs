using System.Text.Json;

namespace Sleeve.EndToEnd.Rig;

/// <summary>The counters of a running Sleeve: the only place that knows the shape of `sleeve stats --json`.</summary>
public sealed class SleeveStats
{
    private readonly List<(long Tap, long Underlay)> _workers = [];
    private readonly Dictionary<string, long> _counters = [];
    private readonly Dictionary<string, long> _drops = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>How many frames ended for a reason, over all segments and the process; 0 if it did not happen. Named as DropReason is.</summary>
    public long Drops(string reason) => _drops.GetValueOrDefault(reason);

    /// <summary>A counter, named as in the output, over all segments.</summary>
    public long Counter(string name) => _counters[name];

    /// <summary>Every reason that counted something.</summary>
    public string Summary => string.Join(", ", _drops.Where(d => d.Value != 0).Select(d => $"{d.Key} {d.Value}"));

    /// <summary>Datagrams that did not fit the receiving sockets.</summary>
    public long SocketDrops { get; private set; }

    /// <summary>What each worker took: bytes from TAPs and from the underlay.</summary>
    public IReadOnlyList<(long Tap, long Underlay)> Workers => _workers;

    /// <summary>Reads what `sleeve stats --json` printed.</summary>
    public static SleeveStats Read(string json)
    {
        using var document = JsonDocument.Parse(json);
        var stats = new SleeveStats();
        stats.Collect(document.RootElement);
        return stats;
    }

    // Drops stand in two places, those of a segment and those for which no segment was found, as lists of { direction, reason, count, sentence }.
    private void Collect(JsonElement element)
    {
        if (element.ValueKind == JsonValueKind.Array)
        {
            foreach (var item in element.EnumerateArray()) Collect(item);
        }
        else if (element.ValueKind == JsonValueKind.Object && element.TryGetProperty("worker", out _))
        {
            _workers.Add((element.GetProperty("tap_bytes").GetInt64(), element.GetProperty("underlay_bytes").GetInt64()));
        }
        else if (element.ValueKind == JsonValueKind.Object && element.TryGetProperty("reason", out var reason))
        {
            var name = reason.GetString()!.Replace("_", "", StringComparison.Ordinal);
            _drops[name] = _drops.GetValueOrDefault(name) + element.GetProperty("count").GetInt64();
        }
        else if (element.ValueKind == JsonValueKind.Object)
        {
            foreach (var property in element.EnumerateObject())
            {
                if (property.Name == "counters") CollectCounters(property.Value);
                else if (property.Name == "socket_drops") SocketDrops += property.Value.GetInt64();
                else Collect(property.Value);
            }
        }
    }

    private void CollectCounters(JsonElement counters)
    {
        foreach (var counter in counters.EnumerateObject())
            _counters[counter.Name] = _counters.GetValueOrDefault(counter.Name) + counter.Value.GetInt64();
    }
}
