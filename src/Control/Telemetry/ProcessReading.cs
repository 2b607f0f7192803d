using System.Diagnostics;
using System.Globalization;

namespace Sleeve.Control.Telemetry;

/// <summary>What the kernel says about this process and its threads (proc(5)). Where there is no /proc, or it hides something, that is 0.</summary>
internal static class ProcessReading
{
    // USER_HZ: what proc(5) counts CPU time in; 100 on every architecture that .NET runs on.
    private const double TicksPerSecond = 100;

    // proc_pid_stat(5), from 1; the second, the program's name in parentheses, may have blanks in it.
    private const int UserTimeField = 14;
    private const int SystemTimeField = 15;
    private const int FirstAfterName = 3;

    /// <summary>When it started, seconds since 1970.</summary>
    public static double StartSeconds { get; } = (Process.GetCurrentProcess().StartTime.ToUniversalTime() - DateTime.UnixEpoch).TotalSeconds;

    /// <summary>CPU time of all its threads in seconds.</summary>
    public static (double User, double System) CpuSeconds => ReadTimes("/proc/self/stat");

    /// <summary>Bytes of its memory that are in RAM.</summary>
    public static long ResidentBytes => ReadText("/proc/self/statm").Split(' ') is [_, var pages, ..] && TryNumber(pages, out var count) ? count * Environment.SystemPageSize : 0;

    /// <summary>Descriptors that are open.</summary>
    public static long OpenDescriptors => CountOf("/proc/self/fd");

    /// <summary>Its threads, those of the runtime too.</summary>
    public static long Threads => CountOf("/proc/self/task");

    /// <summary>Descriptors that may be open (RLIMIT_NOFILE).</summary>
    public static long DescriptorLimit =>
        ReadText("/proc/self/limits").Split('\n').FirstOrDefault(static line => line.StartsWith("Max open files", StringComparison.Ordinal)) is { } line
        && line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, _, _, var soft, ..] && TryNumber(soft, out var limit) ? limit : 0;

    /// <summary>CPU time of one thread in seconds, in steps of a hundredth.</summary>
    /// <param name="threadId">As the kernel numbers it; 0 for one that never ran.</param>
    public static (double User, double System) CpuSecondsOf(int threadId) =>
        threadId == 0 ? default : ReadTimes(string.Create(CultureInfo.InvariantCulture, $"/proc/self/task/{threadId}/stat"));

    private static (double User, double System) ReadTimes(string path)
    {
        var text = ReadText(path);
        var fields = text[(text.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return fields.Length > SystemTimeField - FirstAfterName
            && TryNumber(fields[UserTimeField - FirstAfterName], out var user) && TryNumber(fields[SystemTimeField - FirstAfterName], out var system)
            ? (user / TicksPerSecond, system / TicksPerSecond)
            : default;
    }

    private static bool TryNumber(string text, out long value) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);

    private static long CountOf(string folder)
    {
        try
        {
            return Directory.EnumerateFileSystemEntries(folder).LongCount();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }

    private static string ReadText(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // A thread that has ended, or no /proc.
            return "";
        }
    }
}
