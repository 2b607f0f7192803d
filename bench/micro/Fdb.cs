using BenchmarkDotNet.Attributes;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Bench.Micro;

/// <summary>The FDB by its size, stations in random order: what a frame pays to find its VTEP, and a received one to keep its station young.</summary>
public class Fdb
{
    private const int Accesses = 1 << 20;
    private const int Vteps = 64;
    internal const int Slice = 1 << 13;
    private readonly MacAddress[] _macs = new MacAddress[Accesses];
    private readonly InternetAddress[] _senders = new InternetAddress[Accesses];
    private Segment _segment = null!;
    private int _next;

    [Params(1_000, 100_000, 1_000_000)]
    public int Entries { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _segment = Sample.MakeSegment(Entries, Vteps);
        var order = Sample.Shuffled(Entries, Accesses);
        for (var i = 0; i < Accesses; i++)
        {
            _macs[i] = Sample.Station(order[i]);
            _senders[i] = Sample.Vtep(2 + (order[i] % Vteps));
        }
    }

    [Benchmark(OperationsPerInvoke = Slice)]
    public int LookUp()
    {
        var found = 0;
        var fdb = _segment.Fdb;
        foreach (var mac in Next()) found += fdb.Lookup(mac).Remotes.Length;
        return found;
    }

    [Benchmark(OperationsPerInvoke = Slice)]
    public int LookUpOfUnknown()
    {
        var found = 0;
        var fdb = _segment.Fdb;
        foreach (var mac in Next()) found += fdb.Find(MacAddress.FromValue(mac.Value ^ 0x0100_0000_0000)) is null ? 1 : 0;
        return found;
    }

    /// <summary>The station is known behind that VTEP, as it nearly always is.</summary>
    [Benchmark(OperationsPerInvoke = Slice)]
    public int Refresh()
    {
        var known = 0;
        var fdb = _segment.Fdb;
        var macs = Next();
        var senders = _senders.AsSpan(_next, Slice);
        for (var i = 0; i < macs.Length; i++) known += fdb.Learn(macs[i], senders[i], nowMilliseconds: 0) == LearnResult.Known ? 1 : 0;
        return known;
    }

    // Another part of the accesses each time, so that a large table is never in the cache from the time before.
    private ReadOnlySpan<MacAddress> Next()
    {
        _next = (_next + Slice) % Accesses;
        return _macs.AsSpan(_next, Slice);
    }
}
