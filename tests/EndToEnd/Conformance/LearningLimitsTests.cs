using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// LN07 to LN10: many stations, a full table, and what ends learned entries.
/// <code>
///     A, B, C, E ── frames of many stations ──▶ D
/// </code>
/// </summary>
public sealed class LearningLimitsTests(ITestOutputHelper output) : ConformanceTest(output)
{
    [SkippableFact]
    [Trait("Case", "LN07")]
    public void Learns_ten_thousand_stations_behind_four_VTEPs()
    {
        const int stations = 10_000;
        var stage = Given(peers: 4);
        for (var i = 0; i < stations; i++)
        {
            stage.SendFrom(stage.Peers[i % 4], Frames.Numbered(MacAddress.Broadcast, Frames.Mac(0x10000 + i), i));
            if (i % 100 == 99) stage.WhatCame();
        }

        Dictionary<string, string?> table = [];
        Wait.Until(
            () =>
            {
                table = stage.Dut.Fdb().Where(e => e.Mac != Vtep.Default).ToDictionary(e => e.Mac, e => e.Destination);
                return table.Count >= stations;
            },
            "10 000 entries",
            pollMilliseconds: 200);
        for (var i = 0; i < stations; i++) Assert.Equal(stage.Peers[i % 4].Address.ToString(), table[Frames.Mac(0x10000 + i).ToString()]);
    }

    [SkippableFact]
    [Trait("Case", "LN08")]
    public void Delivers_on_when_the_table_is_full()
    {
        const int limit = 20;
        var stage = Given(with: options => options with { MaxAddresses = limit });
        byte[][] frames = [.. Enumerable.Range(1, limit + 40).Select(i => Frames.Unique(Local, Frames.Mac(i)))];
        Assert.Equal(frames, stage.WhatComesOf(frames.Select(f => Frames.Vxlan(100, f))));
        Assert.InRange(stage.Dut.Fdb().Count, limit / 2, limit);
        Assert.NotEqual(0, stage.Dut.TryFdb("add", $"{Unknown} dev {stage.Dut.Device} dst {stage.A.Address} static").ExitCode);
    }

    [SkippableFact]
    [Trait("Case", "LN09")]
    public void Flushing_ends_what_was_learned_and_nothing_else()
    {
        var stage = Given(peers: 2);
        var station = Frames.Mac(0x5A);
        stage.Dut.FdbDo("add", $"{station} dev {stage.Dut.Device} dst {stage.B.Address} static");
        stage.Teach(stage.A, Remote);
        stage.Dut.FlushDynamic();
        stage.AssertNothingLearnedBut(station);
        Assert.Single(stage.Dut.FdbOf(station));
        var frame = Frames.Unique(Remote, Local);
        stage.Port.Send(frame);
        Assert.All(stage.Peers, peer => Assert.Equal([frame], stage.WhatWasSentTo(peer).Select(d => d.Inner)));
    }

    [SkippableFact]
    [Trait("Case", "LN10")]
    public void Device_down_forgets_what_was_learned_and_up_resumes()
    {
        var stage = Given(peers: 2);
        var station = Frames.Mac(0x5A);
        stage.Dut.FdbDo("add", $"{station} dev {stage.Dut.Device} dst {stage.B.Address} static");
        stage.Teach(stage.A, Remote);

        stage.D.Run($"ip link set {stage.Dut.Device} down");
        for (var i = 0; i < 50; i++) stage.SendFrom(stage.A, Frames.Unique(Local, Frames.Mac(0x77)));
        Wait.Until(() => stage.Dut.FdbOf(Remote).Count == 0, "the learned entry goes", pollMilliseconds: 50);
        stage.D.Run($"ip link set {stage.Dut.Device} up");

        Assert.Single(stage.Dut.FdbOf(station));
        stage.AssertNothingLearnedBut(station);
        stage = stage with { Port = stage.Dut.OpenPort() };
        var frame = Frames.Unique(station, Local);
        Wait.Until(
            () =>
            {
                stage.Port.Send(frame);
                return stage.B.Receive(TimeSpan.FromMilliseconds(50))?.Inner.AsSpan().SequenceEqual(frame) == true;
            },
            "traffic into the tunnel resumes");
        stage.Teach(stage.A, Remote);
    }
}
