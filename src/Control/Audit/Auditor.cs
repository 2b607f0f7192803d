using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;

namespace Sleeve.Control.Audit;

/// <summary>
/// Compares all hosts with the store, and the store with itself. Hosts are asked through the store, which every one of them reaches, so that none needs to be reachable from another: who wants to know puts a request
/// there, each host answers under its own name, and both are gone a minute later with their leases.
/// </summary>
/// <param name="store">The store.</param>
/// <param name="replica">This host's copy of it.</param>
/// <param name="self">Name of this host.</param>
/// <param name="check">Compares what is on this host, segments and endpoints, with its copy of the store.</param>
/// <param name="say">Takes a line for whoever watches.</param>
internal sealed class Auditor(IStore store, Replica replica, string self, Func<CancellationToken, Task<HostFindings>> check, Action<string> say)
{
    /// <summary>Differences that a host tells of, at most; a value of the store has room for them.</summary>
    public const int MaxDifferences = 100;

    private const int MaxText = 400;
    private const int Comparisons = 3;
    private const string StoreName = "store";
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan CatchUp = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);

    /// <summary>Answers the audits that others ask for, until it is cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                // What was asked while the store was away is answered too: a request goes when nobody waits for it any more, and a second answer to it is not read.
                var now = await store.RangeAsync(ClusterKeys.Audits, cancellation);
                foreach (var asked in now.Entries) await AnswerAsync(asked, cancellation);
                await foreach (var batch in store.WatchAsync(ClusterKeys.Audits, now.Revision + 1, cancellation))
                    foreach (var asked in batch.Changes.Where(static change => change.Entry is not null)) await AnswerAsync(asked.Entry!, cancellation);
            }
            catch (IOException)
            {
                // The copy of the store tells whoever watches that it is away.
                await Task.Delay(Pause, cancellation).ContinueWith(static _ => { }, TaskScheduler.Default);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private async Task AnswerAsync(StoreEntry asked, CancellationToken cancellation)
    {
        var id = asked.Key[ClusterKeys.Audits.Length..];
        if (!Names.IsName(id) || AuditJson.ReadRequest(asked.Value) is not { } request || request.By == self) return;
        // The revision of the request itself: others may write to the same etcd, and no revision of theirs comes by in the copy.
        var report = await LookAsync(asked.ModRevision, cancellation);
        say($"audit for {StoreChecks.Show(request.By)}: {report.Differences.Count + report.More} differences");
        var lease = await store.GrantAsync(Lease, cancellation);
        await store.CommitAsync(new StoreTransaction([], [new StoreWrite(ClusterKeys.AuditOf(self, id), JsonSerializer.Serialize(report, AuditJson.Default.AuditReport), lease)]), cancellation);
    }

    /// <summary>Asks all hosts, and compares.</summary>
    /// <param name="patience">How long hosts are waited for.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="StoreUnavailableException">The store does not answer.</exception>
    public async Task<AuditOutcome> AskAsync(TimeSpan patience, CancellationToken cancellation)
    {
        var slice = await store.RangeAsync("", cancellation);
        var differences = StoreAudit.Check(slice);
        var reports = new SortedDictionary<string, AuditReport>(StringComparer.Ordinal);
        var peers = slice.Entries.Where(static entry => entry.Key.StartsWith(ClusterKeys.Peers, StringComparison.Ordinal)).Select(static entry => entry.Key[ClusterKeys.Peers.Length..]).Where(host => host != self).ToArray();
        var alive = slice.Entries.Where(static entry => entry.Key.StartsWith(ClusterKeys.Alive, StringComparison.Ordinal)).Select(static entry => entry.Key[ClusterKeys.Alive.Length..]).ToHashSet();
        var waiting = peers.Where(alive.Contains).ToHashSet();
        var id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
        var lease = await store.GrantAsync(Lease, cancellation);
        var outcome = await store.CommitAsync(
            new StoreTransaction([], [new StoreWrite($"{ClusterKeys.Audits}{id}", JsonSerializer.Serialize(new AuditRequest(self, slice.Revision), AuditJson.Default.AuditRequest), lease)]), cancellation);
        reports[self] = await LookAsync(outcome.Revision, cancellation);
        using var waitingTime = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        waitingTime.CancelAfter(patience);
        try
        {
            if (waiting.Count > 0) await CollectAsync(id, outcome.Revision, waiting, reports, waitingTime.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            // Whoever has not answered by now is told of as silent.
        }

        await store.RevokeAsync(lease, cancellation);
        var ofStore = Limited(StoreName, slice.Revision, 0, 0, differences);
        return new AuditOutcome([ofStore, .. reports.Values], [.. waiting.Order(StringComparer.Ordinal)], [.. peers.Where(host => !alive.Contains(host))]);
    }

    private async Task CollectAsync(string id, long revision, HashSet<string> waiting, SortedDictionary<string, AuditReport> reports, CancellationToken cancellation)
    {
        await foreach (var batch in store.WatchAsync(ClusterKeys.Hosts, revision + 1, cancellation))
        {
            foreach (var change in batch.Changes.Where(static change => change.Entry is not null))
            {
                if (change.Key.Split('/') is not ["hosts", var host, "audits", var of] || of != id || !waiting.Remove(host)) continue;
                reports[host] = AuditJson.ReadReport(change.Entry!.Value, host) ?? new AuditReport(host, 0, 0, 0, [new Difference(host, change.Key, "its answer cannot be read")], 0);
                if (waiting.Count == 0) return;
            }
        }
    }

    // What this host finds: its copy of the store first, then what it does with it.
    private async Task<AuditReport> LookAsync(long revision, CancellationToken cancellation)
    {
        var found = new List<Difference>();
        using (var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation))
        {
            patience.CancelAfter(CatchUp);
            try
            {
                await replica.WaitForAsync(revision, patience.Token);
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                found.Add(new Difference(self, "copy of the store", $"stands at revision {replica.View.Revision}, revision {revision} did not come within {CatchUp.TotalSeconds} s"));
            }
        }

        found.AddRange(await CompareCopyAsync(cancellation));
        var view = replica.View;
        found.AddRange(view.Faults.Select(fault => new Difference(self, fault.Key, $"cannot be read: {fault.Value}")));
        var host = await check(cancellation);
        found.AddRange(host.Differences);
        return Limited(self, view.Revision, host.Networks, host.Endpoints, found);
    }

    // The store as it is now against the copy: digests first, names of what differs only if they do.
    private async Task<IReadOnlyList<Difference>> CompareCopyAsync(CancellationToken cancellation)
    {
        for (var attempt = 0; attempt < Comparisons; attempt++)
        {
            var fresh = await ReadStoreAsync(cancellation);
            if (replica.View.Digest == fresh.Digest) return [];
            if (!await CatchUpAsync(cancellation)) return [new Difference(self, "copy of the store", "did not take in a change in time: it cannot be compared")];
            var copy = replica.View;
            if (copy.Digest == fresh.Digest) return [];
            // Changed while it was looked at: that says nothing.
            if ((await ReadStoreAsync(cancellation)).Digest != fresh.Digest) continue;
            replica.ReadAgain();
            var (known, there) = (ViewEdit.KeysOf(copy).ToHashSet(), ViewEdit.KeysOf(fresh).ToHashSet());
            var differences = there.Except(known).Select(key => new Difference(self, key, "is in the store, not in this host's copy"))
                .Concat(known.Except(there).Select(key => new Difference(self, key, "is in this host's copy, not in the store"))).ToList();
            if (differences.Count == 0) differences.Add(new Difference(self, "copy of the store", "has other versions than the store"));
            return differences;
        }

        return [];
    }

    private async Task<ClusterView> ReadStoreAsync(CancellationToken cancellation)
    {
        var slice = await store.RangeAsync("", cancellation);
        var edit = new ViewEdit(ClusterView.Empty);
        edit.SetAll(slice.Entries);
        return edit.Finish(slice.Revision, out _);
    }

    // Has the copy take in all that was there before: a key of one's own is written, which comes by in the copy as no revision of others need do.
    private async Task<bool> CatchUpAsync(CancellationToken cancellation)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        patience.CancelAfter(CatchUp);
        var lease = await store.GrantAsync(Lease, cancellation);
        try
        {
            var mark = await store.CommitAsync(new StoreTransaction([], [new StoreWrite(ClusterKeys.AuditOf(self, $"mark-{Guid.NewGuid():n}"), "", lease)]), cancellation);
            await replica.WaitForAsync(mark.Revision, patience.Token);
            return true;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return false;
        }
        finally
        {
            await store.RevokeAsync(lease, cancellation);
        }
    }

    private static AuditReport Limited(string host, long revision, int networks, int endpoints, IReadOnlyList<Difference> found) =>
        new(host, revision, networks, endpoints, [.. found.Take(MaxDifferences).Select(static each => new Difference(Cut(each.Where), Cut(each.What), Cut(each.Is)))], Math.Max(0, found.Count - MaxDifferences));

    private static string Cut(string text) => Encoding.UTF8.GetByteCount(text) <= MaxText ? text : $"{text[..(MaxText / 4)]}…";
}

/// <summary>What a host found on itself.</summary>
/// <param name="Networks">Networks it has.</param>
/// <param name="Endpoints">Endpoints it has.</param>
/// <param name="Differences">What is not as it should be.</param>
internal sealed record HostFindings(int Networks, int Endpoints, IReadOnlyList<Difference> Differences);
