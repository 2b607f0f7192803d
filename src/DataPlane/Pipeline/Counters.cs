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

    internal void Count(Counter counter) => _counts[(int)counter]++;

    internal void Count(Counter counter, long by) => _counts[(int)counter] += by;

    internal void DropOut(DropReason reason) => _dropsOut[(int)reason]++;

    internal void DropIn(DropReason reason) => _dropsIn[(int)reason]++;
}
