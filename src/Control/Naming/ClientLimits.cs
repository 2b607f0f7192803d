using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Naming;

/// <summary>
/// What one client may ask of a network's server: a token bucket each, and how much of it is under way. Any thread. Clients beyond <see cref="MaxClients"/> at a time share one place, so that
/// made-up addresses cost no memory.
/// </summary>
/// <param name="options">The limits.</param>
internal sealed class ClientLimits(NameOptions options)
{
    /// <summary>Clients that are told apart at a time.</summary>
    public const int MaxClients = 4096;

    private const int SweepMilliseconds = 1000;

    private readonly Dictionary<InternetAddress, ClientPlace> _clients = [];
    private readonly ClientPlace _others = new();
    private readonly Lock _lock = new();
    private long _nextSweep;

    /// <summary>Takes a token for a question.</summary>
    /// <param name="address">The client.</param>
    /// <param name="nowMilliseconds">The clock.</param>
    /// <returns>False if there is none left.</returns>
    public bool TryAsk(InternetAddress address, long nowMilliseconds)
    {
        lock (_lock)
        {
            var client = Of(address, nowMilliseconds);
            var now = nowMilliseconds * (double)options.ClientRate / 1000;
            var next = Math.Max(client.FullAt, now) + 1;
            if (next - now > options.ClientBurst) return false;
            client.FullAt = next;
            return true;
        }
    }

    /// <summary>Counts a question that others are asked; to be ended by <see cref="EndOutside"/>.</summary>
    /// <returns>Null if too many are under way.</returns>
    public ClientPlace? TryBeginOutside(InternetAddress address, long nowMilliseconds)
    {
        lock (_lock)
        {
            var client = Of(address, nowMilliseconds);
            if (client.Outside >= options.ClientInFlight) return null;
            client.Outside++;
            return client;
        }
    }

    /// <summary>Ends what <see cref="TryBeginOutside"/> began.</summary>
    public void EndOutside(ClientPlace client)
    {
        lock (_lock) client.Outside--;
    }

    /// <summary>Counts a connection; to be ended by <see cref="EndConnection"/>.</summary>
    /// <returns>Null if it has too many.</returns>
    public ClientPlace? TryBeginConnection(InternetAddress address, long nowMilliseconds)
    {
        lock (_lock)
        {
            var client = Of(address, nowMilliseconds);
            if (client.Connections >= options.ClientConnections) return null;
            client.Connections++;
            return client;
        }
    }

    /// <summary>Ends what <see cref="TryBeginConnection"/> began.</summary>
    public void EndConnection(ClientPlace client)
    {
        lock (_lock) client.Connections--;
    }

    private ClientPlace Of(InternetAddress address, long nowMilliseconds)
    {
        if (_clients.TryGetValue(address, out var known)) return known;
        if (_clients.Count >= MaxClients && nowMilliseconds >= _nextSweep)
        {
            _nextSweep = nowMilliseconds + SweepMilliseconds;
            Forget(nowMilliseconds);
        }

        return _clients.Count >= MaxClients ? _others : _clients[address] = new ClientPlace();
    }

    // Who has something under way is not forgotten: it would have its limit anew.
    private void Forget(long nowMilliseconds)
    {
        var now = nowMilliseconds * (double)options.ClientRate / 1000;
        foreach (var (address, client) in _clients)
            if (client.FullAt <= now && client.Outside == 0 && client.Connections == 0) _clients.Remove(address);
    }
}

/// <summary>What <see cref="ClientLimits"/> keeps of a client, and changes.</summary>
internal sealed class ClientPlace
{
    /// <summary>When its bucket is full again, in tokens since the clock began.</summary>
    public double FullAt { get; set; }

    /// <summary>Questions of it that others are being asked.</summary>
    public int Outside { get; set; }

    /// <summary>Its connections.</summary>
    public int Connections { get; set; }
}
