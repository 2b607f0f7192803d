using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Sleeve.Control.Host;

namespace Sleeve.Control.Networks;

/// <summary>
/// Which part of a pool a host looks in first, by where it stands: <c>zone:rack:host</c> gives every zone a part of the pool and every rack a part of its zone's, so that routes and filters outside can name
/// a zone by one prefix. Each level but the last takes some bits of the address behind the pool's prefix, as many as are left evenly, at most 4, or as many as it says: <c>zone/2:rack/4:host</c>. A label that is
/// a number has the part of that number, any other one that its hash chooses, so two labels may share a part. A part that is full sends the host to the next level up: a plan orders, it never refuses.
/// </summary>
internal sealed class AddressPlan
{
    /// <summary>What a plan must be.</summary>
    public const string Allowed = "levels such as zone:rack:host, at most 8, each a name and perhaps /BITS (1 to 8); the last is host";

    private const int MaxLevels = 8;
    private const int MaxBits = 8;
    private const int UsualBits = 4;
    private const string Last = "host";

    private readonly IReadOnlyList<int> _bits;

    private AddressPlan(IReadOnlyList<int> bits) => _bits = bits;

    /// <summary>Reads a plan; "" is none, in which every host looks through the whole pool.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out AddressPlan? plan)
    {
        plan = null;
        if (text is null || text.Length > RecordJson.MaxLocationLength) return false;
        var bits = new List<int>();
        if (text.Length > 0)
        {
            var levels = text.Split(':');
            if (levels.Length > MaxLevels || levels[^1] != Last) return false;
            foreach (var level in levels[..^1])
            {
                var parts = level.Split('/');
                var size = 0;
                if (parts.Length > 2 || !Names.IsName(parts[0])) return false;
                if (parts.Length == 2 && (!int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out size) || size is < 1 or > MaxBits)) return false;
                bits.Add(size);
            }
        }

        plan = new AddressPlan(bits);
        return true;
    }

    /// <summary>The parts of a pool that a host looks in, the first first; the last is the whole pool.</summary>
    /// <param name="pool">A subnet.</param>
    /// <param name="blockLength">Of its blocks: no part is smaller than one.</param>
    /// <param name="location">Where the host stands: labels of the levels with '/' between them; levels without one are the end of it.</param>
    public IReadOnlyList<AddressPrefix> Parts(AddressPrefix pool, int blockLength, string location)
    {
        var parts = new List<AddressPrefix> { pool };
        var labels = location.Split('/', StringSplitOptions.RemoveEmptyEntries);
        for (var level = 0; level < Math.Min(_bits.Count, labels.Length); level++)
        {
            var within = parts[^1];
            var left = blockLength - within.Length;
            var bits = _bits[level] != 0 ? _bits[level] : Math.Min(UsualBits, left / (_bits.Count - level + 1));
            bits = Math.Min(bits, left);
            if (bits <= 0) break;
            var number = NumberOf(labels[level], bits);
            var length = within.Length + bits;
            parts.Add(new AddressPrefix(PrefixArithmetic.FromNumber(within.First() + ((UInt128)number << (within.Width() - length)), within.Address.IsIPv4), length));
        }

        parts.Reverse();
        return parts;
    }

    private static uint NumberOf(string label, int bits)
    {
        var count = 1u << bits;
        return uint.TryParse(label, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number % count : (uint)(StableHash.Of(label) >> 32) % count;
    }
}
