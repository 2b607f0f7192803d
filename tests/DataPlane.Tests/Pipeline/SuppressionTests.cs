using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Pipeline;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;
using static Sleeve.DataPlane.Tests.Forwarding.Segments;

namespace Sleeve.DataPlane.Tests.Pipeline;

/// <summary>Where the tables are complete nothing is asked on the underlay, and all else goes its way.</summary>
public sealed class SuppressionTests
{
    private const ulong Here = 0x0200_0000_0001;
    private const ulong There = 0x0200_0000_0002;
    private const ulong Gateway = 0x0253_4C00_0064;
    private const uint HereIp = 0x0A010001;
    private const uint ThereIp = 0x0A010002;
    private const uint NobodyIp = 0x0A010009;

    private static readonly byte[] HereIp6 = Craft.Address6("fd00::1");
    private static readonly byte[] ThereIp6 = Craft.Address6("fd00::2");

    private static Host Complete()
    {
        var host = new Host(static options => options with
        {
            Proxy = true, SuppressUnknown = true, SuppressResolution = true, Learning = false, Admission = Admission.Listed, GatewayMac = MacAddress.FromValue(Gateway),
        });
        host.FloodTo(2, 3);
        host.Segment.Fdb.Set(MacAddress.FromValue(There), [new EntryDestination(Vtep(2), OwnVni)], EntryKind.Static, 0);
        host.Segment.Neighbours.Replace(new Neighbour(InternetAddress.FromIPv4(ThereIp), MacAddress.FromValue(There)));
        host.Segment.Neighbours.Replace(new Neighbour(InternetAddress.ReadIPv6(ThereIp6), MacAddress.FromValue(There)));
        return host;
    }

    private static byte[] Icmp6(ulong to, byte[] source, byte[] destination, params byte[] message)
    {
        Craft.U16(Craft.TransportChecksum(source, destination, 58, message)).CopyTo(message, 2);
        return Craft.Ethernet(to, Here, 0x86DD, Craft.IPv6(source, destination, 58, message, 255));
    }

    // As hosts send it: with the router alert option in a hop-by-hop header (RFC 9777, section 5).
    private static byte[] ListenerReport(byte type)
    {
        var destination = Craft.Address6("ff02::16");
        var message = Craft.Concat([type, 0, 0, 0, 0, 0, 0, 1], [4, 0, 0, 0], Craft.Address6("ff02::1:ff00:1"));
        Craft.U16(Craft.TransportChecksum(HereIp6, destination, 58, message)).CopyTo(message, 2);
        return Craft.Ethernet(0x3333_0000_0016, Here, 0x86DD, Craft.IPv6(HereIp6, destination, 0, Craft.Concat([58, 0, 5, 2, 0, 0, 1, 0], message), 1));
    }

    private static byte[] Igmp(byte type) =>
        Craft.Ethernet(0x0100_5E00_0016, Here, 0x0800, Craft.IPv4(HereIp, 0xE000_0016, 2, [type, 0, 0, 0, 0xE0, 1, 2, 3], options: [0x94, 4, 0, 0]));

    public static TheoryData<string, byte[]> Chatter() => new()
    {
        { "ARP request for nobody", Craft.Ethernet(Craft.Broadcast, Here, 0x0806, Craft.Arp(1, Here, HereIp, 0, NobodyIp)) },
        { "gratuitous ARP request", Craft.Ethernet(Craft.Broadcast, Here, 0x0806, Craft.Arp(1, Here, HereIp, 0, HereIp)) },
        { "gratuitous ARP reply", Craft.Ethernet(Craft.Broadcast, Here, 0x0806, Craft.Arp(2, Here, HereIp, Here, HereIp)) },
        { "ARP probe for an own address", Craft.Ethernet(Craft.Broadcast, Here, 0x0806, Craft.Arp(1, Here, 0, 0, HereIp)) },
        { "ARP that cannot be read", Craft.Ethernet(Craft.Broadcast, Here, 0x0806, [1, 2, 3]) },
        { "solicitation for nobody", Craft.Ethernet(0x3333_FF00_0009, Here, 0x86DD, Craft.Solicitation(HereIp6, Craft.Address6("ff02::1:ff00:9"), Craft.Address6("fd00::9"), [])) },
        { "duplicate address detection", Craft.Ethernet(0x3333_FF00_0001, Here, 0x86DD, Craft.Solicitation(new byte[16], Craft.Address6("ff02::1:ff00:1"), HereIp6, [])) },
        { "unsolicited advertisement", Icmp6(0x3333_0000_0001, HereIp6, Craft.Address6("ff02::1"), [136, 0, 0, 0, 0x20, 0, 0, 0, .. HereIp6, 2, 1, .. Craft.Mac(Here)]) },
        { "router solicitation", Icmp6(0x3333_0000_0002, HereIp6, Craft.Address6("ff02::2"), [133, 0, 0, 0, 0, 0, 0, 0]) },
        { "MLDv1 report", ListenerReport(131) },
        { "MLDv1 done", ListenerReport(132) },
        { "MLDv2 report", ListenerReport(143) },
        { "IGMPv1 report", Igmp(0x12) },
        { "IGMPv2 report", Igmp(0x16) },
        { "IGMP leave", Igmp(0x17) },
        { "IGMPv3 report", Igmp(0x22) },
    };

    [Theory]
    [MemberData(nameof(Chatter))]
    public void What_nobody_else_has_to_hear_is_not_flooded_and_is_otherwise(string what, byte[] frame)
    {
        using var complete = Complete();
        Assert.True(complete.Send(frame).Length == 0, what);
        Assert.Equal(1, complete.Counters.DropsOut(DropReason.ResolutionSuppressed));
        Assert.Equal(0, complete.Counters[Counter.Proxied]);

        using var ordinary = new Host(static options => options with { Proxy = true });
        ordinary.FloodTo(2, 3);
        Assert.Equal(2, ordinary.Send(frame).Length);
    }

    public static TheoryData<string, byte[]> Messages() => new()
    {
        { "broadcast of an application", Craft.Ethernet(Craft.Broadcast, Here, 0x0800, Craft.IPv4(HereIp, 0x0A0100FF, 17, Craft.Udp(1, 2, Craft.Fill(20)))) },
        { "multicast of an application", Craft.Ethernet(0x0100_5E01_0203, Here, 0x0800, Craft.IPv4(HereIp, 0xE001_0203, 17, Craft.Udp(1, 2, Craft.Fill(20)))) },
        { "router advertisement", Icmp6(0x3333_0000_0001, HereIp6, Craft.Address6("ff02::1"), [134, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) },
        { "MLD query", ListenerReport(130) },
        { "IGMP query", Igmp(0x11) },
        { "ping of all nodes", Icmp6(0x3333_0000_0001, HereIp6, Craft.Address6("ff02::1"), [128, 0, 0, 0, 0, 1, 0, 1]) },
        { "tagged ARP", Craft.Tagged(Craft.Broadcast, Here, [(0x8100, 5)], 0x0806, Craft.Arp(1, Here, HereIp, 0, NobodyIp)) },
        { "another protocol", Craft.Ethernet(Craft.Broadcast, Here, 0x88B5, Craft.Fill(46)) },
    };

    [Theory]
    [MemberData(nameof(Messages))]
    public void What_is_meant_to_be_heard_goes_to_the_whole_replication_list(string what, byte[] frame)
    {
        using var host = Complete();
        Assert.True(host.Send(frame).Length == 2, what);
    }

    [Fact]
    public void Known_addresses_are_answered()
    {
        using var host = Complete();
        Assert.Empty(host.Send(
            Craft.Ethernet(Craft.Broadcast, Here, 0x0806, Craft.Arp(1, Here, HereIp, 0, ThereIp)),
            Craft.Ethernet(Craft.Broadcast, Here, 0x0806, Craft.Arp(1, Here, 0, 0, ThereIp)),
            Craft.Ethernet(0x3333_FF00_0002, Here, 0x86DD, Craft.Solicitation(HereIp6, Craft.Address6("ff02::1:ff00:2"), ThereIp6, [])),
            Craft.Ethernet(0x3333_FF00_0002, Here, 0x86DD, Craft.Solicitation(new byte[16], Craft.Address6("ff02::1:ff00:2"), ThereIp6, []))));
        Assert.Equal(4, host.Counters[Counter.Proxied]);
    }

    [Fact]
    public void Unicast_goes_to_known_stations_and_to_nobody_else()
    {
        using var host = Complete();
        Assert.Equal(Vtep(2), Assert.Single(host.Send(Craft.Ethernet(There, Here, 0x88B5, Craft.Fill(46)))).To);
        Assert.Empty(host.Send(Craft.Ethernet(There + 1, Here, 0x88B5, Craft.Fill(46))));
        Assert.Equal(1, host.Counters.DropsOut(DropReason.UnknownUnicast));
        Assert.Equal(0, host.Counters[Counter.Flooded]);
    }

    [Fact]
    public void An_advertisement_or_ARP_to_one_station_is_forwarded_as_other_unicast()
    {
        using var host = Complete();
        Assert.Single(host.Send(Craft.Ethernet(There, Here, 0x0806, Craft.Arp(2, Here, HereIp, There, ThereIp))));
        Assert.Single(host.Send(Craft.Ethernet(There, Here, 0x0806, Craft.Arp(1, Here, HereIp, There, NobodyIp))));
    }

    [Fact]
    public void The_gateway_has_no_business_on_the_underlay_either_way()
    {
        using var host = Complete();
        Assert.Empty(host.Send(Craft.Ethernet(There, Gateway, 0x88B5, Craft.Fill(46)), Craft.Ethernet(Gateway, Here, 0x88B5, Craft.Fill(46)), Craft.Ethernet(Craft.Broadcast, Gateway, 0x88B5, Craft.Fill(46))));
        Assert.Equal(3, host.Counters.DropsOut(DropReason.GatewayMac));
        Assert.Empty(host.Receive(2, Craft.Vxlan(100, Craft.Ethernet(Here, Gateway, 0x88B5, Craft.Fill(46))), Craft.Vxlan(100, Craft.Ethernet(Gateway, There, 0x88B5, Craft.Fill(46)))));
        Assert.Equal(2, host.Counters.DropsIn(DropReason.GatewayMac));
        Assert.Single(host.Receive(2, Craft.Vxlan(100, Craft.Ethernet(Here, There, 0x88B5, Craft.Fill(46)))));
    }

    [Fact]
    public void Listed_admits_nobody_while_nobody_is_configured()
    {
        using var host = new Host(static options => options with { Admission = Admission.Listed });
        var datagram = Craft.Vxlan(100, Craft.Ethernet(Here, There, 0x88B5, Craft.Fill(46)));
        Assert.Empty(host.Receive(2, datagram));
        Assert.Equal(1, host.Counters.DropsIn(DropReason.UnknownVtep));
        host.FloodTo(2);
        Assert.Single(host.Receive(2, datagram));
        Assert.Empty(host.Receive(3, datagram));
    }

    [Fact]
    public void A_trial_says_the_same()
    {
        using var host = Complete();
        var trial = new FrameTrial(Host.Key);
        Assert.Equal(1, trial.Send(host.Segment, Craft.Ethernet(There + 1, Here, 0x88B5, Craft.Fill(46)), 0).Counters.DropsOut(DropReason.UnknownUnicast));
        Assert.Equal(1, trial.Send(host.Segment, Craft.Ethernet(Craft.Broadcast, Here, 0x0806, Craft.Arp(1, Here, HereIp, 0, NobodyIp)), 0).Counters.DropsOut(DropReason.ResolutionSuppressed));
    }
}
