namespace Sleeve.Fuzz;

/// <summary>Turns good bytes into nearly good ones.</summary>
internal sealed class Mutator(Random random, IReadOnlyList<byte[]> corpus)
{
    private static readonly byte[] Interesting = [0, 1, 2, 4, 6, 7, 8, 14, 17, 20, 40, 44, 58, 60, 64, 0x45, 0x4F, 0x60, 0x7F, 0x80, 0x81, 0x86, 0x88, 0xA8, 0xDD, 0xFE, 0xFF];

    internal byte[] Next()
    {
        var bytes = (byte[])corpus[random.Next(corpus.Count)].Clone();
        // One in eight stays as it is: deep states need whole packets.
        for (var changes = random.Next(8) == 0 ? 0 : 1 + random.Next(4); changes > 0; changes--) bytes = Change(bytes);
        return bytes;
    }

    private byte[] Change(byte[] bytes)
    {
        if (bytes.Length == 0) return [(byte)random.Next(256)];
        var at = random.Next(bytes.Length);
        switch (random.Next(9))
        {
            case 0:
                bytes[at] ^= (byte)(1 << random.Next(8));
                return bytes;
            case 1:
                bytes[at] = (byte)random.Next(256);
                return bytes;
            case 2:
                bytes[at] = Interesting[random.Next(Interesting.Length)];
                return bytes;
            case 3:
                bytes[at] += (byte)(random.Next(9) - 4);
                return bytes;
            case 4:
                return bytes[..at];
            case 5:
                return [.. bytes, .. Random(random.Next(40))];
            case 6:
                return [.. bytes[..at], .. Random(random.Next(9)), .. bytes[at..]];
            case 7:
                return [.. bytes[..at], .. bytes[Math.Min(bytes.Length, at + random.Next(9))..]];
            default:
                var other = corpus[random.Next(corpus.Count)];
                return [.. bytes[..at], .. other[Math.Min(other.Length, at)..]];
        }
    }

    private byte[] Random(int length)
    {
        var bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }
}
