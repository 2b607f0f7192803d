using System.Net.Sockets;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// V601: the same over an IPv6 underlay.
/// <code>
///     A fd00::2   B fd00::3 ═══ switch ═══ D fd00::1 ◀─▶ RawPort
/// </code>
/// </summary>
public sealed class Ipv6UnderlayTests(ITestOutputHelper output) : ConformanceTest(output)
{
    [SkippableFact]
    [Trait("Case", "V601")]
    public void Floods_learns_and_then_sends_to_one()
    {
        var stage = Given(peers: 2, family: AddressFamily.InterNetworkV6);
        var unknown = Frames.Unique(Remote, Local);
        stage.Port.Send(unknown);
        Assert.All(stage.Peers, peer => Assert.Equal([unknown], stage.WhatWasSentTo(peer).Select(d => d.Inner)));

        stage.Teach(stage.A, Remote);
        Assert.Equal("fd00::2", stage.Dut.FdbOf(Remote).Single().Destination);
        var known = Frames.Unique(Remote, Local);
        stage.Port.Send(known);
        var sent = Assert.Single(stage.WhatWasSentTo(stage.A));
        Assert.Equal(known, sent.Inner);
        Assert.Equal(stage.D.Address, sent.Source.Address);
        Assert.Empty(stage.WhatWasSentTo(stage.B));
    }

    [SkippableFact]
    [Trait("Case", "V601")]
    public void Entries_name_IPv6_destinations_and_refuse_IPv4()
    {
        var stage = Given(peers: 2, family: AddressFamily.InterNetworkV6);
        var station = Frames.Mac(0x5A);
        using var other = new UnderlayPeer(stage.Lab.Hosts[2], port: 4790);
        Assert.NotEqual(0, stage.Dut.TryFdb("add", $"{station} dev {stage.Dut.Device} dst 10.0.0.3").ExitCode);
        stage.AssertNothingLearnedBut();
        stage.Dut.FdbDo("add", $"{station} dev {stage.Dut.Device} dst fd00::3 port 4790 vni 300");
        Assert.Equal([new FdbEntry($"{station}", "fd00::3", 4790, 300, "permanent")], stage.Dut.FdbOf(station));
        var frame = Frames.Unique(station, Local);
        stage.Port.Send(frame);
        Assert.Equal(300, other.Expect(frame).Vni);
    }

    [SkippableFact]
    [Trait("Case", "V601")]
    public void Carries_frames_of_any_length_both_ways()
    {
        int[] lengths = [14, 15, 60, 61, 1430, 1443, 1444];
        var stage = Given(family: AddressFamily.InterNetworkV6);
        byte[][] into = [.. lengths.Select(length => Frames.Unique(Unknown, Local, length))];
        byte[][] outOf = [.. lengths.Select(length => Frames.Unique(Local, Remote, length))];
        foreach (var frame in into) stage.Port.Send(frame);
        Assert.Equal(into, stage.WhatWasSentTo(stage.A).Select(d => d.Inner));
        Assert.Equal(outOf, stage.WhatComesOf(outOf.Select(frame => Frames.Vxlan(100, frame))));
    }
}
