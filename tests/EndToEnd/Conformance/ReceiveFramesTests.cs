using System.Net;
using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// RX10 to RX19: unusual frames, senders and datagrams.
/// <code>
///     A, B (UDP sockets) ── datagram ──▶ D ── frame ──▶ RawPort
/// </code>
/// </summary>
public sealed class ReceiveFramesTests(ITestOutputHelper output) : ConformanceTest(output)
{
    private static readonly string[] Impossible = ["01:00:5e:00:00:01", "33:33:00:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"];

    [SkippableFact]
    [Trait("Case", "RX10")]
    public void Delivers_odd_frames_byte_for_byte()
    {
        var stage = Given();
        var ip = Frames.Ipv4Packet(IPAddress.Parse("192.168.0.1"), IPAddress.Parse("192.168.0.2"), 253, [1, 2, 3, 4, 5]);
        byte[][] frames =
        [
            Frames.Ethernet(Local, Remote, 38, [0x42, 0x42, 0x03, .. new byte[35]]),
            Frames.Ethernet(Local, Remote, Frames.IPv4, [.. ip, .. new byte[46 - ip.Length]]),
            Frames.Ethernet(Local, Remote, Frames.IPv4, ip),
            .. new[] { 15, 61, 333, 1463 }.Select(length => Frames.Unique(Local, Remote, length)),
        ];
        Assert.Equal(frames, stage.WhatComesOf(frames.Select(f => Frames.Vxlan(100, f))));
    }

    [SkippableFact]
    [Trait("Case", "RX11")]
    public void Drops_a_source_that_no_station_can_have()
    {
        var stage = Given();
        Assert.Empty(stage.WhatComesOf(Impossible.Select(source => Frames.Vxlan(100, Frames.Unique(Local, Mac(source))))));
        stage.AssertNothingLearnedBut(Remote);
        stage.AssertDropped("InvalidSource", 4);
    }

    [SkippableFact]
    [Trait("Case", "RX12")]
    public void Drops_a_source_that_no_station_can_have_without_learning_too()
    {
        DiffersFromKernel();
        var stage = Given(with: options => options with { Learning = false });
        Assert.Empty(stage.WhatComesOf(Impossible.Select(source => Frames.Vxlan(100, Frames.Unique(Local, Mac(source))))));
        stage.AssertDropped("InvalidSource", 4);
    }

    [SkippableFact]
    [Trait("Case", "RX13")]
    public void Drops_its_own_MAC_as_source()
    {
        var stage = Given(with: options => options with { Mac = "02:00:00:00:0d:0d" });
        Assert.Empty(stage.WhatComesOf(Frames.Vxlan(100, Frames.Unique(Local, Mac("02:00:00:00:0d:0d")))));
        stage.AssertNothingLearnedBut(Remote);
        stage.AssertDropped("OwnMac", 1);
    }

    [SkippableFact]
    [Trait("Case", "RX14")]
    public void Carries_VLAN_tags_out_of_the_tunnel()
    {
        var stage = Given();
        byte[][] frames = [.. Tagged(Local, Remote)];
        Assert.Equal(frames, stage.WhatComesOf(frames.Select(f => Frames.Vxlan(100, f))));
    }

    [SkippableFact]
    [Trait("Case", "RX14")]
    public void Carries_VLAN_tags_into_the_tunnel()
    {
        var stage = Given();
        foreach (var frame in Tagged(Unknown, Local))
        {
            stage.Port.Send(frame);
            stage.A.Expect(frame);
        }
    }

    [SkippableFact]
    [Trait("Case", "RX15")]
    public void Admits_any_sender_and_port_when_told_to()
    {
        var stage = Given(peers: 2, flood: 1, with: options => options with { AdmitAny = true });
        using var anyPort = new UnderlayPeer(stage.Lab.Hosts[2], port: 7777);
        var frame = Frames.Unique(Local, Frames.Mac(0xB1));
        stage.SendFrom(anyPort, frame);
        Assert.Empty(stage.Port.ReceiveUntil(frame));
        stage.Dut.WaitUntilLearned(Frames.Mac(0xB1), stage.B.Address);
        stage.Port.Send(frame = Frames.Unique(Frames.Mac(0xB1), Local));
        stage.B.Expect(frame);
    }

    [SkippableFact]
    [Trait("Case", "RX15")]
    public void Refuses_an_unlisted_sender_and_says_so_once()
    {
        DiffersFromKernel();
        var stage = Given(peers: 2, flood: 1);
        for (var i = 0; i < 20; i++) stage.SendFrom(stage.B, Frames.Unique(Local, Frames.Mac(0xB1)));
        Wait.Until(() => stage.Stats!.Drops("UnknownVtep") == 20, "20 drops of UnknownVtep");
        Assert.Empty(stage.WhatCame());
        stage.AssertNothingLearnedBut(Remote);
        var process = ((SleeveVtep)stage.Dut).Process;
        process.WaitForText($"{stage.B.Address}", Wait.Soon);
        Assert.Single(process.Error.Split('\n'), line => line.Contains($"{stage.B.Address}", StringComparison.Ordinal));
    }

    [SkippableFact]
    [Trait("Case", "RX16")]
    public void Listens_on_every_address_of_the_host()
    {
        var stage = Given(before: host => host.Run("ip addr add 10.0.0.101/24 dev u0"));
        var frame = Frames.Unique(Local, Remote);
        stage.A.Send(Frames.Vxlan(100, frame), IPAddress.Parse("10.0.0.101"));
        Assert.Equal([frame], stage.WhatCame());
    }

    [SkippableFact]
    [Trait("Case", "RX17")]
    public void Takes_a_datagram_that_came_in_fragments()
    {
        var stage = Given();
        using var capture = new Capture(stage.D, Host.UnderlayDevice);
        var frame = Frames.Unique(Local, Remote, 1500);
        Assert.Equal([frame], stage.WhatComesOf(Frames.Vxlan(100, frame)));
        Assert.Equal(2, capture.Packets.Count(p => IsIpv4Fragment(p.Bytes)));
    }

    [SkippableFact]
    [Trait("Case", "RX18")]
    public void Survives_frames_larger_than_its_MTU()
    {
        var stage = Given();
        byte[][] frames = [.. new[] { 1465, 2000, 9014, 65_499 }.Select(length => Frames.Unique(Local, Remote, length))];
        var came = stage.WhatComesOf(frames.Select(frame => Frames.Vxlan(100, frame)));
        Assert.All(came, c => Assert.Contains(frames, frame => frame.AsSpan().SequenceEqual(c)));
    }

    [SkippableFact]
    [Trait("Case", "RX19")]
    public void Delivers_nothing_of_a_foreign_segment_from_random_datagrams()
    {
        var stage = Given();
        var random = new Random(19);
        for (var round = 0; round < 50; round++)
        {
            var datagrams = Enumerable.Range(0, 40).Select(_ => Mutations.Next(random)).ToArray();
            var inSegment = datagrams.Where(d => d.Length >= 22 && (d[0] & 8) != 0 && d[4] == 0 && d[5] == 0 && d[6] == 100);
            Assert.Subset(
                inSegment.Select(d => Convert.ToHexString(d.AsSpan(8))).ToHashSet(),
                stage.WhatComesOf(datagrams).Select(Convert.ToHexString).ToHashSet());
        }
    }

    /// <summary>802.1Q, priority-tagged, 802.1ad, and one in the other.</summary>
    private static IEnumerable<byte[]> Tagged(MacAddress to, MacAddress from)
    {
        yield return Frames.Tag(Frames.Unique(to, from), 0x8100, 42);
        yield return Frames.Tag(Frames.Unique(to, from), 0x8100, 7 << 13);
        yield return Frames.Tag(Frames.Unique(to, from), 0x88A8, 42);
        yield return Frames.Tag(Frames.Tag(Frames.Unique(to, from), 0x8100, 43), 0x88A8, 44);
    }

    private static bool IsIpv4Fragment(byte[] frame) =>
        frame is [_, _, _, _, _, _, _, _, _, _, _, _, 8, 0, ..] && (((frame[20] << 8) | frame[21]) & 0x3FFF) != 0;

    private static MacAddress Mac(string text) => MacAddress.TryParse(text, out var mac) ? mac : throw new FormatException(text);
}
