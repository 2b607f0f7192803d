using System.Net.Sockets;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// CS01 to CS05: the outer UDP checksum, received and sent.
/// <code>
///     A ── checksum none, right, wrong ──▶ D
///     A ◀── checksum none, right ── D            seen on A's wire, with checksum offload of D's underlay device off
/// </code>
/// </summary>
public sealed class ChecksumTests(ITestOutputHelper output) : ConformanceTest(output)
{
    private const int SolSocket = 1;
    private const int SoNoCheck = 11;
    private const int UdpNoCheck6Transmit = 101;

    [SkippableTheory]
    [InlineData(AddressFamily.InterNetwork, false, true)]
    [InlineData(AddressFamily.InterNetworkV6, false, false)]
    [InlineData(AddressFamily.InterNetworkV6, true, true)]
    [Trait("Case", "CS01")]
    [Trait("Case", "CS02")]
    [Trait("Case", "CS03")]
    public void A_datagram_without_checksum_is_taken_by_IPv4_and_by_IPv6_if_told_to(AddressFamily family, bool accept, bool taken)
    {
        var stage = Given(family: family, with: options => options with { ZeroChecksum6Receive = accept });
        using var capture = new Capture(stage.D, Host.UnderlayDevice);
        using var without = new UnderlayPeer(stage.Lab.Hosts[1], port: 7777);
        if (family == AddressFamily.InterNetwork) without.Socket.SetRawSocketOption(SolSocket, SoNoCheck, BitConverter.GetBytes(1));
        else without.Socket.SetRawSocketOption((int)SocketOptionLevel.Udp, UdpNoCheck6Transmit, BitConverter.GetBytes(1));

        var frame = Frames.Unique(Local, Remote);
        stage.SendFrom(without, frame);
        Assert.Equal(0, capture.WaitFor(1, p => p.SourcePort == 7777).Single().Checksum);

        // Two sockets may be read in any order, so what is refused gets some time to come in spite of it.
        var came = stage.WhatCame();
        if (came.Count == 0) came = stage.Port.ReceiveFor(TimeSpan.FromMilliseconds(taken ? 5000 : 200));
        Assert.Equal(taken ? [frame] : [], came);
    }

    [SkippableTheory]
    [InlineData(AddressFamily.InterNetwork)]
    [InlineData(AddressFamily.InterNetworkV6)]
    [Trait("Case", "CS01")]
    [Trait("Case", "CS02")]
    public void A_right_checksum_is_taken_and_a_wrong_one_is_not(AddressFamily family)
    {
        var stage = Given(family: family);
        using var raw = new RawIp(stage.Lab.Hosts[1]);
        var right = Frames.Unique(Local, Remote);
        var wrong = Frames.Unique(Local, Remote);
        raw.Send(Frames.Vxlan(100, wrong), stage.D.Address, addToChecksum: 1);
        raw.Send(Frames.Vxlan(100, right), stage.D.Address, addToChecksum: 0);
        Assert.Equal([right], stage.WhatCame());
    }

    [SkippableTheory]
    [InlineData(AddressFamily.InterNetwork, true, false, true)]
    [InlineData(AddressFamily.InterNetwork, false, false, false)]
    [InlineData(AddressFamily.InterNetworkV6, true, false, true)]
    [InlineData(AddressFamily.InterNetworkV6, true, true, false)]
    [Trait("Case", "CS04")]
    [Trait("Case", "CS05")]
    public void Sends_a_valid_checksum_unless_told_not_to(AddressFamily family, bool udpChecksum, bool zeroChecksum6, bool expected)
    {
        var stage = Given(family: family, with: options => options with { UdpChecksum = udpChecksum, ZeroChecksum6Transmit = zeroChecksum6 });
        Lab.TurnOffloadsOff(stage.D, Host.UnderlayDevice);
        using var capture = new Capture(stage.Lab.Hosts[1], Host.UnderlayDevice);
        for (var length = 60; length < 70; length++) stage.Port.Send(Frames.Unique(Unknown, Local, length));
        var sent = capture.WaitFor(10, p => p.Source.Equals(stage.D.Address));
        Assert.All(sent, p => Assert.Equal(expected, p.Checksum != 0));
        if (expected) Assert.All(sent, p => Assert.True(p.ChecksumIsRight));
    }
}
