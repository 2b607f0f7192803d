using System.CommandLine;
using System.Text.Json;
using Sleeve.Control.Api;
using Sleeve.DataPlane.Wire;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve fdb</c>: the FDB of a running VTEP, in the words of bridge(8).</summary>
internal static class FdbCommand
{
    private static readonly Argument<string[]> MacArgument = new("MAC") { Description = "MAC of the station; 00:00:00:00:00:00 for the default destinations.", HelpName = "MAC", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Setting Dst = new("--dst", "IP", "Address of the VTEP it is behind; 0.0.0.0 or :: to drop.", "an IPv4 or IPv6 unicast address, not link-local (or 0.0.0.0, ::)");
    private static readonly Setting Port = new("--port", "PORT", "UDP port of that VTEP, if not the segment's.", "1 to 65535");
    private static readonly Setting Vni = new("--vni", "N", "VNI towards that VTEP, if not the segment's.", "0 to 16777215");
    private static readonly Setting Via = new("--via", "IF", "Underlay interface to send by, if not the one that the route names.", Words.LinkNameAllowed);
    private static readonly Option<bool> Permanent = Setting.Flag("--permanent", "Stays until deleted. [default]");
    private static readonly Option<bool> Static = Setting.Flag("--static", "Stays until deleted.");
    private static readonly Option<bool> Dynamic = Setting.Flag("--dynamic", "Ages out and moves, as if learned.");
    private static readonly Option<bool> Self = Setting.Flag("--self", "Accepted as in bridge(8); every entry is the device's own.");
    private static readonly Option<bool> All = Setting.Flag("--all", "Static and permanent entries too, but not the default destinations.");
    private static readonly DeviceOptions Device = new();

    /// <summary>Print where each entry comes from too; of <c>fdb show</c> and <c>neigh show</c>.</summary>
    internal static readonly Option<bool> Details = new("--details", "-d") { Description = "Print where each entry comes from: who published it, in which version, how long ago.", Arity = ArgumentArity.Zero };

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var fdb = new Command("fdb", "Show and change which VTEP a MAC is behind.")
        {
            CreateShow(),
            CreateChange("add", "Add an entry for a MAC that has none."),
            CreateChange("append", "Add a destination to a group MAC or to the default destinations."),
            CreateChange("replace", "Set the one destination of a unicast MAC."),
            CreateDelete(),
            CreateFlush(),
            FdbAudit.Create(),
        };
        fdb.WithExamples("""
            Examples:
              sleeve fdb show dev vx0
              sleeve fdb show dev sl-100 -d
              sleeve fdb add 02:00:00:00:00:02 dev vx0 dst 192.0.2.2
              sleeve fdb append 00:00:00:00:00:00 dev vx0 dst 192.0.2.3
              sleeve fdb replace 02:00:00:00:00:02 dev vx0 dst 192.0.2.3 static
              sleeve fdb add 02:00:00:00:00:04 dev vx0 dst 192.0.2.4 via eth1
              sleeve fdb del 00:00:00:00:00:00 dev vx0 dst 192.0.2.3
              sleeve fdb flush dev vx0
              sleeve fdb audit dev sl-100
            """);
        return fdb;
    }

    private static Command CreateShow()
    {
        var show = new Command("show", "Show the entries of one device, or of all.");
        Device.AddTo(show, isRead: true);
        show.Options.Add(Details);
        show.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var sources = Device.Select(reader);
            var isOne = reader.IsGiven(Device.Device);
            return () => ShowAsync(sources, isOne, result.GetValue(Device.Json), result.GetValue(Details));
        }));
        return show;
    }

    private static async Task ShowAsync(IReadOnlyList<(string Device, string Path)> sources, bool isOne, bool json, bool details)
    {
        var (answers, missing) = await DeviceOptions.ReadAsync(sources, async (device, client) =>
        {
            var own = await client.GetAsync($"segments/{ApiClient.Escape(device)}/fdb", ApiJson.Default.IReadOnlyListFdbEntryJson);
            return isOne ? own : own.Select(entry => entry with { Ifname = device });
        });
        IReadOnlyList<FdbEntryJson> entries = [.. answers.SelectMany(static own => own)];
        if (json) Console.Out.WriteLine(JsonSerializer.Serialize(entries, ApiJson.Default.IReadOnlyListFdbEntryJson));
        else foreach (var entry in entries) Console.Out.WriteLine(Format(entry) + (details ? Provenance(entry.Origin, entry.Host, entry.Endpoint, entry.Version, entry.Age) : ""));
        if (missing is not null) throw missing;
    }

    // As bridge(8) prints it, but without its trailing blank.
    internal static string Format(FdbEntryJson entry)
    {
        var line = entry.Mac;
        if (entry.Ifname is { } device) line += $" dev {device}";
        line += $" dst {entry.Dst}";
        if (entry.Port is { } port) line += $" port {port}";
        if (entry.Vni is { } vni) line += $" vni {vni}";
        if (entry.ViaIf is { } via) line += $" via {via}";
        line += " self";
        return string.IsNullOrEmpty(entry.State) ? line : $"{line} {entry.State}";
    }

    /// <summary>Where an entry comes from, to stand behind it.</summary>
    internal static string Provenance(string? origin, string? host, string? endpoint, long? version, long? age) => origin == "published"
        ? $" origin published by {host}{(endpoint is null ? "" : $" endpoint {endpoint}")} version {version} age {age} s"
        : origin is null ? "" : $" origin {origin}{(age is null ? "" : $" age {age} s")}";

    private static Command CreateChange(string verb, string description)
    {
        var change = new Command(verb, description) { MacArgument, Dst.Option, Port.Option, Vni.Option, Via.Option, Permanent, Static, Dynamic, Self };
        Device.AddTo(change, isRead: false);
        change.SetAction((result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var (device, path) = Device.Require(reader);
            var mac = ReadMac(result, reader);
            var dst = reader.Require<InternetAddress>(Dst, Destination);
            var port = reader.IsGiven(Port) ? reader.Read<ushort>(Port, Words.Port, 0) : (ushort?)null;
            var vni = reader.IsGiven(Vni) ? reader.Read<Vni>(Vni, Words.Vni, default) : (Vni?)null;
            string[] states = [.. new[] { Permanent, Static, Dynamic }.Where(result.GetValue).Select(static flag => flag.Name[2..])];
            if (states.Length > 1) reader.Refuse($"{string.Join(' ', states)}: contradict each other; only one is allowed");
            var entry = new FdbEntryJson(mac.ToString(), null, dst.ToString(), port, vni?.Value, null, null, states.FirstOrDefault())
            {
                ViaIf = reader.Read<string?>(Via, Words.LinkName!, null),
            };
            return async () =>
            {
                using var client = new ApiClient(path);
                await client.PostAsync($"segments/{ApiClient.Escape(device)}/fdb/{verb}", entry, ApiJson.Default.FdbEntryJson);
            };
        }));
        return change;
    }

    private static Command CreateDelete()
    {
        var delete = new Command("del", "Remove an entry, or with dst one destination of it.") { MacArgument, Dst.Option, Port.Option, Vni.Option, Via.Option, Self };
        delete.Aliases.Add("delete");
        Device.AddTo(delete, isRead: false);
        delete.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var (device, path) = Device.Require(reader);
            var mac = ReadMac(result, reader);
            var dst = reader.IsGiven(Dst) ? reader.Read<InternetAddress>(Dst, Destination, default).ToString() : null;
            if (dst is null && (reader.IsGiven(Port) || reader.IsGiven(Vni) || reader.IsGiven(Via))) reader.Refuse("--port, --vni and --via need --dst");
            var port = reader.IsGiven(Port) ? reader.Read<ushort>(Port, Words.Port, 0) : (ushort?)null;
            var vni = reader.IsGiven(Vni) ? reader.Read<Vni>(Vni, Words.Vni, default) : (Vni?)null;
            var entry = new FdbEntryJson(mac.ToString(), null, dst, port, vni?.Value, null, null, null) { ViaIf = reader.Read<string?>(Via, Words.LinkName!, null) };
            return async () =>
            {
                using var client = new ApiClient(path);
                await client.PostAsync($"segments/{ApiClient.Escape(device)}/fdb/del", entry, ApiJson.Default.FdbEntryJson);
            };
        }));
        return delete;
    }

    private static Command CreateFlush()
    {
        var flush = new Command("flush", "Remove dynamic entries.") { All };
        Device.AddTo(flush, isRead: false);
        flush.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var (device, path) = Device.Require(reader);
            var all = result.GetValue(All);
            return async () =>
            {
                using var client = new ApiClient(path);
                var flushed = await client.PostAsync($"segments/{ApiClient.Escape(device)}/fdb/flush?all={(all ? "true" : "false")}", ApiJson.Default.FlushJson);
                Console.Out.WriteLine($"{flushed.Removed} entries removed");
            };
        }));
        return flush;
    }

    private static MacAddress ReadMac(ParseResult result, SettingReader reader)
    {
        const string Allowed = "six hexadecimal bytes with colons, such as 02:00:00:00:00:01";
        var words = result.GetValue(MacArgument) ?? [];
        if (words.Length == 0) reader.Refuse($"MAC: missing; it must be {Allowed}");
        foreach (var surplus in words.Skip(1)) reader.Refuse($"{surplus}: not expected here");
        if (words.Length == 0) return default;
        if (!MacAddress.TryParse(words[0], out var mac)) reader.Refuse($"MAC {words[0]}: must be {Allowed}");
        return mac;
    }

    private static bool Destination(string text, out InternetAddress value) =>
        Words.UnicastAddress(text, out value) || (InternetAddress.TryParse(text, out value) && value.IsUnspecified);
}
