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

    [Fact]
    public void Looks_in_vain_become_rare_and_common_again_once_they_pay()
    {
        var spinner = Willing();
        var first = RestAfterVainLooks(spinner);
        var second = RestAfterVainLooks(spinner);
        Assert.Equal(2 * first, second);
        for (var i = 0; i < 100; i++) spinner.Looked(inVain: false);
        Assert.Equal(first, RestAfterVainLooks(spinner));
    }

    private static int RestAfterVainLooks(Spinner spinner)
    {
        spinner.Looked(inVain: true);
        Assert.NotEqual(0, spinner.Budget(100));
        spinner.Looked(inVain: true);
        var sleeps = 0;
        for (; spinner.Budget(100) == 0; sleeps++) spinner.Slept(1);
        return sleeps;
    }

    private static Spinner Willing()
    {
        var spinner = new Spinner();
        for (var i = 0; i < 10; i++) spinner.Slept(1);
        Assert.NotEqual(0, spinner.Budget(100));
        return spinner;
    }
}
