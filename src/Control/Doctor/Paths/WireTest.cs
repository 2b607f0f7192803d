using Sleeve.Control.Api;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Doctor.Paths;

/// <summary>
/// Measures the wire and the far end for <c>sleeve bench</c>: round trips of small requests one after the other, then full-sized datagrams at rising rates, of
/// which the far end says how many arrived and how fast.
/// </summary>
/// <param name="talk">With whom.</param>
/// <param name="asked">How long and how much.</param>
/// <param name="report">Takes the lines of the answer, in order.</param>
internal sealed class WireTest(EchoTalk talk, BenchRequestJson asked, Func<PathLineJson, Task> report)
{
    private const int DefaultMtu = 1500;

    // Of the highest rate.
    private static readonly double[] Steps = [0.125, 0.25, 0.5, 1];

    /// <summary>Runs it.</summary>
    public async Task RunAsync()
    {
        await report(new PathLineJson { Step = "round trips", Percent = 0 });
        const int PingMilliseconds = 4;
        var pings = Math.Clamp(asked.Seconds * 1000 / 3 / PingMilliseconds, 50, 1000);
        var trips = EchoSummary.Of(await talk.PingAsync(1, pings, EchoMessage.Size, TimeSpan.FromMilliseconds(PingMilliseconds)));
        if (trips.RoundTrip is null)
        {
            await report(new PathLineJson { Error = $"{talk.Remote.Address.Address} answers no echo requests, so the wire cannot be measured: sleeve doctor {talk.Remote.Address.Address} says why" });
            return;
        }

        var mtu = talk.Remote.PathMtu.Bytes is > 0 and var known ? known : DefaultMtu;
        var length = Math.Clamp(Math.Min(mtu, talk.Segment.Mtu + Overhead.For(talk.Remote.Address.Address)) - talk.HeaderBytes, EchoMessage.Size, ushort.MaxValue - talk.HeaderBytes);
        var each = TimeSpan.FromSeconds(asked.Seconds * 2.0 / 3 / Steps.Length);
        var steps = new List<RateStepJson>();
        foreach (var part in Steps)
        {
            var rate = part * asked.Rate;
            await report(new PathLineJson { Step = $"{rate:0.#} Mbit/s", Percent = 33 + (67 * steps.Count / Steps.Length) });
            steps.Add(await StepAsync(rate, length, each));
        }

        await report(new PathLineJson
        {
            Percent = 100,
            Wire = new WireResultJson(talk.Segment.Options.Name, talk.Remote.Address.Address.ToString(), trips.RoundTrip, trips.FarEnd, trips.Sent, trips.Answered, length, steps),
        });
    }

    private async Task<RateStepJson> StepAsync(double megabits, int length, TimeSpan duration)
    {
        var (run, sent, took) = await talk.FloodAsync(megabits * 1e6, length, duration);
        var bits = (length + talk.HeaderBytes) * 8.0;
        var taken = sent - Math.Min(run.NotSent, sent);
        var offered = Math.Round(taken * bits / 1e6 / took.TotalSeconds, 2);
        EchoMessage? first = null;
        for (var i = 0; i < run.Capacity; i++)
            if (run.IsAnswered(i) && (first is null || run[i].Reply.Count < first.Value.Count)) first = run[i].Reply;
        // It counts itself, and what it says of bytes and time is about those before it.
        if (first is not { Count: > 2 } said) return new RateStepJson(offered, 0, taken, run.NotSent, 0, 0);
        var arrived = (int)said.Count - 1;
        var seconds = Math.Max(said.ElapsedNanoseconds / 1e9, 1e-6);
        return new RateStepJson(offered, Math.Round((arrived - 1) * bits / 1e6 / seconds, 2), taken, run.NotSent, arrived, (int)Math.Max(said.Late, 1) - 1);
    }
}
