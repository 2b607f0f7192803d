using System.Net;
using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// PX04 to PX06: the same for IPv6 neighbour discovery (RFC 4861).
/// <code>
///     RawPort ── neighbour solicitation for fd01::9 ──▶ D (knows: at 02:…:a9)      A hears nothing
///     RawPort ◀── neighbour advertisement ── D
/// </code>
/// </summary>
public sealed class NeighbourDiscoveryProxyTests(ITestOutputHelper output) : ConformanceTest(output)
{
    private const byte Icmpv6 = 58;
    private const byte SourceLinkLayer = 1;
    private const byte TargetLinkLayer = 2;

    private static readonly IPAddress Known = IPAddress.Parse("fd01::9");
    private static readonly IPAddress Asker = IPAddress.Parse("fd01::1");
    private static readonly IPAddress Nobody = IPAddress.Parse("fd01::77");
    private static readonly MacAddress KnownMac = Frames.Mac(0xA9);

    [SkippableFact]
    [Trait("Case", "PX04")]
    public void Answers_for_a_known_neighbour_once_and_sends_nothing()
    {
        var stage = GivenProxy();
        stage.Port.Send(Solicitation(Asker, Known, LinkLayer(SourceLinkLayer, Local)));
        var reply = stage.Port.Expect(Local, Frames.IPv6);
        AssertAdvertisement(reply, Local, Asker, solicited: true);
        Assert.Empty(stage.WhatWasSentTo(stage.A));
        Assert.Empty(stage.WhatCame());
    }

    [SkippableFact]
    [Trait("Case", "PX04")]
    public void Floods_a_solicitation_for_an_unknown_neighbour()
    {
        DiffersFromKernel();
        var stage = GivenProxy();
        var solicitation = Solicitation(Asker, Nobody, LinkLayer(SourceLinkLayer, Local));
        stage.Port.Send(solicitation);
        Assert.Equal([solicitation], stage.WhatWasSentTo(stage.A).Select(d => d.Inner));
        Assert.Empty(stage.WhatCame());
    }

    [SkippableTheory]
    [InlineData(true)]
    [InlineData(false)]
    [Trait("Case", "PX02")]
    public void Consumes_a_solicitation_for_an_unknown_neighbour_if_strict(bool isWellFormed)
    {
        var stage = GivenProxy(strict: true);
        stage.Port.Send(Solicitation(Asker, Nobody, isWellFormed ? LinkLayer(SourceLinkLayer, Local) : [1, 0]));
        Assert.Empty(stage.WhatWasSentTo(stage.A));
        Assert.Empty(stage.WhatCame());
        stage.AssertDropped("unanswered", 1);
        stage.Port.Send(Solicitation(Asker, Known, LinkLayer(SourceLinkLayer, Local)));
        AssertAdvertisement(stage.Port.Expect(Local, Frames.IPv6), Local, Asker, solicited: true);
    }

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    [Trait("Case", "PX04")]
    public void Lets_advertisements_of_local_stations_pass(bool strict)
    {
        var stage = GivenProxy(strict);
        var advertisement = Packet(
            Local, MacAddress.FromValue(0x33_33_00_00_00_01), Asker, IPAddress.Parse("ff02::1"), 136, 0x20, Asker, LinkLayer(TargetLinkLayer, Local));
        stage.Port.Send(advertisement);
        Assert.Equal([advertisement], stage.WhatWasSentTo(stage.A).Select(d => d.Inner));
    }

    [SkippableFact]
    [Trait("Case", "PX04")]
    public void Says_of_a_router_that_it_is_one()
    {
        DiffersFromKernel();
        var stage = GivenProxy();
        SleeveProgram.Run(stage.D, $"neigh replace {Known} lladdr {KnownMac} dev {stage.Dut.Device} router").Ok();
        stage.Port.Send(Solicitation(Asker, Known, LinkLayer(SourceLinkLayer, Local)));
        AssertAdvertisement(stage.Port.Expect(Local, Frames.IPv6), Local, Asker, solicited: true, router: true);
    }

    [SkippableFact]
    [Trait("Case", "PX05")]
    public void Answers_duplicate_address_detection_to_all_nodes()
    {
        DiffersFromKernel();
        var stage = GivenProxy();
        stage.Port.Send(Solicitation(IPAddress.IPv6Any, Known, []));
        var reply = stage.Port.Receive(Wait.Soon);
        Assert.NotNull(reply);
        AssertAdvertisement(reply, null, IPAddress.Parse("ff02::1"), solicited: false);
        Assert.Empty(stage.WhatWasSentTo(stage.A));
    }

    [SkippableFact]
    [Trait("Case", "PX06")]
    public void Does_not_answer_a_solicitation_with_a_malformed_option()
    {
        DiffersFromKernel();
        var stage = GivenProxy();
        byte[][] malformed = [[1, 0, 2, 0, 0, 0, 0, 0xD1], [1, 200, 2, 0, 0, 0, 0, 0xD1], [1], [14, 0], [14, 255, 0, 0, 0, 0, 0, 0]];
        foreach (var options in malformed) stage.Port.Send(Solicitation(Asker, Known, options));
        Assert.Empty(stage.WhatCame());
        stage.Port.Send(Solicitation(Asker, Known, LinkLayer(SourceLinkLayer, Local)));
        AssertAdvertisement(stage.Port.Expect(Local, Frames.IPv6), Local, Asker, solicited: true);
    }

    private Stage GivenProxy(bool strict = false)
    {
        var stage = Given(with: options => options with { Proxy = true, ProxyStrict = strict });
        stage.Dut.NeighbourAdd(Known, KnownMac);
        return stage;
    }

    // RFC 4861, sections 4.4 and 7.1.2: hop limit 255, checksum, flags R S O, target, target link-layer address.
    private static void AssertAdvertisement(byte[] frame, MacAddress? to, IPAddress destination, bool solicited, bool router = false)
    {
        Assert.Equal(KnownMac, MacAddress.Read(frame.AsSpan(6)));
        if (to is { } mac) Assert.Equal(mac, MacAddress.Read(frame));
        else Assert.Equal(MacAddress.FromValue(0x33_33_00_00_00_01), MacAddress.Read(frame));
        var ip = frame.AsSpan(14);
        Assert.Equal((Icmpv6, (byte)255), (ip[6], ip[7]));
        Assert.Equal((Known, destination), (new IPAddress(ip[8..24]), new IPAddress(ip[24..40])));
        var icmp = ip.Slice(40, (ip[4] << 8) | ip[5]).ToArray();
        Assert.Equal(32, icmp.Length);
        Assert.Equal((136, 0), (icmp[0], icmp[1]));
        Assert.Equal(0, Checksums.Transport(Known, destination, Icmpv6, icmp));
        Assert.Equal((router ? 0x80 : 0) | (solicited ? 0x40 : 0) | 0x20, icmp[4]);
        Assert.Equal(Known, new IPAddress(icmp.AsSpan(8, 16)));
        Assert.Equal(LinkLayer(TargetLinkLayer, KnownMac), icmp[24..32]);
    }

    private static byte[] Solicitation(IPAddress from, IPAddress target, byte[] options)
    {
        var low = target.GetAddressBytes();
        var group = IPAddress.Parse($"ff02::1:ff{low[13]:x2}:{low[14]:x2}{low[15]:x2}");
        var groupMac = MacAddress.FromValue(0x33_33_FF_00_00_00UL | ((ulong)low[13] << 16) | ((ulong)low[14] << 8) | low[15]);
        return Packet(Local, groupMac, from, group, 135, 0, target, options);
    }

    private static byte[] Packet(
        MacAddress fromMac, MacAddress toMac, IPAddress from, IPAddress to, byte type, byte flags, IPAddress target, byte[] options)
    {
        byte[] icmp = [type, 0, 0, 0, flags, 0, 0, 0, .. target.GetAddressBytes(), .. options];
        var checksum = Checksums.Transport(from, to, Icmpv6, icmp);
        (icmp[2], icmp[3]) = ((byte)(checksum >> 8), (byte)checksum);
        return Frames.Ethernet(toMac, fromMac, Frames.IPv6, Frames.Ipv6Packet(from, to, Icmpv6, icmp, hopLimit: 255));
    }

    private static byte[] LinkLayer(byte type, MacAddress mac)
    {
        byte[] option = [type, 1, .. new byte[6]];
        mac.Write(option.AsSpan(2));
        return option;
    }
}
