using Sleeve.Control.Daemon;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>Keeps addresses from being given out: for a machine that nobody attached here, or for later.</summary>
/// <param name="store">Where.</param>
/// <param name="replica">The copy of it.</param>
internal sealed class Reservations(IStore store, Replica replica)
{
    private const int MaxAttempts = 50;
    private static readonly TimeSpan PatienceForReplica = TimeSpan.FromSeconds(2);

    /// <summary>Reserves an address; one that is reserved already gets the note.</summary>
    /// <param name="network">The network.</param>
    /// <param name="address">Of one of its subnets.</param>
    /// <param name="note">What for; at most <see cref="RecordJson.MaxNoteLength"/> characters.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="CommandRefusedException">It is somebody's, or not of the network.</exception>
    /// <exception cref="StoreUnavailableException">No answer; it may have been done.</exception>
    public async Task ReserveAsync(string network, InternetAddress address, string note, CancellationToken cancellation)
    {
        if (note.Length > RecordJson.MaxNoteLength || !NetworkRules.IsText(note)) throw Refused(RefusalKind.Invalid, $"--note: must be text of at most {RecordJson.MaxNoteLength} characters");
        var (networkKey, key) = (ClusterKeys.Network(network), ClusterKeys.Address(network, address));
        var value = RecordJson.Write(new AddressRecord("", "", AddressRecord.OfReservation) { Note = note });
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            var record = await FindAsync(networkKey, cancellation);
            if (record is null || !RecordJson.TryRead<NetworkRecord>(record.Value, out var found, out _)) throw Refused(RefusalKind.Conflict, $"network {network}: there is none of that name; sleeve net ls shows them");
            if (!found.Subnets.Any(subnet => AddressPool.IsUsable(subnet, address))) throw Refused(RefusalKind.Invalid, $"ADDRESS {address}: must be one of {string.Join(", ", found.Subnets)} that can be given out");
            var before = await FindAsync(key, cancellation);
            if (before is not null && Whose(before) is { } whose) throw Refused(RefusalKind.Conflict, $"address {address}: is taken: {whose}");
            if (before?.Value == value) return;
            if (await CommitAsync(new StoreTransaction([StoreCondition.Unchanged(record), new StoreCondition(key, before?.ModRevision ?? 0)], [new StoreWrite(key, value)]), cancellation)) return;
        }

        throw Refused(RefusalKind.Impossible, $"address {address}: changes faster than it can be reserved; try again");
    }

    /// <summary>Ends a reservation; one that is not there is no error.</summary>
    /// <exception cref="CommandRefusedException">It is no reservation but somebody's address.</exception>
    /// <exception cref="StoreUnavailableException">No answer; it may have been done.</exception>
    public async Task ReleaseAsync(string network, InternetAddress address, CancellationToken cancellation)
    {
        var key = ClusterKeys.Address(network, address);
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            if (await FindAsync(key, cancellation) is not { } entry) return;
            if (Whose(entry) is { } whose) throw Refused(RefusalKind.Conflict, $"address {address}: is no reservation but {whose}; detach ends that of an endpoint");
            if (await CommitAsync(new StoreTransaction([StoreCondition.Unchanged(entry)], [new StoreWrite(key, null)]), cancellation)) return;
        }

        throw Refused(RefusalKind.Impossible, $"address {address}: changes faster than it can be released; try again");
    }

    // Null if it is nobody's: a reservation, or something that nobody can read.
    private static string? Whose(StoreEntry entry) => !RecordJson.TryRead<AddressRecord>(entry.Value, out var claim, out _) ? null : claim.Why switch
    {
        AddressRecord.OfEndpoint => $"endpoint {claim.Endpoint} of host {claim.Host}",
        AddressRecord.OfGateway => "the gateway",
        _ => null,
    };

    private async Task<bool> CommitAsync(StoreTransaction transaction, CancellationToken cancellation)
    {
        try
        {
            var outcome = await store.CommitAsync(transaction, cancellation);
            if (outcome.IsDone && replica.IsConnected) await replica.WaitForAsync(outcome.Revision, cancellation).WaitAsync(PatienceForReplica, cancellation);
            return outcome.IsDone;
        }
        catch (TimeoutException)
        {
            // It is done; the copy will hear of it.
            return true;
        }
        catch (StoreRefusedException refusal)
        {
            throw Refused(RefusalKind.Impossible, $"{store.Place} refuses it: {refusal.Message}");
        }
    }

    private async Task<StoreEntry?> FindAsync(string key, CancellationToken cancellation) =>
        (await store.RangeAsync(key, cancellation)).Entries.FirstOrDefault(entry => entry.Key == key);

    private static CommandRefusedException Refused(RefusalKind kind, string reason) => new(kind, [reason]);
}
