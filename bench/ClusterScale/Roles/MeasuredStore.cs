using System.Diagnostics;
using Sleeve.Control.Store;

namespace Sleeve.Bench.ClusterScale.Roles;

/// <summary>A store whose reading of everything is timed; all else is passed on.</summary>
/// <param name="inner">The store.</param>
internal sealed class MeasuredStore(IStore inner) : IStore
{
    /// <inheritdoc/>
    public string Place => inner.Place;

    /// <inheritdoc/>
    public string? Identity => inner.Identity;

    /// <summary>How long the last range took.</summary>
    public TimeSpan Ranged { get; private set; }

    /// <summary>When it was there, in ticks of <see cref="Stopwatch"/>.</summary>
    public long RangedAt { get; private set; }

    /// <inheritdoc/>
    public async Task<StoreSlice> RangeAsync(string prefix, CancellationToken cancellation)
    {
        var begin = Stopwatch.GetTimestamp();
        var slice = await inner.RangeAsync(prefix, cancellation);
        RangedAt = Stopwatch.GetTimestamp();
        Ranged = Stopwatch.GetElapsedTime(begin, RangedAt);
        return slice;
    }

    /// <inheritdoc/>
    public Task<StoreOutcome> CommitAsync(StoreTransaction transaction, CancellationToken cancellation) => inner.CommitAsync(transaction, cancellation);

    /// <inheritdoc/>
    public IAsyncEnumerable<StoreBatch> WatchAsync(string prefix, long fromRevision, CancellationToken cancellation) => inner.WatchAsync(prefix, fromRevision, cancellation);

    /// <inheritdoc/>
    public Task<long> GrantAsync(TimeSpan timeToLive, CancellationToken cancellation) => inner.GrantAsync(timeToLive, cancellation);

    /// <inheritdoc/>
    public Task<bool> KeepAliveAsync(long lease, CancellationToken cancellation) => inner.KeepAliveAsync(lease, cancellation);

    /// <inheritdoc/>
    public Task RevokeAsync(long lease, CancellationToken cancellation) => inner.RevokeAsync(lease, cancellation);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
