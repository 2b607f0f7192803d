using BenchmarkDotNet.Attributes;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Offload;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.Bench.Micro;

/// <summary>The VXLAN header alone: put before a frame, or read and taken off, with what a sender may have left undone looked for.</summary>
public class Encapsulation
{
    private const int Frames = FrameBatch.DefaultCapacity;
    private readonly FrameBatch _frames = new();
    private readonly byte[] _datagram = Craft.Vxlan(Sample.Vni, Sample.Udp(Sample.Station(1), Sample.Station(2), 64));
    private DatagramBatch _datagrams = null!;
    private Remote _remote = null!;
    private InnerHeaders _headers;

    [GlobalSetup]
    public void SetUp()
    {
        _datagrams = new DatagramBatch(_frames);
        _remote = Sample.MakeSegment(stations: 0, vteps: 1).Fdb.Default.Remotes[0];
        var frame = _datagram.AsSpan(VxlanHeader.Size);
        _ = InnerHeaders.TryParse(frame, out _headers);
        for (var i = 0; i < Frames; i++)
        {
            frame.CopyTo(_frames.Room(i));
            _frames.Add(frame.Length);
        }
    }

    [Benchmark(OperationsPerInvoke = Frames)]
    public int Encapsulate()
    {
        _datagrams.Clear();
        for (var i = 0; i < Frames; i++) _datagrams.TryAdd(_frames[i], _remote, flowHash: 1, headerInPlace: true);
        return _datagrams.Count;
    }

    /// <summary>For copies whose VNI differs from the segment's.</summary>
    [Benchmark(OperationsPerInvoke = Frames)]
    public int EncapsulateBeside()
    {
        _datagrams.Clear();
        for (var i = 0; i < Frames; i++) _datagrams.TryAdd(_frames[i], _remote, flowHash: 1, headerInPlace: false);
        return _datagrams.Count;
    }

    [Benchmark(OperationsPerInvoke = Frames)]
    public int Decapsulate()
    {
        var done = 0;
        for (var i = 0; i < Frames; i++)
        {
            if (!VxlanHeader.TryParse(_datagram, out var header) || !header.HasVni || header.Vni.Value != Sample.Vni) continue;
            if (!UnfinishedOffload.Recognise(_datagram.AsSpan(VxlanHeader.Size), _headers, mtu: 1450).NeedsChecksum) done++;
        }

        return done;
    }
}
