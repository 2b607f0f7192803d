using Sleeve.EndToEnd.Overlay;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Conformance;

/// <summary>
/// GB01 to GB05: the group policy extension (VXLAN-GBP), byte by byte, and with the kernel's device, which keeps the group in the mark of a packet.
/// <code>
///     A ── header with G, D, A, group ──▶ D            a: Sleeve --gbp 42 ═══ b: kernel, gbp; nftables reads and sets marks
/// </code>
/// </summary>
public sealed class GroupPolicyTests(ITestOutputHelper output) : ConformanceTest(output)
{
    private const uint DontLearn = 0x40_0000;
    private const uint Applied = 0x08_0000;

    [SkippableTheory]
    [InlineData("42", 0x8800_002AU)]
    [InlineData("42,dont-learn", 0x8840_002AU)]
    [InlineData("65535,applied", 0x8808_FFFFU)]
    [InlineData("0", 0x0800_0000U)]
    [Trait("Case", "GB01")]
    public void Stamps_its_group_on_every_frame(string group, uint expected)
    {
        DiffersFromKernel();
        var stage = Given(with: options => options with { Gbp = group });
        using var capture = new Capture(stage.Lab.Hosts[1], Host.UnderlayDevice);
        stage.Port.Send(Frames.Unique(Unknown, Local));
        var payload = capture.WaitFor(1, p => p.Source.Equals(stage.D.Address)).Single().Payload;
        Assert.Equal(expected, System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(payload));
    }

    [SkippableFact]
    [Trait("Case", "GB02")]
    public void A_station_of_a_frame_with_the_D_bit_is_not_learned()
    {
        DiffersFromKernel();
        var stage = Given(with: options => options with { Gbp = "1" });
        var frame = Frames.Unique(Local, Frames.Mac(0x61));
        Assert.Equal([frame], stage.WhatComesOf(WithPolicy(frame, 7 | DontLearn)));
        stage.AssertNothingLearnedBut(Remote);
        Assert.Equal([frame], stage.WhatComesOf(WithPolicy(frame, 7)));
        stage.Dut.WaitUntilLearned(Frames.Mac(0x61), stage.A.Address);
    }

    [SkippableFact]
    [Trait("Case", "GB03")]
    public void Delivers_the_groups_it_accepts_and_what_policy_was_applied_to()
    {
        DiffersFromKernel();
        var stage = Given(with: options => options with { Gbp = "1", GbpAccept = "0,10-19" });
        byte[][] frames = [.. Enumerable.Range(0, 6).Select(i => Frames.Unique(Local, Frames.Mac(0x61 + i)))];
        uint[] policies = [0, 10, 19, 9, 20, 20 | Applied];
        Assert.Equal([frames[0], frames[1], frames[2], frames[5]], stage.WhatComesOf(frames.Zip(policies, WithPolicy)));
        stage.AssertDropped("PolicyDenied", 2);
        stage.AssertNothingLearnedBut(Remote, Frames.Mac(0x61), Frames.Mac(0x62), Frames.Mac(0x63), Frames.Mac(0x66));
    }

    [SkippableTheory]
    [InlineData(false, false, true)]
    [InlineData(false, true, false)]
    [InlineData(true, true, true)]
    [Trait("Case", "GB04")]
    public void Without_the_extension_its_bits_are_reserved_bits(bool gbp, bool strict, bool taken)
    {
        DiffersFromKernel();
        var stage = Given(with: options => options with { Gbp = gbp ? "1" : null, Strict = strict });
        var frame = Frames.Unique(Local, Remote);
        Assert.Equal(taken ? [frame] : [], stage.WhatComesOf(WithPolicy(frame, 42)));
        if (!taken) stage.AssertDropped("ReservedBits", 1);
    }

    [SkippableTheory]
    [InlineData("tunnel-gso")]
    [InlineData("udp-gso")]
    [InlineData("none")]
    [Trait("Case", "GB05")]
    public void The_kernel_reads_our_group_as_a_mark_and_we_read_its_mark_as_a_group(string offload)
    {
        DiffersFromKernel();
        Requirements.Programs("nft");
        var pair = Pair.Make(NewLab(), VtepKind.Kernel, with: options => options with { Gbp = "42", GbpAccept = "0,7", Offload = offload });
        var (kernel, device) = (pair.Other.Host, pair.Other.Device);
        kernel.Run("nft add table inet t");
        kernel.Run("nft add chain inet t in { type filter hook prerouting priority 0 ; }");
        kernel.Run($"nft add counter inet t ours");
        kernel.Run($"nft add rule inet t in iifname {device} meta mark 42 counter name ours");
        kernel.Run("nft add counter inet t others");
        kernel.Run($"nft add rule inet t in iifname {device} meta mark != 42 counter name others");
        kernel.Run("nft add chain inet t out { type filter hook output priority 0 ; }");
        Traffic.WaitForPing(pair.One.Host, Pair.Overlay2);
        Traffic.TransferByTcp(pair.One.Host, kernel, Pair.Overlay2, 2_000_000);
        Assert.DoesNotContain("packets 0", kernel.Run("nft list counter inet t ours"), StringComparison.Ordinal);
        Assert.Contains("packets 0", kernel.Run("nft list counter inet t others"), StringComparison.Ordinal);

        // Mark 7 is a group that is accepted, 8 is not.
        kernel.Run($"nft add rule inet t out oifname {device} ip protocol icmp meta mark set 7");
        pair.One.Host.Run($"ping -c 3 -i 0.2 -W 2 {Pair.Overlay2}");
        kernel.Run("nft flush chain inet t out");
        kernel.Run($"nft add rule inet t out oifname {device} ip protocol icmp meta mark set 8");
        Assert.NotEqual(0, pair.One.Host.Try($"ping -c 3 -i 0.2 -W 1 {Pair.Overlay2}").ExitCode);
        Assert.True(((SleeveVtep)pair.One).Stats().Drops("PolicyDenied") >= 3);
    }

    private static byte[] WithPolicy(byte[] frame, uint mark)
    {
        var datagram = Frames.Vxlan(100, frame, mark == 0 ? (byte)0x08 : (byte)0x88);
        (datagram[1], datagram[2], datagram[3]) = ((byte)(mark >> 16), (byte)(mark >> 8), (byte)mark);
        return datagram;
    }
}
