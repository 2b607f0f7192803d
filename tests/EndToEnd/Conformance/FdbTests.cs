using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// FD01 to FD04: entries that an operator makes.
/// <code>
///     fdb add M dst B … ▶ D ◀── RawPort         what is for M goes to B, as the entry says
/// </code>
/// </summary>
public sealed class FdbTests(ITestOutputHelper output) : ConformanceTest(output)
{
    private static readonly MacAddress Station = Frames.Mac(0x5A);

    [SkippableFact]
    [Trait("Case", "FD01")]
    public void An_entry_may_name_port_and_segment()
    {
        var stage = Given(peers: 2);
        using var other = new UnderlayPeer(stage.Lab.Hosts[2], port: 4790);
        stage.Dut.FdbDo("add", $"{Station} dev {stage.Dut.Device} dst {stage.B.Address} port 4790 vni 300 static");
        var frame = Frames.Unique(Station, Local);
        stage.Port.Send(frame);
        Assert.Equal(300, other.Expect(frame).Vni);
        Assert.Empty(stage.WhatWasSentTo(stage.A));
        Assert.Empty(stage.WhatWasSentTo(stage.B));
        Assert.Equal([new FdbEntry($"{Station}", $"{stage.B.Address}", 4790, 300, "static")], Shown(stage, Station));
    }

    [SkippableFact]
    [Trait("Case", "FD02")]
    public void Adding_twice_is_refused_replacing_moves_appending_adds_nothing_deleting_removes()
    {
        var stage = Given(peers: 3);
        var (device, a, b, c) = (stage.Dut.Device, stage.A.Address, stage.B.Address, stage.C.Address);
        stage.Dut.FdbDo("add", $"{Station} dev {device} dst {a}");
        var again = stage.Dut.TryFdb("add", $"{Station} dev {device} dst {b}");
        Assert.NotEqual(0, again.ExitCode);
        Assert.Contains("exists", again.Error, StringComparison.OrdinalIgnoreCase);
        AssertLeadsTo(stage, stage.A);

        stage.Dut.FdbDo("replace", $"{Station} dev {device} dst {b}");
        AssertLeadsTo(stage, stage.B);

        stage.Dut.FdbDo("append", $"{Station} dev {device} dst {c}");
        AssertLeadsTo(stage, stage.B);

        stage.Dut.FdbDo("del", $"{Station} dev {device}");
        Assert.Empty(Shown(stage, Station));
        Assert.NotEqual(0, stage.Dut.TryFdb("del", $"{Station} dev {device}").ExitCode);
        var frame = Frames.Unique(Station, Local);
        stage.Port.Send(frame);
        Assert.All(stage.Peers, peer => Assert.Equal([frame], stage.WhatWasSentTo(peer).Select(d => d.Inner)));
    }

    [SkippableFact]
    [Trait("Case", "FD03")]
    public void A_destination_of_the_other_family_or_none_is_refused()
    {
        var stage = Given();
        foreach (var (verb, destination) in new[] { ("add", "dst fd00::2"), ("append", "dst fd00::2"), ("replace", "dst fd00::2"), ("add", "") })
        {
            var refused = stage.Dut.TryFdb(verb, $"{Station} dev {stage.Dut.Device} {destination}");
            Assert.NotEqual(0, refused.ExitCode);
            Assert.NotEmpty(refused.Error);
        }

        stage.AssertNothingLearnedBut();
    }

    [SkippableFact]
    [Trait("Case", "FD04")]
    public void A_multicast_MAC_may_have_a_list_of_its_own()
    {
        var stage = Given(peers: 3);
        var group = MacAddress.FromValue(0x01_00_5E_01_02_03UL);
        stage.Dut.FdbDo("append", $"{group} dev {stage.Dut.Device} dst {stage.A.Address}");
        stage.Dut.FdbDo("append", $"{group} dev {stage.Dut.Device} dst {stage.B.Address}");
        var frame = Frames.Unique(group, Local);
        stage.Port.Send(frame);
        Assert.Equal([frame], stage.WhatWasSentTo(stage.A).Select(d => d.Inner));
        Assert.Equal([frame], stage.WhatWasSentTo(stage.B).Select(d => d.Inner));
        Assert.Empty(stage.WhatWasSentTo(stage.C));
    }

    [SkippableFact]
    [Trait("Case", "FD02")]
    public void Replacing_is_refused_for_the_replication_list()
    {
        var stage = Given(peers: 2, flood: 1);
        Assert.NotEqual(0, stage.Dut.TryFdb("replace", $"{Vtep.Default} dev {stage.Dut.Device} dst {stage.B.Address}").ExitCode);
        Assert.NotEqual(0, stage.Dut.TryFdb("add", $"{Vtep.Default} dev {stage.Dut.Device} dst {stage.B.Address}").ExitCode);
        stage.AssertNothingLearnedBut();
    }

    private static FdbEntry[] Shown(Stage stage, MacAddress mac) => [.. stage.Dut.ShowFdb().Where(e => e.Mac == $"{mac}")];

    private static void AssertLeadsTo(Stage stage, UnderlayPeer peer)
    {
        Assert.Equal([$"{peer.Address}"], Shown(stage, Station).Select(e => e.Destination));
        var frame = Frames.Unique(Station, Local);
        stage.Port.Send(frame);
        foreach (var each in stage.Peers)
        {
            var came = stage.WhatWasSentTo(each).Select(d => d.Inner);
            Assert.Equal(each == peer ? [frame] : [], came);
        }
    }
}
