using System.Globalization;
using Sleeve.Control.Store;

namespace Sleeve.Control.Networks;

/// <summary>
/// Frees what hosts had that are gone for good: whoever gives no sign of life to the store for the grace time loses its endpoints, addresses, MACs, blocks and memberships. The time is measured by this host's own
/// clock that only goes forward, from when it saw the sign vanish, so no clock of another host matters; and it begins anew when this host itself was away from the store, for then it did not see who came back.
/// Every host does this; who is first does it.
/// </summary>
/// <param name="store">Where.</param>
/// <param name="replica">The copy of it.</param>
/// <param name="self">This host, which is never dead to itself.</param>
/// <param name="say">Told what is freed, and why.</param>
/// <param name="clock">Measures.</param>
internal sealed class Reclaimer(IStore store, Replica replica, string self, Action<string> say, TimeProvider? clock = null)
{
    /// <summary>How long a host may be gone, unless something else is said.</summary>
    public static readonly TimeSpan DefaultGrace = TimeSpan.FromHours(1);

    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(1);

    private readonly TimeProvider _clock = clock ?? TimeProvider.System;
    private readonly Dictionary<string, long> _goneSince = [];
    private readonly Lock _access = new();

    /// <summary>How long a host may be gone.</summary>
    public TimeSpan Grace { get; init; } = DefaultGrace;

    /// <summary>Hosts that have something and give no sign of life, with how long ago this host saw that first.</summary>
    public IReadOnlyDictionary<string, TimeSpan> Gone
    {
        get
        {
            lock (_access) return _goneSince.ToDictionary(static each => each.Key, each => _clock.GetElapsedTime(each.Value));
        }
    }

    /// <summary>Looks again and again until it is cancelled, which ends it without an exception.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        // Whoever was away does not know who came and went.
        replica.OnConnection += Forget;
        try
        {
            while (true)
            {
                await LookAsync(cancellation);
                var pause = Grace / 20 < Longest ? Grace / 20 : Longest;
                await Task.Delay(pause * (0.75 + (Random.Shared.NextDouble() / 2)), _clock, cancellation);
            }
        }
        catch (OperationCanceledException)
        {
            // The end.
        }
        finally
        {
            replica.OnConnection = (replica.OnConnection - Forget) ?? (static _ => { });
        }
    }

    /// <summary>Looks once, and frees what is due.</summary>
    public async Task LookAsync(CancellationToken cancellation)
    {
        if (!replica.IsConnected)
        {
            Forget("away");
            return;
        }

        foreach (var (host, gone) in Note(replica.View))
        {
            try
            {
                await ReclaimAsync(host, string.Create(CultureInfo.InvariantCulture, $"it gave no sign of life for {gone.TotalSeconds:0} s (grace time {Grace.TotalSeconds:0} s)"), evenIfAlive: false, cancellation);
                lock (_access) _goneSince.Remove(host);
            }
            catch (IOException failure)
            {
                say($"host {host}: not all it had could be freed: {failure.Message}; tried again later");
            }
        }
    }

    /// <summary>Frees what a host has at once, alive or not: somebody says that it will not come back (<c>sleeve peer forget</c>), or it says so itself.</summary>
    /// <param name="host">The host.</param>
    /// <param name="reason">Why, for the log.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="StoreUnavailableException">No answer; some of it may be done.</exception>
    public Task<RemovedClaims> ReclaimAsync(string host, string reason, CancellationToken cancellation) => ReclaimAsync(host, reason, evenIfAlive: true, cancellation);

    /// <summary>Frees what a host has at once.</summary>
    /// <param name="host">The host.</param>
    /// <param name="reason">Why, for the log.</param>
    /// <param name="evenIfAlive">Whatever signs of life it gives.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="HostReturnedException">It gives signs of life; what it has left stays its own.</exception>
    /// <exception cref="StoreUnavailableException">No answer; some of it may be done.</exception>
    public async Task<RemovedClaims> ReclaimAsync(string host, string reason, bool evenIfAlive, CancellationToken cancellation)
    {
        var removed = await new HostRemoval(store, replica, host, evenIfAlive).RemoveAllAsync(cancellation);
        if (removed.Total > 0) say($"host {host}: freed {removed}: {reason}");
        return removed;
    }

    private void Forget(string? fault)
    {
        lock (_access) _goneSince.Clear();
    }

    private List<(string Host, TimeSpan Gone)> Note(ClusterView view)
    {
        var due = new List<(string, TimeSpan)>();
        var now = _clock.GetTimestamp();
        var holders = HoldersOf(view);
        lock (_access)
        {
            foreach (var host in _goneSince.Keys.Where(host => view.Alive.Contains(host) || !holders.Contains(host)).ToArray()) _goneSince.Remove(host);
            foreach (var host in holders)
            {
                if (host == self || view.Alive.Contains(host)) continue;
                _goneSince.TryAdd(host, now);
                var gone = _clock.GetElapsedTime(_goneSince[host], now);
                if (gone >= Grace) due.Add((host, gone));
            }
        }

        return due;
    }

    // Whoever has something that others could use.
    private static HashSet<string> HoldersOf(ClusterView view)
    {
        var holders = new HashSet<string>();
        foreach (var network in view.Networks.Values)
        {
            holders.UnionWith(network.Members.Keys);
            foreach (var (host, _) in network.Endpoints.Keys) holders.Add(host);
            foreach (var claim in network.Addresses.Values)
                if (claim.Host.Length > 0) holders.Add(claim.Host);
            foreach (var block in network.Blocks.Values) holders.Add(block.Host);
        }

        return holders;
    }
}
