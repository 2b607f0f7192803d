using System.Globalization;
using System.Net;

namespace Sleeve.EndToEnd.Rig;

/// <summary>A ping that runs beside something else, fifty a second, and at the end must have lost nothing.</summary>
public sealed class BackgroundPing
{
    private const int SIGINT = 2;
    private readonly BackgroundProcess _process;

    /// <summary>Starts it, once the address answers.</summary>
    public BackgroundPing(Host from, IPAddress to)
    {
        Traffic.WaitForPing(from, to);
        _process = from.Start(["ping", "-n", "-q", "-i", "0.02", $"{to}"]);
    }

    /// <summary>Ends it. One answer may still be on its way.</summary>
    public void AssertLostNothing(Lab lab)
    {
        ArgumentNullException.ThrowIfNull(lab);
        // What was sent just now has time to come back.
        Thread.Sleep(200);
        _process.Signal(SIGINT);
        Assert.True(_process.WaitForExit(Wait.Soon));
        var words = Command.Split(_process.Output.Replace(',', ' ').Replace('\n', ' '));
        int Before(string word) => int.Parse(words[Array.IndexOf(words, word) - 1], CultureInfo.InvariantCulture);
        var (sent, received) = (int.Parse(words[Array.IndexOf(words, "transmitted") - 2], CultureInfo.InvariantCulture), Before("received"));
        lab.Log($"ping beside it: {sent} sent, {received} received; {_process.Output.Split('\n').LastOrDefault(line => line.StartsWith("rtt", StringComparison.Ordinal))}");
        Assert.InRange(sent - received, 0, 1);
        Assert.True(received > 20, "hardly anything was sent");
    }
}
