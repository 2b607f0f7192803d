using System.Diagnostics;
using System.Globalization;
using Sleeve.DataPlane.Wire;
using Sleeve.EndToEnd.Rig;
using Xunit.Abstractions;

namespace Sleeve.EndToEnd.Overlay;

/// <summary>
/// OF03, SP04 and RB02: one flow stays one flow, in order, also when the underlay loses packets.
/// <code>
///     a: device under test ═══ veth pair ═══ b: kernel's vxlan, or Sleeve
/// </code>
/// </summary>
public sealed class FlowOrderTests(ITestOutputHelper output) : LabTest(output)
{
    [SkippableTheory]
    [InlineData(VtepKind.Kernel, true)]
    [InlineData(VtepKind.Kernel, false)]
    [InlineData(VtepKind.Sleeve, true)]
    [Trait("Case", "OF03")]
    public void Ten_thousand_frames_a_second_keep_their_order(VtepKind peer, bool outwards)
    {
        const int count = 20_000;
        const int perMillisecond = 10;
        var pair = Pair.Make(NewLab(), peer);
        var (from, to) = outwards ? (pair.One, pair.Other) : (pair.Other, pair.One);
        var sender = from.OpenPort();
        var receiver = to.OpenPort();
        var sending = Task.Run(() =>
        {
            var clock = Stopwatch.StartNew();
            for (var i = 0; i < count; i++)
            {
                while (i / perMillisecond > clock.ElapsedMilliseconds) Thread.Sleep(1);
                sender.Send(Frames.Numbered(MacAddress.Broadcast, Frames.Mac(0x51), i, 100));
            }
        });
        List<int> numbers = [];
        while (numbers.LastOrDefault() != count - 1 && receiver.Receive(TimeSpan.FromSeconds(1)) is { } frame)
        {
            if (frame.Length == 100 && MacAddress.Read(frame.AsSpan(6)) == Frames.Mac(0x51)) numbers.Add(Frames.NumberOf(frame));
        }

        Assert.True(sending.Wait(TimeSpan.FromSeconds(10)));
        pair.Lab.Log(string.Create(CultureInfo.InvariantCulture, $"{numbers.Count} of {count} arrived"));
        Assert.True(numbers.Zip(numbers.Skip(1), (one, next) => next > one).All(inOrder => inOrder), "reordered or doubled");
        Assert.InRange(numbers.Count, count * 99 / 100, count);
    }

    [SkippableTheory]
    [InlineData(VtepKind.Kernel)]
    [InlineData(VtepKind.Sleeve)]
    [Trait("Case", "RB02")]
    [Trait("Case", "SP04")]
    public void TCP_over_a_lossy_underlay_arrives_whole_and_has_one_port_per_direction(VtepKind peer)
    {
        Requirements.Programs("nft");
        var pair = Pair.Make(NewLab(), peer);
        var (a, b) = (pair.One.Host, pair.Other.Host);
        // A link that was just set up may lose all for a second; with the loss below, ARP would give up.
        Traffic.WaitForPing(a, Pair.Overlay2);
        foreach (var host in new[] { a, b })
        {
            host.Run("nft add table inet loss");
            host.Run("nft add chain inet loss input { type filter hook input priority 0 ; }");
            host.Run("nft add rule inet loss input udp dport 4789 numgen random mod 100 < 2 counter drop");
        }

        Lab.TurnOffloadsOff(a, Host.UnderlayDevice);
        Lab.TurnOffloadsOff(b, Host.UnderlayDevice);
        using var capture = new Capture(a, Host.UnderlayDevice);
        Traffic.TransferByTcp(a, b, Pair.Overlay2, 5_000_000, timeoutSeconds: 60);
        Assert.DoesNotContain("packets 0 ", b.Run("nft list chain inet loss input"), StringComparison.Ordinal);

        var tcp = capture.Vxlan().Where(p => p.Inner is [_, _, _, _, _, _, _, _, _, _, _, _, 8, 0, ..] && p.Inner[14 + 9] == 6).ToArray();
        var outwards = tcp.Where(p => p.Source.Equals(a.Address)).ToArray();
        Assert.True(outwards.Length > 1000, $"{outwards.Length} datagrams of TCP");
        if (pair.One.Kind == VtepKind.Sleeve) Assert.Single(outwards.Select(p => p.SourcePort).Distinct());
        if (peer == VtepKind.Sleeve) Assert.Single(tcp.Where(p => p.Source.Equals(b.Address)).Select(p => p.SourcePort).Distinct());
    }
}
