using Sleeve.Control.Store;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>
/// Has a subnet of this host in flannel's keys, as flanneld has it: put there if nobody else has it, under a lease of a day that is kept alive. It outlasts a restart, and its end is its key's.
/// </summary>
/// <param name="store">The etcd, below flannel's prefix.</param>
/// <param name="lease">What stands there.</param>
/// <param name="vni">The network's.</param>
/// <param name="say">Takes lines for whoever watches.</param>
internal sealed class FlannelLeaseKeeper(IStore store, FlannelLease lease, Vni vni, Action<string> say)
{
    // flanneld's subnetTTL.
    private static readonly TimeSpan TimeToLive = TimeSpan.FromHours(24);

    // More often than a lease of a day needs: a key that somebody removed is back soon.
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(10);

    private readonly TaskCompletionSource<string?> _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly string _key = FlannelKeys.Key(lease.Subnet);
    private readonly string _value = FlannelKeys.WriteLease(lease, vni);
    private string? _said;

    /// <summary>What came of the first attempt: null if the subnet is this host's, or etcd does not answer; else whose it is.</summary>
    public Task<string?> First => _first.Task;

    /// <summary>Keeps it until it is told to end; what stands there stays.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        while (true)
        {
            try
            {
                var (number, whose) = await PutAsync(cancellation);
                _first.TrySetResult(whose);
                Tell(whose);
                while (number != 0)
                {
                    await Task.Delay(Beat, cancellation);
                    if (!await store.KeepAliveAsync(number, cancellation) || await FindAsync(cancellation) is not { } entry || entry.Value != _value) break;
                }

                if (number != 0) continue;
            }
            catch (IOException failure)
            {
                _first.TrySetResult(null);
                Tell(failure.Message);
            }

            await Task.Delay(Beat, cancellation);
        }
    }

    /// <summary>Takes it away, if it is still this host's.</summary>
    /// <exception cref="StoreUnavailableException">No answer: it ends with its lease.</exception>
    public async Task RemoveAsync(CancellationToken cancellation)
    {
        if (await FindAsync(cancellation) is { } entry && IsOurs(entry)) await store.CommitAsync(new StoreTransaction([StoreCondition.Unchanged(entry)], [new StoreWrite(_key, null)]), cancellation);
    }

    // The number of the lease, or whose the subnet is.
    private async Task<(long Lease, string? Whose)> PutAsync(CancellationToken cancellation)
    {
        var before = await FindAsync(cancellation);
        if (before is not null && !IsOurs(before)) return (0, $"subnet {lease.Subnet}: is another host's in flannel's keys ({_key}): {Show(before)}");
        var number = await store.GrantAsync(TimeToLive, cancellation);
        var outcome = await store.CommitAsync(new StoreTransaction([before is null ? StoreCondition.Absent(_key) : StoreCondition.Unchanged(before)], [new StoreWrite(_key, _value, number)]), cancellation);
        if (outcome.IsDone) return (number, null);
        await store.RevokeAsync(number, cancellation);
        return (0, $"subnet {lease.Subnet}: was just taken in flannel's keys ({_key})");
    }

    // By the address of the VTEP, as flanneld knows its own again.
    private bool IsOurs(StoreEntry entry) => FlannelKeys.TryReadLease(_key, entry.Value, out var there, out _) && there.Vtep == lease.Vtep;

    private static string Show(StoreEntry entry) => FlannelKeys.TryReadLease(entry.Key, entry.Value, out var there, out var fault) ? $"VTEP {there.Vtep}" : fault ?? "unreadable";

    private async Task<StoreEntry?> FindAsync(CancellationToken cancellation) => (await store.RangeAsync(_key, cancellation)).Entries.FirstOrDefault(entry => entry.Key == _key);

    private void Tell(string? fault)
    {
        if (fault is not null && fault != _said) say($"warning: {fault}");
        _said = fault;
    }
}
