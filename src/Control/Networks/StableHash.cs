namespace Sleeve.Control.Networks;

/// <summary>A hash that is the same in every process and version: hosts compare what comes of it. Not for what strangers choose.</summary>
internal static class StableHash
{
    private const ulong Offset = 14695981039346656037;
    private const ulong Prime = 1099511628211;

    /// <summary>Of a text: FNV-1a over its UTF-16 units, then mixed.</summary>
    public static ulong Of(string text) => Mix(Fold(text));

    /// <summary>Of a key as it stood at a revision.</summary>
    public static ulong Of(string key, long revision) => Mix(Fold(key) ^ Mix((ulong)revision));

    private static ulong Fold(string text)
    {
        var hash = Offset;
        foreach (var unit in text) hash = (hash ^ unit) * Prime;
        return hash;
    }

    // The finaliser of splitmix64: every bit of the input changes half of the output.
    private static ulong Mix(ulong value)
    {
        value += 0x9E3779B97F4A7C15;
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
        return value ^ (value >> 31);
    }
}
