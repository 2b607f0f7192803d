using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Perfolizer.Horology;

namespace Sleeve.Bench.Micro;

/// <summary>
/// Costs per frame of every stage and of the whole path over seams in memory. <c>dotnet run -c Release --project bench/micro -- --filter '*'</c>;
/// with <c>--quick</c> in front for a first look. In-process, because the benchmarks share nothing and BenchmarkDotNet 0.14 knows no .NET 10.
/// </summary>
internal static class Program
{
    private static int Main(string[] arguments)
    {
        var isQuick = arguments.Contains("--quick");
        if (arguments is ["--profile", var path, var seconds]) return Profile.Run(path, int.Parse(seconds, System.Globalization.CultureInfo.InvariantCulture));
        // Warm long enough for the tiered compiler to finish. Many short iterations: the machines that this runs on are shared, so the least is
        // nearer to the truth than the mean.
        var job = Job.Default.WithToolchain(InProcessEmitToolchain.Instance)
            .WithWarmupCount(isQuick ? 15 : 25)
            .WithIterationCount(isQuick ? 8 : 25)
            .WithIterationTime(TimeInterval.FromMilliseconds(isQuick ? 40 : 60));
        var config = ManualConfig.CreateEmpty()
            .AddJob(job)
            .AddLogger(ConsoleLogger.Default)
            .AddColumnProvider(DefaultColumnProviders.Params)
            .AddColumn(TargetMethodColumn.Type, TargetMethodColumn.Method, StatisticColumn.Median, StatisticColumn.Min, StatisticColumn.StdDev)
            .AddColumnProvider(DefaultColumnProviders.Metrics)
            .AddDiagnoser(MemoryDiagnoser.Default)
            .AddExporter(MarkdownExporter.GitHub)
            .WithOptions(ConfigOptions.JoinSummary);
        var summaries = BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(arguments.Where(argument => argument != "--quick").ToArray(), config);
        return summaries.All(summary => summary.Reports.All(report => report.Success)) ? 0 : 1;
    }
}
