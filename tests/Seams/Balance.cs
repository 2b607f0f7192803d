using Sleeve.DataPlane.Pipeline;

namespace Sleeve.Seams;

/// <summary>The two sums of <see cref="Counters"/>: every frame ends in exactly one place.</summary>
public static class Balance
{
    public static long DropsOut(Counters counters) => Enum.GetValues<DropReason>().Sum(counters.DropsOut);

    public static long DropsIn(Counters counters) => Enum.GetValues<DropReason>().Sum(counters.DropsIn);

    /// <summary>Null if both sums balance, else what does not.</summary>
    public static string? Check(Counters counters)
    {
        var outLeft = counters[Counter.TapReceived] + counters[Counter.Replicated];
        var outRight = counters[Counter.DatagramsSent] + counters[Counter.Proxied] + DropsOut(counters);
        var inLeft = counters[Counter.DatagramsReceived];
        var inRight = counters[Counter.TapSent] + DropsIn(counters);
        return outLeft != outRight ? $"out: {outLeft} came, {outRight} went"
            : inLeft != inRight ? $"in: {inLeft} came, {inRight} went"
            : null;
    }
}
