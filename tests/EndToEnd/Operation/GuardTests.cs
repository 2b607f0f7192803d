using System.Net;
using System.Net.Sockets;
using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Conformance;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Operation;

/// <summary>
/// The guard rails with real hosts and real peers.
/// <code>
///     a: Sleeve                       b: the kernel's vxlan device
///     192.168.100.1 ── ping ─────────▶ 192.168.100.2
///     RawPort 02:…:d1 ══ a storm ════▶ only what the limit lets through
/// </code>
/// </summary>
public sealed class GuardTests(ITestOutputHelper output) : ConformanceTest(output)
{
    private static readonly MacAddress Mad = Frames.Mac(0x666);
    private static readonly IPAddress Far = IPAddress.Parse("192.168.100.2");

    [SkippableFact]
    public void A_storm_is_limited_while_a_ping_beside_it_lives()
    {
        var (a, b) = Pair(["--flood-limit", "100"]);
        var (mad, far) = (a.OpenPort(), b.OpenPort());
        Traffic.WaitForPing(a.Host, Far);
        var sent = 0;
        for (var round = 0; round < 10; round++)
        {
            for (var i = 0; i < 1000; i++) Send(mad, Frames.Numbered(MacAddress.Broadcast, Mad, sent++));
            Assert.Equal(3, Traffic.Ping(a.Host, Far));
        }

        var came = far.ReceiveFor(TimeSpan.FromMilliseconds(500)).Count(frame => MacAddress.Read(frame.AsSpan(6)) == Mad);
        var dropped = a.Stats().Drops("floodlimit");
        Assert.True(dropped > 1000, $"{dropped} dropped of {sent}");
        Assert.InRange(came, 200, sent - dropped);
        // ARP afresh, in the midst of it: another station's broadcast is not held back.
        a.Host.Run($"ip neigh flush dev {a.Device}");
        Assert.Equal(3, Traffic.Ping(a.Host, Far));
        a.Process.WaitForText("--flood-limit N sets the limit, off lifts it", TimeSpan.FromSeconds(20));
        Assert.Contains($"frames dropped, a station floods more than its limit (last {Mad})", a.Process.Error, StringComparison.Ordinal);
    }

    [SkippableFact]
    [Trait("Case", "RB04")]
    public void Bursts_of_ARP_requests_both_ways_are_not_amplified_and_the_overlay_lives()
    {
        var (a, b) = Pair([]);
        var (near, far) = (a.OpenPort(), b.OpenPort());
        Traffic.WaitForPing(a.Host, Far);
        var (asker, target) = (IPAddress.Parse("192.168.100.77"), IPAddress.Parse("192.168.100.88"));
        for (var i = 0; i < 5000; i++)
        {
            Send(near, Frames.ArpRequest(Mad, asker, target));
            Send(far, Frames.ArpRequest(Frames.Mac(0x667), asker, target));
        }

        Assert.Equal(3, Traffic.Ping(a.Host, Far));
        Assert.InRange(far.ReceiveFor(TimeSpan.FromMilliseconds(500)).Count(frame => MacAddress.Read(frame.AsSpan(6)) == Mad), 1, 5000);
        Assert.InRange(near.ReceiveFor(TimeSpan.FromMilliseconds(500)).Count(frame => MacAddress.Read(frame.AsSpan(6)) == Frames.Mac(0x667)), 1, 5000);
        Assert.True(Traffic.TransferByTcp(a.Host, b.Host, Far, bytes: 2_000_000) > 0);
    }

    [SkippableFact]
    public void A_storm_is_not_limited_if_the_guard_is_off()
    {
        DiffersFromKernel();
        var stage = Given(with: options => options with { More = ["--flood-limit", "off", "--flood-limit-segment", "off"] });
        for (var i = 0; i < 500; i++) stage.Port.Send(Frames.Numbered(MacAddress.Broadcast, Mad, i));
        Assert.Equal(500, stage.WhatWasSentTo(stage.A).Count);
    }

    [SkippableFact]
    [Trait("Case", "LN02")]
    public void A_station_that_flaps_between_two_VTEPs_is_held_and_one_that_migrates_is_not()
    {
        DiffersFromKernel();
        var stage = Given(peers: 2);
        var monitor = new EventMonitor(stage.Dut, json: true, "guard", "moved");
        stage.Teach(stage.A, Remote);
        stage.Teach(stage.B, Remote);
        stage.Teach(stage.A, Mad);
        // Five moves, the last to B, and then B is where it stays.
        for (var i = 0; i < 5; i++) stage.Teach(i % 2 == 0 ? stage.B : stage.A, Mad);
        stage.SendFrom(stage.A, Frames.Unique(Local, Mad));
        Assert.Empty(stage.WhatCame());
        stage.AssertDropped("moveheld", 1);
        Assert.Equal($"{stage.B.Address}", Assert.Single(stage.Dut.FdbOf(Mad)).Destination);
        var frame = Frames.Unique(Mad, Local);
        stage.Port.Send(frame);
        stage.B.Expect(frame);
        Wait.Until(() => monitor.Lines.Any(line => line.Contains("\"moves\"", StringComparison.Ordinal) && line.Contains($"{Mad}", StringComparison.Ordinal)), "the event of the guard");
        ((SleeveVtep)stage.Dut).Process.WaitForText("--move-limit N sets the limit", TimeSpan.FromSeconds(20));
    }

    [SkippableFact]
    public void A_loop_is_told_but_frames_pass()
    {
        DiffersFromKernel();
        var stage = Given();
        var monitor = new EventMonitor(stage.Dut, json: true, "guard");
        for (var i = 0; i < 8; i++)
        {
            var frame = Frames.Unique(MacAddress.Broadcast, Mad);
            stage.Port.Send(frame);
            stage.A.Expect(frame);
            stage.SendFrom(stage.A, frame);
            stage.Port.ReceiveUntil(frame);
        }

        Wait.Until(() => monitor.Lines.Any(line => line.Contains("\"loop\"", StringComparison.Ordinal)), "the event of the loop");
    }

    // A storm is faster than the TAP's queue.
    private static void Send(RawPort port, byte[] frame)
    {
        for (var tries = 0; ; tries++)
        {
            try
            {
                port.SendAtOnce(frame);
                return;
            }
            catch (SocketException full) when (full.SocketErrorCode == SocketError.NoBufferSpaceAvailable && tries < 1000)
            {
                Thread.Sleep(1);
            }
        }
    }

    private (SleeveVtep A, Vtep B) Pair(string[] more)
    {
        var lab = NewLab();
        var (a, b) = (lab.AddHost("a"), lab.AddHost("b"));
        Lab.JoinDirectly(a, b);
        var far = Vtep.Start(VtepKind.Kernel, b, new VtepOptions { Remotes = [a.Address], Addresses = [$"{Far}/24"] });
        var near = Vtep.Start(VtepKind.Sleeve, a, new VtepOptions { Remotes = [b.Address], Addresses = ["192.168.100.1/24"], More = more });
        return ((SleeveVtep)near, far);
    }
}
