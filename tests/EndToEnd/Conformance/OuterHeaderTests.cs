using System.Net.Sockets;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// TT01, TT02 and DF01: TTL, DSCP, DF and flow label of the outer header.
/// <code>
///     A ◀══ outer header? ══ D ◀── IPv4, IPv6, ARP ── RawPort          looked at on D's underlay device
/// </code>
/// </summary>
public sealed class OuterHeaderTests(ITestOutputHelper output) : ConformanceTest(output)
{
    private static readonly AddressFamily[] Families = [AddressFamily.InterNetwork, AddressFamily.InterNetworkV6];

    private List<OuterPacket> OuterOf(AddressFamily family, string options, params byte[][] frames)
    {
        var stage = Given(family: family, with: with => with with { Outer = options });
        Traffic.WaitForPing(stage.D, stage.A.Address);
        using var capture = new Capture(stage.D, Host.UnderlayDevice);
        foreach (var frame in frames) stage.Port.Send(frame);
        return OuterPacket.InOrderOf(frames, capture.WaitFor(frames.Length, p => p.Source.Equals(stage.D.Address)));
    }

    private static byte[] Arp() => Frames.ArpRequest(Local, System.Net.IPAddress.Parse("10.1.1.1"), System.Net.IPAddress.Parse("10.1.1.9"));

    public static TheoryData<AddressFamily, string, int, int> TimesToLive() => Cross([("", 64, 64), ("ttl auto", 64, 64), ("ttl 100", 100, 100), ("ttl 255", 255, 255), ("ttl inherit", 33, 64)]);

    [SkippableTheory]
    [MemberData(nameof(TimesToLive))]
    [Trait("Case", "TT01")]
    public void The_TTL_is_the_routes_or_the_given_or_the_frames(AddressFamily family, string options, int ip, int arp)
    {
        var sent = OuterOf(family, options, Frames.IpFrame(Unknown, Local, isIpv6: false, timeToLive: 33), Frames.IpFrame(Unknown, Local, isIpv6: true, timeToLive: 33), Arp());
        Assert.Equal([ip, ip, arp], sent.Select(p => (int)p.TimeToLive));
    }

    public static TheoryData<AddressFamily, string, int, int> TypesOfService() => Cross([("", 0, 0), ("tos 0x20", 0x20, 0x20), ("tos inherit", 0xB8, 0)]);

    [SkippableTheory]
    [MemberData(nameof(TypesOfService))]
    [Trait("Case", "TT02")]
    public void The_DSCP_is_nought_or_the_given_or_the_frames(AddressFamily family, string options, int ip, int arp)
    {
        var sent = OuterOf(family, options, Frames.IpFrame(Unknown, Local, isIpv6: false, typeOfService: 0xB8), Frames.IpFrame(Unknown, Local, isIpv6: true, typeOfService: 0xB8), Arp());
        Assert.Equal([ip, ip, arp], sent.Select(p => (int)p.TypeOfService));
    }

    [SkippableTheory]
    [InlineData("tos inherit", 0xB8, 1, 0xB8)]
    [InlineData("tos 0x20", 0xBA, 0, 0x22)]
    [Trait("Case", "TT02")]
    public void The_DSCP_is_inherited_through_a_VLAN_tag_and_ECN_stays_beside_a_given_one(string options, byte typeOfService, int tags, int expected)
    {
        if (tags > 0) DiffersFromKernel();
        Assert.Equal(expected, OuterOf(AddressFamily.InterNetwork, options, Frames.IpFrame(Unknown, Local, isIpv6: false, typeOfService, tags: tags))[0].TypeOfService);
    }

    [SkippableTheory]
    [InlineData("", false, false, false, false)]
    [InlineData("df unset", false, false, false, false)]
    [InlineData("df set", true, true, true, true)]
    [InlineData("df inherit", false, true, true, false)]
    [Trait("Case", "DF01")]
    public void DF_is_clear_or_set_or_the_frames(string options, params bool[] expected)
    {
        var sent = OuterOf(
            AddressFamily.InterNetwork,
            options,
            Frames.IpFrame(Unknown, Local, isIpv6: false),
            Frames.IpFrame(Unknown, Local, isIpv6: false, dontFragment: true),
            Frames.IpFrame(Unknown, Local, isIpv6: true),
            Arp());
        Assert.Equal(expected, sent.Select(p => p.DontFragment));
    }

    [SkippableFact]
    [Trait("Case", "DF01")]
    public void With_DF_what_the_path_does_not_take_is_refused_and_counted()
    {
        var stage = Given(with: options => options with { Outer = "df set", Mtu = 1500 });
        var small = Frames.Unique(Unknown, Local);
        stage.Port.Send(Frames.Unique(Unknown, Local, 1514));
        stage.Port.Send(small);
        Assert.Equal([small], stage.WhatWasSentTo(stage.A).Select(d => d.Inner));
        stage.AssertDropped("TooBig", 1);
    }

    [SkippableTheory]
    [InlineData("flowlabel 0x12345", 0x12345, 0x12345)]
    [InlineData("flowlabel inherit", 0x54321, 0)]
    public void The_flow_label_is_the_given_or_the_frames(string options, int ipv6, int other)
    {
        if (options.EndsWith("inherit", StringComparison.Ordinal) && SleeveProgram.DeviceUnderTest == VtepKind.Kernel) Skip.If(true, "iproute2 6.1 does not know the word");
        var sent = OuterOf(AddressFamily.InterNetworkV6, options, Frames.IpFrame(Unknown, Local, isIpv6: true, typeOfService: 0x02, flowLabel: 0x54321), Frames.IpFrame(Unknown, Local, isIpv6: false));
        Assert.Equal((ipv6, (byte)0x02), (sent[0].FlowLabel, sent[0].TypeOfService));
        // 0 leaves it to the kernel, which labels unless the underlay TAP sends labels of 0 too.
        if (other != 0 || SleeveProgram.DeviceUnderTest == VtepKind.Kernel) Assert.Equal(other, sent[1].FlowLabel);
    }

    private static TheoryData<AddressFamily, string, int, int> Cross(ReadOnlySpan<(string Options, int Ip, int Arp)> cases)
    {
        var data = new TheoryData<AddressFamily, string, int, int>();
        foreach (var family in Families)
            foreach (var (options, ip, arp) in cases) data.Add(family, options, ip, arp);
        return data;
    }
}
