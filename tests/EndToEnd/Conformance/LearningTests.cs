using System.Diagnostics;
using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// LN01 to LN06: which VTEP a station is behind, learned from what it sends.
/// <code>
///     A, B ── frame with source M ──▶ D         D then sends what is for M to that one only
/// </code>
/// </summary>
public sealed class LearningTests(ITestOutputHelper output) : ConformanceTest(output)
{
    [SkippableFact]
    [Trait("Case", "LN01")]
    public void Learns_the_sender_and_sends_to_its_VXLAN_port_only()
    {
        var stage = Given(peers: 2);
        using var otherPort = new UnderlayPeer(stage.Lab.Hosts[1], port: 7777);
        var frame = Frames.Unique(MacAddress.Broadcast, Remote);
        stage.SendFrom(otherPort, frame);
        stage.Port.ReceiveUntil(frame);
        stage.Dut.WaitUntilLearned(Remote, stage.A.Address);
        Assert.True(stage.Dut.FdbOf(Remote).Single().IsDynamic);

        stage.Port.Send(frame = Frames.Unique(Remote, Local));
        Assert.Equal([frame], stage.WhatWasSentTo(stage.A).Select(d => d.Inner));
        Assert.Empty(stage.WhatWasSentTo(stage.B));
        Assert.Null(otherPort.Receive(TimeSpan.Zero));
    }

    [SkippableFact]
    [Trait("Case", "LN02")]
    public void Follows_a_station_that_moved_at_once()
    {
        var stage = Given(peers: 2);
        stage.Teach(stage.A, Remote);
        stage.Teach(stage.B, Remote);
        var frame = Frames.Unique(Remote, Local);
        stage.Port.Send(frame);
        Assert.Equal([frame], stage.WhatWasSentTo(stage.B).Select(d => d.Inner));
        Assert.Empty(stage.WhatWasSentTo(stage.A));
        stage.Teach(stage.A, Remote);
    }

    /// <summary>
    /// <code>
    ///     M at s1 ──┐
    ///               br0 ── vx100-d ══ A       M was behind A before
    ///     N at s2 ──┘
    /// </code>
    /// </summary>
    [SkippableFact]
    [Trait("Case", "LN03")]
    public void Sends_nothing_out_for_a_station_that_became_local()
    {
        var stage = Given(with: options => options with { Bridge = "br0" }, before: host =>
        {
            host.Run("ip link add br0 type bridge mcast_snooping 0");
            host.Run("ip link set br0 up");
            foreach (var name in new[] { "s1", "s2" })
            {
                host.Run($"ip link add {name} type veth peer name {name}-in");
                host.Run($"ip link set {name}-in master br0 up");
                host.Run($"ip link set {name} up");
            }
        });
        using var s1 = new RawPort(stage.D, "s1");
        using var s2 = new RawPort(stage.D, "s2");
        var (m, n) = (Remote, Local);
        stage.Teach(stage.A, m);

        var hello = Frames.Unique(MacAddress.Broadcast, m);
        s1.Send(hello);
        stage.A.Expect(hello);
        s2.ReceiveUntil(hello);

        var frame = Frames.Unique(m, n);
        s2.Send(frame);
        s1.ReceiveUntil(frame);
        Assert.Empty(stage.WhatWasSentTo(stage.A));
    }

    [SkippableFact]
    [Trait("Case", "LN04")]
    public void Floods_on_when_learning_is_off()
    {
        var stage = Given(peers: 2, with: options => options with { Learning = false });
        Assert.Single(stage.WhatComesOf(Frames.Vxlan(100, Frames.Unique(MacAddress.Broadcast, Remote))));
        stage.AssertNothingLearnedBut();
        var frame = Frames.Unique(Remote, Local);
        stage.Port.Send(frame);
        Assert.All(stage.Peers, peer => Assert.Equal([frame], stage.WhatWasSentTo(peer).Select(d => d.Inner)));
    }

    [SkippableFact]
    [Trait("Case", "LN05")]
    public void Drops_a_sender_that_contradicts_a_static_entry()
    {
        var stage = Given(peers: 2);
        var station = Frames.Mac(0x5A);
        stage.Dut.FdbDo("add", $"{station} dev {stage.Dut.Device} dst {stage.B.Address} static");
        Assert.Empty(stage.WhatComesOf(Frames.Vxlan(100, Frames.Unique(Local, station))));
        var entry = Assert.Single(stage.Dut.FdbOf(station));
        Assert.Equal((stage.B.Address.ToString(), "static"), (entry.Destination, entry.State));
        stage.AssertDropped("StaticConflict", 1);

        var frame = Frames.Unique(Local, station);
        stage.SendFrom(stage.B, frame);
        stage.Port.ReceiveUntil(frame);
    }

    [SkippableFact]
    [Trait("Case", "LN06")]
    public void Forgets_who_is_silent_even_if_it_is_sent_to()
    {
        const int ageing = 2;
        var stage = Given(with: options => options with { Ageing = ageing });
        var (silent, sends, receives) = (Frames.Mac(1), Frames.Mac(2), Frames.Mac(3));
        var clock = Stopwatch.StartNew();
        foreach (var station in new[] { silent, sends, receives }) stage.Teach(stage.A, station);
        var gone = new Dictionary<MacAddress, TimeSpan>();
        Wait.Until(
            () =>
            {
                stage.SendFrom(stage.A, Frames.Unique(MacAddress.Broadcast, sends));
                stage.Port.Send(Frames.Unique(receives, Local));
                var table = stage.Dut.Fdb();
                foreach (var station in new[] { silent, sends, receives })
                {
                    if (!table.Any(e => e.Mac == station.ToString())) gone.TryAdd(station, clock.Elapsed);
                }

                return gone.ContainsKey(silent) && gone.ContainsKey(receives);
            },
            "silent stations age out",
            TimeSpan.FromSeconds(ageing + 12),
            pollMilliseconds: 200);
        Assert.DoesNotContain(sends, gone.Keys);
        Assert.All(gone.Values, time => Assert.InRange(time, TimeSpan.FromSeconds(ageing), TimeSpan.FromSeconds(ageing + 12)));
    }
}
