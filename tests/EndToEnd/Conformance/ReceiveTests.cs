using System.Security.Cryptography;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// RX01 to RX09: what a VTEP takes out of a datagram, and what it refuses.
/// <code>
///     A (UDP socket) ── datagram ──▶ D ── frame ──▶ RawPort
/// </code>
/// </summary>
public sealed class ReceiveTests(ITestOutputHelper output) : ConformanceTest(output)
{
    [SkippableFact]
    [Trait("Case", "RX01")]
    public void Delivers_a_good_frame_once()
    {
        var stage = Given();
        var frame = Frames.Unique(Local, Remote);
        Assert.Equal([frame], stage.WhatComesOf(Frames.Vxlan(100, frame)));
    }

    [SkippableFact]
    [Trait("Case", "RX02")]
    public void Drops_what_has_no_I_flag()
    {
        var stage = Given();
        var frame = Frames.Unique(Local, Frames.Mac(1));
        Assert.Empty(stage.WhatComesOf(new byte[] { 0x00, 0xF7, 0x80 }.Select(flags => Frames.Vxlan(100, frame, flags))));
        stage.AssertNothingLearnedBut(Remote);
        stage.AssertDropped("NoVniFlag", 3);
    }

    [SkippableFact]
    [Trait("Case", "RX03")]
    public void Drops_every_reserved_bit_when_strict()
    {
        var stage = Given(with: options => options with { Strict = true });
        Assert.Empty(stage.WhatComesOf(WithEachReservedBit(Frames.Unique(Local, Remote))));
        stage.AssertDropped("ReservedBits", 39);
    }

    [SkippableFact]
    [Trait("Case", "RX04")]
    public void Ignores_every_reserved_bit()
    {
        DiffersFromKernel();
        var stage = Given();
        var frame = Frames.Unique(Local, Remote);
        var came = stage.WhatComesOf(WithEachReservedBit(frame));
        Assert.Equal(39, came.Count);
        Assert.All(came, c => Assert.Equal(frame, c));
    }

    [SkippableFact]
    [Trait("Case", "RX05")]
    public void Drops_foreign_segments_in_silence()
    {
        var stage = Given();
        using var capture = new Capture(stage.D, Host.UnderlayDevice);
        Assert.Empty(stage.WhatComesOf(new[] { 0, 99, 101, (1 << 24) - 1 }.Select(vni => Frames.Vxlan(vni, Frames.Unique(Local, Frames.Mac(1))))));
        stage.AssertNothingLearnedBut(Remote);
        stage.AssertDropped("UnknownVni", 4);
        Assert.DoesNotContain(capture.Packets, p => p.Outgoing && p.Bytes is [_, _, _, _, _, _, _, _, _, _, _, _, 8, 0, ..] && p.Bytes[14 + 9] == 1);
    }

    [SkippableFact]
    [Trait("Case", "RX06")]
    public void Survives_datagrams_shorter_than_a_VXLAN_header()
    {
        var stage = Given();
        Assert.Empty(stage.WhatComesOf(Enumerable.Range(0, 8).Select(length => Frames.Vxlan(100, [])[..length])));
        stage.AssertDropped("Truncated", 8);
    }

    [SkippableFact]
    [Trait("Case", "RX07")]
    public void Drops_frames_shorter_than_an_Ethernet_header()
    {
        var stage = Given();
        var frame = Frames.Unique(Local, Frames.Mac(1));
        Assert.Empty(stage.WhatComesOf(Enumerable.Range(0, 14).Select(length => Frames.Vxlan(100, frame.AsSpan(0, length)))));
        stage.AssertNothingLearnedBut(Remote);
        stage.AssertDropped("Truncated", 14);
    }

    [SkippableFact]
    [Trait("Case", "RX08")]
    public void Delivers_a_frame_of_14_bytes()
    {
        var stage = Given();
        var frame = Frames.Ethernet(Local, Remote, Frames.Experimental);
        Assert.Equal([frame], stage.WhatComesOf(Frames.Vxlan(100, frame)));
    }

    [SkippableFact]
    [Trait("Case", "RX09")]
    public void Drops_IP_without_a_whole_header()
    {
        var stage = Given();
        var frames = Enumerable.Range(0, 20).Select(length => Cut(Frames.IPv4, 0x45, length))
            .Concat(Enumerable.Range(0, 40).Select(length => Cut(Frames.IPv6, 0x60, length)));
        Assert.Empty(stage.WhatComesOf(frames.Select(frame => Frames.Vxlan(100, frame))));
        stage.AssertDropped("TruncatedIp", 60);
    }

    private static byte[] Cut(ushort type, byte first, int length)
    {
        var payload = RandomNumberGenerator.GetBytes(length);
        if (length > 0) payload[0] = first;
        return Frames.Ethernet(Local, Remote, type, payload);
    }

    /// <summary>Datagrams with one reserved bit each: seven flags, 24 bits behind them, 8 behind the VNI.</summary>
    private static IEnumerable<byte[]> WithEachReservedBit(byte[] frame)
    {
        for (var bit = 0; bit < 64; bit++)
        {
            if (bit == 4 || bit is >= 32 and < 56) continue;
            var datagram = Frames.Vxlan(100, frame);
            datagram[bit / 8] |= (byte)(0x80 >> (bit % 8));
            yield return datagram;
        }
    }
}
