namespace Sleeve.Control.Store;

/// <summary>What was known of the store when something was asked of it.</summary>
/// <param name="Generation">Counts the times that it turned out to be another.</param>
/// <param name="Cluster">Which it was; 0 before it ever answered.</param>
/// <param name="Member">Who answered last.</param>
/// <param name="Revision">The highest that was seen.</param>
/// <param name="Broken">Cancelled when it turns out that it is another now.</param>
internal sealed record EtcdSeen(long Generation, ulong Cluster, ulong Member, long Revision, CancellationToken Broken);

/// <summary>
/// Guards against a store that went back in time (a backup was put back) or is another one: an answer that was asked for after a revision was seen may not be of an earlier one. Then everything has to be read again, so
/// whoever watches is told. Any thread.
/// </summary>
internal sealed class EtcdLineage : IDisposable
{
    private readonly Lock _access = new();
    private CancellationTokenSource _broken = new();
    private EtcdSeen _seen;

    /// <summary>Makes one that knows nothing yet.</summary>
    public EtcdLineage() => _seen = new EtcdSeen(0, 0, 0, 0, _broken.Token);

    /// <summary>What is known.</summary>
    public EtcdSeen Seen
    {
        get
        {
            lock (_access) return _seen;
        }
    }

    /// <summary>Takes note of an answer.</summary>
    /// <param name="before">What was known when it was asked for.</param>
    /// <param name="header">Its header.</param>
    /// <param name="isCurrent">It cannot be of an earlier revision than was known (linearizable).</param>
    /// <param name="isAnother">The store itself says that it is not what was known.</param>
    public void Note(EtcdSeen before, EtcdHeader header, bool isCurrent, bool isAnother)
    {
        CancellationTokenSource? broken = null;
        lock (_access)
        {
            // Found out by another answer meanwhile.
            if (before.Generation != _seen.Generation) return;
            if (isAnother || (_seen.Cluster != 0 && header.ClusterId != _seen.Cluster) || (isCurrent && header.Revision < before.Revision))
            {
                broken = _broken;
                _broken = new CancellationTokenSource();
                _seen = new EtcdSeen(_seen.Generation + 1, header.ClusterId, header.MemberId, header.Revision, _broken.Token);
            }
            else if (header.Revision >= _seen.Revision)
            {
                _seen = _seen with { Cluster = header.ClusterId, Member = header.MemberId, Revision = header.Revision };
            }
        }

        // Out of the lock: who waits goes on at once.
        broken?.Cancel();
    }

    /// <inheritdoc/>
    public void Dispose() => _broken.Dispose();
}
