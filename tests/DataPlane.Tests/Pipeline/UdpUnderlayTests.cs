using System.Net;
using System.Net.Sockets;
using Sleeve.DataPlane.Buffers;
using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Tests.Forwarding;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Pipeline;

/// <summary>Both paths over real sockets on the loopback interface; the other VTEP is a plain socket.</summary>
public sealed class UdpUnderlayTests : IDisposable
{
    private static readonly InternetAddress Loopback = InternetAddress.FromIPv4(0x7F000001);
    private readonly Socket _other = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    private readonly UdpUnderlay _underlay;
    private readonly SegmentPort _port;
    private readonly EncapsulationPath _encapsulation;
    private readonly DecapsulationPath _decapsulation;

    public UdpUnderlayTests()
    {
        _other.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        OtherAddress = new VtepAddress(Loopback, (ushort)((IPEndPoint)_other.LocalEndPoint!).Port);
        _other.ReceiveTimeout = 10_000;
        // A port that was free a moment ago, to send to.
        using var free = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        free.Bind(new IPEndPoint(IPAddress.Any, 0));
        Port = (ushort)((IPEndPoint)free.LocalEndPoint!).Port;
        free.Dispose();

        _underlay = new UdpUnderlay(new VtepOptions { Local = Loopback, Port = Port }, static () => 0);
        var segment = Segments.Make(self: new VtepAddress(InternetAddress.AnyIPv4, Port));
        segment.Fdb.Append(MacAddress.Zero, OtherAddress, Segments.OwnVni, EntryKind.Permanent, 0);
        _port = new SegmentPort(segment, new MemoryTap(), new Counters());
        _encapsulation = new EncapsulationPath(_underlay, 1);
        _decapsulation = new DecapsulationPath(_underlay, new StrangerLog());
        _decapsulation.SetPorts([_port]);
    }

    private ushort Port { get; }

    private VtepAddress OtherAddress { get; }

    private MemoryTap Tap => (MemoryTap)_port.Tap;

    public void Dispose()
    {
        Assert.Null(Balance.Check(_port.Counters));
        _other.Dispose();
        _underlay.Dispose();
        _underlay.Dispose();
    }

    private byte[] ReceiveAtOther(out int fromPort)
    {
        var buffer = new byte[70_000];
        EndPoint from = new IPEndPoint(IPAddress.Any, 0);
        var length = _other.ReceiveFrom(buffer, ref from);
        fromPort = ((IPEndPoint)from).Port;
        return buffer[..length];
    }

    [Fact]
    public void Sends_with_one_source_port_a_flow_and_both_kinds_of_header()
    {
        _port.Segment.Fdb.Append(MacAddress.Zero, OtherAddress, new Vni(300), EntryKind.Permanent, 0);
        byte[] Flow(int port, int length) => Craft.Ethernet(Craft.Broadcast, 0x0200_0000_0001, 0x0800, Craft.IPv4(1, 2, 17, Craft.Udp(port, 53, Craft.Fill(length))));
        var portOf = new Dictionary<int, int>();
        for (var i = 0; i < 40; i++)
        {
            var frame = Flow(1000 + (i % 20), 10 + i);
            Tap.Feed(frame);
            Assert.Equal(1, _encapsulation.Run(_port, 0));
            Assert.Equal(Craft.Vxlan(100, frame), ReceiveAtOther(out var first));
            Assert.Equal(Craft.Vxlan(300, frame), ReceiveAtOther(out var second));
            Assert.Equal(first, second);
            Assert.InRange(first, VtepOptions.DefaultSourcePortMin, ushort.MaxValue);
            if (!portOf.TryAdd(i % 20, first)) Assert.Equal(portOf[i % 20], first);
        }

        Assert.True(portOf.Values.Distinct().Count() > 15);
        Assert.Equal(80, _port.Counters[Counter.DatagramsSent]);
    }

    [Fact]
    public void A_frame_that_no_datagram_holds_is_too_big_and_the_next_one_goes()
    {
        Tap.Feed(Craft.Ethernet(Craft.Broadcast, 1, 0x88B5, Craft.Fill(65_507 - 8 - 14 + 1)));
        Tap.Feed(Craft.Ethernet(Craft.Broadcast, 1, 0x88B5, Craft.Fill(65_507 - 8 - 14)));
        Assert.Equal(2, _encapsulation.Run(_port, 0));
        Assert.Equal(1, _port.Counters.DropsOut(DropReason.TooBig));
        Assert.Equal(65_507, ReceiveAtOther(out _).Length);
    }

    [Fact]
    public void Datagrams_of_different_outer_classes_leave_whole_and_in_order()
    {
        var segment = Segments.Make(options => options with { Outer = new OuterOptions { TypeOfService = OuterOptions.Inherit, DontFragment = DontFragmentRule.Inherit } }, new VtepAddress(InternetAddress.AnyIPv4, Port));
        segment.Fdb.Append(MacAddress.Zero, OtherAddress, Segments.OwnVni, EntryKind.Permanent, 0);
        var port = new SegmentPort(segment, Tap, new Counters());
        var sent = new List<byte[]>();
        for (var i = 0; i < 48; i++)
        {
            // One flow: one source port, so that all go in one call; runs of three with a class each, DF set and clear.
            var packet = Craft.IPv4(1, 2, 17, Craft.Udp(5000, 53, Craft.Fill(100, i)), fragment: i % 6 < 3 ? 0x4000 : 0);
            packet[1] = (byte)(i / 3 * 4);
            sent.Add(Craft.Ethernet(Craft.Broadcast, 0x0200_0000_0001, 0x0800, packet));
            Tap.Feed(sent[^1]);
        }

        Assert.Equal(48, _encapsulation.Run(port, 0));
        Assert.Equal(48, port.Counters[Counter.DatagramsSent]);
        Assert.Null(Balance.Check(port.Counters));
        // The order of a flow stays, whatever is sent together; the headers themselves are looked at on a wire, end to end.
        foreach (var frame in sent) Assert.Equal(Craft.Vxlan(100, frame), ReceiveAtOther(out _));
    }

    [Fact]
    public void Receives_in_batches_with_the_senders_address()
    {
        const int Datagrams = FrameBatch.DefaultCapacity + 10;
        for (var i = 0; i < Datagrams; i++)
            _other.SendTo(Craft.Vxlan(100, Craft.Ethernet(1, 0x0200_0000_0002, 0x88B5, Craft.Fill(i * 20))), new IPEndPoint(IPAddress.Loopback, Port));
        Assert.Equal(FrameBatch.DefaultCapacity, _decapsulation.Run(0));
        Assert.Equal(Datagrams - FrameBatch.DefaultCapacity, _decapsulation.Run(0));
        Assert.Equal(0, _decapsulation.Run(0));
        var frames = Tap.Take();
        for (var i = 0; i < Datagrams; i++) Assert.Equal(Craft.Ethernet(1, 0x0200_0000_0002, 0x88B5, Craft.Fill(i * 20)), frames[i]);
        var learned = _port.Segment.Fdb.Lookup(MacAddress.FromValue(0x0200_0000_0002)).Remotes[0];
        Assert.Equal(new VtepAddress(Loopback, Port), learned.Address);
    }

    [Fact]
    public void A_closed_port_at_the_other_end_never_stops_what_follows()
    {
        // The ICMP errors it answers with are nobody's.
        _other.Dispose();
        for (var i = 0; i < 20; i++)
        {
            Tap.Feed(Craft.Ethernet(Craft.Broadcast, 1, 0x88B5, Craft.Fill(46)));
            Assert.Equal(1, _encapsulation.Run(_port, 0));
            Assert.Equal(0, _decapsulation.Run(0));
        }

        Assert.Equal(20, _port.Counters[Counter.DatagramsSent]);
    }
}
