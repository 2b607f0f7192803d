using System.Globalization;

namespace Sleeve.Bench.EndToEnd.Measure;

/// <summary>CPU time used so far.</summary>
/// <param name="Processes">Seconds of the processes asked for, user and system, by /proc/PID/stat: steps of 10 ms.</param>
/// <param name="Machine">Seconds of all cores that were neither idle nor waiting for a disk, by /proc/stat: everything on the machine, load included.</param>
internal readonly record struct Cpu(double Processes, double Machine)
{
    // USER_HZ of proc(5): 100 on every Linux architecture that .NET runs on.
    private const double TicksPerSecond = 100;
    private const int UserField = 13;
    private const int IdleField = 3;
    private const int DiskWaitField = 4;
    private const int GuestField = 8;

    /// <summary>Reads the clocks. A process that has ended counts for nothing.</summary>
    public static Cpu Read(IReadOnlyList<int> processes)
    {
        double own = 0;
        foreach (var id in processes)
        {
            try
            {
                own += ParseProcess(File.ReadAllText($"/proc/{id}/stat"));
            }
            catch (IOException)
            {
                // Ended.
            }
        }

        return new Cpu(own, ParseMachine(File.ReadLines("/proc/stat").First()));
    }

    /// <summary>What was used between two readings.</summary>
    public static Cpu operator -(Cpu after, Cpu before) => new(after.Processes - before.Processes, after.Machine - before.Machine);

    /// <summary>Seconds out of a line of /proc/PID/stat; the name in parentheses may hold anything.</summary>
    internal static double ParseProcess(string stat)
    {
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        // The state that follows the name is field 3 of proc(5), here 0.
        return (Number(fields[UserField - 2]) + Number(fields[UserField - 1])) / TicksPerSecond;
    }

    /// <summary>Seconds out of the first line of /proc/stat.</summary>
    internal static double ParseMachine(string line)
    {
        var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..];
        double busy = 0;
        // Guest time is in user time already.
        for (var i = 0; i < Math.Min(fields.Length, GuestField); i++)
            if (i is not (IdleField or DiskWaitField)) busy += Number(fields[i]);
        return busy / TicksPerSecond;
    }

    private static double Number(string field) => double.Parse(field, CultureInfo.InvariantCulture);
}
