namespace Sleeve.Control.Store;

/// <summary>Why a host may not write something; null if it may.</summary>
/// <param name="host">Its name.</param>
/// <param name="writes">What it wants to write.</param>
/// <param name="read">An entry as it stands.</param>
/// <param name="ownerOf">Who made a lease; null if there is none.</param>
internal delegate string? StoreRule(string host, IReadOnlyList<StoreWrite> writes, Func<string, StoreEntry?> read, Func<long, string?> ownerOf);

/// <summary>What one host may ask of a <see cref="StoreGateway"/>; tests make it small.</summary>
internal sealed record StoreGatewayOptions
{
    /// <summary>Why a host may not write something, or null: what <see cref="StoreRules"/> says.</summary>
    public StoreRule Rule { get; init; } = StoreRules.Refuse;

    /// <summary>Bytes of a request: the largest transaction in base64.</summary>
    public int MaxBodyBytes { get; init; } = 2 * 1024 * 1024;

    /// <summary>Requests a second, over a longer time.</summary>
    public double RequestsPerSecond { get; init; } = 500;

    /// <summary>Requests that may come at once after a rest.</summary>
    public double Burst { get; init; } = 2000;

    /// <summary>Requests at the same time.</summary>
    public int MaxRunning { get; init; } = 128;

    /// <summary>Watches at the same time.</summary>
    public int MaxWatches { get; init; } = 16;

    /// <summary>How often a watch on which nothing happens says that it is there.</summary>
    public TimeSpan Progress { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a host may take to read a line of its watch.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Bytes of events in one line of a watch; more become several.</summary>
    public int LineBytes { get; init; } = 1024 * 1024;
}
