using System.Text.Json;
using Sleeve.Bench.EndToEnd.Rig;

namespace Sleeve.Bench.EndToEnd.Systems;

/// <summary>Garbage collections and allocation of a Sleeve process since it started.</summary>
internal sealed record RuntimeCounters(int Gen0, int Gen1, int Gen2, long AllocatedBytes);

/// <summary>Sleeve: <c>sleeve up</c> in the host's namespace.</summary>
/// <param name="host">Where it runs.</param>
/// <param name="underlayMtu">Bytes.</param>
/// <param name="program">Path of the executable.</param>
/// <param name="words">Further words for <c>sleeve up</c>.</param>
internal sealed class SleeveEnd(Host host, int underlayMtu, string program, params IReadOnlyList<string> words) : TunnelEnd(host, underlayMtu)
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);

    private string Socket => $"/run/sleeve-{Host.Name}.sock";

    /// <inheritdoc/>
    public override void Start()
    {
        StartOwnSocket(["--vni", "100", "--local", Host.Underlay, "--remote", Host.Peer.Underlay, "--address", $"{Host.Overlay}/24", .. words]);
    }

    /// <summary>Starts it with one device and words of the caller's own, on the socket that it is asked through.</summary>
    public void StartOwnSocket(IReadOnlyList<string> upWords) => StartAndWait([Device, .. upWords, "--socket", Socket]);

    /// <summary>Starts it with words of the caller's own instead, and waits until it is ready.</summary>
    public void StartAndWait(IReadOnlyList<string> upWords) => Run([program, "up", .. upWords]).WaitFor("ready", StartLimit);

    /// <summary>Asks the running process for its statistics.</summary>
    /// <returns>The first element of what <c>sleeve stats --json</c> prints.</returns>
    public JsonElement ReadStats()
    {
        var json = Command.Run(Host.Inside(program, "stats", "--socket", Socket, "--json"));
        using var document = JsonDocument.Parse(json);
        return document.RootElement[0].Clone();
    }

    /// <inheritdoc/>
    public override string? ReadDetail()
    {
        var stats = ReadStats();
        var detail = $"tx-offload {Text(stats, "tx_offload")} ({Text(stats, "tx_offload_reason")}), rx-offload {Text(stats, "rx_offload")}";
        if (stats.TryGetProperty("workers", out var workers)) detail += $", workers {(workers.ValueKind == JsonValueKind.Array ? $"{workers.GetArrayLength()}" : workers.ToString())}";
        return detail;
    }

    /// <summary>Entries in the FDB of its first segment.</summary>
    public int ReadFdbEntries() => ReadStats().GetProperty("segments")[0].GetProperty("fdb_entries").GetInt32();

    /// <summary>What the process asked of the garbage collector so far.</summary>
    public RuntimeCounters ReadRuntime()
    {
        var runtime = ReadStats().GetProperty("runtime");
        return new RuntimeCounters(
            runtime.GetProperty("gen0_collections").GetInt32(), runtime.GetProperty("gen1_collections").GetInt32(),
            runtime.GetProperty("gen2_collections").GetInt32(), runtime.GetProperty("allocated_bytes").GetInt64());
    }

    private static string Text(JsonElement stats, string name) => stats.TryGetProperty(name, out var value) ? value.ToString() : "unknown";
}
