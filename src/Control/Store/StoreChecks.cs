using System.Globalization;
using System.Text;

namespace Sleeve.Control.Store;

/// <summary>What every store asks of what it is given, before anything is done. Keys are compared by their bytes in UTF-8, as etcd does.</summary>
internal static class StoreChecks
{
    // Bytes that are no UTF-8 are refused, not replaced: two keys may not become one.
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The order of keys: that of their bytes in UTF-8, which is that of their code points.</summary>
    public static IComparer<string> Order { get; } = Comparer<string>.Create(Compare);

    private static int Compare(string? left, string? right)
    {
        if (left is null || right is null) return string.CompareOrdinal(left, right);
        var common = Math.Min(left.Length, right.Length);
        for (var i = 0; i < common; i++)
        {
            var (a, b) = (left[i], right[i]);
            if (a == b) continue;
            // UTF-16 puts what is beyond the first plane (surrogates) before the end of the first plane (U+E000 to U+FFFF); UTF-8 does not.
            var isSwapped = a >= 0xD800 && b >= 0xD800 && char.IsSurrogate(a) != char.IsSurrogate(b);
            return isSwapped ? b.CompareTo(a) : a.CompareTo(b);
        }

        return left.Length.CompareTo(right.Length);
    }

    /// <summary>Checks a transaction.</summary>
    /// <exception cref="StoreRefusedException">It is beyond a limit, or changes a key twice.</exception>
    public static void Check(StoreTransaction transaction)
    {
        if (transaction.Conditions.Count > StoreLimits.MaxOperations || transaction.Writes.Count > StoreLimits.MaxOperations)
            throw Refused($"a transaction of {transaction.Conditions.Count} conditions and {transaction.Writes.Count} changes: must be at most {StoreLimits.MaxOperations} of each");
        long bytes = 0;
        foreach (var condition in transaction.Conditions)
        {
            bytes += CheckKey(condition.Key) + CheckValue(condition.Key, condition.Value);
            if (condition.ModRevision < 0) throw Refused($"key {Show(condition.Key)}: the revision {condition.ModRevision} of a condition must not be negative");
        }

        var changed = new HashSet<string>(StringComparer.Ordinal);
        foreach (var write in transaction.Writes)
        {
            bytes += CheckKey(write.Key) + CheckValue(write.Key, write.Value);
            if (!changed.Add(write.Key)) throw Refused($"key {Show(write.Key)} is changed twice in one transaction: must be once");
        }

        if (bytes > StoreLimits.MaxTransactionBytes) throw Refused($"a transaction of {bytes} bytes: must be at most {StoreLimits.MaxTransactionBytes}");
    }

    /// <summary>Checks a prefix; "" is one too.</summary>
    /// <exception cref="StoreRefusedException">No key can begin with it.</exception>
    public static void CheckPrefix(string prefix)
    {
        if (prefix.Length > 0) CheckKey(prefix);
    }

    /// <summary>Whole seconds of a lease.</summary>
    /// <exception cref="StoreRefusedException">Too short or too long, or not whole.</exception>
    public static long SecondsOf(TimeSpan timeToLive)
    {
        var seconds = (long)timeToLive.TotalSeconds;
        return seconds is >= StoreLimits.MinLeaseSeconds and <= StoreLimits.MaxLeaseSeconds && TimeSpan.FromSeconds(seconds) == timeToLive
            ? seconds
            : throw Refused($"a lease of {timeToLive.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s: must be whole seconds from {StoreLimits.MinLeaseSeconds} to {StoreLimits.MaxLeaseSeconds}");
    }

    /// <summary>Whether a text may be a key.</summary>
    public static bool IsKey(string key) => LengthOf(key) is > 0 and <= StoreLimits.MaxKeyBytes && !key.Any(char.IsControl);

    /// <summary>Bytes of a text in UTF-8.</summary>
    /// <exception cref="StoreRefusedException">It is not Unicode.</exception>
    public static byte[] Bytes(string text)
    {
        try
        {
            return Strict.GetBytes(text);
        }
        catch (EncoderFallbackException)
        {
            throw Refused($"{Show(text)}: must be Unicode");
        }
    }

    /// <summary>A text out of bytes; null if they are no UTF-8.</summary>
    public static string? Text(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }

    /// <summary>The first bytes that are behind all that begins with a prefix; a single zero, which etcd reads as "no end", for "".</summary>
    public static byte[] EndOf(ReadOnlySpan<byte> prefix)
    {
        // No byte of UTF-8 is 0xFF, but whose bytes these are is not known here.
        for (var last = prefix.Length - 1; last >= 0; last--)
        {
            if (prefix[last] == 0xFF) continue;
            var end = prefix[..(last + 1)].ToArray();
            end[last]++;
            return end;
        }

        return [0];
    }

    /// <summary>A key for a message: short, and in one line.</summary>
    public static string Show(string key)
    {
        var shown = string.Concat(key.Take(80).Select(static c => char.IsControl(c) || char.IsSurrogate(c) ? '?' : c));
        return key.Length > 80 ? $"{shown}..." : shown;
    }

    private static int CheckKey(string key)
    {
        var length = LengthOf(key);
        if (length is <= 0 or > StoreLimits.MaxKeyBytes) throw Refused($"key {Show(key)}: must be 1 to {StoreLimits.MaxKeyBytes} bytes of Unicode");
        return key.Any(char.IsControl) ? throw Refused($"key {Show(key)}: must have no control characters") : length;
    }

    private static int CheckValue(string key, string? value)
    {
        if (value is null) return 0;
        var length = LengthOf(value);
        return length is >= 0 and <= StoreLimits.MaxValueBytes ? length : throw Refused($"key {Show(key)}: its value must be at most {StoreLimits.MaxValueBytes} bytes of Unicode");
    }

    // -1 if it is not Unicode; counts no longer than needed to see that it is too long.
    private static int LengthOf(string text)
    {
        if (text.Length > StoreLimits.MaxTransactionBytes) return int.MaxValue;
        try
        {
            return Strict.GetByteCount(text);
        }
        catch (EncoderFallbackException)
        {
            return -1;
        }
    }

    private static StoreRefusedException Refused(string message) => new(message);
}
