namespace Sleeve.Control.Store;

/// <summary>When the leases of an <see cref="EmbeddedStore"/> end, by a clock that only goes forward. After a start each has its whole term before it. Any thread.</summary>
internal sealed class LeaseTable
{
    private readonly Lock _access = new();
    private readonly Dictionary<long, Running> _leases = [];
    private readonly TimeProvider _time;

    /// <summary>Begins the leases that there are anew.</summary>
    public LeaseTable(TimeProvider time, IEnumerable<StoredLease> leases)
    {
        _time = time;
        foreach (var lease in leases) Add(lease);
    }

    /// <summary>How many there are.</summary>
    public int Count
    {
        get
        {
            lock (_access) return _leases.Count;
        }
    }

    /// <summary>Adds one, with its whole term before it.</summary>
    public void Add(StoredLease lease)
    {
        lock (_access) _leases[lease.Number] = new Running(lease, _time.GetTimestamp());
    }

    /// <summary>One that is not ending; null if there is none.</summary>
    public StoredLease? Find(long number)
    {
        lock (_access) return _leases.GetValueOrDefault(number) is { IsEnding: false } found ? found.Lease : null;
    }

    /// <summary>Lets one begin anew; false if there is none, or if it is ending.</summary>
    public bool KeepAlive(long number)
    {
        lock (_access)
        {
            if (_leases.GetValueOrDefault(number) is not { IsEnding: false } found) return false;
            found.Since = _time.GetTimestamp();
            return true;
        }
    }

    /// <summary>Those whose time is over.</summary>
    public IReadOnlyList<long> Due()
    {
        lock (_access) return [.. _leases.Values.Where(IsDue).Select(static each => each.Lease.Number)];
    }

    /// <summary>From now on nobody can keep it alive.</summary>
    /// <param name="number">Which.</param>
    /// <param name="isExpiry">Only if its time is over, still.</param>
    /// <returns>False if there is none, or not for that.</returns>
    public bool BeginEnd(long number, bool isExpiry)
    {
        lock (_access)
        {
            if (_leases.GetValueOrDefault(number) is not { IsEnding: false } found || (isExpiry && !IsDue(found))) return false;
            return found.IsEnding = true;
        }
    }

    /// <summary>It has ended, or could not be: then it goes on.</summary>
    public void FinishEnd(long number, bool isDone)
    {
        lock (_access)
        {
            if (isDone)
            {
                _leases.Remove(number);
            }
            else if (_leases.GetValueOrDefault(number) is { } found)
            {
                found.IsEnding = false;
            }
        }
    }

    private bool IsDue(Running lease) => !lease.IsEnding && _time.GetElapsedTime(lease.Since) >= TimeSpan.FromSeconds(lease.Lease.Seconds);

    private sealed class Running(StoredLease lease, long since)
    {
        public StoredLease Lease { get; } = lease;

        public long Since { get; set; } = since;

        public bool IsEnding { get; set; }
    }
}
