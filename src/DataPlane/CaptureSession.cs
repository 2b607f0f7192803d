using Sleeve.DataPlane.Pipeline;

namespace Sleeve.DataPlane;

/// <summary>A capture under way: a ring a worker. Ends with <see cref="Dispose"/>; one thread reads.</summary>
public sealed class CaptureSession : IDisposable
{
    private readonly Action _stop;
    private int _isOver;

    internal CaptureSession(IReadOnlyList<CaptureRing> rings, Action stop)
    {
        Rings = rings;
        _stop = stop;
    }

    /// <summary>Packets, a ring a worker.</summary>
    public IReadOnlyList<CaptureRing> Rings { get; }

    /// <summary>Packets left out because the reader was too slow.</summary>
    public long Lost => Rings.Sum(static ring => ring.Lost);

    /// <summary>Nanoseconds since 1970, UTC, in steps of 100.</summary>
    internal static long NowNanoseconds() => (DateTime.UtcNow.Ticks - DateTime.UnixEpoch.Ticks) * 100;

    /// <summary>Ends the capture: workers copy no more. What stands in the rings can still be read.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isOver, 1) == 0) _stop();
    }
}
