using Sleeve.Bench.EndToEnd;
using Sleeve.Bench.EndToEnd.Cli;

namespace Sleeve.Bench.Tests;

/// <summary>What <c>bench/run</c> makes of its words.</summary>
public sealed class CommandLineTests
{
    [Fact]
    public void Without_words_everything_is_measured_five_times()
    {
        var plan = Read("");
        Assert.Equal((5, 3, 60, false), (plan.Rounds, plan.Seconds, plan.SteadySeconds, plan.IsQuick));
        Assert.Equal([1500, 9000], plan.Mtus);
        Assert.Equal(Plan.WorkloadNames, plan.Workloads);
        Assert.Contains(plan.Contenders, static contender => contender.Name == "sleeve-tunnel-gso");
    }

    [Fact]
    public void The_kernel_is_always_there_because_ratios_are_taken_to_it() =>
        Assert.Equal(["kernel", "sleeve", "ovs"], Read("--only ovs,sleeve").Contenders.Select(static contender => contender.Name));

    [Fact]
    public void A_quick_run_is_planned_to_take_less_than_three_minutes()
    {
        var plan = Read("--quick");
        Assert.InRange(plan.Estimate, TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(180));
        Assert.Equal(Plan.WorkloadNames, plan.Workloads);
    }

    [Theory]
    [InlineData("--only nobody", "--only nobody: must be one of")]
    [InlineData("--workload all", "--workload all: must be one of")]
    [InlineData("--mtu 1500,big", "--mtu big: must be 1350 to 65535")]
    [InlineData("--rounds 0", "--rounds 0: must be 1 to 100")]
    public void A_word_that_means_nothing_is_refused_with_what_would(string words, string error)
    {
        var errors = BenchCommand.TryRead(BenchCommand.Create().Parse(words), out var plan);
        Assert.StartsWith(error, Assert.Single(errors), StringComparison.Ordinal);
        Assert.Null(plan);
    }

    private static Plan Read(string words)
    {
        Assert.Empty(BenchCommand.TryRead(BenchCommand.Create().Parse(words), out var plan));
        return plan!;
    }
}
