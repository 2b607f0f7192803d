using Sleeve.DataPlane.Wire;
using Sleeve.Seams;

namespace Sleeve.DataPlane.Tests.Wire;

/// <summary>RFC 1071, against a loop that adds word by word.</summary>
public sealed class InternetChecksumTests
{
    [Fact]
    public void Sums_the_example_of_RFC_1071_section_3()
    {
        // 0001 + f203 + f4f5 + f6f7 = 2ddf0, folded ddf2.
        Assert.Equal(0xDDF2, InternetChecksum.FoldSum(InternetChecksum.Add(0, Craft.Hex("0001 f203 f4f5 f6f7"))));
        Assert.Equal(0x220D, InternetChecksum.Finish(InternetChecksum.Add(0, Craft.Hex("0001 f203 f4f5 f6f7"))));
    }

    [Fact]
    public void A_header_with_its_checksum_in_place_sums_to_all_ones()
    {
        // An IPv4 header whose checksum is known: b861.
        var header = Craft.Hex("4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7");
        Assert.Equal(0xFFFF, InternetChecksum.FoldSum(InternetChecksum.Add(0, header)));
        header[10] = header[11] = 0;
        Assert.Equal(0xB861, InternetChecksum.Finish(InternetChecksum.Add(0, header)));
    }

    [Fact]
    public void Agrees_with_the_naive_loop_at_every_length_and_alignment()
    {
        var random = new Random(1071);
        var buffer = new byte[512];
        for (var length = 0; length <= 300; length++)
        {
            random.NextBytes(buffer);
            if (length % 3 == 0) buffer.AsSpan().Fill(0xFF);
            foreach (var offset in new[] { 0, 1, 2, 3, 7, random.Next(200) })
            {
                var bytes = buffer.AsSpan(offset, length);
                Assert.Equal(Craft.NaiveSum(bytes), InternetChecksum.FoldSum(InternetChecksum.Add(0, bytes)));
                Assert.Equal(Craft.NaiveChecksum(bytes), InternetChecksum.Finish(InternetChecksum.Add(0, bytes)));
            }
        }
    }

    [Theory]
    [InlineData(65535, 0xFF)]
    [InlineData(65536, 0xFF)]
    [InlineData(1 << 20, 0xFF)]
    [InlineData(65535, -1)]
    [InlineData((1 << 20) + 1, -1)]
    public void Loses_no_carry_in_big_buffers(int length, int fill)
    {
        var bytes = new byte[length];
        if (fill >= 0) bytes.AsSpan().Fill((byte)fill);
        else new Random(length).NextBytes(bytes);
        Assert.Equal(Craft.NaiveSum(bytes), InternetChecksum.FoldSum(InternetChecksum.Add(0, bytes)));
    }

    [Fact]
    public void Parts_of_even_length_add_up_to_the_whole()
    {
        var random = new Random(7);
        var bytes = new byte[1001];
        random.NextBytes(bytes);
        for (var i = 0; i < 200; i++)
        {
            var cut = random.Next(500) * 2;
            var sum = InternetChecksum.Add(InternetChecksum.Add(0, bytes.AsSpan(0, cut)), bytes.AsSpan(cut));
            Assert.Equal(Craft.NaiveSum(bytes), InternetChecksum.FoldSum(sum));
        }
    }

    [Theory]
    [InlineData(0UL, 0)]
    [InlineData(0xFFFFUL, 0xFFFF)]
    [InlineData(0x1_0000UL, 1)]
    [InlineData(0x1_FFFEUL, 0xFFFF)]
    [InlineData(0xFFFF_FFFFUL, 0xFFFF)]
    [InlineData(0x1_0000_0000UL, 1)]
    [InlineData(ulong.MaxValue, 0xFFFF)]
    [InlineData(ulong.MaxValue - 1, 0xFFFE)]
    [InlineData(0xFFFF_0001_FFFF_0001UL, 2)]
    public void Folds_every_carry_back_in(ulong sum, int expected) => Assert.Equal(expected, InternetChecksum.FoldSum(sum));

    [Fact]
    public void Folding_is_the_remainder_modulo_65535()
    {
        var random = new Random(65535);
        for (var i = 0; i < 10_000; i++)
        {
            var sum = (ulong)random.NextInt64() * 2 + (ulong)random.Next(2);
            Assert.Equal(sum % 65535, InternetChecksum.FoldSum(sum) % 65535UL);
        }
    }

    [Theory]
    [InlineData(6)]
    [InlineData(17)]
    [InlineData(58)]
    public void Adds_the_pseudo_header_of_both_families(byte protocol)
    {
        var transport = Craft.Fill(33);
        foreach (var (source, destination) in new[]
        {
            (Craft.U32(0xC0000201), Craft.U32(0xC6336402)),
            (Craft.Address6("2001:db8::1"), Craft.Address6("2001:db8::2")),
        })
        {
            var sum = InternetChecksum.AddPseudoHeader(InternetChecksum.Add(0, transport), Craft.Concat(source, destination), protocol, transport.Length);
            Assert.Equal(Craft.TransportChecksum(source, destination, protocol, transport), InternetChecksum.Finish(sum));
        }
    }
}
