using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Wire;

/// <summary>RFC 6040, section 4.2: all sixteen combinations, in both families, with and without tags.</summary>
public sealed class CongestionMarkTests
{
    private const byte NotCapable = 0, Ect1 = 1, Ect0 = 2, Experienced = 3;

    // Row: inner; column: outer Not-ECT, ECT(1), ECT(0), CE.
    private static readonly Dictionary<byte, byte[]> Result = new()
    {
        [NotCapable] = [NotCapable, NotCapable, NotCapable, NotCapable],
        [Ect1] = [Ect1, Ect1, Ect1, Experienced],
        [Ect0] = [Ect0, Ect1, Ect0, Experienced],
        [Experienced] = [Experienced, Experienced, Experienced, Experienced],
    };

    public static TheoryData<bool, int, byte> Shapes()
    {
        var shapes = new TheoryData<bool, int, byte>();
        foreach (var isIPv6 in new[] { false, true })
            for (var tags = 0; tags < 3; tags++)
                foreach (var codePoint in new byte[] { 0, 0xB8 }) shapes.Add(isIPv6, tags, codePoint);
        return shapes;
    }

    private static byte[] Frame(bool isIPv6, int tags, byte typeOfService)
    {
        var packet = isIPv6
            ? Craft.IPv6(Craft.Address6("fd00::1"), Craft.Address6("fd00::2"), 17, Craft.Udp(1, 2, Craft.Fill(20)))
            : Craft.IPv4(0x0A010101, 0x0A010102, 17, Craft.Udp(1, 2, Craft.Fill(20)));
        if (isIPv6)
        {
            packet[0] |= (byte)(typeOfService >> 4);
            packet[1] = (byte)((typeOfService << 4) | 0x05);
        }
        else
        {
            packet[1] = typeOfService;
            packet[10] = packet[11] = 0;
            var checksum = Craft.NaiveChecksum(packet.AsSpan(0, 20));
            (packet[10], packet[11]) = ((byte)(checksum >> 8), (byte)checksum);
        }

        return Craft.Tagged(2, 0x0200_0000_0001, [.. Enumerable.Repeat((0x8100, 0xFFF), tags)], isIPv6 ? 0x86DD : 0x0800, packet);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void The_table_of_RFC_6040_holds(bool isIPv6, int tags, byte codePoint)
    {
        foreach (var (inner, results) in Result)
        {
            for (byte outer = 0; outer < 4; outer++)
            {
                var frame = Frame(isIPv6, tags, (byte)(codePoint | inner));
                Assert.True(InnerHeaders.TryParse(frame, out var headers));
                Assert.Equal(codePoint | inner, CongestionMark.TypeOfService(frame, headers));
                var expected = inner != NotCapable || outer == NotCapable ? CongestionOutcome.Expected
                    : outer == Experienced ? CongestionOutcome.Contradiction : CongestionOutcome.Unexpected;
                // The DSCP of the outer header is none of its business. Twice does what once does.
                for (var times = 0; times < 2; times++)
                {
                    Assert.Equal(expected, CongestionMark.Decapsulate(frame, headers, (byte)(0xFC | outer)));
                    Assert.Equal(Frame(isIPv6, tags, (byte)(codePoint | results[outer])), frame);
                }

                if (!CongestionMark.CanChange(outer)) Assert.Equal(inner, results[outer]);
            }
        }
    }

    [Fact]
    public void What_is_not_IP_has_no_mark_and_is_left_alone()
    {
        foreach (var frame in new[] { Craft.Ethernet(2, 1, 0x0806, Craft.Fill(28)), Craft.Ethernet(2, 1, 0x0800, Craft.Fill(40)), Craft.Ethernet(2, 1, 0x86DD, []), Craft.Ethernet(2, 1, 0x0800, [0x45]) })
        {
            var before = frame.ToArray();
            Assert.True(InnerHeaders.TryParse(frame, out var headers));
            Assert.Equal(0, CongestionMark.TypeOfService(frame, headers));
            Assert.Equal(CongestionOutcome.Expected, CongestionMark.Decapsulate(frame, headers, 3));
            Assert.Equal(before, frame);
        }
    }

    [Theory]
    [InlineData(0x0000, 0x4500, 0x4503)]
    [InlineData(0xFFFF, 0x4500, 0x4503)]
    [InlineData(0xDD2F, 0x5555, 0x3285)] // RFC 1624, section 4
    public void A_replaced_word_changes_the_checksum_as_a_new_sum_would(ushort checksum, ushort before, ushort after)
    {
        var rest = (ushort)~checksum - before;
        if (rest < 0) rest += 0xFFFF;
        var sum = rest + after;
        var expected = (ushort)~((sum & 0xFFFF) + (sum >> 16));
        var replaced = InternetChecksum.Replace(checksum, before, after);
        // 0 and 0xFFFF are the same number here.
        Assert.True(replaced == expected || (replaced is 0 or 0xFFFF && expected is 0 or 0xFFFF), $"{replaced:x4}, not {expected:x4}");
    }
}
