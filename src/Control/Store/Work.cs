namespace Sleeve.Control.Store;

/// <summary>What waits for its turn to change an <see cref="EmbeddedStore"/>.</summary>
internal abstract class Work
{
    /// <summary>Does it, within the transaction of a group; how it went is kept until <see cref="Finish"/>.</summary>
    public abstract void Act(Group group);

    /// <summary>Answers: what it did is on the disk.</summary>
    public abstract void Finish();

    /// <summary>Answers: nothing was done.</summary>
    public abstract void Fail(Exception reason);
}

/// <summary>The same, with what it answers.</summary>
/// <param name="act">What is done; refuses before it changes anything.</param>
/// <param name="cancellation">Whoever gave up before its turn came gets nothing done.</param>
internal sealed class Work<T>(Func<Group, T> act, CancellationToken cancellation) : Work
{
    private readonly TaskCompletionSource<T> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private StoreRefusedException? _refusal;
    private T _result = default!;

    /// <summary>The answer.</summary>
    public Task<T> Done => _done.Task;

    /// <inheritdoc/>
    public override void Act(Group group)
    {
        if (cancellation.IsCancellationRequested)
        {
            _done.TrySetCanceled(cancellation);
            return;
        }

        try
        {
            _result = act(group);
        }
        catch (StoreRefusedException refusal)
        {
            _refusal = refusal;
        }
    }

    /// <inheritdoc/>
    public override void Finish()
    {
        if (_refusal is { } refusal)
        {
            _done.TrySetException(refusal);
        }
        else
        {
            _done.TrySetResult(_result);
        }

        // Whoever does not wait any more does not want to hear of it either.
        _ = _done.Task.Exception;
    }

    /// <inheritdoc/>
    public override void Fail(Exception reason)
    {
        _done.TrySetException(reason);
        _ = _done.Task.Exception;
    }
}

/// <summary>Changes that become one transaction of the database, and what the store is after them. Each transaction of a caller still has a revision of its own.</summary>
internal sealed class Group(long revision, long compacted, (long Keys, long Bytes, long HistoryBytes) totals)
{
    private readonly List<Action> _onSuccess = [];
    private readonly List<Action> _onFailure = [];

    /// <summary>The revision after what was done so far.</summary>
    public long Revision { get; private set; } = revision;

    /// <summary>Up to where the history is forgotten.</summary>
    public long Compacted { get; set; } = compacted;

    /// <summary>Keys there are.</summary>
    public long Keys { get; private set; } = totals.Keys;

    /// <summary>Their bytes and those of their values.</summary>
    public long Bytes { get; private set; } = totals.Bytes;

    /// <summary>Bytes of the history.</summary>
    public long HistoryBytes { get; set; } = totals.HistoryBytes;

    /// <summary>What was changed, for watches.</summary>
    public List<StoreBatch> Batches { get; } = [];

    /// <summary>Makes the changes of one transaction, under the next revision.</summary>
    /// <param name="database">Where.</param>
    /// <param name="changes">At least one; each changes something.</param>
    /// <param name="keys">Keys there are afterwards.</param>
    /// <param name="bytes">Bytes there are afterwards.</param>
    public void Add(ClusterDatabase database, IReadOnlyList<(StoreWrite Write, StoreEntry? Before)> changes, long keys, long bytes)
    {
        Revision++;
        (Keys, Bytes) = (keys, bytes);
        var told = new StoreChange[changes.Count];
        for (var part = 0; part < changes.Count; part++)
        {
            var ((key, value, lease), before) = changes[part];
            var now = value is null ? null : new StoreEntry(key, value, before?.CreateRevision ?? Revision, Revision, lease);
            database.Change(Revision, part, key, now, before);
            told[part] = new StoreChange(key, now);
            HistoryBytes += 64 + EmbeddedStore.SizeOf(key, value ?? "") + System.Text.Encoding.UTF8.GetByteCount(before?.Value ?? "");
        }

        Batches.Add(new StoreBatch(Revision, told));
    }

    /// <summary>What is to be done once it is on the disk.</summary>
    public void OnSuccess(Action act) => _onSuccess.Add(act);

    /// <summary>What is to be taken back if it does not get there.</summary>
    public void OnFailure(Action act) => _onFailure.Add(act);

    /// <summary>It is on the disk.</summary>
    public void Succeed() => _onSuccess.ForEach(static act => act());

    /// <summary>It is not.</summary>
    public void Fail()
    {
        _onFailure.Reverse();
        _onFailure.ForEach(static act => act());
    }
}
