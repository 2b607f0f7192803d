using Xunit.Abstractions;

namespace Sleeve.Simulation;

/// <summary>
/// Several VTEPs under chaos, then calm. SLEEVE_SIM_SEED replays one seed, SLEEVE_SIM_RUNS sets how many random ones are tried (3).
/// </summary>
public sealed class SimulationTests(ITestOutputHelper output)
{
    private const int Steps = 4000;

    private void Run(int seed)
    {
        output.WriteLine($"seed {seed}");
        try
        {
            var world = new World(seed);
            world.Chaos(Steps);
            world.CheckBalance();
            Assert.True(world.Delivered > Steps / 2, $"only {world.Delivered} frames delivered");
            world.Converge();
            world.CheckBalance();
        }
        catch (Exception exception)
        {
            throw new InvalidOperationException($"replay with SLEEVE_SIM_SEED={seed}: {exception.Message}", exception);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    [InlineData(7348)]
    [InlineData(4789)]
    public void VTEPs_keep_their_promises_under_chaos_and_converge_after_it(int seed) => Run(seed);

    [Fact]
    public void VTEPs_keep_their_promises_under_seeds_never_seen_before()
    {
        if (Environment.GetEnvironmentVariable("SLEEVE_SIM_SEED") is { Length: > 0 } seed)
        {
            Run(int.Parse(seed, System.Globalization.CultureInfo.InvariantCulture));
            return;
        }

        var runs = Environment.GetEnvironmentVariable("SLEEVE_SIM_RUNS") is { Length: > 0 } text ? int.Parse(text, System.Globalization.CultureInfo.InvariantCulture) : 3;
        for (var i = 0; i < runs; i++) Run(Random.Shared.Next());
    }

    [Fact]
    public void The_same_seed_gives_the_same_history()
    {
        long History()
        {
            var world = new World(42);
            world.Chaos(500);
            return world.Delivered;
        }

        Assert.Equal(History(), History());
    }
}
