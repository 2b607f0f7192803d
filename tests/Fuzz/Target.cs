using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.Fuzz;

/// <summary>
/// The VTEP under fire, 10.0.0.1 with three segments: an ordinary one with the proxy on, a strict one, and one whose TAP is down. 10.0.0.2 and
/// 10.0.0.3 are configured VTEPs; the default destinations of the ordinary segment use two VNIs.
/// </summary>
internal sealed class Target
{
    internal const uint Vni = 100;
    internal const uint StrictVni = 101;
    internal const uint DownVni = 102;
    internal const int Mtu = 1450;
    internal const ulong Device = 0x0200_0000_00FF;
    internal const ulong StaticStation = 0x0200_0000_0031;
    internal const ulong NullStation = 0x0200_0000_0032;
    internal const ulong SelfStation = 0x0200_0000_0033;
    internal const ulong Neighbour = 0x0200_0000_0007;
    internal const uint NeighbourIp = 0x0A010007;

    private const ushort Port = 4789;
    private readonly SegmentPort[] _ports;
    private readonly EncapsulationPath _encapsulation;
    private readonly DecapsulationPath _decapsulation;

    internal Target()
    {
        _encapsulation = new EncapsulationPath(Underlay, hashKey: 1);
        _decapsulation = new DecapsulationPath(Underlay, new StrangerLog());
        _ports = [.. new[] { Vni, StrictVni, DownVni }.Select(Make)];
        _decapsulation.SetPorts(_ports);
    }

    internal static byte[] NeighbourIp6 { get; } = Craft.Address6("2001:db8::7");

    internal MemoryUnderlay Underlay { get; } = new();

    internal IEnumerable<Counters> AllCounters => _ports.Select(port => port.Counters).Append(_decapsulation.Unassigned);

    internal MemoryTap Tap(uint vni) => (MemoryTap)_ports[vni - Vni].Tap;

    internal static InternetAddress Address(int vtep) => InternetAddress.FromIPv4(0x0A00_0000 + (uint)vtep);

    internal long Drops(DropReason reason) => AllCounters.Sum(counters => counters.DropsIn(reason) + counters.DropsOut(reason));

    internal void Encapsulate(params byte[][] frames)
    {
        foreach (var frame in frames) Tap(Vni).Feed(frame);
        while (_encapsulation.Run(_ports[0], 0) > 0)
        {
        }
    }

    internal void Decapsulate(byte[] datagram, int sender)
    {
        Underlay.Feed(datagram, Address(sender));
        _decapsulation.Run(0);
    }

    internal void SetRecording(bool isOn)
    {
        Underlay.IsRecording = isOn;
        foreach (var port in _ports) ((MemoryTap)port.Tap).IsRecording = isOn;
    }

    private static SegmentPort Make(uint vni)
    {
        // Few stations, so that the table is full soon and allocates no more.
        var options = new SegmentOptions { Vni = new Vni(vni), Name = "fuzz", Proxy = true, Strict = vni == StrictVni, MaxAddress = 100 };
        var segment = new Segment(options, new VtepAddress(Address(1), Port)) { DeviceMac = MacAddress.FromValue(Device), Mtu = Mtu };
        void Put(ulong mac, InternetAddress address, uint towards) =>
            segment.Fdb.Append(MacAddress.FromValue(mac), new VtepAddress(address, Port), new Vni(towards), EntryKind.Static, 0);
        Put(0, Address(2), Vni);
        Put(0, Address(3), 300);
        Put(StaticStation, Address(3), Vni);
        Put(NullStation, InternetAddress.AnyIPv4, Vni);
        Put(SelfStation, Address(1), Vni);
        segment.Neighbours.Add(new Neighbour(InternetAddress.FromIPv4(NeighbourIp), MacAddress.FromValue(Neighbour)));
        segment.Neighbours.Add(new Neighbour(InternetAddress.ReadIPv6(NeighbourIp6), MacAddress.FromValue(Neighbour)));
        if (vni == DownVni) segment.SetUp(false, 0);
        return new SegmentPort(segment, new MemoryTap(), new Counters());
    }
}
