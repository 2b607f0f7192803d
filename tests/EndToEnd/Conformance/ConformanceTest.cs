using System.Net.Sockets;
using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// The stage of every conformance case: one VTEP, the device under test, and a few hosts without one, whose UDP sockets play the part of
/// remote VTEPs byte by byte. Stations behind the device under test are raw frames on its overlay device.
/// <code>
///     A 10.0.0.2   B 10.0.0.3   C 10.0.0.4      UnderlayPeer each: a UDP socket on port 4789
///        │            │            │
///     ───┴──────┬─────┴────────────┴───         switch
///               │
///               D 10.0.0.1                      the device under test: VNI 100, port 4789, replication list {A, B, C}
///               │
///            vx100-d ◀─▶ RawPort                frames in and out of the tunnel
/// </code>
/// </summary>
public abstract class ConformanceTest(ITestOutputHelper output) : LabTest(output)
{
    /// <summary>A station behind peer A.</summary>
    protected static readonly MacAddress Remote = Frames.Mac(0xA1);

    /// <summary>A station behind the device under test.</summary>
    protected static readonly MacAddress Local = Frames.Mac(0xD1);

    /// <summary>A station that nobody has heard of.</summary>
    protected static readonly MacAddress Unknown = Frames.Mac(0xEE);

    /// <summary>Sets the stage.</summary>
    /// <param name="peers">How many peers there are: A, then B, then C, and so on.</param>
    /// <param name="flood">How many of them are in the replication list; all unless said otherwise.</param>
    /// <param name="with">Changes the options of the device under test.</param>
    /// <param name="family">Family of the underlay.</param>
    /// <param name="before">Prepares host D before the VTEP starts.</param>
    protected Stage Given(
        int peers = 1,
        int? flood = null,
        Func<VtepOptions, VtepOptions>? with = null,
        AddressFamily family = AddressFamily.InterNetwork,
        Action<Host>? before = null)
    {
        var lab = NewLab(family);
        var d = lab.AddHost("d");
        var hosts = "abcefg"[..peers].Select(name => lab.AddHost($"{name}")).ToArray();
        var middle = lab.JoinBySwitch([d, .. hosts]);
        before?.Invoke(d);
        var sockets = hosts.Select(host => lab.Own(new UnderlayPeer(host))).ToArray();
        var options = new VtepOptions { Remotes = [.. hosts.Take(flood ?? peers).Select(h => h.Address)] };
        var dut = Vtep.Start(SleeveProgram.DeviceUnderTest, d, with is null ? options : with(options));
        return new Stage(lab, middle, dut, dut.OpenPort(), sockets);
    }

    /// <summary>Skips a case in which the product differs from the kernel on purpose, when the kernel stands in its place.</summary>
    protected static void DiffersFromKernel() =>
        Skip.If(SleeveProgram.DeviceUnderTest == VtepKind.Kernel, "the kernel does this otherwise, see the design's list of differences");

    /// <summary>Everything the actors of a case can be asked to do.</summary>
    protected sealed record Stage(Lab Lab, Host Switch, Vtep Dut, RawPort Port, IReadOnlyList<UnderlayPeer> Peers)
    {
        private readonly Dictionary<UnderlayPeer, MacAddress> _markers = [];

        /// <summary>Host of the device under test.</summary>
        public Host D => Dut.Host;

        /// <summary>First peer.</summary>
        public UnderlayPeer A => Peers[0];

        /// <summary>Second peer.</summary>
        public UnderlayPeer B => Peers[1];

        /// <summary>Third peer.</summary>
        public UnderlayPeer C => Peers[2];

        /// <summary>Has a peer send a frame in the VNI of the device under test.</summary>
        public void SendFrom(UnderlayPeer peer, byte[] frame) => peer.Send(Frames.Vxlan(Dut.Options.Vni, frame), D.Address);

        /// <summary>Has A send datagrams; returns the frames that came out of the tunnel before a good frame that follows them.</summary>
        public List<byte[]> WhatComesOf(params IEnumerable<byte[]> datagrams)
        {
            foreach (var datagram in datagrams) A.Send(datagram, D.Address);
            return WhatCame();
        }

        /// <summary>The frames that came out of the tunnel before a good frame that A sends now.</summary>
        public List<byte[]> WhatCame()
        {
            var marker = Frames.Unique(MacAddress.Broadcast, Remote);
            SendFrom(A, marker);
            return Port.ReceiveUntil(marker);
        }

        /// <summary>
        /// What a peer was sent before a marker that is sent into the tunnel now. The marker is a frame to a station that a static entry puts
        /// behind that peer, added when it is first needed.
        /// </summary>
        public List<PeerDatagram> WhatWasSentTo(UnderlayPeer peer)
        {
            if (!_markers.TryGetValue(peer, out var station))
            {
                _markers[peer] = station = Frames.Mac(0x7E0000 + _markers.Count);
                Dut.FdbDo("add", $"{station} dev {Dut.Device} dst {peer.Address} static");
            }

            var marker = Frames.Unique(station, Local);
            Port.Send(marker);
            return peer.ReceiveUntil(marker);
        }

        /// <summary>Has the device under test learn that a station is behind a peer.</summary>
        public void Teach(UnderlayPeer peer, MacAddress station)
        {
            var frame = Frames.Unique(MacAddress.Broadcast, station);
            SendFrom(peer, frame);
            Port.ReceiveUntil(frame);
            Dut.WaitUntilLearned(station, peer.Address);
        }

        /// <summary>The counters of Sleeve, null where the kernel stands in its place.</summary>
        public SleeveStats? Stats => (Dut as SleeveVtep)?.Stats();

        /// <summary>Asserts that Sleeve has counted at least so many drops of one reason.</summary>
        public void AssertDropped(string reason, long atLeast)
        {
            if (Stats is { } stats) Assert.True(stats.Drops(reason) >= atLeast, $"{reason}: {stats.Drops(reason)}, not {atLeast}; {stats.Summary}");
        }

        /// <summary>Asserts that nothing was learned and the replication list is as it was.</summary>
        public void AssertNothingLearnedBut(params MacAddress[] allowed)
        {
            var table = Dut.Fdb();
            Assert.Equal(
                Dut.Options.Remotes.Select(r => r.ToString()).Order(),
                table.Where(e => e.Mac == Vtep.Default).Select(e => e.Destination).Order());
            Assert.DoesNotContain(table, e => e.Mac != Vtep.Default && !allowed.Concat(_markers.Values).Any(m => m.ToString() == e.Mac));
        }
    }
}
