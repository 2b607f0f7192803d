using Sleeve.Control.Daemon;
using Sleeve.Control.Store;

namespace Sleeve.Control.Networks;

/// <content>What is put right without anybody asking: after a restart, when a namespace is gone, when the store is back.</content>
internal sealed partial class Endpoints
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(500);

    /// <summary>Rounds of <see cref="RunAsync"/> between two attempts with the store.</summary>
    private const int RoundsBetweenAttempts = 4;

    // Longer than hosts take to come back to a store (5 s at most) and to tell it what they have.
    private const int GhostMilliseconds = 30_000;

    /// <summary>
    /// Takes up what an earlier run left: endpoints whose wires are there go on, before the store is asked; what was under way is finished or undone, what is gone is withdrawn, with the reason.
    /// Once, before anything else.
    /// </summary>
    public async Task ReconcileAsync(CancellationToken cancellation)
    {
        foreach (var stored in _store.Endpoints)
        {
            if (EndpointEntry.Read(stored) is { } entry) _entries[(stored.Network, stored.Id)] = entry;
            else _say($"warning: endpoint {stored.Id} of {stored.Network} is left out: what was noted of it is damaged");
        }

        var links = _wires.Links();
        foreach (var entry in _entries.Values)
        {
            var record = entry.Record!;
            using var turn = await _turns.EnterAsync($"{record.Name}/{entry.Id}", cancellation);
            switch (entry.State)
            {
                case EndpointState.Attaching:
                    _say($"endpoint {entry.Id} of {record.Name}: was being attached when the run before ended: undone");
                    await GoAsync(entry, "it was being attached when the daemon ended", cancellation);
                    break;
                case EndpointState.Attached:
                    await TakeUpAsync(entry, record, links, cancellation);
                    break;
                default:
                    await GoAsync(entry, entry.Reason, cancellation);
                    break;
            }
        }

        _wires.RemoveLeftOvers(_entries.Values.Select(static entry => entry.Link).ToHashSet());
        await TellStoreAsync(cancellation);
    }

    private async Task TakeUpAsync(EndpointEntry entry, NetworkRecord record, IReadOnlySet<string> links, CancellationToken cancellation)
    {
        var link = entry.Link;
        // Whoever made a wire of it did all of it, or it would be no endpoint yet; and it would not be there without its other end.
        var isThere = links.Contains(link);
        if (!isThere && (HandedVeth.NameOf(entry.Request.Target) is not null || !await IsSameAsync(entry, cancellation)))
        {
            await GoAsync(entry, WhyGone(entry), cancellation);
            return;
        }

        try
        {
            var network = await _wires.HoldAsync(record, entry.Id, cancellation);
            if (isThere) _wires.Plug(link, network);
            else if (entry.Published is { } endpoint) await _wires.ConnectAsync(entry.Request.Target, entry.Identity, PlanOf(network, entry, endpoint), cancellation);
        }
        catch (Exception failure) when (failure is IOException or CommandRefusedException)
        {
            // Its claims stay: it is still attached as far as anybody asked.
            _say($"warning: endpoint {entry.Id} of {record.Name}: {failure.Message}");
        }
    }

    private static string WhyGone(EndpointEntry entry) =>
        HandedVeth.NameOf(entry.Request.Target) is { } name ? $"{name} is gone, or the namespace that it was moved to" : $"its namespace ({entry.Request.Target}) is gone";

    private async Task<bool> IsSameAsync(EndpointEntry entry, CancellationToken cancellation)
    {
        try
        {
            return await _wires.IdentifyAsync(entry.Request.Target, cancellation) == entry.Identity;
        }
        catch (IOException)
        {
            return false;
        }
    }

    // In its turn.
    private async Task GoAsync(EndpointEntry entry, string reason, CancellationToken cancellation)
    {
        var name = entry.Record!.Name;
        if (reason.Length > 0 && entry.State == EndpointState.Attached) _say($"endpoint {entry.Id} of {name}: withdrawn: {reason}");
        try
        {
            await FinishAsync(entry with { State = EndpointState.Detaching, Reason = reason }, cancellation);
        }
        catch (Exception failure) when (failure is IOException or CommandRefusedException)
        {
            _say($"warning: endpoint {entry.Id} of {name}: {failure.Message}; it is tried again");
        }
    }

    /// <summary>Has everything of this host said again soon: the store was away, or has another history.</summary>
    public void Reassert() => _mustReassert = true;

    /// <summary>
    /// The store was restored from a backup: claims of endpoints that are gone are in it again, until their hosts take them back. For half a minute no endpoint here gives way to one; it was the later of the two, or it
    /// would not be here.
    /// </summary>
    public void ExpectGhosts()
    {
        Volatile.Write(ref _ghostsUntil, Environment.TickCount64 + GhostMilliseconds);
        Reassert();
    }

    /// <summary>Looks after the endpoints until it is cancelled: namespaces that end, what the store could not be told.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        try
        {
            for (var round = 1; ; round++)
            {
                await Task.Delay(Pace, cancellation);
                await RemoveDeadAsync(cancellation);
                if (round % RoundsBetweenAttempts == 0) await TellStoreAsync(cancellation);
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // Told to end.
        }
    }

    /// <summary>Withdraws the endpoints whose wire went, with their namespace or by somebody's hand.</summary>
    public async Task RemoveDeadAsync(CancellationToken cancellation)
    {
        if (_entries.IsEmpty) return;
        var links = _wires.Links();
        foreach (var seen in _entries.Values.Where(static entry => entry.State == EndpointState.Attached))
        {
            var record = seen.Record!;
            if (links.Contains(seen.Link)) continue;
            using var turn = await _turns.EnterAsync($"{record.Name}/{seen.Id}", cancellation);
            // It may just be wired anew.
            if (_entries.GetValueOrDefault((record.Name, seen.Id)) is not { State: EndpointState.Attached } entry || _wires.Links().Contains(entry.Link)) continue;
            await GoAsync(entry, await IsSameAsync(entry, cancellation) && HandedVeth.NameOf(entry.Request.Target) is null ? "somebody removed its interface" : WhyGone(entry), cancellation);
        }
    }

    /// <summary>Tells the store what it does not know yet: who is there, after a restart, and who is gone. What does not get through is tried again.</summary>
    public async Task TellStoreAsync(CancellationToken cancellation)
    {
        try
        {
            if (_mustReassert)
            {
                _mustReassert = false;
                await ReassertAsync(cancellation);
            }

            foreach (var going in _entries.Values.Where(static entry => entry.State == EndpointState.Detaching))
            {
                var name = going.Record!.Name;
                using var turn = await _turns.EnterAsync($"{name}/{going.Id}", cancellation);
                if (_entries.GetValueOrDefault((name, going.Id)) is { State: EndpointState.Detaching } entry) await GoAsync(entry, entry.Reason, cancellation);
            }
        }
        catch (Exception failure) when (failure is IOException or CommandRefusedException)
        {
            _mustReassert = true;
            if (failure is not StoreUnavailableException) _say($"warning: the store refuses what this host has: {failure.Message}; it is tried again");
        }
    }

    private bool ExpectsGhosts => Environment.TickCount64 < Volatile.Read(ref _ghostsUntil);

    // Networks with endpoints are not removed: one that is not there was made after the backup.
    private async Task PutBackNetworksAsync(CancellationToken cancellation)
    {
        var view = _view();
        foreach (var record in _entries.Values.Where(static entry => entry.State == EndpointState.Attached).Select(static entry => entry.Record!).DistinctBy(static record => record.Name))
            if (view.Networks.GetValueOrDefault(record.Name)?.Record is null) await PutBackNetwork(record, cancellation);
    }

    private async Task ReassertAsync(CancellationToken cancellation)
    {
        (string, EndpointRecord)[] local = [.. _entries.Values.Where(static entry => entry is { State: EndpointState.Attached, Published: not null }).Select(static entry => (entry.Record!.Name, entry.Published!))];
        if (local.Length == 0) return;
        if (ExpectsGhosts) await PutBackNetworksAsync(cancellation);
        var lost = await _claims.ReassertAsync(local, cancellation);
        // Asked again: that may have waited until the store was back, and only then it was seen which store it is.
        if (lost.Count > 0 && ExpectsGhosts)
        {
            Reassert();
            return;
        }

        foreach (var claims in lost.GroupBy(static claim => (claim.Network, claim.Endpoint)))
        {
            using var turn = await _turns.EnterAsync($"{claims.Key.Network}/{claims.Key.Endpoint}", cancellation);
            if (_entries.GetValueOrDefault(claims.Key) is not { State: EndpointState.Attached } entry) continue;
            await GoAsync(entry, string.Join(", ", claims.Select(static claim => $"its {claim.What} is {claim.Whose} by now")), cancellation);
        }
    }
}
