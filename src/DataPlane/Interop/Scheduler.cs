namespace Sleeve.DataPlane.Interop;

/// <summary>What a thread may ask of the scheduler.</summary>
public static class Scheduler
{
    /// <summary>Lets another thread that waits for this core have it first (sched_yield(2)).</summary>
    public static void Yield() => _ = LibC.sched_yield();
}
