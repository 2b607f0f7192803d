using Sleeve.Control.Cli;

namespace Sleeve.Control.Tests.Cli;

/// <summary>Packet captures, of both kinds and byte orders, whole and cut off anywhere.</summary>
public class PacketFileTests
{
    private const string PcapLittle = "d4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000  00000000 00000000 03000000 03000000 aabbcc  00000000 00000000 01000000 05000000 dd";
    private const string PcapBig = "a1b2c3d4 0002 0004 00000000 00000000 0000ffff 00000001  00000000 00000000 00000003 00000003 aabbcc  00000000 00000000 00000001 00000005 dd";

    private const string PcapngLittle = """
        0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000
        01000000 14000000 0100 0000 ffff0000 14000000
        06000000 24000000 00000000 00000000 00000000 03000000 03000000 aabbcc00 24000000
        05000000 18000000 00000000 00000000 00000000 18000000
        03000000 14000000 01000000 dd000000 14000000
        """;

    private const string PcapngBig = """
        0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c
        00000001 00000014 0001 0000 0000ffff 00000014
        00000006 00000024 00000000 00000000 00000000 00000003 00000003 aabbcc00 00000024
        00000003 00000014 00000001 dd000000 00000014
        """;

    [Theory]
    [InlineData(PcapLittle)]
    [InlineData(PcapBig)]
    [InlineData(PcapngLittle)]
    [InlineData(PcapngBig)]
    public void Frames_are_read(string hex) => Assert.Equal([[0xAA, 0xBB, 0xCC], [0xDD]], PacketFile.Parse(Bytes(hex)));

    [Fact]
    public void Packets_without_a_link_header_get_one_of_zeroes_if_they_are_asked_for()
    {
        var raw = Bytes(PcapLittle);
        (raw[20], raw[40]) = (101, 0x60);
        Assert.Throws<IOException>(() => PacketFile.Parse(raw));
        Assert.Equal([[.. new byte[12], 0x86, 0xDD, 0x60, 0xBB, 0xCC], [.. new byte[12], 0x08, 0x00, 0xDD]], PacketFile.Parse(raw, takesIp: true));
        // LINKTYPE_IPV4 is one too, Linux cooked capture none.
        var mixed = Bytes(PcapngLittle);
        mixed[28 + 8] = 228;
        Assert.Equal(17, PacketFile.Parse(mixed, takesIp: true)[0].Length);
        mixed[28 + 8] = 113;
        Assert.Throws<IOException>(() => PacketFile.Parse(mixed, takesIp: true));
    }

    [Theory]
    [InlineData(PcapLittle)]
    [InlineData(PcapngBig)]
    public void A_file_that_is_cut_off_or_damaged_anywhere_is_read_or_refused(string hex)
    {
        var whole = Bytes(hex);
        for (var length = 0; length < whole.Length; length++) ReadOrRefuse(whole[..length]);
        for (var at = 0; at < whole.Length; at++)
        {
            foreach (var value in (ReadOnlySpan<byte>)[0, 1, 3, 0x7F, 0x80, 0xFF])
            {
                var damaged = (byte[])whole.Clone();
                damaged[at] = value;
                ReadOrRefuse(damaged);
            }
        }
    }

    [Fact]
    public void Other_files_are_refused()
    {
        Assert.Throws<IOException>(static () => PacketFile.Parse("not a capture, whatever else it may be"u8));
        Assert.Throws<IOException>(static () => PacketFile.Parse(Bytes(PcapLittle.Replace("ffff0000 01000000", "ffff0000 65000000", StringComparison.Ordinal))));
    }

    private static void ReadOrRefuse(byte[] file)
    {
        try
        {
            PacketFile.Parse(file);
        }
        catch (IOException)
        {
            // Refused with a reason.
        }
    }

    private static byte[] Bytes(string hex) => Convert.FromHexString(string.Concat(hex.Where(char.IsAsciiHexDigit)));
}
