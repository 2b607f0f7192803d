namespace Sleeve.DataPlane.Pipeline;

/// <summary>
/// What one worker counted on one segment. Only the worker writes; anybody reads. The sums balance:
/// <c>TapReceived + Replicated = DatagramsSent + Proxied + drops on the way out</c> and
/// <c>DatagramsReceived = TapSent + drops on the way in</c>.
/// </summary>
public sealed class Counters
{
    private static readonly int CounterCount = Enum.GetValues<Counter>().Length;
    private readonly long[] _counts = new long[CounterCount];
    private readonly long[] _dropsOut = new long[DropReasons.Count];
    private readonly long[] _dropsIn = new long[DropReasons.Count];

    /// <summary>Reads a counter.</summary>
    public long this[Counter counter] => Volatile.Read(ref _counts[(int)counter]);

    /// <summary>Frames dropped between TAP and underlay.</summary>
    public long DropsOut(DropReason reason) => Volatile.Read(ref _dropsOut[(int)reason]);

    /// <summary>Datagrams dropped between underlay and TAP.</summary>
    public long DropsIn(DropReason reason) => Volatile.Read(ref _dropsIn[(int)reason]);

    /// <summary>Adds up what several workers counted, as it stands now.</summary>
    public static Counters Sum(IEnumerable<Counters> parts)
    {
        ArgumentNullException.ThrowIfNull(parts);
        var sum = new Counters();
        foreach (var part in parts)
        {
            Add(sum._counts, part._counts);
            Add(sum._dropsOut, part._dropsOut);
            Add(sum._dropsIn, part._dropsIn);
        }

        return sum;

        static void Add(long[] sum, long[] part)
        {
            for (var i = 0; i < sum.Length; i++) sum[i] += Volatile.Read(ref part[i]);
        }
    }

    internal void Count(Counter counter) => _counts[(int)counter]++;

    internal void Count(Counter counter, long by) => _counts[(int)counter] += by;

    /// <summary>The last reason that was counted, for whoever captures; the worker's own.</summary>
    internal DropReason? LastDrop { get; set; }

    internal void DropOut(DropReason reason, int frames = 1)
    {
        _dropsOut[(int)reason] += frames;
        LastDrop = reason;
    }

    internal void DropIn(DropReason reason, int frames = 1)
    {
        _dropsIn[(int)reason] += frames;
        LastDrop = reason;
    }
}
