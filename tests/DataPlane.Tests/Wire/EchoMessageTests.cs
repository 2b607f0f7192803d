using Sleeve.DataPlane.Wire;

namespace Sleeve.DataPlane.Tests.Wire;

/// <summary>The echo message, byte by byte.</summary>
public sealed class EchoMessageTests
{
    private static readonly byte[] Vector =
    [
        0x01, 0, 0, 0, 0x00, 0x00, 0x64, 0, // O flag, no I flag; VNI 100
        0x53, 0x6C, 0x76, 0x65, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, // "Slve", nonce
        1, 2, 0x81, 0xB8, // version, reply, short and coalesced, TOS
        0, 0, 0, 7, 0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0x10, 0, // sequence, count, late, residence
        0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, // elapsed, bytes
        0, 0, 5, 0xDC, 0, 0, 0, 0, // length, reserved
    ];

    private static readonly EchoMessage Value = new()
    {
        Vni = new Vni(100), Kind = EchoKind.Reply, Flags = EchoWishes.Brief | EchoWishes.Coalesced, TypeOfService = 0xB8, Nonce = 0x1122_3344_5566_7788, Sequence = 7, Count = 8, Late = 9,
        ResidenceNanoseconds = 4096, ElapsedNanoseconds = 1L << 32, Bytes = 2UL << 32, Length = 1500,
    };

    [Fact]
    public void It_is_written_as_its_drawing_says_over_whatever_was_there()
    {
        Assert.Equal(EchoMessage.Size, Vector.Length);
        var buffer = Enumerable.Repeat((byte)0xAA, EchoMessage.Size + 4).ToArray();
        Value.Write(buffer);
        Assert.Equal([.. Vector, 0xAA, 0xAA, 0xAA, 0xAA], buffer);
        Assert.True(EchoMessage.TryParse(buffer, out var read));
        Assert.Equal(Value, read);
    }

    [Fact]
    public void Every_VTEP_ignores_it()
    {
        // RFC 7348, section 5: no I flag. And what spreads by inner addresses takes it for no IP packet.
        Assert.True(VxlanHeader.TryParse(Vector, out var header));
        Assert.False(header.HasVni);
        Assert.True(InnerHeaders.TryParse(Vector.AsSpan(VxlanHeader.Size), out var inner));
        Assert.Equal(0, inner.TransportOffset);
    }

    [Fact]
    public void Anything_else_is_none()
    {
        for (var length = 0; length < EchoMessage.Size; length++) Assert.False(EchoMessage.TryParse(Vector.AsSpan(0, length), out _));
        // Flags, the zeros around the VNI, magic, version, kind: each bit of them counts.
        foreach (var at in new[] { 0, 1, 2, 3, 7, 8, 9, 10, 11, 20 })
        {
            for (var bit = 0; bit < 8; bit++)
            {
                var spoiled = (byte[])Vector.Clone();
                spoiled[at] ^= (byte)(1 << bit);
                Assert.False(EchoMessage.TryParse(spoiled, out _), $"byte {at} bit {bit}");
            }
        }

        for (var kind = 0; kind < 256; kind++)
        {
            var other = (byte[])Vector.Clone();
            other[21] = (byte)kind;
            Assert.Equal(kind is 1 or 2, EchoMessage.TryParse(other, out _));
        }
    }
}
