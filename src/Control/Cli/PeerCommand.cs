using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Sleeve.Control.Api;
using Sleeve.Control.Networks;
using Spectre.Console;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve peer</c>: the hosts of the cluster.</summary>
internal static class PeerCommand
{
    private static readonly Argument<string[]> HostArgument = new("HOST") { Description = "Name of the host.", HelpName = "HOST", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Option<bool> Json = new("--json", "-j") { Description = "Print JSON.", Arity = ArgumentArity.Zero };
    private static readonly Option<bool> Off = Setting.Flag("--off", "Take new endpoints again.");
    private static readonly Option<bool> Force = Setting.Flag("--force", "Also a host that is alive.");

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var peer = new Command("peer", "Show the hosts of the cluster, drain them, forget them.") { CreateList(), CreateShow(), CreateDrain(), CreateForget() };
        peer.WithExamples("""
            STATE is what the data path says (up, down, held, unknown), ALIVE whether the host gives a sign of life to the store.

            Examples:
              sleeve peer ls
              sleeve peer show b --json
              sleeve peer drain b           no new endpoints on it; those that it has go on
              sleeve peer drain b --off
              sleeve peer forget b          it is gone for good: what it claimed goes, and its certificate
            """);
        return peer;
    }

    private static Command CreateList() =>
        Listing.Create("Show the hosts, and whether their VTEPs are alive.", "peers", static () => ApiJson.Default.IReadOnlyListPeerJson, "no hosts; sleeve token begins a cluster, sleeve join joins one", Print);

    private static void Print(IReadOnlyList<PeerJson> peers)
    {
        var table = Listing.NewTable("HOST", "VTEP", "STATE", "ALIVE", "RTT", "LOSS", "CHANGED", "FLAPS", "WHY");
        foreach (var peer in peers)
        {
            var state = peer.State is "down" or "held" ? $"[red]{peer.State}[/]" : Markup.Escape(peer.State);
            table.AddRow(
                Markup.Escape(peer.Name), Markup.Escape(VtepOf(peer)), state + (peer.Draining ? ",draining" : ""), peer.Alive ? "yes" : "[red]no[/]", RoundTrip(peer), Loss(peer),
                Ago(peer.ChangedSeconds), peer.Flaps?.ToString(CultureInfo.InvariantCulture) ?? "-", Markup.Escape(peer.Reason ?? ""));
        }

        AnsiConsole.Write(table);
    }

    private static Command CreateShow()
    {
        var show = new Command("show", "Show all that is known of a host.") { HostArgument };
        show.Aliases.Add("inspect");
        show.Options.Add(DaemonSocket.Option.Option);
        show.Options.Add(Json);
        show.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var host = ReadHost(result, reader);
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                var peer = await client.GetAsync($"peers/{host}", ApiJson.Default.PeerJson);
                if (result.GetValue(Json)) Console.Out.WriteLine(JsonSerializer.Serialize(peer, ApiJson.Default.PeerJson));
                else foreach (var (name, value) in Details(peer)) Console.Out.WriteLine($"{name,-12}{value}");
            };
        }));
        return show;
    }

    private static IEnumerable<(string Name, string Value)> Details(PeerJson peer)
    {
        yield return ("host", peer.Name);
        yield return ("vtep", VtepOf(peer));
        yield return ("state", peer.Reason is { } reason ? $"{peer.State}: {reason}, since {Ago(peer.ChangedSeconds)}" : peer.State);
        yield return ("alive", peer.Alive ? "yes" : "no");
        if (peer.Draining) yield return ("draining", "yes: it takes no new endpoints");
        if (peer.RttMicroseconds is not null) yield return ("rtt", RoundTrip(peer));
        if (peer.LossPercent is not null) yield return ("loss", Loss(peer));
        if (peer.Flaps is { } flaps) yield return ("flaps", $"{flaps}");
        if (peer.HellosReceived is { } received) yield return ("hellos", $"{received} received{(peer.HellosNotSent > 0 ? $", {peer.HellosNotSent} could not be sent" : "")}");
        if (peer.Version is { } version) yield return ("version", version);
        if (peer.Location is { } location) yield return ("location", location);
        if (peer.Generation is { } generation) yield return ("generation", $"{generation}");
        if (peer.Since is { } since) yield return ("since", $"{since.ToLocalTime():yyyy-MM-dd HH:mm:ss}");
    }

    private static Command CreateDrain()
    {
        var drain = new Command("drain", "Have a host take no new endpoints; those that it has go on.") { HostArgument };
        drain.Options.Add(Off);
        drain.Options.Add(DaemonSocket.Option.Option);
        drain.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var host = ReadHost(result, reader);
            var isDraining = !reader.ReadFlag(Off);
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                await client.PutAsync($"peers/{host}", new PeerDrainJson(isDraining), ApiJson.Default.PeerDrainJson, ApiJson.Default.PeerJson);
            };
        }));
        return drain;
    }

    private static Command CreateForget()
    {
        var forget = new Command("forget", "Forget a host that is gone for good.") { HostArgument };
        forget.Aliases.Add("rm");
        forget.Options.Add(Force);
        forget.Options.Add(DaemonSocket.Option.Option);
        forget.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var host = ReadHost(result, reader);
            var force = reader.ReadFlag(Force);
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                var forgotten = await client.DeleteAsync($"peers/{host}{(force ? "?force=true" : "")}", ApiJson.Default.PeerForgottenJson);
                if (forgotten.Note is { } note) CommandLine.Tell($"sleeve peer forget: warning: {note}");
            };
        }));
        return forget;
    }

    private static string ReadHost(ParseResult result, SettingReader reader)
    {
        var words = result.GetValue(HostArgument) ?? [];
        if (words.Length == 0) reader.Refuse("HOST: missing; sleeve peer ls lists them");
        foreach (var surplus in words.Skip(1)) reader.Refuse($"{surplus}: not expected here");
        if (words is [var first, ..] && !Names.IsName(first)) reader.Refuse($"HOST {first}: must be {Names.Allowed}");
        return words.FirstOrDefault() ?? "";
    }

    private static string VtepOf(PeerJson peer) => peer.Local is { } local ? local.Contains(':', StringComparison.Ordinal) ? $"[{local}]:{peer.Port}" : $"{local}:{peer.Port}" : "-";

    private static string RoundTrip(PeerJson peer) => peer.RttMicroseconds is { } micros ? string.Create(CultureInfo.InvariantCulture, $"{micros / 1000.0:0.###} ms") : "-";

    private static string Loss(PeerJson peer) => peer.LossPercent is { } loss ? string.Create(CultureInfo.InvariantCulture, $"{loss:0.#} %") : "-";

    private static string Ago(long? seconds) => seconds switch
    {
        null => "-",
        < 120 => $"{seconds} s",
        < 7200 => $"{seconds / 60} min",
        < 172_800 => $"{seconds / 3600} h",
        _ => $"{seconds / 86_400} d",
    };
}
