using System.Security.Cryptography;

namespace Sleeve.DataPlane.Guards;

/// <summary>
/// A bucket for each of the stations that were busy of late, at most <see cref="Capacity"/>; whoever finds no place is not limited on its own. A
/// bucket that is full again can be anybody's, so nothing has to age. Hashed with a key, so that nobody can choose whose bucket to share. Any thread;
/// no lock, nothing allocated.
/// </summary>
internal sealed class StationBuckets(RateLimit limit)
{
    /// <summary>Stations that have a bucket at a time, at most: 16 bytes each.</summary>
    public const int Capacity = Sets * Ways;

    private const int Sets = 256;
    private const int Ways = 4;
    private static readonly ulong HashKey = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)) | 1;
    private readonly ulong[] _stations = new ulong[Capacity];
    private readonly long[] _buckets = new long[Capacity];

    /// <summary>Spreads a key over all bits; keyed anew in each process.</summary>
    public static ulong Mix(ulong key) => Mix(key, HashKey);

    // Folded twice: after once, stations that are numbered one after another share buckets under one key of a hundred.
    internal static ulong Mix(ulong key, ulong hashKey) => Fold(Fold(key ^ hashKey, 0x9E37_79B9_7F4A_7C15 ^ (hashKey << 1)) ^ 0xA076_1D64_78BD_642F, 0xE703_7ED1_A0B4_28DB);

    private static ulong Fold(ulong one, ulong other)
    {
        var product = Math.BigMul(one, other);
        return (ulong)product ^ (ulong)(product >> 64);
    }

    /// <summary>Takes tokens from a station's bucket.</summary>
    /// <param name="station">A number not 0: its MAC, or a hash of whatever it is.</param>
    /// <param name="frames">How many.</param>
    /// <param name="nowMilliseconds">The clock.</param>
    public bool TryTake(ulong station, int frames, long nowMilliseconds)
    {
        var first = (int)(Mix(station) % Sets) * Ways;
        for (var way = first; way < first + Ways; way++)
            if (Volatile.Read(ref _stations[way]) == station) return limit.TryTake(ref _buckets[way], frames, nowMilliseconds);

        for (var way = first; way < first + Ways; way++)
        {
            var before = Volatile.Read(ref _stations[way]);
            if (!RateLimit.IsIdle(Volatile.Read(ref _buckets[way]), nowMilliseconds)) continue;
            if (Interlocked.CompareExchange(ref _stations[way], station, before) == before) return limit.TryTake(ref _buckets[way], frames, nowMilliseconds);
        }

        return true;
    }
}
