using System.Net;
using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// MS01 and MS02: who asks for what is not known is told of, in the kernel's words.
/// <code>
///     RawPort ── who has 192.168.100.77? ──▶ D (proxy, l3miss)   ──▶ monitor: miss 192.168.100.77 dev vx100-d STALE
///     RawPort ── to 02:…:ee ───────────────▶ D (l2miss, flood {}) ──▶ monitor: miss dev vx100-d lladdr 02:…:ee STALE
/// </code>
/// </summary>
public sealed class MissTests(ITestOutputHelper output) : ConformanceTest(output)
{
    private static readonly IPAddress Asker = IPAddress.Parse("192.168.100.1");
    private static readonly IPAddress Nobody = IPAddress.Parse("192.168.100.77");

    [SkippableFact]
    [Trait("Case", "MS01")]
    public void An_ARP_request_that_the_proxy_cannot_answer_is_an_event_with_the_address()
    {
        var stage = Given(with: options => options with { Proxy = true, Misses = true });
        var monitor = new EventMonitor(stage.Dut);
        monitor.WaitFor($"miss {Nobody} dev {stage.Dut.Device} STALE", () => stage.Port.Send(Frames.ArpRequest(Local, Asker, Nobody)));
    }

    [SkippableFact]
    [Trait("Case", "MS01")]
    public void A_solicitation_that_the_proxy_cannot_answer_is_an_event_with_the_address()
    {
        var stage = Given(with: options => options with { Proxy = true, Misses = true });
        var monitor = new EventMonitor(stage.Dut);
        var (from, target) = (IPAddress.Parse("fd01::1"), IPAddress.Parse("fd01::77"));
        var group = IPAddress.Parse("ff02::1:ff00:77");
        byte[] icmp = [135, 0, 0, 0, 0, 0, 0, 0, .. target.GetAddressBytes(), 1, 1, 2, 0, 0, 0, 0, 0xD1];
        var checksum = Checksums.Transport(from, group, 58, icmp);
        (icmp[2], icmp[3]) = ((byte)(checksum >> 8), (byte)checksum);
        var frame = Frames.Ethernet(MacAddress.FromValue(0x33_33_FF_00_00_77), Local, Frames.IPv6, Frames.Ipv6Packet(from, group, 58, icmp, hopLimit: 255));
        monitor.WaitFor($"miss {target} dev {stage.Dut.Device} STALE", () => stage.Port.Send(frame));
    }

    [SkippableFact]
    [Trait("Case", "MS01")]
    public void A_known_neighbour_is_no_miss_and_many_requests_are_few_events()
    {
        DiffersFromKernel();
        var stage = Given(with: options => options with { Proxy = true, Misses = true });
        stage.Dut.NeighbourAdd(IPAddress.Parse("192.168.100.9"), Remote);
        var monitor = new EventMonitor(stage.Dut, json: true, "l2miss", "l3miss");
        stage.Port.Send(Frames.ArpRequest(Local, Asker, IPAddress.Parse("192.168.100.9")));
        for (var i = 0; i < 200; i++) stage.Port.Send(Frames.ArpRequest(Local, Asker, Nobody));
        var last = IPAddress.Parse("192.168.100.78");
        Wait.Until(
            () =>
            {
                stage.Port.Send(Frames.ArpRequest(Local, Asker, last));
                return monitor.Lines.Any(line => line.Contains($"\"{last}\"", StringComparison.Ordinal));
            },
            "the last miss",
            pollMilliseconds: 100);
        Assert.DoesNotContain(monitor.Lines, line => line.Contains("192.168.100.9\"", StringComparison.Ordinal));
        Assert.InRange(monitor.Lines.Count(line => line.Contains($"\"{Nobody}\"", StringComparison.Ordinal)), 1, 20);
    }

    [SkippableFact]
    [Trait("Case", "MS02")]
    public void A_unicast_frame_without_any_destination_is_an_event_with_the_MAC_and_broadcast_is_none()
    {
        var stage = Given(flood: 0, with: options => options with { Misses = true });
        var monitor = new EventMonitor(stage.Dut);
        monitor.WaitFor(
            $"miss dev {stage.Dut.Device} lladdr {Unknown} STALE",
            () =>
            {
                stage.Port.Send(Frames.Unique(MacAddress.Broadcast, Local));
                stage.Port.Send(Frames.Unique(Unknown, Local));
            });
        Assert.DoesNotContain(monitor.Lines, line => line.Contains("ff:ff:ff:ff:ff:ff", StringComparison.Ordinal));
        Assert.Empty(stage.WhatWasSentTo(stage.A));
    }

    [SkippableFact]
    [Trait("Case", "MS02")]
    public void Nothing_is_missed_where_there_is_a_default_destination()
    {
        DiffersFromKernel();
        var stage = Given(with: options => options with { Misses = true });
        var monitor = new EventMonitor(stage.Dut, json: true);
        stage.Port.Send(Frames.Unique(Unknown, Local));
        Assert.Single(stage.WhatWasSentTo(stage.A));
        Wait.Until(() => monitor.Lines.Any(line => line.Contains("\"added\"", StringComparison.Ordinal)), "the marker's entry");
        Assert.DoesNotContain(monitor.Lines, line => line.Contains("miss", StringComparison.Ordinal));
    }
}
