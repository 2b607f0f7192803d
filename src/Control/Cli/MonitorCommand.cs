using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text.Json;
using Sleeve.Control.Api;
using Sleeve.Control.Host;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve monitor</c>: what happens, as it happens, in the manner of <c>bridge monitor fdb</c> and <c>ip monitor neigh</c>.</summary>
internal static class MonitorCommand
{
    private static readonly string KindsAllowed = string.Join(", ", EventRoutes.Kinds.Keys);

    private static readonly Argument<string[]> WordsArgument = new Argument<string[]>("DEV|KIND")
    {
        Description = $"The TAP of a segment, all without one; kinds of events, all without one: {KindsAllowed}.",
        HelpName = "DEV] [KIND",
        Arity = ArgumentArity.ZeroOrMore,
    }.Suggesting(static () => SocketFile.Devices().Concat(EventRoutes.Kinds.Keys));

    private static readonly DeviceOptions Device = new();
    private static readonly Lock Output = new();

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var monitor = new Command("monitor", "Show what happens, as it happens, until Ctrl-C.") { WordsArgument };
        Device.AddTo(monitor, isRead: true);
        monitor.WithExamples("""
            Examples:
              sleeve monitor                         every event of every VTEP on this host
              sleeve monitor vx0 learned moved aged
              sleeve monitor dev vx0 --json          a JSON object a line
            """);
        monitor.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var words = result.GetValue(WordsArgument) ?? [];
            var kinds = words.Where(EventRoutes.Kinds.ContainsKey).Distinct().ToArray();
            string[] names = [.. words.Where(static word => !EventRoutes.Kinds.ContainsKey(word))];
            foreach (var surplus in names.Skip(reader.IsGiven(Device.Device) ? 0 : 1)) reader.Refuse($"{surplus}: unknown kind of event; must be one of {KindsAllowed}");
            if (names is [var first, ..] && !Words.LinkName(first, out string _)) reader.Refuse($"DEV {first}: must be {Words.LinkNameAllowed}");
            var sources = Sources(reader, names.FirstOrDefault());
            return () => RunAsync(sources, kinds, result.GetValue(Device.Json));
        }));
        return monitor;
    }

    // A socket serves all segments of its process, so it does without a device.
    private static IReadOnlyList<(string? Device, string Path)> Sources(SettingReader reader, string? name)
    {
        var path = reader.Read<string?>(Device.Socket, Words.Place!, null);
        if (reader.IsGiven(Device.Device)) name = Device.Require(reader).Device;
        if (name is not null || path is not null) return [(name, path ?? SocketFile.Of(name!))];
        return [.. SocketFile.Devices().Select(static device => ((string?)device, SocketFile.Of(device)))];
    }

    private static async Task RunAsync(IReadOnlyList<(string? Device, string Path)> sources, string[] kinds, bool json)
    {
        if (sources.Count == 0) throw new HostException("nothing to watch: no sleeve up is running here (--socket names another)");
        using var stop = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnSignal);
        try
        {
            await Task.WhenAll(sources.Select(source => WatchAsync(source.Device, source.Path, kinds, json, stop.Token)));
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Ctrl-C is how it ends.
        }

        void OnSignal(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.Cancel();
        }
    }

    private static async Task WatchAsync(string? device, string path, string[] kinds, bool json, CancellationToken stop)
    {
        using var client = new ApiClient(path);
        string[] query = [.. device is null ? Array.Empty<string>() : [$"dev={ApiClient.Escape(device)}"], .. kinds.Length == 0 ? Array.Empty<string>() : [$"kind={string.Join(',', kinds)}"]];
        await foreach (var line in client.ReadLinesAsync(query.Length == 0 ? "events" : $"events?{string.Join('&', query)}", stop))
        {
            var text = json ? line : JsonSerializer.Deserialize(line, ApiJson.Default.EventJson) is { } happened ? Format(happened) : null;
            if (text is null) continue;
            lock (Output) Console.Out.WriteLine(text);
        }

        throw new HostException($"{path}: sleeve up has ended");
    }

    /// <summary>One event on a line; null for one that says nothing to a reader.</summary>
    internal static string? Format(EventJson happened)
    {
        var dev = happened.Ifname is null ? "" : $" dev {happened.Ifname}";
        var lladdr = happened.Mac is null ? "" : $" lladdr {happened.Mac}";
        var dst = happened.Dst is null ? "" : $" dst {happened.Dst}";
        return happened.Event switch
        {
            "listening" => null,
            "lost" => $"lost {happened.Lost} events",
            "learned" => $"{happened.Mac}{dev}{dst} self",
            "moved" => $"{happened.Mac}{dev}{dst} self moved from {happened.From}",
            "added" => $"{happened.Mac}{dev}{dst} self {happened.State}".TrimEnd(),
            "removed" => $"Deleted {happened.Mac}{dev}{dst} self",
            "aged" => $"Deleted {happened.Mac}{dev}{dst} self stale",
            "l2miss" => $"miss{dev}{lladdr} STALE",
            "l3miss" => $"miss {happened.Ip}{dev} STALE",
            "stranger" => $"stranger {happened.Dst}{dev}",
            "mtu-changed" => $"mtu {happened.Mtu}{dev}{dst}",
            "link-up" => $"link{dev} UP",
            "link-down" => $"link{dev} DOWN",
            "duplicate-address" => $"duplicate {happened.Ip}{dev}{lladdr} was {happened.Was}",
            "guard" => $"guard {happened.Limit}{dev}{lladdr}{dst}",
            "group-joined" => $"joined {happened.Ip}{dev}",
            "group-left" => $"left {happened.Ip}{dev}",
            var other => $"{other}{dev}{lladdr}{dst}",
        };
    }
}
