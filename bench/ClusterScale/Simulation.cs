using System.Diagnostics;
using System.Globalization;
using Sleeve.Bench.EndToEnd.Rig;
using Sleeve.Bench.ClusterScale.Measure;
using Sleeve.Bench.ClusterScale.Model;
using Sleeve.Bench.ClusterScale.Report;
using Sleeve.Bench.ClusterScale.Roles;
using Sleeve.Control.Networks;
using Sleeve.Control.Store;

namespace Sleeve.Bench.ClusterScale;

/// <summary>
/// One cluster of one size in one store: a process is the store, one is a host that follows it (<see cref="HostRole"/>), one is the watches of all others (<see cref="WatcherRole"/>); this one writes as they would.
/// </summary>
/// <param name="model">The cluster.</param>
/// <param name="store">"embedded" or "etcd".</param>
/// <param name="rounds">Changes of each kind.</param>
/// <param name="watchers">Watches, at most.</param>
/// <param name="say">Told how far it is.</param>
internal sealed class Simulation(ClusterModel model, string store, int rounds, int watchers, Action<string> say)
{
    // The runtime compiles what is called 30 times once more, 100 ms after it ceased to come upon anything new.
    private const int WarmUp = 60;
    private const int FillAtOnce = 16;
    private const int BurstAtOnce = 16;
    private const int BatchKeys = 126;
    private readonly SimulatedFigures _figures = new() { Store = store, Peers = model.Peers, Endpoints = model.Endpoints, Networks = model.Networks, Watchers = Math.Min(watchers, model.Peers - 1), Keys = model.Keys };
    private int _arrivals;

    /// <summary>Measures.</summary>
    /// <exception cref="BenchFailure">A part of it does not work.</exception>
    public async Task<SimulatedFigures> RunAsync()
    {
        var folder = Directory.CreateTempSubdirectory("sleeve-scale-").FullName;
        try
        {
            using var server = await StoreServer.StartAsync(store, Directory.CreateDirectory(Path.Combine(folder, "store")).FullName);
            await using var client = server.Place.ClientOf("driver");
            await FillAsync(client);
            using var host = new Child(
                "host", Word(model.Peers), Word(model.EndpointsOfAHost), Word(model.Networks), server.Place.Uri.ToString(), Directory.CreateDirectory(Path.Combine(folder, "host")).FullName);
            var revision = await StartAsync(server, host);
            say($"{_figures.Watchers} watches");
            using var others = new Child("watchers", server.Place.Uri.ToString(), Word(_figures.Watchers), Word(revision + 1));
            await others.ExpectAsync("open");
            _figures.StoreRssWatched = (await server.SizeAsync()).Rss;
            say("changes");
            var (near, far) = Changed();
            // Compiled and connected before it counts.
            await ChangesAsync(server, client, host, others, near, WarmUp);
            await Task.Delay(TimeSpan.FromMilliseconds(500));
            _figures.Near = await ChangesAsync(server, client, host, others, near, rounds);
            if (far is { } elsewhere) _figures.Far = await ChangesAsync(server, client, host, others, elsewhere, rounds);
            await BurstAsync(client, host, others, near);
            await RestAsync(server, client);
            var mend = await host.AskAsync("mend", "mend");
            (_figures.MendCpu, _figures.MendAllocated) = (mend["cpu"] * 1000, mend["allocated"]);
            _figures.NamesCpu = (await host.AskAsync("names", "names"))["cpu"] * 1000;
            return _figures;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static string Word(long number) => number.ToString(CultureInfo.InvariantCulture);

    private async Task FillAsync(EtcdStore client)
    {
        var begun = Stopwatch.StartNew();
        var written = 0;
        var told = TimeSpan.Zero;
        await Parallel.ForEachAsync(Batches(), new ParallelOptions { MaxDegreeOfParallelism = FillAtOnce }, async (batch, stop) =>
        {
            await client.CommitAsync(new StoreTransaction([], batch), stop);
            var done = Interlocked.Add(ref written, batch.Length);
            if (begun.Elapsed - told < TimeSpan.FromSeconds(2)) return;
            told = begun.Elapsed;
            say(string.Create(CultureInfo.InvariantCulture, $"{done:n0} of {model.Keys:n0} keys"));
        });
        _figures.FillRate = written / begun.Elapsed.TotalSeconds;
        // Signs of life are under leases of their own.
        await Parallel.ForEachAsync(Enumerable.Range(0, model.Peers), new ParallelOptions { MaxDegreeOfParallelism = FillAtOnce }, async (number, stop) =>
        {
            var lease = await client.GrantAsync(TimeSpan.FromHours(1), stop);
            await client.CommitAsync(new StoreTransaction([], [new StoreWrite(ClusterKeys.AliveOf(ClusterModel.HostOf(number)), "0123456789abcdef", lease)]), stop);
        });
    }

    private IEnumerable<StoreWrite[]> Batches() => Enumerable.Range(0, model.Networks).SelectMany(model.OfNetwork).Chunk(BatchKeys)
        .Concat(Enumerable.Range(0, model.Peers).SelectMany(model.OfHost).Chunk(BatchKeys))
        .Concat(Enumerable.Range(0, model.Peers).SelectMany(host => Enumerable.Range(0, model.EndpointsOfAHost).SelectMany(number => model.OfEndpoint(host, number))).Chunk(BatchKeys));

    private async Task<long> StartAsync(StoreServer server, Child host)
    {
        say("cold start of a host");
        (_figures.StoreRss, _figures.Disk) = await server.SizeAsync();
        var (cpu, requests, wire) = (await server.CpuAsync(), await server.RequestsAsync(), Loopback.Read());
        var started = await host.AskAsync("start", "started");
        _figures.ColdBytes = (Loopback.Read() - wire).Bytes / 1048576.0;
        _figures.ColdStoreCpu = (await server.CpuAsync() - cpu) * 1000;
        _figures.ColdRequests = await server.RequestsAsync() - requests;
        (_figures.Cold, _figures.ColdRange, _figures.ColdView, _figures.ColdProgram, _figures.ColdCpu) =
            (started["all"], started["range"], started["view"], started["program"], started["cpu"] * 1000);
        // What was read is handed to the cache behind the tables.
        await Task.Delay(TimeSpan.FromMilliseconds(500));
        var size = await host.AskAsync("figures", "figures");
        (_figures.HostRss, _figures.HostPeak, _figures.HostHeap, _figures.Entries, _figures.Fdb) = (size["rss"], size["peak"], size["heap"], size["entries"], size["fdb"]);
        return (long)started["revision"];
    }

    // A network that the observing host has with another, and one that it has not.
    private ((int Host, int Network) Near, (int Host, int Network)? Far) Changed()
    {
        var near = (model.HostsOf(0).First(static host => host != 0), 0);
        var away = Enumerable.Range(0, model.Networks).Except(model.NetworksOf(0)).Select(static network => (int?)network).FirstOrDefault();
        return (near, away is { } network ? (model.HostsOf(network).First(), network) : null);
    }

    private async Task<ChangeFigures> ChangesAsync(StoreServer server, EtcdStore client, Child host, Child others, (int Host, int Network) where, int count)
    {
        List<double> commits = [], programmed = [], everybody = [];
        var (hostBefore, storeCpu, counted, wire) = (await host.AskAsync("quick", "quick"), await server.CpuAsync(), await others.AskAsync("count", "counted"), Loopback.Read());
        for (var i = 0; i < count; i++)
        {
            // What comes goes again, so that tables stay as large as they are.
            var isArrival = i % 2 == 0;
            if (isArrival) _arrivals++;
            var begin = Stopwatch.GetTimestamp();
            var outcome = await client.CommitAsync(
                ClusterModel.Commit(isArrival ? ClusterModel.Arrival(where.Host, where.Network, _arrivals) : ClusterModel.Departure(where.Host, where.Network, _arrivals)), CancellationToken.None);
            commits.Add(Stopwatch.GetElapsedTime(begin).TotalMilliseconds);
            var at = await host.ExpectAsync("at", ("revision", outcome.Revision));
            programmed.Add(Stopwatch.GetElapsedTime(begin, (long)at["ticks"]).TotalMilliseconds);
            var all = await others.ExpectAsync("all", ("revision", outcome.Revision));
            everybody.Add(Stopwatch.GetElapsedTime(begin, (long)all["ticks"]).TotalMilliseconds);
        }

        var used = Loopback.Read() - wire;
        var (hostAfter, storeAfter, countedAfter) = (await host.AskAsync("quick", "quick"), await server.CpuAsync(), await others.AskAsync("count", "counted"));
        return new ChangeFigures
        {
            Commit = Quantile(commits, 0.5),
            Programmed = Quantile(programmed, 0.5),
            Programmed99 = Quantile(programmed, 0.99),
            Everybody = Quantile(everybody, 0.5),
            Everybody99 = Quantile(everybody, 0.99),
            Lines = (countedAfter["lines"] - counted["lines"]) / count / _figures.Watchers,
            Bytes = (countedAfter["bytes"] - counted["bytes"]) / count / _figures.Watchers,
            WireBytes = (double)used.Bytes / count / (_figures.Watchers + 1),
            StoreCpu = (storeAfter - storeCpu) * 1000 / count,
            HostCpu = (hostAfter["cpu"] - hostBefore["cpu"]) * 1000 / count,
            HostAllocated = (hostAfter["allocated"] - hostBefore["allocated"]) / 1024 / count,
        };
    }

    // Many at a time, until everybody has the last.
    private async Task BurstAsync(EtcdStore client, Child host, Child others, (int Host, int Network) where)
    {
        var last = 0L;
        var begin = Stopwatch.GetTimestamp();
        await Parallel.ForEachAsync(Enumerable.Range(_arrivals + 1, rounds), new ParallelOptions { MaxDegreeOfParallelism = BurstAtOnce }, async (number, stop) =>
        {
            var outcome = await client.CommitAsync(ClusterModel.Commit(ClusterModel.Arrival(where.Host, where.Network, number)), stop);
            InterlockedMax(ref last, outcome.Revision);
        });
        _arrivals += rounds;
        var all = await others.ExpectAsync("all", ("revision", last));
        var at = await host.ExpectAsync("at", ("revision", last));
        _figures.BurstRate = rounds / Stopwatch.GetElapsedTime(begin, (long)Math.Max(all["ticks"], at["ticks"])).TotalSeconds;
    }

    private static void InterlockedMax(ref long place, long value)
    {
        for (var seen = Interlocked.Read(ref place); seen < value;)
        {
            var before = Interlocked.CompareExchange(ref place, value, seen);
            if (before == seen) return;
            seen = before;
        }
    }

    // Nothing changes, and every host keeps its lease alive.
    private async Task RestAsync(StoreServer server, EtcdStore client)
    {
        const int beats = 1000;
        var lease = await client.GrantAsync(TimeSpan.FromMinutes(10), CancellationToken.None);
        var cpu = await server.CpuAsync();
        for (var i = 0; i < beats; i++) await client.KeepAliveAsync(lease, CancellationToken.None);
        _figures.KeepAliveCpu = (await server.CpuAsync() - cpu) * 1e6 / beats;
    }

    /// <summary>The value that a share of all is not beyond.</summary>
    internal static double Quantile(IEnumerable<double> values, double share)
    {
        var sorted = values.Order().ToArray();
        return sorted.Length == 0 ? double.NaN : sorted[Math.Min(sorted.Length - 1, (int)(sorted.Length * share))];
    }
}
