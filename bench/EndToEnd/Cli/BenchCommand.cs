using System.CommandLine;
using Sleeve.Bench.EndToEnd.Measure;
using Sleeve.Bench.EndToEnd.Report;
using Sleeve.Bench.EndToEnd.Rig;
using Sleeve.Bench.EndToEnd.Systems;

namespace Sleeve.Bench.EndToEnd.Cli;

/// <summary>The command line of <c>bench/run</c>.</summary>
internal static class BenchCommand
{
    /// <summary>Set by bench/run inside the namespaces that it makes: outside them this program would change the host's.</summary>
    public const string InsideVariable = "SLEEVE_BENCH_INSIDE";

    private const int Done = 0;
    private const int Failed = 1;
    private const int BadInput = 2;
    private const int DefaultRounds = 5;
    private const int DefaultSeconds = 3;
    private const int DefaultSteadySeconds = 60;
    private static readonly int[] DefaultMtus = [1500, 9000];
    private static readonly string[] QuickSystems = ["veth", "kernel", "sleeve", "ovs", "tinc", "sleeve-kernel", "kernel-sleeve"];

    private static readonly Option<bool> Quick = new("--quick") { Description = "Under three minutes: two rounds of a second, fewer systems, some parts left out." };
    private static readonly Option<int?> Rounds = new("--rounds") { HelpName = "N", Description = $"Turns of each system. [{DefaultRounds}]" };
    private static readonly Option<int?> Seconds = new("--seconds") { HelpName = "N", Description = $"Seconds of each measurement. [{DefaultSeconds}]" };
    private static readonly Option<int?> SteadySeconds = new("--steady-seconds") { HelpName = "N", Description = $"Seconds of each half of the steady run. [{DefaultSteadySeconds}]" };
    private static readonly Option<string[]> Only = Listed("--only", "SYSTEM,…", "Only these systems; the kernel, which ratios are taken to, is added. [all]");
    private static readonly Option<string[]> Workload = Listed("--workload", "WORKLOAD,…", "Only these workloads. [all]");
    private static readonly Option<string[]> Mtu = Listed("--mtu", "BYTES,…", "MTUs of the underlay. [1500,9000]");
    private static readonly Option<string> Out = new("--out") { HelpName = "DIR", Description = "Where report.html, report.md, run.csv and run.json are written. [artifacts/bench]" };
    private static readonly Option<bool> Json = new("--json") { Description = "Print the run as JSON instead of tables." };
    private static readonly Option<string?> From = new("--from") { HelpName = "FILE", Description = "Measure nothing: write the reports of an earlier run.json again." };
    private static readonly Option<string?> Sleeve = new("--sleeve") { HelpName = "PATH", Description = "The sleeve executable. [the one built here]" };

    /// <summary>Makes the command.</summary>
    public static RootCommand Create()
    {
        var command = new RootCommand(
            $"""
            Compares Sleeve end to end with the kernel's vxlan device, Open vSwitch in user space, tinc and no tunnel at all, in turns within one run.

            Systems: {string.Join(", ", Contender.All.Select(static contender => contender.Name))}
            Workloads: {string.Join(", ", Plan.WorkloadNames)}

            Examples:
              bench/run --quick                              does everything work?
              bench/run                                      the whole run; says at its start how long it will take
              bench/run --only sleeve,ovs --workload tcp,udp --mtu 1500
              bench/run --workload steady --only sleeve      does the garbage collector stay out of it for a minute?
              bench/run --rounds 9 --seconds 5 --out /tmp/run
            """);
        foreach (var option in (Option[])[Quick, Rounds, Seconds, Only, Workload, Mtu, SteadySeconds, Out, Json, From, Sleeve]) command.Options.Add(option);
        command.SetAction(Run);
        return command;
    }

    private static int Run(ParseResult result)
    {
        var root = FindRoot();
        var folder = result.GetValue(Out) ?? Path.Combine(root, "artifacts", "bench");
        if (result.GetValue(From) is { } file)
        {
            foreach (var path in ReportFiles.Write(ReportFiles.FromJson(File.ReadAllText(file)), folder)) Console.Error.WriteLine($"bench: wrote {path}");
            return Done;
        }

        var errors = TryRead(result, out var plan);
        var sleeve = result.GetValue(Sleeve) ?? Environment.GetEnvironmentVariable("SLEEVE") ?? Path.Combine(root, "src/Control/bin/Release/net10.0/sleeve");
        if (!File.Exists(sleeve)) errors.Add($"--sleeve {sleeve}: there is no such file; bench/run builds it");
        if (Environment.GetEnvironmentVariable(InsideVariable) != "1") errors.Add("not inside namespaces of its own: use bench/run");
        foreach (var error in errors) Console.Error.WriteLine($"bench: {error}");
        return errors.Count > 0 ? BadInput : Measure(plan!, Path.GetFullPath(sleeve), root, folder, result.GetValue(Json));
    }

    private static int Measure(Plan plan, string sleeve, string root, string folder, bool asJson)
    {
        Console.Error.WriteLine($"bench: {plan.Contenders.Count} systems, {plan.Rounds} rounds of {plan.Seconds} s, underlay MTU {string.Join(" and ", plan.Mtus)}: some {plan.Estimate.TotalMinutes:0.#} minutes");
        var machine = MachineInfo.Read(root);
        Console.Error.WriteLine($"bench: {machine}");
        if (machine.BusyBefore > 0.05) Console.Error.WriteLine($"bench: something else uses {machine.BusyBefore:P0} of this machine: the figures will be of little use");
        var run = new Runner(plan, sleeve, Console.Error.WriteLine).Run(machine);
        var paths = ReportFiles.Write(run, folder);
        if (asJson) Console.Out.WriteLine(ReportFiles.ToJson(run));
        else Screen.Show(new Summary(run));
        foreach (var path in paths) Console.Error.WriteLine($"bench: wrote {path}");
        // Something that was asked for and gave nothing at all is a failure of the run; a system that is not available here is not.
        return run.Samples.Count + run.Steady.Count > 0 ? Done : Failed;
    }

    /// <summary>Reads what is to be measured.</summary>
    /// <returns>Every error; none if there is a plan.</returns>
    internal static List<string> TryRead(ParseResult result, out Plan? plan)
    {
        var errors = new List<string>();
        var isQuick = result.GetValue(Quick);
        var systems = result.GetValue(Only) is { Length: > 0 } only ? only : isQuick ? QuickSystems : [.. Contender.All.Select(static contender => contender.Name)];
        foreach (var name in systems.Where(static name => Contender.Find(name) is null))
            errors.Add($"--only {name}: must be one of {string.Join(", ", Contender.All.Select(static contender => contender.Name))}");
        var workloads = result.GetValue(Workload) is { Length: > 0 } some ? some : [.. Plan.WorkloadNames];
        foreach (var name in workloads.Except(Plan.WorkloadNames)) errors.Add($"--workload {name}: must be one of {string.Join(", ", Plan.WorkloadNames)}");
        var mtus = new List<int>();
        foreach (var word in result.GetValue(Mtu) is { Length: > 0 } words ? words : [.. DefaultMtus.Select(static mtu => $"{mtu}")])
        {
            if (int.TryParse(word, out var mtu) && mtu is >= 1350 and <= 65535) mtus.Add(mtu);
            else errors.Add($"--mtu {word}: must be 1350 to 65535");
        }

        plan = new Plan
        {
            Contenders = [.. Contender.All.Where(contender => systems.Contains(contender.Name) || contender.Name == Contender.Baseline)],
            Workloads = workloads,
            Mtus = mtus,
            Rounds = Number(Rounds, isQuick ? 2 : DefaultRounds, 100),
            Seconds = Number(Seconds, isQuick ? 1 : DefaultSeconds, 600),
            SteadySeconds = Number(SteadySeconds, isQuick ? 3 : DefaultSteadySeconds, 86_400),
            IsQuick = isQuick,
        };
        if (errors.Count > 0) plan = null;
        return errors;

        int Number(Option<int?> option, int fallback, int max)
        {
            var value = result.GetValue(option) ?? fallback;
            if (value < 1 || value > max) errors.Add($"{option.Name} {value}: must be 1 to {max}");
            return value;
        }
    }

    private static Option<string[]> Listed(string name, string help, string description) => new(name)
    {
        HelpName = help,
        Description = description,
        CustomParser = static argument => [.. argument.Tokens.SelectMany(static token => token.Value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)).Distinct()],
        AllowMultipleArgumentsPerToken = false,
    };

    private static string FindRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Sleeve.slnx")))
            folder = Path.GetDirectoryName(folder) ?? throw new BenchFailure("this program must stay in the repository that it was built in");
        return folder;
    }
}
