using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Sleeve.Control.Api;
using Sleeve.Control.Config;
using Spectre.Console;

namespace Sleeve.Control.Cli;

/// <summary><c>sleeve segment</c>: makes, changes, removes and shows the segments of a running daemon.</summary>
internal static class SegmentCommand
{
    private static readonly Argument<string[]> DeviceArgument = new("DEV") { Description = "TAP of the segment.", HelpName = "DEV", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Option<bool> Json = new("--json", "-j") { Description = "Print JSON.", Arity = ArgumentArity.Zero };

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var segment = new Command("segment", "Make, change, remove and show segments of a running daemon.")
        {
            CreateChange("add", "Make a segment; there must be none of that name.", mustBeNew: true),
            CreateChange("replace", "Make a segment, or change the one there is to what is given here.", mustBeNew: false),
            CreateDelete(),
            CreateShow(),
        };
        segment.Aliases.Add("seg");
        segment.WithExamples("""
            What is made here outlives the daemon. Segments of the configuration file are changed there.

            Examples:
              sleeve segment add vx0 vni 100 remote 192.0.2.2 remote 192.0.2.3 bridge br0
              sleeve segment replace vx0 vni 100 remote 192.0.2.2 mtu 1400      what is not given is as by default
              sleeve segment del vx0
              sleeve segment show
              sleeve segment show vx0 --json
            """);
        return segment;
    }

    private static Command CreateChange(string verb, string description, bool mustBeNew)
    {
        var change = new Command(verb, description) { DeviceArgument };
        SegmentSettings.AddTo(change);
        change.Options.Remove(change.Options.Single(static option => option == SegmentSettings.PassedDescriptor));
        change.Options.Add(DaemonSocket.Option.Option);
        change.SetAction((result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var device = ReadDevice(result, reader);
            // The whole is judged here already: what is wrong with it needs no daemon to be told.
            SegmentSettings.Read(reader);
            if (!reader.IsGiven(SegmentSettings.Vni)) reader.Refuse($"--vni: missing; it must be {SegmentSettings.Vni.Allowed}");
            reader.ReadGiven<DataPlane.Wire.Vni>(SegmentSettings.Vni, Words.Vni);
            var settings = SettingsOf(result, change);
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                var done = await client.PutAsync($"segments/{ApiClient.Escape(device)}", settings, mustBeNew, ApiJson.Default.SegmentChangeJson);
                Console.Out.WriteLine($"{done.Ifname} {done.Change}{(done.Details.Count == 0 ? "" : $": {string.Join(", ", done.Details)}")}");
            };
        }));
        return change;
    }

    private static Command CreateDelete()
    {
        var delete = new Command("del", "Remove a segment that a command made, with its TAP.") { DeviceArgument };
        delete.Aliases.Add("delete");
        delete.Options.Add(DaemonSocket.Option.Option);
        delete.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var device = ReadDevice(result, reader);
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                // As del of iproute2: what is not there cannot be removed.
                await client.GetAsync($"segments/{ApiClient.Escape(device)}", ApiJson.Default.SegmentJson);
                await client.DeleteAsync($"segments/{ApiClient.Escape(device)}");
            };
        }));
        return delete;
    }

    private static Command CreateShow()
    {
        var show = new Command("show", "Show the segments and their settings.") { DeviceArgument };
        show.Aliases.Add("list");
        show.Aliases.Add("ls");
        show.Options.Add(DaemonSocket.Option.Option);
        show.Options.Add(Json);
        show.SetAction(static (result, _) => DeviceOptions.RunAsync(result, reader =>
        {
            var device = (result.GetValue(DeviceArgument) ?? []) is [] ? null : ReadDevice(result, reader);
            var path = DaemonSocket.PathOf(reader);
            return async () =>
            {
                using var client = new ApiClient(path);
                var segments = device is null
                    ? await client.GetAsync("segments", ApiJson.Default.IReadOnlyListSegmentJson)
                    : [await client.GetAsync($"segments/{ApiClient.Escape(device)}", ApiJson.Default.SegmentJson)];
                if (result.GetValue(Json)) Console.Out.WriteLine(JsonSerializer.Serialize(segments, ApiJson.Default.IReadOnlyListSegmentJson));
                else if (segments.Count == 0) Console.Out.WriteLine("no segments; sleeve segment add makes one");
                else Print(segments);
            };
        }));
        return show;
    }

    private static void Print(IReadOnlyList<SegmentJson> segments)
    {
        var table = Listing.NewTable("DEV", "VNI", "STATE", "MTU", "ORIGIN", "SETTINGS");
        foreach (var segment in segments)
        {
            var state = segment.State == "running" ? "running" : $"[red]{Markup.Escape($"failed: {segment.Error}")}[/]";
            table.AddRow(
                Markup.Escape(segment.Ifname), segment.Vni.ToString(CultureInfo.InvariantCulture), state, segment.Mtu?.ToString(CultureInfo.InvariantCulture) ?? "-", segment.Origin,
                Markup.Escape(segment.Settings is { } settings ? Describe(settings) : ""));
        }

        AnsiConsole.Write(table);
    }

    // In the words of the command line.
    private static string Describe(JsonElement settings) => string.Join(' ', settings.EnumerateObject().Where(static each => each.Name is not (ConfigFile.DeviceKey or "vni" or "id")).SelectMany(
        static each => each.Value.ValueKind switch
        {
            JsonValueKind.True => [each.Name],
            JsonValueKind.Array => each.Value.EnumerateArray().Select(item => $"{each.Name} {item}"),
            _ => new[] { $"{each.Name} {each.Value}" },
        }));

    private static string ReadDevice(ParseResult result, SettingReader reader)
    {
        var words = result.GetValue(DeviceArgument) ?? [];
        if (words.Length == 0) reader.Refuse($"DEV: missing; it must be {Words.LinkNameAllowed}");
        foreach (var surplus in words.Skip(1)) reader.Refuse($"{surplus}: not expected here");
        if (words is [var first, ..] && !Words.LinkName(first, out string _)) reader.Refuse($"DEV {first}: must be {Words.LinkNameAllowed}");
        return words.FirstOrDefault() ?? "";
    }

    // What was given, as the configuration file would have it.
    private static JsonElement SettingsOf(ParseResult result, Command command)
    {
        var given = new CommandLineSettings(result);
        var members = new List<ConfigMember>();
        foreach (var option in command.Options.Where(static option => option != DaemonSocket.Option.Option))
        {
            var key = option.Name[2..];
            if (option is Option<bool> flag && given.FindFlag(flag) is { } isOn) members.Add(new ConfigMember(key, 1, new ConfigScalar(1, isOn ? "true" : "false")));
            else if (option is Option<string[]> && given.Find(option) is { Words: [var only] }) members.Add(new ConfigMember(key, 1, new ConfigScalar(1, only.Text)));
            else if (option is Option<string[]> && given.Find(option) is { Words: [_, _, ..] words })
                members.Add(new ConfigMember(key, 1, new ConfigList(1, [.. words.Select(static word => new ConfigScalar(1, word.Text))])));
        }

        using var document = JsonDocument.Parse(ConfigJson.Write(new ConfigMap(1, members)));
        return document.RootElement.Clone();
    }
}
