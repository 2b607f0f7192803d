using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>Beside RX14: what a segment is told not to carry, either way. RFC 7348, section 6.1 has a VTEP discard tagged frames unless it is configured otherwise.</summary>
public sealed class FramePolicyTests(ITestOutputHelper output) : ConformanceTest(output)
{
    private static readonly MacAddress BridgeGroup = MacAddress.FromValue(0x01_80_C2_00_00_00);

    [SkippableFact]
    [Trait("Case", "RX14")]
    public void Tagged_frames_are_dropped_both_ways_if_told_to()
    {
        DiffersFromKernel();
        var stage = Given(with: options => options with { More = ["--inner-vlan", "drop"] });
        var tagged = Frames.Tag(Frames.Unique(Local, Remote), 0x8100, 5);
        var priority = Frames.Tag(Frames.Unique(Local, Remote), 0x8100, 0xE000);
        var service = Frames.Tag(tagged, 0x88A8, 7);
        Assert.Empty(stage.WhatComesOf(Frames.Vxlan(100, tagged), Frames.Vxlan(100, priority), Frames.Vxlan(100, service)));
        stage.AssertDropped("innervlan", 3);

        stage.Port.Send(Frames.Tag(Frames.Unique(Unknown, Local), 0x8100, 5));
        stage.Port.Send(Frames.Tag(Frames.Unique(Unknown, Local), 0x88A8, 5));
        Assert.Empty(stage.WhatWasSentTo(stage.A));
        stage.AssertDropped("innervlan", 5);
    }

    [SkippableTheory]
    [InlineData("pass")]
    [InlineData("drop")]
    public void Spanning_tree_frames_pass_unless_told_otherwise(string policy)
    {
        DiffersFromKernel();
        var stage = Given(with: options => options with { More = ["--stp", policy] });
        var bpdu = Frames.Ethernet(BridgeGroup, Local, 38, [0x42, 0x42, 3, .. new byte[35]]);
        stage.Port.Send(bpdu);
        byte[][] expected = policy == "pass" ? [bpdu] : [];
        Assert.Equal(expected, stage.WhatWasSentTo(stage.A).Select(d => d.Inner));
        var inward = Frames.Ethernet(BridgeGroup, Remote, 38, [0x42, 0x42, 3, .. new byte[35]]);
        expected = policy == "pass" ? [inward] : [];
        Assert.Equal(expected, stage.WhatComesOf(Frames.Vxlan(100, inward)));
        if (policy == "drop") stage.AssertDropped("spanningtree", 2);
    }
}
