using System.Diagnostics;
using Sleeve.Bench.ClusterScale.Model;
using Sleeve.Control.Naming;
using Sleeve.Control.Networks;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Guards;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Bench.ClusterScale.Roles;

/// <summary>
/// The first host of a cluster, as far as the cluster's size is of interest to it: the copy of the store with its cache on disk, a segment a network that the host is in, and what brings the one into the other. Without TAPs,
/// workers and hellos, whose costs do not come from the store.
/// </summary>
internal sealed class HostRole : IAsyncDisposable
{
    private const int Self = 0;
    private const double Mebi = 1048576;

    private readonly TableProgrammer _programmer = new();
    private readonly Dictionary<string, Segment> _segments = [];
    private readonly HashSet<string> _touched = [];
    private readonly MeasuredStore _store;
    private readonly Replica _replica;
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TimeSpan _programming;
    private long _begun;

    private HostRole(ClusterModel model, StorePlace place, ReplicaCache cache)
    {
        foreach (var network in model.NetworksOf(Self))
            _segments[ClusterModel.NetworkOf(network)] = NewSegment(ClusterModel.VniOf(network));
        _store = new MeasuredStore(place.ClientOf(ClusterModel.HostOf(Self)));
        _replica = new Replica(_store, cache, static line => Console.Error.WriteLine(line)) { OnChange = OnChange };
    }

    /// <summary>Is the host until it is told to end.</summary>
    public static async Task<int> RunAsync(ClusterModel model, StorePlace place, string folder)
    {
        await using var cache = new ReplicaCache(folder, static line => Console.Error.WriteLine(line));
        await using var host = new HostRole(model, place, cache);
        // The program itself is no part of a cluster's size: compiled, connected to nothing.
        await RoleLines.ObeyAsync(async word =>
        {
            switch (word)
            {
                case "start":
                    await host.StartAsync();
                    break;
                case "mend":
                    host.Mend();
                    break;
                case "names":
                    host.Names();
                    break;
                case "quick":
                    RoleLines.Say("quick", ("cpu", ProcessFigures.Cpu), ("allocated", GC.GetTotalAllocatedBytes(precise: true)));
                    break;
                default:
                    // What it keeps on the disk is written within seconds; until then all that was read is in memory, which is not what a host needs.
                    await cache.FlushAsync();
                    ProcessFigures.Say("figures", ("entries", host._replica.View.Entries), ("fdb", host._segments.Values.Sum(static segment => segment.Fdb.Snapshot(0).Count)));
                    break;
            }
        });
        return 0;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _store.DisposeAsync();

    private static Segment NewSegment(Vni vni) => new(
        new SegmentOptions
        {
            Vni = vni,
            Name = LocalNetwork.DeviceOf(vni),
            Learning = false,
            Proxy = true,
            SuppressUnknown = true,
            SuppressResolution = true,
            GatewayMac = LocalNetwork.GatewayMacOf(vni),
            Admission = Admission.Listed,
            Guards = GuardOptions.Standard,
        },
        new VtepAddress(ClusterModel.VtepOf(Self), 4789));

    private async Task StartAsync()
    {
        var cpu = ProcessFigures.Cpu;
        _begun = Stopwatch.GetTimestamp();
        _ = Task.Run(() => _replica.RunAsync(CancellationToken.None));
        await _ready.Task;
        var (view, all) = (Stopwatch.GetElapsedTime(_store.RangedAt) - _programming, Stopwatch.GetElapsedTime(_begun));
        RoleLines.Say(
            "started", ("all", all.TotalMilliseconds), ("range", _store.Ranged.TotalMilliseconds), ("view", view.TotalMilliseconds), ("program", _programming.TotalMilliseconds), ("cpu", ProcessFigures.Cpu - cpu),
            ("revision", _replica.View.Revision));
    }

    // As ClusterParts and LocalNetworks do it.
    private void OnChange(ClusterView before, ClusterView after, IReadOnlySet<string> networks)
    {
        var begin = Stopwatch.GetTimestamp();
        _touched.Clear();
        foreach (var name in networks)
            if (_segments.ContainsKey(name)) _touched.Add(name);
        foreach (var name in _touched) Program(name, after, everything: false);
        if (_ready.Task.IsCompleted)
        {
            RoleLines.Say("at", ("revision", after.Revision), ("ticks", Stopwatch.GetTimestamp()), ("programmed", _touched.Count));
            return;
        }

        _programming = Stopwatch.GetElapsedTime(begin);
        _ready.TrySetResult();
    }

    private void Program(string network, ClusterView view, bool everything)
    {
        var changes = _programmer.Apply(_segments[network], view.Networks.GetValueOrDefault(network) ?? new NetworkView(), ClusterModel.HostOf(Self), static _ => true, everything);
        foreach (var conflict in changes.Conflicts) Console.Error.WriteLine(conflict);
    }

    // What a host does every 5 s, in case somebody else changed its tables.
    private void Mend() => Measure("mend", () =>
    {
        foreach (var network in _segments.Keys) Program(network, _replica.View, everything: true);
    });

    // What the first question after a change costs a name server.
    private void Names() => Measure("names", () =>
    {
        foreach (var network in _segments.Keys) _ = new NameIndex(_replica.View.Networks[network]);
    });

    private static void Measure(string word, Action act)
    {
        act();
        var (cpu, allocated) = (ProcessFigures.Cpu, GC.GetTotalAllocatedBytes(precise: true));
        const int rounds = 5;
        for (var i = 0; i < rounds; i++) act();
        RoleLines.Say(word, ("cpu", (ProcessFigures.Cpu - cpu) / rounds), ("allocated", (GC.GetTotalAllocatedBytes(precise: true) - allocated) / Mebi / rounds));
    }
}
