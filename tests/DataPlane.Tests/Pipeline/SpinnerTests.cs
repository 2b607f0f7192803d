using Sleeve.DataPlane.Pipeline;

namespace Sleeve.DataPlane.Tests.Pipeline;

public class SpinnerTests
{
    [Fact]
    public void Looks_longer_the_more_short_sleeps_there_were_and_not_beyond_the_limit()
    {
        var spinner = new Spinner();
        Assert.Equal(0, spinner.Budget(100));
        var last = 0L;
        for (var i = 0; i < 20; i++)
        {
            spinner.Slept(Spinner.MostMicroseconds);
            var budget = spinner.Budget(100);
            Assert.InRange(budget, last, Spinner.MostMicroseconds);
            last = budget;
        }

        Assert.Equal(Spinner.MostMicroseconds, last);
    }

    [Fact]
    public void Stops_looking_after_a_sleep_that_it_would_not_have_spared()
    {
        var spinner = Willing();
        spinner.Slept(Spinner.MostMicroseconds + 1);
        Assert.Equal(0, spinner.Budget(100));
    }

    [Fact]
    public void Does_not_look_in_bulk_but_does_again_afterwards()
    {
        var spinner = Willing();
        Assert.Equal(0, spinner.Budget(Spinner.BulkBytes));
        Assert.NotEqual(0, spinner.Budget(Spinner.BulkBytes - 1));
    }

    private static Spinner Willing()
    {
        var spinner = new Spinner();
        for (var i = 0; i < 10; i++) spinner.Slept(1);
        Assert.NotEqual(0, spinner.Budget(100));
        return spinner;
    }
}
