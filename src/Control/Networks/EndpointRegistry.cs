using System.Collections.Concurrent;
using Sleeve.Control.Daemon;
using Sleeve.Control.Host;
using Sleeve.Control.Store;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Networks;

/// <summary>
/// Publishes the endpoints of this host, each with its claims in one transaction: whoever is first has an address or a MAC, and nobody can have half of what he asked for. Any number at the same time; those of one
/// id one after the other. When the store does not answer, what was begun may have been done: it is owed then, and withdrawn as soon as the store is back, unless it was published again meanwhile.
/// </summary>
internal sealed class EndpointRegistry : IEndpointClaims
{
    // For the copy to hear of what was just done, so that whoever asked reads what he wrote; if it takes longer, nothing breaks.
    private static readonly TimeSpan PatienceForReplica = TimeSpan.FromSeconds(2);

    // A watch that broke off is back by then, if it comes back soon.
    private static readonly TimeSpan PatienceForStore = TimeSpan.FromSeconds(1);

    private const int AtOnce = 8;

    private readonly IStore _store;
    private readonly Replica _replica;
    private readonly Func<PeerRecord> _self;
    private readonly ConcurrentDictionary<string, NetworkState> _states = new();
    private readonly ConcurrentDictionary<(string Network, string Id), bool> _owed = new();
    private readonly KeyedTurns _proposing = new();
    private int _isSettling;

    /// <summary>Begins with nothing published.</summary>
    /// <param name="store">Where.</param>
    /// <param name="replica">The copy of it.</param>
    /// <param name="self">This host as it says itself at the moment.</param>
    public EndpointRegistry(IStore store, Replica replica, Func<PeerRecord> self)
    {
        (_store, _replica, _self) = (store, replica, self);
        replica.OnConnection += fault =>
        {
            if (fault is null) SettleSoon();
        };
    }

    /// <summary>Fills in what of a network does not stand in the store, see <see cref="NetworkView.Foreign"/>. Default: nothing.</summary>
    public Func<NetworkView, NetworkView> Complete { get; init; } = static view => view;

    /// <summary>Waits until that is known of a network. Default: does not.</summary>
    public Func<NetworkRecord, CancellationToken, Task> PrepareAsync { get; init; } = static (_, _) => Task.CompletedTask;

    /// <summary>What was begun while the store did not answer, and is still to be taken back.</summary>
    public int Owed => _owed.Count;

    /// <summary>Why a host takes part in no network.</summary>
    public const string NoAddress = "this host has no address that others could send to: nothing can be attached and nobody can join here; start the daemon again when it has one, or name one by --local";

    /// <summary>Publishes an endpoint of this host, or changes the one of that id.</summary>
    /// <param name="network">The network, as it was read.</param>
    /// <param name="draft">Without addresses, one of each family is chosen, or those it has are kept; a MAC of zero is derived, or kept.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>As it stands in the store.</returns>
    /// <exception cref="CommandRefusedException">An address or MAC is another's, the pool is full, or the words are wrong; nothing was changed.</exception>
    /// <exception cref="StoreUnavailableException">No answer; what may have been done will be taken back.</exception>
    public async Task<Published<EndpointRecord>> PublishAsync(NetworkRecord network, EndpointRecord draft, CancellationToken cancellation)
    {
        var me = _self();
        CheckDraft(draft, me);
        await RequireStoreAsync(cancellation);
        await PrepareAsync(network, cancellation);
        var state = StateOf(network.Name, network.Id);
        await state.Turns.EnterAsync(draft.Id, cancellation);
        try
        {
            var claims = ClaimsOf(network.Name, draft.Id);
            var isNew = claims.Endpoint is null;
            try
            {
                var done = await new Publication(_store, claims, state, me, network, draft, isReassertion: false).RunAsync(cancellation);
                state.Turns.Published(draft.Id, done!.Version);
                _owed.TryRemove((network.Name, draft.Id), out _);
                await CatchUpAsync(done.Version, cancellation);
                return done;
            }
            catch (Exception failure) when (failure is StoreUnavailableException or OperationCanceledException && isNew)
            {
                Owe(network.Name, draft.Id);
                throw;
            }
        }
        finally
        {
            state.Turns.Leave(draft.Id);
        }
    }

    /// <summary>Takes back an endpoint of this host; one that is not there is no error.</summary>
    /// <exception cref="StoreUnavailableException">No answer; it is done as soon as the store is back.</exception>
    public async Task WithdrawAsync(string network, string id, CancellationToken cancellation)
    {
        try
        {
            await WithdrawOneAsync(network, id, null, cancellation);
        }
        catch (Exception failure) when (failure is StoreUnavailableException or OperationCanceledException)
        {
            Owe(network, id);
            throw;
        }
    }

    /// <summary>
    /// After a restart, or after the store was away: publishes again what this host has, as this run's, and withdraws what stands in the store of it and is not there any more. What another host or endpoint
    /// claimed meanwhile stays theirs.
    /// </summary>
    /// <param name="local">All endpoints of this host, as they were published. One that is being published at the same time need not be among them.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>What is lost. An endpoint that lost its MAC, its last address or its network is withdrawn as a whole; one that lost some addresses goes on with the others.</returns>
    /// <exception cref="StoreUnavailableException">No answer; ask again when it is back.</exception>
    public async Task<IReadOnlyList<LostClaim>> ReassertAsync(IReadOnlyList<(string Network, EndpointRecord Endpoint)> local, CancellationToken cancellation)
    {
        await RequireStoreAsync(cancellation);
        var begin = _replica.View.Revision;
        var lost = new ConcurrentBag<LostClaim>();
        await Parallel.ForEachAsync(local, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellation }, async (each, stop) =>
        {
            foreach (var claim in await ReassertOneAsync(each.Network, each.Endpoint, stop)) lost.Add(claim);
        });
        var kept = local.Select(static each => (each.Network, each.Endpoint.Id)).ToHashSet();
        await new StrayClaims(_store, _replica, _self().Name).RemoveAsync(
            (network, id) => kept.Contains((network, id)) || (_states.TryGetValue(network, out var state) && state.Turns.IsNewerThan(id, begin)),
            (network, id, former) => WithdrawOneAsync(network, id, former, cancellation),
            network => _states.TryGetValue(network, out var state) && !state.Turns.IsIdle,
            cancellation);
        return [.. lost.OrderBy(static each => each.Network, StringComparer.Ordinal).ThenBy(static each => each.Endpoint, StringComparer.Ordinal).ThenBy(static each => each.What, StringComparer.Ordinal)];
    }

    /// <summary>Chooses an address for an endpoint that is published soon, and keeps it from being chosen again on this host meanwhile (<see cref="LetGo"/>). Only its publication makes it the endpoint's.</summary>
    /// <param name="network">The network.</param>
    /// <param name="subnet">One of its subnets.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="CommandRefusedException">There is none left.</exception>
    /// <exception cref="StoreUnavailableException">No answer.</exception>
    public async Task<InternetAddress> ProposeAsync(NetworkRecord network, AddressPrefix subnet, CancellationToken cancellation)
    {
        const int Attempts = 50;
        var me = _self();
        await RequireStoreAsync(cancellation);
        await PrepareAsync(network, cancellation);
        // One at a time, or each would lease a block of its own.
        using var turn = await _proposing.EnterAsync(network.Name, cancellation);
        var state = StateOf(network.Name, network.Id);
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            var claims = ClaimsOf(network.Name, "");
            claims.Look();
            AddressChoice choice;
            lock (state.Chooser)
            {
                choice = state.Chooser.Choose(network, subnet, claims.View, claims.Known, me.Location, attempt == 0 ? null : Random.Shared)
                    ?? throw new CommandRefusedException(RefusalKind.Impossible, [$"network {network.Name}: the pool is full: no free address in {subnet}; sleeve ipam show {network.Name} shows who has what"]);
                state.Chooser.Hold(choice.Address);
            }

            if (choice.Lease is not { } block) return choice.Address;
            // With a block of its own this host seldom proposes what another does.
            var lease = new StoreTransaction(
                [new StoreCondition(ClusterKeys.Network(network.Name), claims.Network?.Version ?? 0), StoreCondition.Absent(ClusterKeys.Block(network.Name, block))],
                [new StoreWrite(ClusterKeys.Block(network.Name, block), RecordJson.Write(new BlockRecord(me.Name)))]);
            var outcome = await _store.CommitAsync(lease, cancellation);
            if (outcome.IsDone)
            {
                await CatchUpAsync(outcome.Revision, cancellation);
                return choice.Address;
            }

            LetGo(network, choice.Address);
            // The copy is behind, or it would not have said that it is free.
            await Task.Delay(20, cancellation);
        }

        throw new CommandRefusedException(RefusalKind.Impossible, [$"network {network.Name}: too many want addresses of it at the same time; try again"]);
    }

    /// <summary>Ends what <see cref="ProposeAsync"/> began; an address that was not chosen is no error.</summary>
    public void LetGo(NetworkRecord network, InternetAddress address)
    {
        var state = StateOf(network.Name, network.Id);
        lock (state.Chooser) state.Chooser.LetGo(address);
    }

    private void Owe(string network, string id)
    {
        _owed[(network, id)] = true;
        SettleSoon();
    }

    private void SettleSoon()
    {
        if (!_owed.IsEmpty && Interlocked.Exchange(ref _isSettling, 1) == 0) _ = Task.Run(SettleAsync);
    }

    // Until all is done, or the store is away: its return begins this anew.
    private async Task SettleAsync()
    {
        var pause = TimeSpan.FromMilliseconds(250);
        while (!_owed.IsEmpty && _replica.IsConnected)
        {
            foreach (var (network, id) in _owed.Keys)
            {
                try
                {
                    await WithdrawOneAsync(network, id, null, CancellationToken.None, isOwed: true);
                }
                catch (Exception failure) when (failure is IOException or CommandRefusedException)
                {
                    await Task.Delay(pause);
                    pause = pause < PatienceForStore * 10 ? pause * 2 : pause;
                }
            }
        }

        Volatile.Write(ref _isSettling, 0);
        // Something may have come between the last look and that.
        if (_replica.IsConnected) SettleSoon();
    }

    private async Task<IReadOnlyCollection<LostClaim>> ReassertOneAsync(string network, EndpointRecord endpoint, CancellationToken cancellation)
    {
        if (_replica.View.Networks.GetValueOrDefault(network)?.Record is not { } record)
        {
            await WithdrawOneAsync(network, endpoint.Id, endpoint, cancellation);
            return [new LostClaim(network, endpoint.Id, "network", $"network {network}: was removed", 0)];
        }

        var state = StateOf(network, record.Value.Id);
        await state.Turns.EnterAsync(endpoint.Id, cancellation);
        IReadOnlyCollection<LostClaim> lost;
        try
        {
            var publication = new Publication(_store, ClaimsOf(network, endpoint.Id), state, _self(), record.Value, endpoint, isReassertion: true);
            var done = await publication.RunAsync(cancellation);
            lost = publication.Lost;
            if (done is not null)
            {
                state.Turns.Published(endpoint.Id, done.Version);
                _owed.TryRemove((network, endpoint.Id), out _);
                return lost;
            }
        }
        finally
        {
            state.Turns.Leave(endpoint.Id);
        }

        await WithdrawOneAsync(network, endpoint.Id, endpoint, cancellation);
        return lost;
    }

    private async Task WithdrawOneAsync(string network, string id, EndpointRecord? former, CancellationToken cancellation, bool isOwed = false)
    {
        await RequireStoreAsync(cancellation);
        var state = StateOf(network, null);
        await state.Turns.EnterAsync(id, cancellation);
        bool isRest;
        try
        {
            // It was published again meanwhile.
            if (isOwed && !_owed.ContainsKey((network, id))) return;
            var claims = ClaimsOf(network, id);
            var addresses = (claims.Endpoint?.Value ?? former)?.Addresses ?? [];
            var withdrawal = new Withdrawal(_store, claims, state, _self(), network, id);
            var revision = await withdrawal.RunAsync(former, cancellation);
            state.Turns.Withdrawn(id, revision);
            _owed.TryRemove((network, id), out _);
            lock (state.Chooser)
                foreach (var address in addresses) state.Chooser.Release(address);
            await CatchUpAsync(Math.Max(revision, state.Turns.LastWithdrawal), cancellation);
            isRest = !withdrawal.WasLast && id.Length > 0;
        }
        finally
        {
            state.Turns.Leave(id);
        }

        // Several that went at the same time each saw the others: the last of them takes the rest along.
        if (isRest && state.Turns.IsIdle) await WithdrawOneAsync(network, "", null, cancellation);
    }

    private Claims ClaimsOf(string network, string id) => new(_replica, _self().Name, network, id, Complete);

    private NetworkState StateOf(string network, string? id) => _states.AddOrUpdate(
        network,
        static (_, wanted) => new NetworkState(wanted.Host) { Id = wanted.Id },
        static (_, known, wanted) =>
        {
            known.Id ??= wanted.Id;
            return wanted.Id is null || known.Id == wanted.Id ? known : new NetworkState(wanted.Host) { Id = wanted.Id };
        },
        (Id: id, Host: _self().Name));

    private static void CheckDraft(EndpointRecord draft, PeerRecord me)
    {
        if (me.Local.IsUnspecified) throw new CommandRefusedException(RefusalKind.Impossible, [NoAddress]);
        var whole = draft with { Mac = draft.Mac.IsZero ? MacAddress.FromValue(2) : draft.Mac, Vtep = me.Local, Generation = 0 };
        if (RecordJson.Check(whole) is { } wrong) throw new CommandRefusedException(RefusalKind.Invalid, [wrong]);
    }

    private async Task RequireStoreAsync(CancellationToken cancellation)
    {
        var deadline = TimeProvider.System.GetTimestamp();
        while (_replica.Fault is { } fault)
        {
            if (TimeProvider.System.GetElapsedTime(deadline) > PatienceForStore) throw new StoreUnavailableException($"{_store.Place} is away ({fault}): what is attached goes on, nothing new can be published until it is back");
            await Task.Delay(50, cancellation);
        }
    }

    private async Task CatchUpAsync(long revision, CancellationToken cancellation)
    {
        try
        {
            await _replica.WaitForAsync(revision, cancellation).WaitAsync(PatienceForReplica, cancellation);
        }
        catch (TimeoutException)
        {
            // It will hear of it.
        }
    }
}
