using System.Net;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// --neigh-snoop: what stations say of themselves is what the proxy answers with.
/// <code>
///     A: a station 192.168.100.9 says hello ──▶ D hears
///     RawPort ── who has 192.168.100.9? ──────▶ D answers, A hears nothing
/// </code>
/// </summary>
public sealed class SnoopTests(ITestOutputHelper output) : ConformanceTest(output)
{
    private static readonly IPAddress Known = IPAddress.Parse("192.168.100.9");
    private static readonly IPAddress Asker = IPAddress.Parse("192.168.100.1");

    [SkippableFact]
    [Trait("Case", "PX01")]
    public void The_proxy_answers_for_an_address_that_it_heard()
    {
        DiffersFromKernel();
        var stage = Given(with: options => options with { Proxy = true, More = ["--neigh-snoop"] });
        var hello = Frames.ArpRequest(Remote, Known, Known);
        stage.SendFrom(stage.A, hello);
        stage.Port.ReceiveUntil(hello);
        stage.Port.Send(Frames.ArpRequest(Local, Asker, Known));
        var reply = stage.Port.Expect(Local, Frames.Arp);
        Assert.Equal(Frames.Ethernet(Local, Remote, Frames.Arp, Frames.ArpPacket(2, Remote, Known, Local, Asker)), reply[..42]);
        Assert.Empty(stage.WhatWasSentTo(stage.A));
        var shown = SleeveProgram.Run(stage.D, $"neigh show dev {stage.Dut.Device}").Ok();
        Assert.Contains($"{Known} lladdr {Remote} learned REACHABLE", shown, StringComparison.Ordinal);
        Assert.Contains($"{Asker} lladdr {Local} learned local REACHABLE", shown, StringComparison.Ordinal);

        // Once the station is forgotten it is asked for again.
        stage.Dut.FlushDynamic();
        var request = Frames.ArpRequest(Local, Asker, Known);
        stage.Port.Send(request);
        Assert.Equal([request], stage.WhatWasSentTo(stage.A).Select(d => d.Inner));
    }

    [SkippableFact]
    public void Two_stations_with_one_address_are_told()
    {
        DiffersFromKernel();
        var stage = Given(with: options => options with { Proxy = true, More = ["--neigh-snoop"] });
        var monitor = new EventMonitor(stage.Dut, json: true, "duplicate-address");
        for (var i = 0; i < 7; i++)
        {
            var hello = Frames.ArpRequest(i % 2 == 0 ? Remote : Frames.Mac(0xA2), Known, Known);
            stage.SendFrom(stage.A, hello);
            stage.Port.ReceiveUntil(hello);
        }

        Wait.Until(() => monitor.Lines.Any(line => line.Contains($"\"{Known}\"", StringComparison.Ordinal) && line.Contains("\"was\"", StringComparison.Ordinal)), "the event");
        Assert.Contains("FAILED", SleeveProgram.Run(stage.D, $"neigh show dev {stage.Dut.Device}").Ok(), StringComparison.Ordinal);
    }
}
