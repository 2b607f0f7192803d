using System.Net;
using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// FL01 to FL05 and FL07: broadcast, unknown unicast and multicast go to every VTEP of the replication list, once each, and never back.
/// <code>
///     RawPort ── frame ──▶ D ══ a copy each ══▶ A, B, C
/// </code>
/// </summary>
public sealed class FloodTests(ITestOutputHelper output) : ConformanceTest(output)
{
    private static readonly MacAddress Multicast = MacAddress.FromValue(0x01_00_5E_01_02_03UL);

    [SkippableFact]
    [Trait("Case", "FL01")]
    public void Sends_one_equal_copy_to_each_in_order()
    {
        var stage = Given(peers: 3);
        MacAddress[] destinations = [MacAddress.Broadcast, Multicast, Unknown];
        byte[][] frames = [.. Enumerable.Range(0, 30).Select(i => Frames.Unique(destinations[i % 3], Local))];
        foreach (var frame in frames) stage.Port.Send(frame);
        foreach (var peer in stage.Peers)
        {
            var came = stage.WhatWasSentTo(peer);
            Assert.Equal(frames, came.Select(d => d.Inner));
            Assert.All(came, d => Assert.Equal((100, (byte)8, stage.D.Address), (d.Vni, d.Bytes[0], d.Source.Address)));
        }
    }

    [SkippableFact]
    [Trait("Case", "FL02")]
    public void One_unreachable_VTEP_does_not_affect_the_others()
    {
        var noRoute = IPAddress.Parse("192.0.2.1");
        var nobody = IPAddress.Parse("10.0.0.77");
        var stage = Given(peers: 2, with: options => options with { Remotes = [noRoute, options.Remotes[0], nobody, options.Remotes[1]] });
        stage.B.Dispose();
        byte[][] frames = [.. Enumerable.Range(0, 20).Select(_ => Frames.Unique(MacAddress.Broadcast, Local))];
        foreach (var frame in frames) stage.Port.Send(frame);
        Assert.Equal(frames, stage.WhatWasSentTo(stage.A).Select(d => d.Inner));
    }

    [SkippableFact]
    [Trait("Case", "FL03")]
    public void Sends_nothing_without_a_destination_and_counts_it()
    {
        var stage = Given(flood: 0);
        using var capture = new Capture(stage.D, Host.UnderlayDevice);
        foreach (var destination in new[] { MacAddress.Broadcast, Multicast, Unknown }) stage.Port.Send(Frames.Unique(destination, Local));
        Assert.Empty(stage.WhatWasSentTo(stage.A));
        Assert.Single(capture.Vxlan());
        stage.AssertDropped("NoRemoteVtep", 3);
    }

    [SkippableFact]
    [Trait("Case", "FL04")]
    public void Follows_the_list_as_it_is_commanded()
    {
        var stage = Given(peers: 2, flood: 1);
        AssertFloodReaches(stage, a: 1, b: 0);
        stage.Dut.FdbDo("append", $"{Vtep.Default} dev {stage.Dut.Device} dst {stage.B.Address}");
        AssertFloodReaches(stage, a: 1, b: 1);
        stage.Dut.FdbDo("append", $"{Vtep.Default} dev {stage.Dut.Device} dst {stage.B.Address}");
        AssertFloodReaches(stage, a: 1, b: 1);
        stage.Dut.FdbDo("del", $"{Vtep.Default} dev {stage.Dut.Device} dst {stage.A.Address}");
        AssertFloodReaches(stage, a: 0, b: 1);
        Assert.Equal([stage.B.Address.ToString()], stage.Dut.FdbOf(MacAddress.Zero).Select(e => e.Destination));
    }

    [SkippableFact]
    [Trait("Case", "FL05")]
    public void Never_sends_back_to_the_underlay_what_came_from_it()
    {
        var stage = Given(peers: 3);
        var behindB = Frames.Mac(0xB1);
        stage.Teach(stage.B, behindB);
        using var capture = new Capture(stage.D, Host.UnderlayDevice);
        byte[][] frames = [.. new[] { MacAddress.Broadcast, Multicast, Unknown, behindB }.Select(to => Frames.Unique(to, Remote))];
        Assert.Equal(frames, stage.WhatComesOf(frames.Select(f => Frames.Vxlan(100, f))));
        Assert.All(stage.Peers, peer => Assert.Empty(stage.WhatWasSentTo(peer)));
        Assert.DoesNotContain(capture.Vxlan(), p => p.Source.Equals(stage.D.Address) && MacAddress.Read(p.Inner[6..]) != Local);
    }

    [SkippableFact]
    [Trait("Case", "FL07")]
    public void Its_own_address_in_the_list_reflects_nothing()
    {
        DiffersFromKernel();
        var stage = Given();
        stage.Dut.FdbDo("append", $"{Vtep.Default} dev {stage.Dut.Device} dst {stage.D.Address}");
        var frame = Frames.Unique(MacAddress.Broadcast, Local);
        stage.Port.Send(frame);
        Assert.Equal([frame], stage.WhatWasSentTo(stage.A).Select(d => d.Inner));
        Assert.Empty(stage.WhatCame());
    }

    private static void AssertFloodReaches(Stage stage, int a, int b)
    {
        var frame = Frames.Unique(MacAddress.Broadcast, Local);
        stage.Port.Send(frame);
        Assert.Equal(a, stage.WhatWasSentTo(stage.A).Count(d => d.Inner.AsSpan().SequenceEqual(frame)));
        Assert.Equal(b, stage.WhatWasSentTo(stage.B).Count(d => d.Inner.AsSpan().SequenceEqual(frame)));
    }
}
