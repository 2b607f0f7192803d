using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.Simulation;

/// <summary>A VTEP over memory: the real paths and tables, the network and the clock of the <see cref="World"/>.</summary>
internal sealed class SimulatedVtep
{
    private const ushort Port = 4789;
    private readonly Dictionary<uint, SegmentPort> _ports = [];
    private readonly List<Counters> _retired = [];
    private readonly EncapsulationPath _encapsulation;
    private readonly DecapsulationPath _decapsulation;
    private readonly Func<uint, (int[] Vteps, SegmentOptions Options)> _configure;

    internal SimulatedVtep(int index, ulong hashKey, uint[] vnis, Func<uint, (int[] Vteps, SegmentOptions Options)> configure)
    {
        Index = index;
        _configure = configure;
        _encapsulation = new EncapsulationPath(Underlay, hashKey);
        _decapsulation = new DecapsulationPath(Underlay, new StrangerLog());
        Vnis = vnis;
        Restart(0);
    }

    internal int Index { get; }

    internal uint[] Vnis { get; }

    internal MemoryUnderlay Underlay { get; } = new();

    internal IEnumerable<Counters> AllCounters => _ports.Values.Select(port => port.Counters).Concat(_retired).Append(_decapsulation.Unassigned);

    internal static InternetAddress Address(int index) => InternetAddress.FromIPv4(0x0A00_0001 + (uint)index);

    internal static int IndexOf(InternetAddress address) => (int)(address.IPv4Value - 0x0A00_0001);

    internal Segment Segment(uint vni) => _ports[vni].Segment;

    internal MemoryTap Tap(uint vni) => (MemoryTap)_ports[vni].Tap;

    /// <summary>Comes up with the configured remotes and nothing learned.</summary>
    internal void Restart(long now)
    {
        _retired.AddRange(_ports.Values.Select(port => port.Counters));
        foreach (var vni in Vnis)
        {
            var (vteps, options) = _configure(vni);
            var segment = new Segment(options, new VtepAddress(Address(Index), Port)) { DeviceMac = MacAddress.FromValue(0x0200_FF00_0000 + (ulong)Index) };
            foreach (var vtep in vteps)
                segment.Fdb.Append(MacAddress.Zero, new VtepAddress(Address(vtep), Port), new Vni(vni), EntryKind.Permanent, now);
            _ports[vni] = new SegmentPort(segment, new MemoryTap(), new Counters());
        }

        _decapsulation.SetPorts(_ports.Values);
    }

    /// <summary>A local station's frame comes down the TAP; the datagrams it became.</summary>
    internal SentDatagram[] Encapsulate(SentFrame frame)
    {
        Tap(frame.Vni).Feed(frame.Bytes);
        _encapsulation.Run(_ports[frame.Vni], 0);
        return Underlay.Take();
    }

    /// <summary>A datagram arrives; the frames that came up any TAP.</summary>
    internal List<(uint Vni, byte[] Bytes)> Decapsulate(byte[] datagram, int sender, long now)
    {
        Underlay.Feed(datagram, Address(sender));
        _decapsulation.Run(now);
        return [.. Vnis.SelectMany(vni => Tap(vni).Take().Select(bytes => (vni, bytes)))];
    }

    internal void AgeOut(long now)
    {
        foreach (var vni in Vnis) Segment(vni).Fdb.AgeOut(now);
    }

    internal void Flush(long now)
    {
        foreach (var vni in Vnis) Segment(vni).Fdb.Flush(all: false, now);
    }
}
