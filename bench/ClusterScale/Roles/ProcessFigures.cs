using System.Globalization;

namespace Sleeve.Bench.ClusterScale.Roles;

/// <summary>What a process of the bench says of itself.</summary>
internal static class ProcessFigures
{
    /// <summary>CPU time so far, seconds.</summary>
    public static double Cpu => Environment.CpuUsage.TotalTime.TotalSeconds;

    /// <summary>Says CPU seconds, resident memory and its peak (MiB), and what is alive on the managed heap (MiB) after a collection.</summary>
    public static void Say(string word, params ReadOnlySpan<(string Name, double Value)> more)
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        var heap = GC.GetTotalMemory(forceFullCollection: true) / 1048576.0;
        RoleLines.Say(word, [("cpu", Cpu), ("rss", Status("VmRSS:")), ("peak", Status("VmHWM:")), ("heap", heap), .. more]);
    }

    private static double Status(string field) => File.ReadLines("/proc/self/status").Where(line => line.StartsWith(field, StringComparison.Ordinal))
        .Select(static line => double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) / 1024).First();
}
