using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Sleeve.Bench.EndToEnd.Rig;

namespace Sleeve.Bench.EndToEnd.Measure;

/// <summary>Where a run was made, and with what.</summary>
/// <param name="Cpu">Model of the processor.</param>
/// <param name="Cores">Logical processors.</param>
/// <param name="MemoryGib">Of the machine.</param>
/// <param name="Kernel">Version of the kernel.</param>
/// <param name="Distribution">Of the system.</param>
/// <param name="Commit">Of the repository; with "+" if files were changed since.</param>
/// <param name="BusyBefore">Share of the CPU, 0 to 1, that something else used in the second before the run.</param>
/// <param name="Versions">Of every program that took part.</param>
internal sealed partial record MachineInfo(
    string Cpu, int Cores, double MemoryGib, string Kernel, string Distribution, string Commit, double BusyBefore, IReadOnlyDictionary<string, string> Versions)
{
    private const string Unknown = "unknown";

    [GeneratedRegex(@"\d+\.\d+[\w.+~-]*")]
    private static partial Regex Version { get; }

    /// <summary>Looks.</summary>
    /// <param name="root">Folder of the repository.</param>
    public static MachineInfo Read(string root)
    {
        var before = Measure.Cpu.Read([]);
        Thread.Sleep(1000);
        var busy = (Measure.Cpu.Read([]) - before).Machine / Environment.ProcessorCount;
        var versions = new Dictionary<string, string>
        {
            [".NET"] = RuntimeInformation.FrameworkDescription.Replace(".NET ", "", StringComparison.Ordinal),
            ["iproute2"] = VersionOf("ip", "-V"),
            ["iperf3"] = VersionOf("iperf3", "--version"),
            ["sockperf"] = VersionOf("sockperf", "--version"),
            ["Open vSwitch"] = VersionOf("ovs-vswitchd", "--version"),
            ["tinc"] = VersionOf("tincd", "--version"),
        };
        return new MachineInfo(
            FieldOf("/proc/cpuinfo", "model name") ?? RuntimeInformation.ProcessArchitecture.ToString(),
            Environment.ProcessorCount,
            Math.Round((Memory.Parse(File.ReadAllText("/proc/meminfo")).GetValueOrDefault("MemTotal")) / 1024, 1),
            File.ReadAllText("/proc/sys/kernel/osrelease").Trim(),
            FieldOf("/etc/os-release", "PRETTY_NAME") ?? Unknown,
            CommitOf(root), Math.Round(busy, 3), versions);
    }

    private static string VersionOf(string program, string word)
    {
        try
        {
            var said = Command.Try(TimeSpan.FromSeconds(5), program, word);
            return Version.Match(said.Output + said.Errors) is { Success: true } match ? match.Value : Unknown;
        }
        catch (BenchFailure)
        {
            return "not installed";
        }
    }

    private static string CommitOf(string root)
    {
        try
        {
            var commit = Command.Try(TimeSpan.FromSeconds(5), "git", "-C", root, "-c", "safe.directory=*", "describe", "--always", "--dirty=+", "--exclude=*");
            return commit.Code == 0 ? commit.Output.Trim() : Unknown;
        }
        catch (BenchFailure)
        {
            return Unknown;
        }
    }

    private static string? FieldOf(string file, string name) => File.Exists(file)
        ? File.ReadLines(file).Select(static line => line.Split([':', '='], 2)).FirstOrDefault(words => words.Length == 2 && words[0].Trim() == name)?[1].Trim().Trim('"')
        : null;

    /// <summary>The machine in a line.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Cpu}, {Cores} cores, {MemoryGib} GiB, kernel {Kernel}, {Distribution}");
}
