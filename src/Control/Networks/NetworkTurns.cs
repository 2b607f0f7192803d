namespace Sleeve.Control.Networks;

/// <summary>
/// Who of this host is at work in one network: endpoints at the same time, but one at a time of each, and nobody while the last one takes what the host has of the network with it. Also what was published
/// that the replica may not have heard of yet.
/// </summary>
internal sealed class NetworkTurns
{
    private readonly Lock _access = new();
    private readonly HashSet<string> _busy = [];
    private readonly Dictionary<string, long> _published = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isClosing;

    /// <summary>Waits for the turn of an endpoint.</summary>
    public async Task EnterAsync(string endpoint, CancellationToken cancellation)
    {
        while (true)
        {
            Task changed;
            lock (_access)
            {
                if (!_isClosing && _busy.Add(endpoint)) return;
                changed = _changed.Task;
            }

            await changed.WaitAsync(cancellation);
        }
    }

    /// <summary>Ends the turn of an endpoint.</summary>
    public void Leave(string endpoint)
    {
        lock (_access)
        {
            _busy.Remove(endpoint);
            if (_busy.Count == 0) _isClosing = false;
            _changed.TrySetResult();
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    /// <summary>Lets nobody in until whoever has the turn leaves.</summary>
    /// <param name="endpoint">Whose turn it is.</param>
    /// <returns>False if it is not alone: others are at work, or were published.</returns>
    public bool TryClose(string endpoint)
    {
        lock (_access)
        {
            if (_busy.Count != 1 || _published.Keys.Any(each => each != endpoint)) return false;
            return _isClosing = true;
        }
    }

    /// <summary>Notes that an endpoint stands in the store since a revision.</summary>
    public void Published(string endpoint, long revision)
    {
        lock (_access) _published[endpoint] = revision;
    }

    /// <summary>Notes that it does not since a revision.</summary>
    public void Withdrawn(string endpoint, long revision)
    {
        lock (_access)
        {
            _published.Remove(endpoint);
            LastWithdrawal = Math.Max(LastWithdrawal, revision);
        }
    }

    /// <summary>The latest revision in which something was withdrawn.</summary>
    public long LastWithdrawal { get; private set; }

    /// <summary>Whether it is at work, or was published later than a revision.</summary>
    public bool IsNewerThan(string endpoint, long revision)
    {
        lock (_access) return _busy.Contains(endpoint) || _published.GetValueOrDefault(endpoint) > revision;
    }

    /// <summary>Whether nobody is at work and nothing was published.</summary>
    public bool IsIdle
    {
        get
        {
            lock (_access) return _busy.Count == 0 && _published.Count == 0;
        }
    }
}
