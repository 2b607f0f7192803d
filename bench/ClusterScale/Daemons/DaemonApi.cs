using System.Text.Json;
using Sleeve.Control.Api;

namespace Sleeve.Bench.ClusterScale.Daemons;

/// <summary>Questions to a daemon by its socket, as any program may ask them.</summary>
internal sealed class DaemonApi : IDisposable
{
    private readonly HttpClient _client;

    /// <summary>Makes one; nothing is connected yet.</summary>
    /// <param name="path">The socket.</param>
    public DaemonApi(string path) => _client = new HttpClient(ApiPlace.NewHandler(path));

    /// <summary>How many elements a list has, counting those that are of interest.</summary>
    /// <param name="path">Behind /v1/.</param>
    /// <param name="counts">Which.</param>
    public async Task<int> CountAsync(string path, Func<JsonElement, bool> counts)
    {
        using var document = JsonDocument.Parse(await _client.GetByteArrayAsync(new Uri($"http://localhost/v1/{path}")));
        return document.RootElement.EnumerateArray().Count(counts);
    }

    /// <summary>Listens to entries that are added to an FDB; the task is done when it listens.</summary>
    /// <param name="device">The segment's.</param>
    /// <param name="onAdded">Told the MAC of each.</param>
    /// <param name="cancellation">Ends it.</param>
    public async Task ListenAsync(string device, Action<string> onAdded, CancellationToken cancellation)
    {
        var listening = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _ = Task.Run(
            async () =>
            {
                try
                {
                    using var lines = new StreamReader(await _client.GetStreamAsync(new Uri($"http://localhost/v1/events?dev={device}&kind=added"), cancellation));
                    while (await lines.ReadLineAsync(cancellation) is { } line)
                    {
                        using var document = JsonDocument.Parse(line);
                        if (document.RootElement.TryGetProperty("mac", out var mac)) onAdded(mac.GetString() ?? "");
                        else listening.TrySetResult();
                    }
                }
                catch (Exception failure) when (failure is OperationCanceledException or IOException or HttpRequestException)
                {
                    listening.TrySetException(failure);
                }
            },
            cancellation);
        await listening.Task.WaitAsync(TimeSpan.FromSeconds(20), cancellation);
    }

    /// <inheritdoc/>
    public void Dispose() => _client.Dispose();
}
