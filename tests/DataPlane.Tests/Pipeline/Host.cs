using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Tests.Forwarding;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Pipeline;

/// <summary>One VTEP at 10.0.0.1 over seams in memory. At its end the sums must balance, whatever the test did.</summary>
internal sealed class Host : IDisposable
{
    internal const ulong Key = 0x1234_5678_9ABC_DEF0;
    private readonly List<SegmentPort> _ports = [];

    internal Host(Func<SegmentOptions, SegmentOptions>? change = null)
    {
        Encapsulation = new EncapsulationPath(Underlay, Key);
        Decapsulation = new DecapsulationPath(Underlay, Strangers) { Echo = new EchoPort(Underlay, new EchoDesk { IsOn = false }, static () => 1) };
        Port = AddSegment(Segments.Make(change));
        Segment.DeviceMac = MacAddress.FromValue(0x0200_0000_00FF);
    }

    internal MemoryUnderlay Underlay { get; } = new();

    internal StrangerLog Strangers { get; } = new();

    internal EncapsulationPath Encapsulation { get; }

    internal DecapsulationPath Decapsulation { get; }

    internal SegmentPort Port { get; }

    internal Segment Segment => Port.Segment;

    internal MemoryTap Tap => (MemoryTap)Port.Tap;

    internal Counters Counters => Port.Counters;

    internal SegmentPort AddSegment(Segment segment)
    {
        var port = new SegmentPort(segment, new MemoryTap(), new Counters());
        _ports.Add(port);
        Decapsulation.SetPorts(_ports);
        return port;
    }

    internal void RemoveSegment(SegmentPort port) => Decapsulation.SetPorts(_ports.Where(other => other != port));

    /// <summary>Sets the replication list.</summary>
    internal void FloodTo(params int[] vteps)
    {
        foreach (var vtep in vteps) Segment.Fdb.Append(MacAddress.Zero, Segments.Vtep(vtep), Segments.OwnVni, EntryKind.Permanent, 0);
    }

    /// <summary>Has the host send frames by the TAP; the datagrams that came of it.</summary>
    internal SentDatagram[] Send(params byte[][] frames)
    {
        foreach (var frame in frames) Tap.Feed(frame);
        while (Encapsulation.Run(Port, 0) > 0)
        {
        }

        return Underlay.Take();
    }

    /// <summary>Has a VTEP send a datagram here; the frames that came of it on the first segment's TAP.</summary>
    internal byte[][] Receive(int vtep, params byte[][] datagrams)
    {
        foreach (var datagram in datagrams) Underlay.Feed(datagram, Segments.Address(vtep));
        while (Decapsulation.Run(nowMilliseconds: 0) > 0)
        {
        }

        return Tap.Take();
    }

    public void Dispose()
    {
        foreach (var port in _ports) Assert.Null(Balance.Check(port.Counters));
        Assert.Null(Balance.Check(Decapsulation.Unassigned));
    }
}
