using System.Globalization;

namespace Sleeve.Control.Doctor.Checks;

/// <summary>
/// The clocks. Nothing in the frame path needs the time of day, so one that is wrong is a remark; but ageing, limits and guard rails count by the monotonic clock.
/// </summary>
internal sealed class ClockCheck : ICheck
{
    private const double Step = 2;

    /// <inheritdoc/>
    public string Name => "clock";

    /// <inheritdoc/>
    public IEnumerable<Finding> Examine(Patient patient)
    {
        var clock = patient.Host.Clock;
        if (clock.RanBackwards)
            yield return Finding.Error("", "the monotonic clock ran backwards: ageing and limits go wrong", "another clock source: echo hpet > /sys/devices/system/clocksource/clocksource0/current_clocksource, and look into dmesg");
        foreach (var vtep in patient.Known())
        {
            if (vtep.Details is { } details && Math.Abs(details.ClockStepSeconds) >= Step)
                yield return Finding.Ok(vtep.Name, string.Create(CultureInfo.InvariantCulture, $"the time of day was set by {details.ClockStepSeconds:+0.#;-0.#} s since it started; frames, ageing and limits do not go by it, time stamps do"));
        }

        if (clock.RanBackwards) yield break;
        yield return clock.IsSynchronised switch
        {
            true => Finding.Ok("", string.Create(CultureInfo.InvariantCulture, $"kept right by NTP, to some {Math.Max(clock.EstimatedErrorMicroseconds / 1000.0, 0.1):0.#} ms")),
            false => Finding.Ok("", "not kept right by NTP (adjtimex): captures and logs of two hosts cannot be laid side by side"),
            null => Finding.Skipped("", "adjtimex does not answer"),
        };
    }
}
