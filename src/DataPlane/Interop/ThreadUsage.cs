namespace Sleeve.DataPlane.Interop;

/// <summary>What the scheduler says of the calling thread (getrusage(2), RUSAGE_THREAD).</summary>
public static unsafe class ThreadUsage
{
    /// <summary>How often the core was taken from it although it had work to do (ru_nivcsw); 0 if the kernel does not say.</summary>
    public static long Preemptions
    {
        get
        {
            LibC.rusage usage;
            return LibC.getrusage(LibC.RUSAGE_THREAD, &usage) == 0 ? usage.ru_nivcsw : 0;
        }
    }

    /// <summary>Processor time it has used, in microseconds.</summary>
    public static long ProcessorMicroseconds
    {
        get
        {
            LibC.rusage usage;
            return LibC.getrusage(LibC.RUSAGE_THREAD, &usage) == 0 ? ((usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1_000_000L) + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec : 0;
        }
    }
}
