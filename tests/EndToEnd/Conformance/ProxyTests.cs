using System.Net;
using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// PX01 to PX03 and PX07: ARP requests for a known neighbour are answered on the spot and never enter the underlay.
/// <code>
///     RawPort ── who has 192.168.100.9? ──▶ D (knows: at 02:…:a9)      A hears nothing
///     RawPort ◀── 192.168.100.9 is at 02:…:a9 ── D
/// </code>
/// </summary>
public sealed class ProxyTests(ITestOutputHelper output) : ConformanceTest(output)
{
    private static readonly IPAddress Known = IPAddress.Parse("192.168.100.9");
    private static readonly IPAddress Asker = IPAddress.Parse("192.168.100.1");
    private static readonly IPAddress Nobody = IPAddress.Parse("192.168.100.77");
    private static readonly MacAddress KnownMac = Frames.Mac(0xA9);

    [SkippableTheory]
    [InlineData("broadcast", false)]
    [InlineData("unicast", false)]
    [InlineData("probe", false)]
    [InlineData("broadcast", true)]
    [InlineData("unicast", true)]
    [InlineData("probe", true)]
    [Trait("Case", "PX01")]
    public void Answers_for_a_known_neighbour_once_and_sends_nothing(string kind, bool strict)
    {
        var stage = GivenProxy(strict);
        var sender = kind == "probe" ? IPAddress.Any : Asker;
        stage.Port.Send(Frames.ArpRequest(Local, sender, Known, kind == "unicast" ? KnownMac : null));

        var reply = stage.Port.Expect(Local, Frames.Arp);
        Assert.Equal(Frames.Ethernet(Local, KnownMac, Frames.Arp, Frames.ArpPacket(2, KnownMac, Known, Local, sender)), reply[..42]);
        Assert.Empty(stage.WhatWasSentTo(stage.A));
        Assert.Empty(stage.WhatCame());
    }

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    [Trait("Case", "PX02")]
    public void Floods_a_request_for_an_unknown_neighbour_or_consumes_it_if_strict(bool strict)
    {
        var stage = GivenProxy(strict);
        var request = Frames.ArpRequest(Local, Asker, Nobody);
        stage.Port.Send(request);
        Assert.Equal(FloodedHere(request, strict), stage.WhatWasSentTo(stage.A).Select(d => d.Inner));
        Assert.Empty(stage.WhatCame());
        if (strict) stage.AssertDropped("unanswered", 1);
    }

    [SkippableTheory]
    [InlineData("reply", false)]
    [InlineData("gratuitous reply", false)]
    [InlineData("gratuitous request", false)]
    [InlineData("reply", true)]
    [InlineData("gratuitous reply", true)]
    [InlineData("gratuitous request", true)]
    [Trait("Case", "PX03")]
    public void Lets_replies_and_announcements_of_local_stations_pass_unless_strict(string kind, bool strict)
    {
        var stage = GivenProxy(strict);
        var frame = kind switch
        {
            "reply" => Frames.Ethernet(Remote, Local, Frames.Arp, Frames.ArpPacket(2, Local, Asker, Remote, Nobody)),
            "gratuitous reply" => Frames.Ethernet(MacAddress.Broadcast, Local, Frames.Arp, Frames.ArpPacket(2, Local, Asker, Local, Asker)),
            _ => Frames.ArpRequest(Local, Asker, Asker),
        };
        stage.Port.Send(frame);
        Assert.Equal(FloodedHere(frame, strict), stage.WhatWasSentTo(stage.A).Select(d => d.Inner));
        Assert.Empty(stage.WhatCame());
    }

    [SkippableFact]
    [Trait("Case", "PX03")]
    public void Lets_an_announcement_pass_of_an_address_that_it_knows()
    {
        var stage = GivenProxy();
        DiffersFromKernel();
        var frame = Frames.ArpRequest(KnownMac, Known, Known);
        stage.Port.Send(frame);
        Assert.Equal([frame], stage.WhatWasSentTo(stage.A).Select(d => d.Inner));
        Assert.Empty(stage.WhatCame());
    }

    [SkippableFact]
    [Trait("Case", "PX03")]
    public void Passes_tagged_ARP_even_if_strict()
    {
        var stage = GivenProxy(strict: true);
        var frame = Frames.Tag(Frames.ArpRequest(Local, Asker, Nobody), 0x8100, 7);
        stage.Port.Send(frame);
        Assert.Equal([frame], stage.WhatWasSentTo(stage.A).Select(d => d.Inner));
    }

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    [Trait("Case", "PX07")]
    public void Does_not_answer_for_a_neighbour_that_was_deleted(bool strict)
    {
        var stage = GivenProxy(strict);
        stage.Dut.NeighbourRemove(Known);
        var request = Frames.ArpRequest(Local, Asker, Known);
        stage.Port.Send(request);
        Assert.Equal(FloodedHere(request, strict), stage.WhatWasSentTo(stage.A).Select(d => d.Inner));
        Assert.Empty(stage.WhatCame());
    }

    [SkippableFact]
    [Trait("Case", "PX01")]
    public void Answers_nothing_when_it_is_no_proxy()
    {
        var stage = Given();
        stage.Dut.NeighbourAdd(Known, KnownMac);
        var request = Frames.ArpRequest(Local, Asker, Known);
        stage.Port.Send(request);
        Assert.Equal([request], stage.WhatWasSentTo(stage.A).Select(d => d.Inner));
        Assert.Empty(stage.WhatCame());
    }

    private Stage GivenProxy(bool strict = false)
    {
        var stage = Given(with: options => options with { Proxy = true, ProxyStrict = strict });
        stage.Dut.NeighbourAdd(Known, KnownMac);
        return stage;
    }

    // The kernel's proxy consumes every ARP packet; ours passes what it cannot answer (the design's 8.3).
    private static byte[][] FloodedHere(byte[] frame, bool strict) => strict || SleeveProgram.DeviceUnderTest == VtepKind.Kernel ? [] : [frame];
}
