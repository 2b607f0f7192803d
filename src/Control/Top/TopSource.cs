using System.Diagnostics;
using Sleeve.Control.Api;
using Sleeve.Control.Host;

namespace Sleeve.Control.Top;

/// <summary>One VTEP that is looked at, and its counters as they were last time.</summary>
/// <param name="path">Its socket.</param>
/// <param name="device">The one segment of interest; null for all.</param>
internal sealed class TopSource(string path, string? device) : IDisposable
{
    private const int SampleMilliseconds = 100;

    private readonly ApiClient _client = new(path);
    private (VtepStatsJson Stats, long At)? _before;

    /// <summary>Its process; 0 before it was asked.</summary>
    public int Pid => _before?.Stats.Pid ?? 0;

    /// <summary>Asks for the counters to begin with.</summary>
    /// <exception cref="HostException">It does not answer, or has no such segment.</exception>
    public async Task BeginAsync()
    {
        var stats = await _client.GetAsync("stats", ApiJson.Default.VtepStatsJson);
        if (device is not null && stats.Segments.All(segment => segment.Ifname != device)) throw new HostException($"No such device: dev {device}: has no segment in this VTEP");
        _before = (stats, Stopwatch.GetTimestamp());
    }

    /// <summary>What it did since it was last asked.</summary>
    /// <exception cref="HostException">It does not answer.</exception>
    public async Task<TopJson> NextAsync()
    {
        var (talkers, missing) = await SampleAsync();
        var now = (await _client.GetAsync("stats", ApiJson.Default.VtepStatsJson), Stopwatch.GetTimestamp());
        var rates = TopRates.Of(_before ?? now, now, device) with { Talkers = talkers, TalkersMissing = missing };
        _before = now;
        return rates;
    }

    // Without stations the rest is still worth showing.
    private async Task<(TalkersJson? Talkers, string? Missing)> SampleAsync()
    {
        try
        {
            var only = device is null ? "" : $"&dev={ApiClient.Escape(device)}";
            return (await _client.GetAsync($"talkers?ms={SampleMilliseconds}{only}", ApiJson.Default.TalkersJson), null);
        }
        catch (HostException failure)
        {
            return (null, failure.Message);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _client.Dispose();
}
