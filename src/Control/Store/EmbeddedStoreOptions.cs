namespace Sleeve.Control.Store;

/// <summary>Limits of an <see cref="EmbeddedStore"/>; tests make them small.</summary>
internal sealed record EmbeddedStoreOptions
{
    /// <summary>Revisions of which is kept what they changed; those before are compacted away.</summary>
    public int HistoryRevisions { get; init; } = 100_000;

    /// <summary>Bytes of what is kept of them.</summary>
    public long HistoryBytes { get; init; } = 256L * 1024 * 1024;

    /// <summary>Keys at once.</summary>
    public long MaxKeys { get; init; } = StoreLimits.MaxKeys;

    /// <summary>Bytes of all keys and values.</summary>
    public long MaxTotalBytes { get; init; } = StoreLimits.MaxTotalBytes;

    /// <summary>Leases at once.</summary>
    public int MaxLeases { get; init; } = 10_000;

    /// <summary>Watches at once.</summary>
    public int MaxWatches { get; init; } = 4096;

    /// <summary>How long a caller waits for an answer; the disk may hang.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(10);
}
