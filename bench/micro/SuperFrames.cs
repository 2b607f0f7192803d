using BenchmarkDotNet.Attributes;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Offload;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.Bench.Micro;

/// <summary>
/// TCP super-frames of 40 segments of 1,398 bytes (1,450 of IP): cut and merged, alone and on the whole path. The cost is that of one segment, checksums
/// included.
/// </summary>
public class SuperFrames
{
    private const int Segments = 40;
    private const int Payload = 1398;
    private const int PathBatch = 4;
    private readonly byte[] _headers = new byte[256];
    private readonly FrameBatch _frames = new();
    private byte[] _whole = [];
    private SegmentPlan _plan;
    private Merger _merger = null!;
    private EncapsulationPath _encapsulation = null!;
    private SegmentPort _outPort = null!;
    private DecapsulationPath _decapsulation = null!;

    [GlobalSetup]
    public void SetUp()
    {
        MacAddress station = Sample.Station(0), local = MacAddress.FromValue(Sample.Local);
        (_whole, var facts) = Sample.TcpSuperFrame(station, local, Segments * Payload, Payload);
        _ = InnerHeaders.TryParse(_whole, out var headers);
        SegmentPlan.TryMake(_whole, headers, facts, out _plan);

        _merger = new Merger(_frames);
        var datagrams = Enumerable.Range(0, Segments).Select(i => Craft.Vxlan(Sample.Vni, Sample.TcpSegment(local, station, i, Payload))).ToArray();
        foreach (var datagram in datagrams)
        {
            datagram.AsSpan(VxlanHeader.Size).CopyTo(_frames.Room(_frames.Count));
            _frames.Add(datagram.Length - VxlanHeader.Size);
        }

        _encapsulation = new EncapsulationPath(new ReplayUnderlay([], []), hashKey: 1);
        _outPort = new SegmentPort(Sample.MakeSegment(stations: 1, vteps: 1), new ReplayTap([_whole], facts) { BatchSize = PathBatch }, new Counters());
        // As UDP_GRO hands them over: one behind the other.
        var received = new ReplayUnderlay([Craft.Concat(datagrams)], [Sample.Vtep(2)], datagrams[0].Length) { BatchSize = PathBatch };
        _decapsulation = new DecapsulationPath(received, new StrangerLog());
        _decapsulation.SetPorts([new SegmentPort(Sample.MakeSegment(stations: 1, vteps: 1), new ReplayTap([], takesSuperFrames: true), new Counters())]);
    }

    [Benchmark(OperationsPerInvoke = Segments)]
    public int Cut()
    {
        for (var i = 0; i < _plan.Count; i++) _plan.WriteHeaders(_whole, i, _headers);
        return _plan.Count;
    }

    [Benchmark(OperationsPerInvoke = Segments)]
    public int Merge()
    {
        _ = InnerHeaders.TryParse(_frames.Bytes(_frames[0]), out var headers);
        var merged = _merger.TryStart(_frames[0], headers, mergesUdp: false) ? 1 : 0;
        for (var i = 1; i < Segments; i++) merged += _merger.TryAppend(_frames[i]) ? 1 : 0;
        return merged == Segments ? merged : throw new InvalidOperationException($"{merged} were merged");
    }

    [Benchmark(OperationsPerInvoke = Segments * PathBatch)]
    public int TapToUnderlay() => _encapsulation.Run(_outPort, 0);

    [Benchmark(OperationsPerInvoke = Segments * PathBatch)]
    public int UnderlayToTap() => _decapsulation.Run(nowMilliseconds: 0);
}
