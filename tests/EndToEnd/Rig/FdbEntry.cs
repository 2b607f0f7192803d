using System.Text.Json;

namespace Sleeve.EndToEnd.Rig;

/// <summary>One destination of a MAC, as `bridge -j fdb show` and `sleeve fdb show --json` print it.</summary>
public sealed record FdbEntry(string Mac, string? Destination, int? Port, int? Vni, string State, string? ViaInterface = null)
{
    /// <summary>Learned, or added to age like a learned one.</summary>
    public bool IsDynamic => State is not ("permanent" or "static");

    /// <summary>Reads a whole table.</summary>
    public static IReadOnlyList<FdbEntry> Read(string json)
    {
        using var document = JsonDocument.Parse(json);
        return [.. document.RootElement.EnumerateArray().Select(Read)];
    }

    private static FdbEntry Read(JsonElement entry) => new(
        entry.GetProperty("mac").GetString()!,
        entry.TryGetProperty("dst", out var destination) ? destination.GetString() : null,
        entry.TryGetProperty("port", out var port) ? port.GetInt32() : null,
        entry.TryGetProperty("vni", out var vni) ? vni.GetInt32() : null,
        entry.TryGetProperty("state", out var state) ? state.GetString() ?? "" : "",
        entry.TryGetProperty("viaIf", out var via) ? via.GetString() : null);
}
