namespace Sleeve.Control.Peers;

/// <summary>How often VTEPs say hello to each other, and what is made of it.</summary>
internal sealed record LivenessOptions
{
    /// <summary>Milliseconds between two hellos, at least.</summary>
    public const int MinInterval = 50;

    /// <summary>Milliseconds between two hellos, at most.</summary>
    public const int MaxInterval = 60_000;

    /// <summary>Milliseconds between two hellos to a VTEP. Default 300.</summary>
    public int IntervalMilliseconds { get; init; } = 300;

    /// <summary>Intervals without a hello after which a VTEP is down, 2 or more. Default 3.</summary>
    public int Multiplier { get; init; } = 3;

    /// <summary>How long a VTEP that flaps is held down at first. Default 1 s.</summary>
    public TimeSpan LeastHold { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long at most. Default 30 s.</summary>
    public TimeSpan LongestHold { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a VTEP has to be up without a break for one of its flaps to be forgotten. Default 60 s.</summary>
    public TimeSpan Memory { get; init; } = TimeSpan.FromSeconds(60);
}
