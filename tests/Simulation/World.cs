using System.Buffers.Binary;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.Simulation;

/// <summary>
/// 3 to 6 VTEPs with their stations on a virtual clock, over a network that loses, doubles and reorders. Everything comes from one seed.
/// Each frame carries its number, so that whatever comes up a TAP can be held against what was sent.
/// </summary>
internal sealed class World
{
    private const uint Everywhere = 100;

    // The same MACs as in the first segment, on all VTEPs but one, which is in the replication lists all the same.
    private const uint NotEverywhere = 200;
    private const int AgeingSeconds = 30;
    private const int IdOffset = 14;

    private readonly Random _random;
    private readonly SimulatedVtep[] _vteps;
    private readonly List<Station> _stations = [];
    private readonly Dictionary<long, SentFrame> _frames = [];
    private readonly PriorityQueue<(int From, int To, byte[] Datagram), (long At, long Order)> _inFlight = new();
    private readonly double _loss;
    private readonly double _duplication;
    private bool _isCalm;
    private long _now = 1_000_000;
    private long _lastAgeing;
    private long _order;
    private int _lastDeliveredAt;

    internal World(int seed)
    {
        _random = new Random(seed);
        _loss = _random.NextDouble() * 0.3;
        _duplication = _random.NextDouble() * 0.2;
        var count = _random.Next(3, 7);
        var all = Enumerable.Range(0, count).ToArray();
        _vteps = [.. all.Select(index => new SimulatedVtep(
            index, (ulong)_random.NextInt64(), index == count - 1 ? [Everywhere] : [Everywhere, NotEverywhere],
            vni => ([.. all], Options(vni))))];
        foreach (var vtep in _vteps)
        {
            vtep.Underlay.Outcome = _ => !_isCalm && _random.NextDouble() < 0.02 ? DropReason.WouldBlock : null;
            foreach (var vni in vtep.Vnis)
                for (var i = 0; i < 3; i++) _stations.Add(new Station { Mac = 0x0200_0000_0000 + (ulong)((vtep.Index * 3) + i), Vni = vni, At = vtep.Index });
        }
    }

    internal long Delivered { get; private set; }

    private static SegmentOptions Options(uint vni) => new() { Vni = new Vni(vni), Name = $"sim{vni}", AgeingSeconds = AgeingSeconds };

    /// <summary>Anything happens, many times.</summary>
    internal void Chaos(int steps)
    {
        for (var step = 0; step < steps; step++)
        {
            Advance(_random.Next(40));
            var station = _stations[_random.Next(_stations.Count)];
            switch (_random.Next(100))
            {
                case < 25: Send(station, Craft.Broadcast); break;
                case < 85: Send(station, _stations[_random.Next(_stations.Count)].Mac); break;
                case < 88: Send(station, 0x0200_0000_9999); break;
                case < 95: Move(station); break;
                case < 97: _vteps[_random.Next(_vteps.Length)].Flush(_now); break;
                case < 98: _vteps[_random.Next(_vteps.Length)].Restart(_now); break;
                case < 99: Advance(1000 * _random.Next(2 * AgeingSeconds)); break;
                default: Stray(); break;
            }
        }
    }

    /// <summary>Nothing is lost any more and nobody moves: every station announces itself, then all must reach all, each by one datagram.</summary>
    internal void Converge()
    {
        _isCalm = true;
        Advance(10_000);
        Require(_inFlight.Count == 0, "datagrams are still under way");
        foreach (var station in _stations) Send(station, Craft.Broadcast);
        Advance(100);

        foreach (var from in _stations)
        {
            foreach (var to in _stations.Where(other => other.Vni == from.Vni && other.At != from.At))
            {
                var known = _vteps[from.At].Segment(from.Vni).Fdb.Find(MacAddress.FromValue(to.Mac));
                Require(known?.Remotes.Length == 1 && known.Remotes[0].Address.Address == SimulatedVtep.Address(to.At), $"VTEP {from.At} does not know {to.Mac:x} at {to.At}");
                var before = Delivered;
                Send(from, to.Mac);
                // All pairs together take less than the ageing time.
                Advance(10);
                Require(Delivered == before + 1, $"{from.Mac:x} does not reach {to.Mac:x}");
                Require(_lastDeliveredAt == to.At, $"a frame to {to.Mac:x} at {to.At} came up at {_lastDeliveredAt}");
            }
        }
    }

    internal void CheckBalance()
    {
        foreach (var counters in _vteps.SelectMany(vtep => vtep.AllCounters)) Require(Balance.Check(counters) is null, Balance.Check(counters) ?? "");
    }

    private void Send(Station station, ulong destination)
    {
        // The bridge above the TAP keeps to itself what is for one of its own stations.
        if (_stations.Exists(other => other.Mac == destination && other.Vni == station.Vni && other.At == station.At)) return;
        var id = _frames.Count + 1L;
        var payload = new byte[8 + _random.Next(200)];
        _random.NextBytes(payload);
        BinaryPrimitives.WriteInt64BigEndian(payload, id);
        var frame = new SentFrame(id, Craft.Ethernet(destination, station.Mac, 0x88B5, payload), station.Vni, station.At);
        _frames.Add(id, frame);

        var vtep = _vteps[station.At];
        var known = vtep.Segment(station.Vni).Fdb.Find(MacAddress.FromValue(destination));
        var datagrams = vtep.Encapsulate(frame);
        Require(known is null || datagrams.Length <= 1, $"known unicast became {datagrams.Length} datagrams");
        Require(!_isCalm || known is null || datagrams.Length == 1, "known unicast became no datagram");
        Require(datagrams.Select(datagram => datagram.To).Distinct().Count() == datagrams.Length, "a VTEP gets two copies");
        foreach (var datagram in datagrams)
        {
            var to = SimulatedVtep.IndexOf(datagram.To.Address);
            Require(to != vtep.Index, "a VTEP sends to itself");
            Require(known is null || known.Remotes[0].Address == datagram.To, "known unicast goes elsewhere");
            Require(datagram.Bytes.AsSpan().SequenceEqual(Craft.Vxlan(frame.Vni, frame.Bytes)), "other bytes than the station's");
            Transmit(vtep.Index, to, datagram.Bytes);
        }
    }

    private void Transmit(int from, int to, byte[] datagram)
    {
        var copies = _isCalm ? 1 : _random.NextDouble() < _loss ? 0 : _random.NextDouble() < _duplication ? 2 : 1;
        for (var i = 0; i < copies; i++)
            _inFlight.Enqueue((from, to, datagram), (_now + 1 + (_isCalm ? 0 : _random.Next(_random.Next(10) == 0 ? 5000 : 60)), _order++));
    }

    private void Advance(long milliseconds)
    {
        var end = _now + milliseconds;
        while (_inFlight.TryPeek(out _, out var due) && due.At <= end)
        {
            var (from, to, datagram) = _inFlight.Dequeue();
            _now = Math.Max(_now, due.At);
            AgeOut();
            Arrive(from, to, datagram);
        }

        _now = end;
        AgeOut();
    }

    private void AgeOut()
    {
        if (_now - _lastAgeing < 1000) return;
        _lastAgeing = _now;
        foreach (var vtep in _vteps) vtep.AgeOut(_now);
    }

    private void Arrive(int from, int to, byte[] datagram)
    {
        var vtep = _vteps[to];
        var delivered = vtep.Decapsulate(datagram, from, _now);
        Require(vtep.Underlay.Take().Length == 0, "a frame from the underlay returned to it");
        Require(delivered.Count <= 1, "one datagram came up twice");
        foreach (var (vni, bytes) in delivered)
        {
            Require(bytes.Length >= IdOffset + 8 && _frames.TryGetValue(BinaryPrimitives.ReadInt64BigEndian(bytes.AsSpan(IdOffset)), out _), "a frame nobody sent");
            var frame = _frames[BinaryPrimitives.ReadInt64BigEndian(bytes.AsSpan(IdOffset))];
            Require(frame.Bytes.AsSpan().SequenceEqual(bytes), "other bytes than were sent");
            Require(frame.Vni == vni, $"a frame of vni {frame.Vni} came up in vni {vni}");
            Require(frame.Origin != to, "a frame came back to the VTEP it left from");
            Delivered++;
            _lastDeliveredAt = to;
        }
    }

    private void Move(Station station)
    {
        var places = _vteps.Where(vtep => vtep.Vnis.Contains(station.Vni)).ToArray();
        station.At = places[_random.Next(places.Length)].Index;
        // Most stations announce themselves where they come up (gratuitous ARP); some stay silent.
        if (_random.Next(4) != 0) Send(station, Craft.Broadcast);
    }

    /// <summary>A datagram that does not belong: a stranger's, another VNI's, or rubbish.</summary>
    private void Stray()
    {
        var to = _random.Next(_vteps.Length);
        var rubbish = new byte[_random.Next(80)];
        _random.NextBytes(rubbish);
        var (from, datagram) = _random.Next(3) switch
        {
            0 => (77, Craft.Vxlan(Everywhere, Craft.Ethernet(Craft.Broadcast, _stations[0].Mac, 0x88B5, rubbish))),
            1 => ((to + 1) % _vteps.Length, Craft.Vxlan(300, Craft.Ethernet(Craft.Broadcast, _stations[0].Mac, 0x88B5, rubbish))),
            _ => ((to + 1) % _vteps.Length, rubbish),
        };
        _inFlight.Enqueue((from, to, datagram), (_now + 1, _order++));
    }

    private static void Require(bool condition, string otherwise)
    {
        if (!condition) throw new InvalidOperationException(otherwise);
    }
}
