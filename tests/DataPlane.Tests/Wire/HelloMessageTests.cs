using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Tests.Wire;

/// <summary>The bytes of a sign of life.</summary>
public sealed class HelloMessageTests
{
    private static readonly HelloMessage Message = new()
    {
        Nonce = 0x0102_0304_0506_0708,
        Yours = 0x1112_1314_1516_1718,
        Flags = HelloSigns.HearsYou,
        Sequence = 0x2122_2324,
        Heard = 0x3132_3334,
        HeldMicroseconds = 0x4142_4344,
        IntervalMilliseconds = 300,
    };

    private static readonly byte[] Bytes = Convert.FromHexString(
        "01000000" + "00000000" + "536c7665" + "0102030405060708" + "01030100" + "21222324" + "31323334" + "41424344" + "1112131415161718" + "0000012c");

    [Fact]
    public void Is_written_as_it_is_drawn_and_read_back()
    {
        var written = new byte[HelloMessage.Size];
        Array.Fill(written, (byte)0xAA);
        Message.Write(written);
        Assert.Equal(Bytes, written);
        Assert.True(HelloMessage.TryParse(Bytes, out var read));
        Assert.Equal(Message, read);
        // What is behind it does not matter.
        Assert.True(HelloMessage.TryParse([.. Bytes, 1, 2, 3], out read));
        Assert.Equal(Message, read);
    }

    [Theory]
    [InlineData(0, 0x09)] // the I flag: a frame
    [InlineData(3, 1)]
    [InlineData(4, 1)]
    [InlineData(8, 0x54)] // magic
    [InlineData(20, 2)] // another version
    [InlineData(21, 1)] // an echo request
    [InlineData(21, 4)]
    public void Takes_nothing_else_for_one(int offset, byte value)
    {
        var changed = (byte[])Bytes.Clone();
        changed[offset] = value;
        Assert.False(HelloMessage.TryParse(changed, out _));
        Assert.False(EchoMessage.TryParse(Bytes, out _));
    }

    [Fact]
    public void Needs_all_of_its_bytes_and_a_nonce()
    {
        for (var length = 0; length < Bytes.Length; length++) Assert.False(HelloMessage.TryParse(Bytes.AsSpan(0, length), out _));
        var changed = (byte[])Bytes.Clone();
        changed.AsSpan(12, 8).Clear();
        Assert.False(HelloMessage.TryParse(changed, out _));
    }
}
