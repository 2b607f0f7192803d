using Sleeve.Bench.EndToEnd.Measure;
using Sleeve.Bench.EndToEnd.Report;

namespace Sleeve.Bench.Tests;

/// <summary>The arithmetic that every figure goes through.</summary>
public sealed class StatisticsTests
{
    [Theory]
    [InlineData(new[] { 3.0 }, 3, 3, 3)]
    [InlineData(new[] { 3.0, 1, 2 }, 2, 1, 3)]
    [InlineData(new[] { 4.0, 1, 2, 30 }, 3, 1, 30)]
    [InlineData(new[] { 5.0, 5, 5, 5, 1000 }, 5, 5, 1000)]
    public void A_spread_is_the_middle_the_smallest_and_the_largest(double[] values, double median, double min, double max) =>
        Assert.Equal(new Spread(median, min, max, values.Length), Spread.Of(values));

    [Fact]
    public void Nothing_has_no_spread() => Assert.Null(Spread.Of([]));

    [Fact]
    public void Ratios_are_taken_within_a_round_and_rounds_without_both_sides_are_left_out()
    {
        var values = new Dictionary<int, double> { [1] = 5, [2] = 20, [3] = 7, [5] = 1 };
        var baseline = new Dictionary<int, double> { [1] = 10, [2] = 20, [4] = 9, [5] = 0 };
        Assert.Equal(new Spread(0.75, 0.5, 1, 2), Spread.OfRatios(values, baseline));
        Assert.Null(Spread.OfRatios(values, new Dictionary<int, double>()));
    }

    [Fact]
    public void A_summary_puts_the_median_of_the_rounds_ratios_beside_the_values()
    {
        var summary = new Summary(Runs.Small);
        Assert.Equal(new Cell(new Spread(12.5, 5, 20, 2), new Spread(0.75, 0.5, 1, 2)), summary.Of("sleeve", 1500, "tcp-1"));
        // OVS lost its first round: only the second counts, against the kernel's second.
        Assert.Equal(new Cell(new Spread(1, 1, 1, 1), new Spread(0.05, 0.05, 0.05, 1)), summary.Of("ovs", 1500, "tcp-1"));
        Assert.Equal(new Spread(0.25, 0.25, 0.25, 1), summary.Of("sleeve", 1500, "flows", 10_000)!.Ratio);
        Assert.Null(summary.Of("sleeve", 1500, "tcp-1-cpu-vtep")!.Ratio);
        Assert.Null(summary.Of("tinc", 1500, "tcp-1"));
    }

    [Theory]
    [InlineData(0, "0")]
    [InlineData(0.00123, "0.0012")]
    [InlineData(0.1234, "0.123")]
    [InlineData(1.234, "1.23")]
    [InlineData(12.345, "12.3")]
    [InlineData(1234.4, "1,234")]
    public void Figures_have_no_more_digits_than_mean_something(double value, string shown) => Assert.Equal(shown, Figure.Show(value));
}
