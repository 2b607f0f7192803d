using System.Globalization;

namespace Sleeve.Bench.EndToEnd.Measure;

/// <summary>Memory of processes.</summary>
/// <param name="Pss">Proportional set size, MiB: pages shared with others count by their share. What the process costs the machine.</param>
/// <param name="Rss">Resident set size, MiB: shared pages count whole. What `top` shows.</param>
internal readonly record struct ProcessMemory(double Pss, double Rss);

/// <summary>Reads memory of processes and of the kernel.</summary>
internal static class Memory
{
    private const double KibPerMib = 1024;
    private static readonly string[] KernelFields = ["Slab", "Percpu", "VmallocUsed", "KernelStack"];

    /// <summary>Sum over processes, by /proc/PID/smaps_rollup.</summary>
    public static ProcessMemory Read(IReadOnlyList<int> processes)
    {
        double pss = 0, rss = 0;
        foreach (var id in processes)
        {
            var fields = Parse(File.ReadAllText($"/proc/{id}/smaps_rollup"));
            pss += fields.GetValueOrDefault("Pss");
            rss += fields.GetValueOrDefault("Rss");
        }

        return new ProcessMemory(pss, rss);
    }

    /// <summary>
    /// MiB that the kernel holds for itself, by /proc/meminfo. Of the whole machine: only differences mean something, and only on a quiet one.
    /// </summary>
    public static double ReadKernel()
    {
        var fields = Parse(File.ReadAllText("/proc/meminfo"));
        return KernelFields.Sum(fields.GetValueOrDefault);
    }

    /// <summary>Lines of the form "Name:   123 kB", in MiB.</summary>
    internal static Dictionary<string, double> Parse(string text)
    {
        var fields = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (var line in text.Split('\n'))
        {
            var words = line.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
            if (words is [var name, var value, "kB"] && double.TryParse(value, CultureInfo.InvariantCulture, out var kib)) fields[name.TrimEnd(':')] = kib / KibPerMib;
        }

        return fields;
    }
}
