namespace Sleeve.DataPlane.Interop;

/// <summary>What the kernel says of its clock (adjtimex(2)).</summary>
/// <param name="IsSynchronised">Whether something keeps it right, such as NTP.</param>
/// <param name="EstimatedErrorMicroseconds">How far it may be off, if so.</param>
public readonly record struct ClockDiscipline(bool IsSynchronised, long EstimatedErrorMicroseconds)
{
    /// <summary>Asks; null if the kernel does not answer.</summary>
    public static unsafe ClockDiscipline? Read()
    {
        LibC.timex state = default;
        return LibC.adjtimex(&state) < 0 ? null : new ClockDiscipline((state.status & LibC.STA_UNSYNC) == 0, state.esterror);
    }
}
