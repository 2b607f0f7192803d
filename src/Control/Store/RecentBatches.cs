namespace Sleeve.Control.Store;

/// <summary>
/// The last changes, in memory, that all watches read from. Nobody keeps anything for a watch: it only knows how far it has come, and one that is too far behind reads on in the database. So a slow watch costs nothing, and none is cut off
/// for being slow.
/// </summary>
internal sealed class RecentBatches
{
    private const int MaxBatches = 4096;
    private const long MaxBytes = 8 * 1024 * 1024;

    private readonly Lock _access = new();
    private readonly (StoreBatch Batch, long Bytes)[] _batches = new (StoreBatch, long)[MaxBatches];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _bytes;
    private long _first;
    private long _revision;

    /// <summary>Makes it.</summary>
    /// <param name="revision">That of the store now: changes follow it.</param>
    public RecentBatches(long revision) => (_revision, _first) = (revision, revision + 1);

    /// <summary>The revision of the last change.</summary>
    public long Revision
    {
        get
        {
            lock (_access) return _revision;
        }
    }

    /// <summary>Adds changes, and wakes who waits for them.</summary>
    public void Add(IEnumerable<StoreBatch> batches)
    {
        TaskCompletionSource changed;
        lock (_access)
        {
            foreach (var batch in batches)
            {
                var bytes = batch.Changes.Sum(static change => 128L + change.Key.Length + (change.Entry?.Value.Length ?? 0));
                while (_first <= _revision && (_revision - _first + 1 >= MaxBatches || _bytes + bytes > MaxBytes))
                {
                    _bytes -= _batches[_first % MaxBatches].Bytes;
                    _batches[_first++ % MaxBatches] = default;
                }

                _batches[batch.Revision % MaxBatches] = (batch, bytes);
                _bytes += bytes;
                _revision = batch.Revision;
            }

            changed = _changed;
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        changed.TrySetResult();
    }

    /// <summary>Wakes all who wait for a change.</summary>
    public void Wake() => Add([]);

    /// <summary>The changes from a revision on.</summary>
    /// <param name="from">First revision.</param>
    /// <param name="batches">Those there are; null if the first of them is no longer here.</param>
    /// <returns>Done when there are more.</returns>
    public Task Read(long from, out IReadOnlyList<StoreBatch>? batches)
    {
        lock (_access)
        {
            // Revisions have no gaps.
            batches = from < _first ? null : [.. Enumerable.Range(0, (int)Math.Max(0, _revision - from + 1)).Select(offset => _batches[(from + offset) % MaxBatches].Batch)];
            return _changed.Task;
        }
    }
}
