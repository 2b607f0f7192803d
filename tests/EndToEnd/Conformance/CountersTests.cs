using System.Net;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// CT01: every frame is counted once, where it ends.
/// <code>
///     A ── good, bad header, illegal ECN ──▶ D ── frames ──▶ A
/// </code>
/// </summary>
public sealed class CountersTests(ITestOutputHelper output) : ConformanceTest(output)
{
    private const int IpProtocolLevel = 0;
    private const int IpTypeOfService = 1;
    private const byte CongestionExperienced = 3;

    [SkippableFact]
    [Trait("Case", "CT01")]
    public void Counters_move_by_what_came_and_went()
    {
        DiffersFromKernel();
        const int good = 20, sent = 15, flagless = 7, strangers = 6, marked = 5;
        var stage = Given();
        var before = stage.Stats!;
        for (var i = 0; i < good; i++) stage.SendFrom(stage.A, Frames.Unique(Local, Remote));
        for (var i = 0; i < flagless; i++) stage.A.Send(Frames.Vxlan(100, Frames.Unique(Local, Remote), flags: 0), stage.D.Address);
        for (var i = 0; i < strangers; i++) stage.A.Send(Frames.Vxlan(101, Frames.Unique(Local, Remote)), stage.D.Address);

        // Congestion was experienced by frames of a station that does not take part in ECN: RFC 6040, section 4.2 has them dropped.
        var unmarked = Frames.UdpFrame(Local, Remote, IPAddress.Parse("10.9.0.1"), IPAddress.Parse("10.9.0.2"), 1000, 2000, new byte[20]);
        stage.A.Socket.SetRawSocketOption(IpProtocolLevel, IpTypeOfService, BitConverter.GetBytes((int)CongestionExperienced));
        for (var i = 0; i < marked; i++) stage.SendFrom(stage.A, unmarked);
        stage.A.Socket.SetRawSocketOption(IpProtocolLevel, IpTypeOfService, BitConverter.GetBytes(0));

        for (var i = 0; i < sent; i++) stage.Port.Send(Frames.Unique(Unknown, Local));
        stage.WhatCame();
        var after = stage.Stats!;
        // The marker is one more.
        Assert.Equal(good + marked + 1, after.Counter("datagrams_received") - before.Counter("datagrams_received"));
        Assert.Equal(good + 1, after.Counter("tap_sent") - before.Counter("tap_sent"));
        Assert.Equal(marked, after.Drops("EcnContradiction") - before.Drops("EcnContradiction"));
        Assert.Equal(flagless, after.Drops("NoVniFlag") - before.Drops("NoVniFlag"));
        Assert.Equal(strangers, after.Drops("UnknownVni") - before.Drops("UnknownVni"));
        Wait.Until(() => stage.Stats!.Counter("datagrams_sent") >= before.Counter("datagrams_sent") + sent, "all frames are sent");
        // The host has a few things to say of its own, such as router solicitations.
        Assert.InRange(stage.Stats!.Counter("tap_received") - before.Counter("tap_received"), sent, sent + 20);
    }
}
