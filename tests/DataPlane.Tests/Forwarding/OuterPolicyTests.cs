using Sleeve.DataPlane.Forwarding;
using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Forwarding;

/// <summary>Outer TOS, TTL, DF and flow label of each kind of frame under each kind of option.</summary>
public sealed class OuterPolicyTests
{
    private static readonly OuterOptions Nothing = new();

    private static byte[] IPv4(byte typeOfService = 0, byte timeToLive = 33, bool dontFragment = false, int tags = 0)
    {
        var packet = Craft.IPv4(1, 2, 17, Craft.Udp(1, 2, []), fragment: dontFragment ? 0x4000 : 0);
        (packet[1], packet[8]) = (typeOfService, timeToLive);
        return Craft.Tagged(2, 0x0200_0000_0001, [.. Enumerable.Repeat((0x8100, 7), tags)], 0x0800, packet);
    }

    private static byte[] IPv6(byte typeOfService = 0, byte hopLimit = 33, int flowLabel = 0, int tags = 0)
    {
        var packet = Craft.IPv6(Craft.Address6("fd00::1"), Craft.Address6("fd00::2"), 17, Craft.Udp(1, 2, []), hopLimit);
        Craft.U32((6U << 28) | ((uint)typeOfService << 20) | (uint)flowLabel).CopyTo(packet, 0);
        return Craft.Tagged(2, 0x0200_0000_0001, [.. Enumerable.Repeat((0x8100, 7), tags)], 0x86DD, packet);
    }

    private static byte[] Arp() => Craft.Ethernet(Craft.Broadcast, 0x0200_0000_0001, 0x0806, Craft.Arp(1, 1, 1, 0, 2));

    private static OuterClass Of(OuterOptions options, byte[] frame, bool isIPv4 = true)
    {
        Assert.True(InnerHeaders.TryParse(frame, out var headers));
        return new OuterPolicy(options, isIPv4).Of(frame, headers);
    }

    [Fact]
    public void By_default_only_the_mark_of_congestion_is_carried()
    {
        foreach (var isIPv4 in new[] { true, false })
        {
            for (byte mark = 0; mark < 4; mark++)
            {
                Assert.Equal(new OuterClass(mark), Of(Nothing, IPv4((byte)(0xB8 | mark), dontFragment: true), isIPv4));
                Assert.Equal(new OuterClass(mark), Of(Nothing, IPv6((byte)(0xB8 | mark), flowLabel: 5, tags: 2), isIPv4));
            }

            Assert.Equal(default, Of(Nothing, Arp(), isIPv4));
        }

        Assert.False(default(OuterClass).NeedsControl);
        Assert.False(new OuterClass(0, dontFragment: true).NeedsControl);
        Assert.True(new OuterClass(2).NeedsControl);
    }

    [Fact]
    public void A_type_of_service_is_given_or_the_frames_and_the_mark_always_the_frames()
    {
        Assert.Equal(0x22, Of(Nothing with { TypeOfService = 0x20 }, IPv4(0xBA)).TypeOfService);
        Assert.Equal(0x20, Of(Nothing with { TypeOfService = 0x20 }, Arp()).TypeOfService);
        var inherit = Nothing with { TypeOfService = OuterOptions.Inherit };
        Assert.Equal([0xBB, 0xB9, 0xBA, 0], new[] { IPv4(0xBB), IPv6(0xB9), IPv4(0xBA, tags: 2), Arp() }.Select(frame => (int)Of(inherit, frame).TypeOfService));
    }

    [Fact]
    public void A_time_to_live_is_given_or_the_frames()
    {
        Assert.Equal(100, Of(Nothing with { TimeToLive = 100 }, Arp()).TimeToLive);
        var inherit = Nothing with { TimeToLive = OuterOptions.Inherit };
        Assert.Equal([33, 1, 255, 64], new[] { IPv4(), IPv6(hopLimit: 1), IPv6(hopLimit: 255, tags: 1), Arp() }.Select(frame => (int)Of(inherit, frame).TimeToLive));
        // Nobody may send 0; the route's it is then, as in the kernel.
        Assert.Equal(0, Of(inherit, IPv4(timeToLive: 0)).TimeToLive);
    }

    [Theory]
    [InlineData(DontFragmentRule.Unset, false, false, false, false, false)]
    [InlineData(DontFragmentRule.Set, true, true, true, true, true)]
    [InlineData(DontFragmentRule.Inherit, false, true, true, false, false)]
    public void DF_is_clear_set_or_the_frames_over_IPv4_only(DontFragmentRule rule, params bool[] expected)
    {
        byte[][] frames = [IPv4(), IPv4(dontFragment: true), IPv6(), Arp(), IPv4(dontFragment: true, tags: 1)];
        var options = Nothing with { DontFragment = rule };
        Assert.Equal(expected, frames.Select(frame => Of(options, frame).DontFragment));
        Assert.All(frames, frame => Assert.False(Of(options, frame, isIPv4: false).DontFragment));
    }

    [Fact]
    public void A_flow_label_is_given_or_the_frames_over_IPv6_only()
    {
        Assert.Equal(0xFFFFF, Of(Nothing with { FlowLabel = 0xFFFFF }, Arp(), isIPv4: false).FlowLabel);
        var inherit = Nothing with { FlowLabel = OuterOptions.Inherit };
        Assert.Equal([0x54321, 0x54321, 0, 0], new[] { IPv6(0xFF, flowLabel: 0x54321), IPv6(flowLabel: 0x54321, tags: 1), IPv4(0xFF), Arp() }.Select(frame => Of(inherit, frame, isIPv4: false).FlowLabel));
        Assert.Equal(0, Of(Nothing with { FlowLabel = 7 }, IPv6()).FlowLabel);
    }

    [Fact]
    public void A_class_holds_what_it_was_made_of()
    {
        var outer = new OuterClass(0xFE, 254, dontFragment: true, flowLabel: 0xFFFFE);
        Assert.Equal((0xFE, 254, true, 0xFFFFE), (outer.TypeOfService, outer.TimeToLive, outer.DontFragment, outer.FlowLabel));
        Assert.NotEqual(outer, new OuterClass(0xFE, 254, dontFragment: false, flowLabel: 0xFFFFE));
    }
}
