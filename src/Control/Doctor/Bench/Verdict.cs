using System.Globalization;
using Sleeve.Control.Api;

namespace Sleeve.Control.Doctor.Bench;

/// <summary>Says in a sentence where the time goes, and what limits the rate.</summary>
internal static class Verdict
{
    // Of what was sent; less than that may be a hiccup of a queue.
    private const double Noticeable = 0.005;

    // Of what was offered; less than that has not passed.
    private const double Passed = 0.95;

    /// <summary>Puts the parts together.</summary>
    public static BenchReportJson Of(LocalCostsJson local, WireResultJson wire)
    {
        var shares = Shares(local, wire);
        return new BenchReportJson(wire.Dev, wire.Remote, $"{Latency(shares, wire)} {Rate(local, wire)}", shares, local, wire);
    }

    // A frame passes each part of this host twice, there and back, and those of the far end as often, which is taken to be as fast.
    private static IReadOnlyList<ShareJson> Shares(LocalCostsJson local, WireResultJson wire)
    {
        static double Twice(params ReadOnlySpan<double?> nanoseconds)
        {
            var sum = 0.0;
            foreach (var each in nanoseconds) sum += 2 * (each ?? 0) / 1000;
            return sum;
        }

        var socket = Twice(local.SocketSendNs, local.SocketReceiveNs);
        var parts = new[]
        {
            ("tap", Twice(local.TapReadNs, local.TapWriteNs)),
            ("pipeline", Twice(local.PipelineOutNs, local.PipelineInNs)),
            ("socket", Math.Min(socket, wire.RoundTripUs.Median)),
            ("far end", wire.FarEndUs),
            ("wire", Math.Max(wire.RoundTripUs.Median - socket - wire.FarEndUs, 0)),
        };
        var whole = Math.Max(parts.Sum(static part => part.Item2), 1e-9);
        return [.. parts.Select(part => new ShareJson(part.Item1, Math.Round(part.Item2, 2), Math.Round(100 * part.Item2 / whole, 1)))];
    }

    private static string Latency(IReadOnlyList<ShareJson> shares, WireResultJson wire)
    {
        var most = shares.MaxBy(static share => share.Us)!;
        var whole = shares.Sum(static share => share.Us);
        var what = most.Part switch
        {
            "wire" => "the wire, with the kernels and the waking up at both its ends,",
            "far end" => "the far end, before it answers,",
            "socket" => "sending and receiving by sockets",
            "pipeline" => "the pipeline",
            _ => "writing and reading TAPs",
        };
        return Text($"Of a round trip of {whole:0} µs {what} takes {most.Percent:0} %; the far end answers within {wire.FarEndUs:0.#} µs.");
    }

    private static string Rate(LocalCostsJson local, WireResultJson wire)
    {
        var lossy = wire.Steps.Where(static step => step.Sent > 0).Select(static step => (Step: step, Loss: 1 - ((double)step.Arrived / step.Sent))).ToArray();
        var own = Own(local, wire);
        if (wire.Steps.Count > 0 && wire.Steps[^1] is { NotSent: > 0 } last && last.NotSent > last.Sent * Noticeable)
            return Text($"The interface here takes no more than {last.OfferedMbit:0.#} Mbit/s: {last.NotSent} datagrams found its queue full.");
        if (lossy.Length > 0 && lossy.All(static each => each.Loss > Noticeable) && lossy[^1].Loss < 3 * lossy[0].Loss)
            return Text($"The path loses {100 * lossy.Average(static each => each.Loss):0.#} % whatever the rate: that is a fault and no limit (sleeve doctor {wire.Remote} says in which direction).");
        if (Array.FindIndex(lossy, static each => each.Loss > Noticeable && each.Step.ArrivedMbit < each.Step.OfferedMbit * Passed) is >= 0 and var index)
            return Text($"The path passes {lossy[index..].Max(static each => each.Step.ArrivedMbit):0.#} Mbit/s and no more: of {lossy[index].Step.OfferedMbit:0.#} Mbit/s {100 * lossy[index].Loss:0} % were lost{own}.");
        if (lossy.Any(static each => each.Loss > Noticeable)) return Text($"Of {lossy[^1].Step.OfferedMbit:0.#} Mbit/s {100 * lossy.Max(static each => each.Loss):0.#} % were lost: a queue on the way is short{own}.");
        // What was not lost may still have waited.
        if (wire.Steps.Count > 0 && wire.Steps[^1] is { } slow && slow.ArrivedMbit < slow.OfferedMbit * 0.8)
            return Text($"The path passes {slow.ArrivedMbit:0.#} Mbit/s: {slow.OfferedMbit:0.#} Mbit/s were sent, and waited in a queue on the way{own}.");
        return wire.Steps.Count > 0 ? Text($"The path carried all of {wire.Steps[^1].OfferedMbit:0.#} Mbit/s, the most that was tried (--rate){own}.") : "";
    }

    private static string Own(LocalCostsJson local, WireResultJson wire)
    {
        if (local.TapReadNs is not { } tap || local.SocketSendNs is not { } socket || tap + local.PipelineOutNs + socket is not (> 0 and var sum)) return "";
        return Text($"; one core of this host could send about {(wire.DatagramBytes + 28) * 8 * 1000 / sum / 1000:0.#} Gbit/s");
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
