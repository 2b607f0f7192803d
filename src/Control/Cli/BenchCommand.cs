using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Sleeve.Control.Api;
using Sleeve.Control.Doctor.Bench;
using Sleeve.Control.Doctor.Paths;
using Spectre.Console;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve bench REMOTE</c>: says where the time goes between two stations: TAP, pipeline, socket, wire, far end.</summary>
internal static class BenchCommand
{
    private const int DefaultSeconds = 5, DefaultRate = 100, MostWithoutForce = 1000, BarWidth = 40;

    private static readonly Argument<string[]> Remote = new("REMOTE") { Description = "Address of a VTEP of a running segment, a Sleeve too.", Arity = ArgumentArity.ZeroOrMore };
    private static readonly DeviceOptions Device = new();
    private static readonly Setting Seconds = new("--seconds", "N", $"How long the wire is measured. [{DefaultSeconds}]", $"1 to {PathRoutes.MaxSeconds} (seconds)");
    private static readonly Setting Rate = new("--rate", "MBIT", $"The highest rate that is tried, Mbit/s; above {MostWithoutForce} only with --force. [{DefaultRate}]", $"1 to {PathRoutes.MaxRateMbit} (Mbit/s)");
    private static readonly Option<bool> Force = Setting.Flag("--force", $"Allow more than {MostWithoutForce} Mbit/s, which others on the path will notice.");

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var bench = new Command("bench", "Say where the time goes on the way to a VTEP, and what limits the rate.") { Remote, Seconds.Option, Rate.Option, Force };
        Device.AddTo(bench, isRead: true);
        bench.WithExamples("""
            Examples:
              sleeve bench 192.0.2.2
              sleeve bench 192.0.2.2 dev vx0 --rate 1000 --seconds 10
              sleeve bench 192.0.2.2 --json

            It sends at an eighth, a quarter, a half and all of --rate to the other Sleeve, which counts and answers; frames go on meanwhile and share the path.
            What this host takes for a frame is measured in a network namespace of its own.
            """);
        bench.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var remote = ReadRemote(result, reader);
            var seconds = reader.Read(Seconds, Words.Number(1, PathRoutes.MaxSeconds), DefaultSeconds);
            var rate = reader.Read(Rate, Words.Number(1, PathRoutes.MaxRateMbit), DefaultRate);
            if (rate > MostWithoutForce && !result.GetValue(Force)) reader.Refuse($"--rate {rate}: must be at most {MostWithoutForce} (Mbit/s), or say --force: whoever shares the path will notice");
            var (sockets, device) = DoctorCommand.Where(reader, Device);
            return () => RunAsync(sockets, device, remote, seconds, rate, result.GetValue(Device.Json));
        }));
        return bench;
    }

    private static string ReadRemote(ParseResult result, SettingReader reader)
    {
        var words = result.GetValue(Remote) ?? [];
        if (words.Length == 0) reader.Refuse($"REMOTE: missing; it must be {DoctorCommand.RemoteAllowed}");
        foreach (var surplus in words.Skip(1)) reader.Refuse($"{surplus}: not expected here");
        return words.Length > 0 ? DoctorCommand.ReadRemote(words[0], reader) : "";
    }

    private static async Task RunAsync(IReadOnlyList<string> sockets, string? device, string remote, int seconds, int rate, bool json)
    {
        var choice = await RemoteChoice.FindAsync(sockets, device, remote);
        var isQuiet = json || Console.IsOutputRedirected;
        // First the wire: what this host takes would be in its way.
        var lines = await PathClient.RunAsync(choice.Socket, "bench", new BenchRequestJson(choice.Device, remote, seconds, rate), ApiJson.Default.BenchRequestJson, json);
        var local = isQuiet ? LocalBench.Run(static _ => { }) : AnsiConsole.Status().Start("measuring this host…", context => LocalBench.Run(step => context.Status($"measuring {step}…")));
        var report = Verdict.Of(local, lines.Select(static line => line.Wire).First(static wire => wire is not null)!);
        if (json) Console.Out.WriteLine(JsonSerializer.Serialize(report, ApiJson.Default.BenchReportJson));
        else Print(report);
    }

    private static void Print(BenchReportJson report)
    {
        Write($"{report.Dev} → {report.Remote}");
        Write("");
        Write($"round trip of a small packet between two stations, {Number(report.RoundTrip.Sum(static share => share.Us))} µs:");
        foreach (var share in report.RoundTrip)
            Write($"    {share.Part,-9}{Number(share.Us),9} µs {Number(share.Percent),6} % {new string('█', (int)Math.Round(share.Percent / 100 * BarWidth))}");
        var trip = report.Wire.RoundTripUs;
        Write($"    from worker to worker: {Number(trip.Median)} µs (median; {Number(trip.Min)} to {Number(trip.Max)}, 99 % below {Number(trip.P99)}), {report.Wire.Answered} of {report.Wire.Sent} answered");
        Write("");
        Write("a full-sized frame on this host, nanoseconds of one core:");
        var local = report.Local;
        Write($"    out: TAP {Number(local.TapReadNs)}, pipeline {Number(local.PipelineOutNs)}, socket {Number(local.SocketSendNs)}");
        Write($"    in:  socket {Number(local.SocketReceiveNs)}, pipeline {Number(local.PipelineInNs)}, TAP {Number(local.TapWriteNs)}");
        if (local.Problem is not null) Write($"    {local.Problem}");
        Write("");
        Write($"the path with datagrams of {report.Wire.DatagramBytes} bytes, Mbit/s:");
        foreach (var step in report.Wire.Steps)
        {
            var lost = step.Sent == 0 ? 0 : 100.0 * (step.Sent - step.Arrived) / step.Sent;
            var late = step.Late > 0 ? $", {step.Late} late" : "";
            Write($"    sent {Number(step.OfferedMbit),9}   arrived {Number(step.ArrivedMbit),9}   lost {Number(lost),5} %{late}{(step.NotSent > 0 ? $", {step.NotSent} not taken here" : "")}");
        }

        Write("");
        Write(report.Verdict);
    }

    private static string Number(double? value) => value is { } number ? number.ToString(Math.Abs(number) >= 100 ? "0" : "0.#", CultureInfo.InvariantCulture) : "?";

    private static void Write(string line) => Console.Out.WriteLine(line);
}
