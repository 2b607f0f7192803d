using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Sleeve.Bench.EndToEnd.Measure;
using Sleeve.Bench.EndToEnd.Rig;
using Sleeve.Bench.ClusterScale.Report;

namespace Sleeve.Bench.ClusterScale.Daemons;

/// <summary>
/// Real daemons, each in a network namespace of its own on one bridge. The first serves the store, the others join it by a token; each attaches two containers (namespaces) to two of the networks.
/// </summary>
/// <param name="count">Daemons.</param>
/// <param name="sleeve">The program.</param>
/// <param name="rounds">Endpoints that are attached one after the other.</param>
/// <param name="say">Told how far it is.</param>
internal sealed class DaemonCluster(int count, string sleeve, int rounds, Action<string> say)
{
    private const int AtOnce = 4;
    private const int Networks = 3;
    private const int FirstVni = 101;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(10);

    private readonly DaemonFigures _figures = new() { Daemons = count, Networks = Networks };
    private readonly List<DaemonHost> _hosts = [];

    /// <summary>Measures.</summary>
    /// <exception cref="BenchFailure">Something does not work, or does not come about in time.</exception>
    public async Task<DaemonFigures> RunAsync()
    {
        var folder = Directory.CreateTempSubdirectory("sleeve-scale-").FullName;
        try
        {
            Start(folder);
            await JoinAsync();
            await AttachAsync();
            await ChangesAsync();
            await RestAsync();
            return _figures;
        }
        finally
        {
            say("ending");
            Parallel.ForEach(_hosts, new ParallelOptions { MaxDegreeOfParallelism = AtOnce * 2 }, static host => host.Dispose());
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>The networks of a host.</summary>
    internal static (int One, int Other) NetworksOf(int host) => (host % Networks, (host + 1) % Networks);

    private static string NameOf(int network) => string.Create(CultureInfo.InvariantCulture, $"n{network}");

    private static string DeviceOf(int network) => string.Create(CultureInfo.InvariantCulture, $"sl-{FirstVni + network}");

    private void Start(string folder)
    {
        say($"{count} hosts");
        Command.Run("ip", "netns", "add", DaemonHost.Switch);
        Command.Run("ip", "-n", DaemonHost.Switch, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0");
        Command.Run("ip", "-n", DaemonHost.Switch, "link", "set", "br0", "up");
        for (var number = 1; number <= count; number++) _hosts.Add(new DaemonHost(number, sleeve, Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{number}"))));
        var begun = Stopwatch.StartNew();
        ForEach(_hosts, "started", static host => host.Start());
        _figures.Started = begun.Elapsed.TotalSeconds;
    }

    private async Task JoinAsync()
    {
        var words = _hosts[0].Run("token").Split('\n').Select(static line => line.Trim()).First(static line => line.StartsWith("sleeve join ", StringComparison.Ordinal)).Split(' ')[1..];
        var begun = Stopwatch.StartNew();
        _figures.Join = ForEach(_hosts[1..], "joined", host => host.Run(words));
        await UntilAsync("every daemon knows every other", async () =>
        {
            foreach (var host in _hosts)
                if (await host.Api.CountAsync("peers", static _ => true) < count) return false;
            return true;
        });
        _figures.Joined = begun.Elapsed.TotalSeconds;
    }

    private async Task AttachAsync()
    {
        for (var network = 0; network < Networks; network++)
            _hosts[0].Run("net", "create", NameOf(network), "--vni", string.Create(CultureInfo.InvariantCulture, $"{FirstVni + network}"), "--subnet", string.Create(CultureInfo.InvariantCulture, $"10.{network}.0.0/16"));
        foreach (var host in _hosts)
            foreach (var name in (ReadOnlySpan<string>)[$"{host.Name}-a", $"{host.Name}-b"]) Command.Run("ip", "netns", "add", name);
        var begun = Stopwatch.StartNew();
        var attachments = _hosts.SelectMany(static host => new[] { (Host: host, Network: NetworksOf(host.Number).One, Name: $"{host.Name}-a"), (Host: host, Network: NetworksOf(host.Number).Other, Name: $"{host.Name}-b") }).ToArray();
        _figures.Attach = ForEach(attachments, "attached", static each => each.Host.Run("attach", NameOf(each.Network), each.Name));
        _figures.Attached = begun.Elapsed.TotalSeconds;
        _figures.Endpoints = attachments.Length;
        begun.Restart();
        await UntilAsync("all tables are complete", async () =>
        {
            var entries = 0;
            foreach (var host in _hosts)
            {
                foreach (var network in (int[])[NetworksOf(host.Number).One, NetworksOf(host.Number).Other])
                {
                    // All of the network's but its own.
                    var wanted = attachments.Count(each => each.Network == network) - 1;
                    var found = await host.Api.CountAsync($"segments/{DeviceOf(network)}/fdb", static entry => entry.GetProperty("mac").GetString() != "00:00:00:00:00:00" && entry.GetProperty("origin").GetString() == "published");
                    if (found < wanted) return false;
                    entries += found;
                }
            }

            _figures.Entries = entries;
            return true;
        });
        _figures.Complete = begun.Elapsed.TotalSeconds;
        say("audit");
        _figures.IsAuditClean = await IsCleanAsync();
    }

    // On a machine that is too busy for its hellos a host may be down for a moment, and its entries are on their way out or back.
    private async Task<bool> IsCleanAsync()
    {
        for (var attempt = 0; attempt < 5; attempt++)
        {
            try
            {
                _hosts[0].Run("audit", "--wait", "60");
                return true;
            }
            catch (BenchFailure failure)
            {
                say(failure.Message);
                await Task.Delay(TimeSpan.FromSeconds(2));
            }
        }

        return false;
    }

    // One endpoint after the other, each on another host; whoever has the network listens to its own table.
    private async Task ChangesAsync()
    {
        const int network = 0;
        var members = _hosts.Where(static host => NetworksOf(host.Number) is { One: network } or { Other: network }).ToArray();
        _figures.Hosts = members.Length;
        using var end = new CancellationTokenSource();
        var heard = new ConcurrentQueue<(string Mac, long At)>();
        foreach (var host in members) await host.Api.ListenAsync(DeviceOf(network), mac => heard.Enqueue((mac, Stopwatch.GetTimestamp())), end.Token);
        List<double> first = [], last = [], apart = [];
        for (var round = 0; round < rounds; round++)
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"x{round}");
            Command.Run("ip", "netns", "add", name);
            heard.Clear();
            var begun = Stopwatch.GetTimestamp();
            members[round % members.Length].Run("attach", NameOf(network), name);
            await UntilAsync("all hosts have the entry", () => Task.FromResult(heard.Select(static each => each.Mac).Count(static mac => mac != "00:00:00:00:00:00") >= members.Length - 1));
            var times = heard.Select(each => Stopwatch.GetElapsedTime(begun, each.At).TotalMilliseconds).Order().ToArray();
            first.Add(times[0]);
            last.Add(times[^1]);
            apart.Add(times[^1] - times[0]);
            say(string.Create(CultureInfo.InvariantCulture, $"{round + 1} of {rounds} changes"));
        }

        await end.CancelAsync();
        (_figures.FirstHost, _figures.LastHost, _figures.LastHostMax, _figures.Apart) = (Simulation.Quantile(first, 0.5), Simulation.Quantile(last, 0.5), last.Max(), Simulation.Quantile(apart, 0.5));
    }

    private async Task RestAsync()
    {
        say($"at rest for {Rest.TotalSeconds:0} s");
        var before = _hosts.Select(static host => Cpu.Read([host.Id]).Processes).ToArray();
        var begun = Stopwatch.StartNew();
        await Task.Delay(Rest);
        var seconds = begun.Elapsed.TotalSeconds;
        var shares = _hosts.Select((host, i) => (Cpu.Read([host.Id]).Processes - before[i]) * 100 / seconds).ToArray();
        var memory = _hosts.Select(static host => Memory.Read([host.Id])).ToArray();
        (_figures.Cpu, _figures.CpuMax, _figures.ServingCpu) = (Simulation.Quantile(shares[1..], 0.5), shares[1..].Max(), shares[0]);
        (_figures.Rss, _figures.RssMax, _figures.ServingRss) = (Simulation.Quantile(memory[1..].Select(static each => each.Rss), 0.5), memory[1..].Max(static each => each.Rss), memory[0].Rss);
        _figures.Pss = Simulation.Quantile(memory[1..].Select(static each => each.Pss), 0.5);
    }

    // Some at a time; returns the median of the milliseconds that each took.
    private double ForEach<T>(IReadOnlyList<T> all, string what, Action<T> act)
    {
        var took = new ConcurrentBag<double>();
        Parallel.ForEach(all, new ParallelOptions { MaxDegreeOfParallelism = AtOnce }, each =>
        {
            var begun = Stopwatch.GetTimestamp();
            act(each);
            took.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
            if (took.Count % 10 == 0) say($"{took.Count} of {all.Count} {what}");
        });
        return Simulation.Quantile(took, 0.5);
    }

    // Asked seldom enough that asking is no load of its own.
    private static async Task UntilAsync(string what, Func<Task<bool>> isSo)
    {
        var begun = Stopwatch.StartNew();
        while (!await isSo())
        {
            if (begun.Elapsed > Patience) throw new BenchFailure($"not within {Patience.TotalSeconds:0} s: {what}");
            await Task.Delay(100);
        }
    }
}
