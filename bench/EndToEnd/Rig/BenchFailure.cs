namespace Sleeve.Bench.EndToEnd.Rig;

/// <summary>A system could not be set up, or a measurement has no result. The run reports it and goes on.</summary>
internal sealed class BenchFailure : Exception
{
    /// <summary>Says what did not work.</summary>
    public BenchFailure(string message)
        : base(message)
    {
    }

    /// <summary>Says what did not work, and why.</summary>
    public BenchFailure(string message, Exception reason)
        : base(message, reason)
    {
    }
}
