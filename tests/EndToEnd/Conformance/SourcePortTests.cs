using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// SP01 to SP03 and SP05: the outer UDP source port tells inner flows apart, so that the underlay can spread them.
/// <code>
///     RawPort ── 64 flows ──▶ D ══ one source port per flow ══▶ A
/// </code>
/// </summary>
public sealed class SourcePortTests(ITestOutputHelper output) : ConformanceTest(output)
{
    private const int Flows = 64;

    private static readonly IPAddress One = IPAddress.Parse("192.168.100.1");
    private static readonly IPAddress Other = IPAddress.Parse("192.168.100.2");
    private static readonly IPAddress One6 = IPAddress.Parse("fd01::1");
    private static readonly IPAddress Other6 = IPAddress.Parse("fd01::2");

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    [Trait("Case", "SP01")]
    [Trait("Case", "SP05")]
    public void Every_flow_has_one_port_of_its_own(bool innerIpv6)
    {
        var (min, max) = SleeveProgram.DeviceUnderTest == VtepKind.Kernel ? (32768, 60999) : (49152, 65535);
        AssertOnePortPerFlow(Given(), flow => Flow(flow, innerIpv6), min, max);
    }

    [SkippableFact]
    [Trait("Case", "SP02")]
    public void Ports_stay_in_the_range_they_are_given()
    {
        var stage = Given(with: options => options with { SourcePorts = (50_000, 50_100) });
        AssertOnePortPerFlow(stage, flow => Flow(flow, innerIpv6: false), 50_000, 50_100, atLeast: 25);
    }

    [SkippableFact]
    [Trait("Case", "SP02")]
    public void A_range_of_one_port_is_that_port()
    {
        DiffersFromKernel();
        var stage = Given(with: options => options with { SourcePorts = (50_007, 50_007) });
        AssertOnePortPerFlow(stage, flow => Flow(flow, innerIpv6: false), 50_007, 50_007, atLeast: 1);
    }

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    [Trait("Case", "SP03")]
    public void All_fragments_of_a_datagram_have_one_port(bool innerIpv6)
    {
        var stage = Given();
        for (ushort id = 1; id <= 10; id++)
        {
            foreach (var fragment in innerIpv6 ? Fragments6(id) : Fragments4(id)) stage.Port.Send(fragment);
        }

        var sent = stage.WhatWasSentTo(stage.A);
        Assert.Equal(30, sent.Count);
        Assert.Single(sent.Select(d => d.Source.Port).Distinct());
    }

    [SkippableTheory]
    [InlineData(0x8100, false)]
    [InlineData(0x88A8, false)]
    [InlineData(0x8100, true)]
    [Trait("Case", "SP05")]
    public void Flows_inside_a_VLAN_tag_have_ports_of_their_own(ushort tag, bool innerIpv6)
    {
        DiffersFromKernel();
        AssertOnePortPerFlow(Given(), flow => Frames.Tag(Flow(flow, innerIpv6), tag, 42), 49152, 65535);
    }

    [SkippableFact]
    [Trait("Case", "SP05")]
    public void Stations_that_do_not_speak_IP_have_ports_of_their_own()
    {
        DiffersFromKernel();
        AssertOnePortPerFlow(Given(), flow => Frames.Numbered(Unknown, Frames.Mac(0x100 + flow), 1), 49152, 65535);
    }

    private static void AssertOnePortPerFlow(Stage stage, Func<int, byte[]> frameOf, int min, int max, int atLeast = 50)
    {
        Dictionary<int, byte[]> frames = Enumerable.Range(0, Flows).ToDictionary(flow => flow, frameOf);
        for (var round = 0; round < 3; round++)
        {
            foreach (var frame in frames.Values) stage.Port.Send(frame);
        }

        // Flows may be sent by different sockets, so a marker of one says nothing of the others.
        List<PeerDatagram> sent = [];
        while (sent.Count < 3 * Flows && stage.A.Receive(Wait.Soon) is { } datagram) sent.Add(datagram);
        Assert.Equal(3 * Flows, sent.Count);
        foreach (var frame in frames.Values)
        {
            var ports = sent.Where(d => d.Inner.AsSpan().SequenceEqual(frame)).Select(d => d.Source.Port).ToArray();
            Assert.Equal(3, ports.Length);
            Assert.Single(ports.Distinct());
        }

        var all = sent.Select(d => d.Source.Port).Distinct().ToArray();
        stage.Lab.Log(string.Create(CultureInfo.InvariantCulture, $"{all.Length} ports, {all.Min()} to {all.Max()}"));
        Assert.All(all, port => Assert.InRange(port, min, max));
        Assert.True(all.Length >= atLeast, $"{all.Length} ports for {Flows} flows");
    }

    private static byte[] Flow(int flow, bool innerIpv6) => innerIpv6
        ? Frames.UdpFrame(Unknown, Local, One6, Other6, (ushort)(20_000 + flow), 53, [1, 2, 3])
        : Frames.UdpFrame(Unknown, Local, One, Other, (ushort)(20_000 + flow), 53, [1, 2, 3]);

    // Three fragments of one UDP datagram of 72 bytes; the first has the ports, which differ from datagram to datagram.
    private static IEnumerable<byte[]> Fragments4(ushort id)
    {
        var udp = Frames.Udp(One, Other, (ushort)(1000 + id), 2000, new byte[64]);
        for (var i = 0; i < 3; i++)
        {
            var fragment = (ushort)((i * 3) | (i < 2 ? 0x2000 : 0));
            yield return Frames.Ethernet(Unknown, Local, Frames.IPv4, Frames.Ipv4Packet(One, Other, 17, udp.AsSpan(i * 24, 24), id, fragment));
        }
    }

    // The same behind a fragment header (RFC 8200, section 4.5): next header, reserved, offset and M flag, identification.
    private static IEnumerable<byte[]> Fragments6(ushort id)
    {
        var udp = Frames.Udp(One6, Other6, (ushort)(1000 + id), 2000, new byte[64]);
        for (var i = 0; i < 3; i++)
        {
            var header = new byte[8];
            header[0] = 17;
            BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(2), (ushort)((i * 24) | (i < 2 ? 1 : 0)));
            BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(4), id);
            yield return Frames.Ethernet(Unknown, Local, Frames.IPv6, Frames.Ipv6Packet(One6, Other6, 44, [.. header, .. udp.AsSpan(i * 24, 24)]));
        }
    }
}
