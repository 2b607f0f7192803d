using BenchmarkDotNet.Attributes;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.Bench.Micro;

/// <summary>The whole path over seams in memory: 64-byte frames, one worker, batches of 64; the cost is that of one frame.</summary>
public class FramePath
{
    public const int FramesPerBatch = FrameBatch.DefaultCapacity;
    private const int FrameLength = 64;
    private const int Vteps = 8;
    private readonly FrameBatch _frames = new();
    private ReplayTap _seamTap = null!;
    private ReplayUnderlay _seamUnderlay = null!;
    private EncapsulationPath _encapsulation = null!;
    private SegmentPort _outPort = null!;
    private DecapsulationPath _decapsulation = null!;
    private DecapsulationPath _mergingDecapsulation = null!;

    /// <summary>Stations that the frames go to or come from, in random order, behind 8 VTEPs; one station is one flow.</summary>
    [Params(1, 1000)]
    public int Stations { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        var order = Sample.Shuffled(Stations, 1024);
        var local = MacAddress.FromValue(Sample.Local);
        var outFrames = order.Select(i => Sample.Udp(Sample.Station(i), local, FrameLength, 1024 + i)).ToArray();
        var inFrames = order.Select(i => Craft.Vxlan(Sample.Vni, Sample.Udp(local, Sample.Station(i), FrameLength, 1024 + i))).ToArray();
        var senders = order.Select(i => Sample.Vtep(2 + (i % Vteps))).ToArray();

        _seamTap = new ReplayTap(outFrames);
        _seamUnderlay = new ReplayUnderlay(inFrames, senders);
        _encapsulation = new EncapsulationPath(new ReplayUnderlay([], []), hashKey: 1);
        _outPort = new SegmentPort(Sample.MakeSegment(Stations, Vteps), new ReplayTap(outFrames), new Counters());
        _decapsulation = Receiver(takesSuperFrames: false);
        _mergingDecapsulation = Receiver(takesSuperFrames: true);

        DecapsulationPath Receiver(bool takesSuperFrames)
        {
            var path = new DecapsulationPath(new ReplayUnderlay(inFrames, senders), new StrangerLog());
            path.SetPorts([new SegmentPort(Sample.MakeSegment(Stations, Vteps), new ReplayTap([], takesSuperFrames: takesSuperFrames), new Counters())]);
            return path;
        }
    }

    /// <summary>What the seams themselves cost, once each way: to be taken off the others by half.</summary>
    [Benchmark(OperationsPerInvoke = 2 * FramesPerBatch)]
    public int SeamsAlone()
    {
        _frames.Clear();
        _seamTap.Receive(_frames);
        _frames.Clear();
        _seamUnderlay.Receive(_frames);
        return _frames.Count;
    }

    [Benchmark(OperationsPerInvoke = FramesPerBatch)]
    public int TapToUnderlay() => _encapsulation.Run(_outPort, 0);

    [Benchmark(OperationsPerInvoke = FramesPerBatch)]
    public int UnderlayToTap() => _decapsulation.Run(nowMilliseconds: 0);

    /// <summary>As the TAP is on Linux: every frame is looked at for whether it continues a run. With one station all do.</summary>
    [Benchmark(OperationsPerInvoke = FramesPerBatch)]
    public int UnderlayToTapThatTakesSuperFrames() => _mergingDecapsulation.Run(nowMilliseconds: 0);
}
